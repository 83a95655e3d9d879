"""Resolve the words of the published release: find the class and the language that each word of a text names.

The release gives a text and its target word. Its `translations.json` maps every class's English name to `synset_id`,
`cls_id` and the name in each language; so does any names table of ours. A word is looked up among the names of the
dataset's languages. Where one string names several classes or languages, the row decides: the target has the row's
class and language, and no other word has that language or class, nor one that another word already has.

Legend: N rows, one text each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.names import SEPARATOR, imagenet_classes, read_names
from symile_data.errors import SourceError
from symile_data.files import digest
from symile_data.format.manifest import Dropped
from symile_data.format.typed_json import parse_json, read_text

from ..rows.columns import WORD

TRANSLATIONS = "translations.json"
UNKNOWN, AMBIGUOUS = "not in the names table", "names several classes or languages"

_EXAMPLES = 5
_NONE = -1

IntArray = npt.NDArray[np.int64]


@dataclass
class Unresolved:
    """Words whose class and language could not be resolved, by reason. Counts add up over shards."""

    counts: Counter[str] = field(default_factory=Counter)
    examples: dict[str, list[str]] = field(default_factory=dict)

    def add(self, reason: str, words: Sequence[str]) -> None:
        """Count words that were not resolved for a reason, and keep the first few as examples."""
        if words:
            self.counts[reason] += len(words)
            known = self.examples.setdefault(reason, [])
            self.examples[reason] = list(dict.fromkeys([*known, *words[:_EXAMPLES]]))[:_EXAMPLES]

    def update(self, other: Unresolved) -> None:
        """Add the counts and examples of another part."""
        self.counts.update(other.counts)
        for reason, words in other.examples.items():
            known = self.examples.get(reason, [])
            self.examples[reason] = list(dict.fromkeys([*known, *words]))[:_EXAMPLES]

    def to_json(self) -> dict[str, Any]:
        """Return the counts and examples, as a shard's journal keeps them."""
        return {reason: [count, self.examples[reason]] for reason, count in sorted(self.counts.items())}


def unresolved_words(results: Sequence[dict[str, Any]]) -> list[Dropped]:
    """Add up the unresolved words of all shards for the manifest.

    Args:
        results: `Unresolved.to_json` of each shard.
    """
    reasons = sorted({reason for result in results for reason in result})
    return [
        Dropped(
            reason=f"text: a word {reason}; its language and class are null",
            count=sum(result[reason][0] for result in results if reason in result),
            examples=list(dict.fromkeys(word for r in results for word in r.get(reason, (0, []))[1]))[:_EXAMPLES],
        )
        for reason in reasons
    ]


@dataclass(frozen=True)
class ReleaseNames:
    """Names of the 1000 classes in a dataset's languages.

    Args:
        languages: (L,) codes.
        names: (name, class id, position of its language); a name occurs once for each meaning.
    """

    languages: tuple[str, ...]
    names: tuple[tuple[str, int, int], ...]

    @property
    def fingerprint(self) -> str:
        """Hash of the languages and names."""
        return digest([self.languages, self.names])


def read_release_names(path: Path | None, languages: Sequence[str]) -> ReleaseNames:
    """Read names from the release's `translations.json`, from a names table (TSV), or from the bundled table.

    Args:
        path: The file, or None for the bundled table.
        languages: (L,) language codes of the dataset.

    Raises:
        SourceError: the file is neither, a class is not one of ImageNet-1k, or a language has no names.
    """
    if path is not None and path.suffix == ".json":
        try:
            return parse_translations(read_text(path), str(path), languages)
        except OSError as error:
            raise SourceError("cannot open the release's translations", where=path, got=error.strerror) from error
        except ValueError as error:
            raise SourceError("cannot read the release's translations", where=path, got=error) from None
    table = read_names(path)
    table.unnamed((), languages)  # raises where a language has no column
    ids = _class_ids(table.wnids, table.path)
    found = (
        (name, ids[row], position)
        for position, language in enumerate(languages)
        for row, name in enumerate(table.names[language])
        if name.strip()
    )
    return ReleaseNames(tuple(languages), tuple(found))


def parse_translations(text: str, path: str, languages: Sequence[str]) -> ReleaseNames:
    """Parse the text of the release's `translations.json`.

    Args:
        text: The JSON text.
        path: The file, for messages.
        languages: (L,) language codes of the dataset.

    Raises:
        SourceError: the text has another form, a class is not one of ImageNet-1k, or a language has no names.
    """
    try:
        entries = parse_json(text)
        wnids = [entry["synset_id"] for entry in entries.values()]
        told = [int(entry["cls_id"]) for entry in entries.values()]
        found = [
            (str(entry[language]), told[row], position)
            for row, entry in enumerate(entries.values())
            for position, language in enumerate(languages)
            if language in entry
        ]
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        raise SourceError(
            "this is not the release's translations.json: a name, then synset_id, cls_id and language codes",
            where=path,
            got=f"{type(error).__name__}: {error}",
        ) from None
    for wnid, expected, got in zip(wnids, _class_ids(wnids, path), told, strict=True):
        if expected != got:
            raise SourceError(
                "a class id is not the position of the class in ILSVRC's order",
                where=f"{path}, {wnid}",
                got=f"{got}, expected {expected}",
            )
    lacking = sorted(set(range(len(languages))) - {position for _, _, position in found})
    if lacking:
        raise SourceError("the translations have no names in a language", where=path, got=languages[lacking[0]])
    return ReleaseNames(tuple(languages), tuple(found))


def _class_ids(wnids: Sequence[str], path: str) -> list[int]:
    known = {wnid: position for position, wnid in enumerate(imagenet_classes()[0])}
    foreign = [wnid for wnid in wnids if wnid not in known]
    if foreign:
        raise SourceError("a class is not one of the 1000 classes of ImageNet-1k", where=path, got=foreign[0])
    return [known[wnid] for wnid in wnids]


class WordResolver:
    """Find the class and language of each word of a text.

    Args:
        names: The names in the dataset's languages.
    """

    def __init__(self, names: ReleaseNames) -> None:
        self._languages = pa.array(names.languages, pa.string())
        self._position = {language: position for position, language in enumerate(names.languages)}
        self._meanings: dict[str, list[tuple[int, int]]] = {}
        for name, cls, language in names.names:
            meanings = self._meanings.setdefault(name, [])
            if (cls, language) not in meanings:
                meanings.append((cls, language))
        self._names = pa.array(list(self._meanings), pa.string())
        single = [meanings[0] if len(meanings) == 1 else (_NONE, _NONE) for meanings in self._meanings.values()]
        # The last row stands for words that are not in the table.
        self._single = np.array([*single, (_NONE, _NONE)], dtype=np.int64)

    def resolve(
        self, text: pa.Array, lang: pa.Array, cls_id: IntArray, target: pa.Array
    ) -> tuple[pa.Array, Unresolved]:
        """Resolve the words of N rows.

        Args:
            text: (N,) words joined by `_`; null where there is none.
            lang: (N,) language of the recording.
            cls_id: (N,) class of the image.
            target: (N,) the target word.

        Returns:
            (N,) list of `WORD`, where language and class are null for unresolved words; and the unresolved words.
        """
        parts = pc.split_pattern(text, SEPARATOR)
        flat, lengths = parts.flatten(), pc.fill_null(pc.list_value_length(parts), 0).to_numpy(zero_copy_only=False)
        row = np.repeat(np.arange(len(text)), lengths)
        places = pc.fill_null(pc.index_in(flat, value_set=self._names), len(self._names)).to_numpy(zero_copy_only=False)
        meaning = self._single[places]
        is_target = _first_of_row(row, pc.equal(flat, target.take(pa.array(row))).to_numpy(zero_copy_only=False))
        spoken = pc.fill_null(pc.index_in(lang, value_set=self._languages), _NONE).to_numpy(zero_copy_only=False)
        meaning[is_target, 0] = cls_id[row[is_target]]
        meaning[is_target, 1] = spoken[row[is_target]]
        self._decide(flat, row, places, meaning)
        unresolved = Unresolved()
        open_words = meaning[:, 1] == _NONE
        for reason, some in (
            (UNKNOWN, open_words & (places == len(self._names))),
            (AMBIGUOUS, open_words & (places < len(self._names))),
        ):
            unresolved.add(reason, flat.take(pa.array(np.flatnonzero(some))).to_pylist())
        values = pa.StructArray.from_arrays(
            [
                flat,
                self._languages.take(pa.array(meaning[:, 1], mask=open_words)),
                pa.array(meaning[:, 0].astype(np.int32), mask=open_words),
            ],
            fields=list(WORD),
        )
        offsets = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32)
        words = pa.ListArray.from_arrays(offsets, values)
        if text.null_count:
            words = words.take(pa.array(np.arange(len(text)), mask=text.is_null().to_numpy(zero_copy_only=False)))
        return words, unresolved

    def _decide(self, flat: pa.Array, row: IntArray, places: IntArray, meaning: IntArray) -> None:
        """Resolve a word of several meanings where the other words of its row leave only one of them."""
        several = (meaning[:, 1] == _NONE) & (places < len(self._names))
        for one in np.unique(row[several]).tolist():
            first, last = np.searchsorted(row, [one, one + 1]).tolist()
            pending = [word for word in range(first, last) if several[word]]
            while pending:
                taken = meaning[first:last]
                left = {
                    word: [
                        (cls, language)
                        for cls, language in self._meanings[flat[word].as_py()]
                        if cls not in taken[:, 0] and language not in taken[:, 1]
                    ]
                    for word in pending
                }
                decided = next((word for word in pending if len(left[word]) == 1), None)
                if decided is None:
                    break
                meaning[decided] = left[decided][0]
                pending.remove(decided)


def _first_of_row(row: IntArray, marked: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
    """Keep only the first mark of each row."""
    places = np.flatnonzero(marked)
    _, first = np.unique(row[places], return_index=True)
    kept = np.zeros(len(row), dtype=bool)
    kept[places[first]] = True
    return kept
