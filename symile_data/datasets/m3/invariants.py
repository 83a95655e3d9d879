"""The rules that every row of a Symile-M3 dataset obeys, for `symile-data verify`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.id_set import IdSet, sample_ids
from symile_data.format.manifest import Manifest
from symile_data.format.shards.arrow_numpy import arrow_int64, arrow_text, true
from symile_data.format.verify.stored_paths import has_paths, path_problems
from symile_data.reliability import Reliability

from .keys import TARGET_LANGUAGE, Key, keys_of_spec, target_language
from .names import SEPARATOR, imagenet_classes
from .suspects import TextRules, suspects

_FLAC = arrow_text(["flac", "."])  # the ending of an audio file's name, and what joins it
_COLUMNS = ("sample_id", "lang", "cls", "cls_id", "wnid", "text", "target_text", "words", "image_id", "clip_id")
_MEDIA = ("image_id", "clip_id")
_NAMED = re.compile(r"[a-z]+-[a-z]+-(\d+)-\d+(?:-noisy-\d+)?")  # the image or tone of a key, which tells its value
_SPOKEN = re.compile(r"(?:espeak|gtts)-([a-z]+)-")  # the store of a recording, whose sentences no other store has


class M3Invariants:
    """Check shard by shard, and remember sample ids exactly and media ids by hashes of 64 bits.

    Among three million media, two different ones have the same hash, and are reported as shared, in one of four million
    datasets.

    Args:
        manifest: Manifest of the dataset; its spec says which rules hold.
    """

    def __init__(self, manifest: Manifest) -> None:
        spec = manifest.identity.spec
        self._keys = keys_of_spec(spec)
        self._languages = {code: place for place, code in enumerate(spec["languages"] if self._keys else ())}
        settings = Reliability.of(spec)
        self._misaligned, self._noisy = set(settings.misaligned), set(settings.noisy)
        self._words, self._mode, self._disjoint = spec["words"], spec["mode"], spec["split_policy"] == "disjoint"
        names = manifest.identity.sources.get("names", {})
        self._published = names.get("kind") == "release"  # in published texts a word may be unknown or occur twice
        images = manifest.identity.sources.get("images", {})
        self._paths = has_paths(spec) and images.get("kind") != "release"  # imported media keep the release's paths
        self._wnids, _ = imagenet_classes()
        self._classes: dict[int, str] = {}  # cls_id -> cls
        self._texts = all(modality.kind == "text" for modality in manifest.modalities if modality.name == "text")
        self._sample_ids = IdSet()
        kinds = {modality.name: modality.kind for modality in manifest.modalities}
        self._stored = [key for key in self._keys if key.media_id is not None]
        self._codes = [key for key in self._keys if kinds.get(key.name) == key.kind == "vector"]
        ids = (*_MEDIA, *(str(key.media_id) for key in self._stored))
        self._media: dict[str, dict[str, IdSet]] = {column: {} for column in ids}
        self._shared: dict[tuple[str, str, str], tuple[int, str]] = {}  # (column, two splits) -> count and an example

    @property
    def disjoint_media(self) -> bool:
        """Whether no image and no recording may be in two splits."""
        return bool(self._disjoint)

    @property
    def reads_media(self) -> bool:
        """Whether a rule looks into the bytes of images and audio."""
        return False

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield images and recordings whose stored path does not match their id."""
        if not self._paths:
            return
        if {"image", "image_id"} <= set(table.column_names):
            names = pc.replace_substring_regex(table["image_id"], "^.*/", "")
            yield from path_problems(table, "image", names)
        if {"audio", "clip_id"} <= set(table.column_names):
            yield from path_problems(table, "audio", pc.binary_join_element_wise(table["clip_id"], *_FLAC))

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Yield the problems of the rows of one shard."""
        if not self._classes and not self._published:
            self._classes.update(enumerate(_class_names(table)))
        twice = self._sample_ids.add(sample_ids(table))
        for index, problem in self._key_problems(table):
            yield f"row {index}: {problem}"
        extra: tuple[str, ...] = (TARGET_LANGUAGE,) if self._keys else ()
        extra += ("text_misaligned",) if "text" in self._misaligned else ()
        rows = table.select((*_COLUMNS, *extra))
        places = np.flatnonzero(twice | self._suspects(split, rows))
        for index, row in zip(places.tolist(), rows.take(arrow_int64(places)).to_pylist(), strict=True):
            for problem in self._row_problems(row):
                yield f"row {index} (sample {row['sample_id']}): {problem}"
            if twice[index]:
                yield f"row {index}: sample_id {row['sample_id']} occurs twice"
            spoken = _SPOKEN.match(row["clip_id"] or "")
            if self._disjoint and spoken and spoken[1] != split:
                yield f"row {index}: recording {row['clip_id']} speaks sentences of {spoken[1]}, not of {split}"
        if self._disjoint:
            for column in self._media:
                self._meet(column, split, pc.unique(table[column].drop_null()).to_pylist())

    def finish(self) -> Iterator[str]:
        """Yield the media that two splits share although the split policy forbids it."""
        for (column, first, second), (count, example) in sorted(self._shared.items()):
            yield f"{column} {example} and {count - 1} more occur in both {first} and {second}"

    def _suspects(self, split: str, rows: pa.Table) -> npt.NDArray[np.bool_]:
        """Return (N,) bool, True where a row is looked at alone: it may break a rule."""
        rules = TextRules(
            words=None if self._published else self._words,
            answer_language=TARGET_LANGUAGE if self._keys and not self._published else "lang",
            distinct_words=not self._published,
            disjoint=self._mode == "disjoint" and not self._published,
            written=self._texts,
        )
        try:
            found = suspects(rows, rules, self._classes, self._wnids)
            if self._disjoint:
                spoken = pc.match_substring_regex(rows["clip_id"], r"^(?:espeak|gtts)-[a-z]+-")
                right = pc.match_substring_regex(rows["clip_id"], rf"^(?:espeak|gtts)-{re.escape(split)}-")
                found |= true(spoken) & ~true(right)
        except (pa.ArrowException, TypeError, ValueError, KeyError):  # columns of other types: each row says it
            return np.ones(len(rows), dtype=bool)
        return found

    def _meet(self, column: str, split: str, media: list[str]) -> None:
        """Remember the media of a shard, and count those that are also in other splits."""
        by_split = self._media[column]
        hashes = np.fromiter(map(hash, media), dtype=np.int64, count=len(media))
        new = ~by_split.setdefault(split, IdSet()).add(hashes)
        for other, known in by_split.items():
            both = np.flatnonzero(new & known.holds(hashes)) if other != split else ()
            if len(both):
                key = (column, min(split, other), max(split, other))
                names = [media[index] for index in both]
                count, example = self._shared.get(key, (0, names[0]))
                self._shared[key] = (count + len(names), min(example, *names))

    def _key_problems(self, table: pa.Table) -> Iterator[tuple[int, str]]:
        """Yield the rows in which the sum of the keys does not name the target language, or a key shows another value
        than its label says.
        """
        if not self._keys:
            return
        count = len(self._languages)
        columns = [[self._languages.get(code, -1) for code in table["lang"].to_pylist()]]
        columns += [[-1 if one is None else one for one in table[key.label].to_pylist()] for key in self._keys]
        keys = np.array(columns, dtype=np.int64)
        known = [all(0 <= key < count for key in row) for row in keys.T.tolist()]
        expected = target_language(list(keys), count)
        named = table[TARGET_LANGUAGE].to_pylist()
        codes = list(self._languages)
        for index, language in enumerate(named):
            if not known[index]:
                yield index, f"a key is none of the {count} values: {', '.join(map(str, keys[:, index].tolist()))}"
            elif codes[expected[index]] != language:
                yield index, f"{TARGET_LANGUAGE} is {language!r}, the sum of the keys names {codes[expected[index]]!r}"
        for key, values in zip(self._keys, keys[1:], strict=True):
            flags = f"{key.name}_misaligned"
            swapped = table[flags].to_pylist() if key.name in self._misaligned else [False] * len(table)
            for index, shown in enumerate(self._shown(table, key)):
                if not swapped[index] and shown is not None and shown != values[index]:
                    yield index, f"{key.label} is {values[index]}, {key.name} shows {shown}"

    def _shown(self, table: pa.Table, key: Key) -> list[int | None]:
        """Return the value that a key shows in each row: that in the name of its image or tone, or the place of the
        largest number of its code; None where the key is missing, has features in its place or is a noisy code.
        """
        if key.media_id is not None:
            names = table[key.media_id].to_pylist()
            return [None if name is None else _value_in(name) for name in names]
        if key not in self._codes:
            return [None] * len(table)
        noisy = table[f"{key.name}_noisy"].to_pylist() if key.name in self._noisy else [False] * len(table)
        codes = zip(table[key.name].to_pylist(), noisy, strict=True)
        return [None if code is None or unsure else int(np.argmax(code)) for code, unsure in codes]

    def _row_problems(self, row: dict[str, Any]) -> Iterator[str]:
        yield from self._class_problems(row)
        words = row["words"]
        if words is None:
            return
        if self._published:
            yield from self._published_problems(row)
            return
        if len(words) != self._words:
            yield f"{len(words)} words, the spec says {self._words}"
        if self._texts and row["text"] != SEPARATOR.join(word["text"] for word in words):
            yield "text is not its words joined by '_'"
        texts = [word["text"] for word in words]
        if len(set(texts)) != len(texts):
            yield "a word occurs twice in the text"
        spoken = "the audio" if not self._keys else "the sum of the keys"
        answers = [word for word in words if word["lang"] == row[TARGET_LANGUAGE if self._keys else "lang"]]
        targets = [word for word in words if word["cls_id"] == row["cls_id"]]
        if row.get("text_misaligned"):
            pass  # the text is of another row, with which `verify` compares it
        elif len(answers) != 1 or len(targets) != 1 or answers != targets:
            yield f"the text does not name exactly one class in the language of {spoken}, the image's"
        elif answers[0]["text"] != row["target_text"]:
            yield f"target_text is {row['target_text']!r}, the text says {answers[0]['text']!r}"
        if self._mode == "disjoint":
            if len({word["lang"] for word in words}) != len(words):
                yield "two words share a language"
            if len({word["cls_id"] for word in words}) != len(words):
                yield "two words share a class"

    def _class_problems(self, row: dict[str, Any]) -> Iterator[str]:
        """Compare the three columns that name a row's class. In published rows a class may have any name, but one."""
        cls_id = row["cls_id"]
        if cls_id is None or not 0 <= cls_id < len(self._wnids):
            yield f"cls_id is {cls_id}, which is not a class"
            return
        if row["wnid"] != self._wnids[cls_id]:
            yield f"wnid is {row['wnid']!r}, cls_id {cls_id} is {self._wnids[cls_id]!r}"
        name = self._classes.setdefault(cls_id, row["cls"])
        if row["cls"] != name:
            yield f"cls is {row['cls']!r}, cls_id {cls_id} is {name!r}"

    def _published_problems(self, row: dict[str, Any]) -> Iterator[str]:
        """Yield problems of a published text, which obeys fewer rules than a drawn one."""
        words = row["words"]
        if self._texts and row["text"] != SEPARATOR.join(word["text"] for word in words):
            yield "text is not its words joined by '_'"
        answers = [word for word in words if word["lang"] == row["lang"]]
        if [(word["text"], word["cls_id"]) for word in answers] != [(row["target_text"], row["cls_id"])]:
            yield "the text does not name exactly one class in the language of the audio, the image's"


def _value_in(name: str) -> int:
    """Return the value in the name of a key's image or tone; -1 where the name has another form."""
    found = _NAMED.fullmatch(name)
    return -1 if found is None else int(found[1])


def _class_names(table: pa.Table) -> list[str]:
    """Return the names of the classes by number, from the types of the shard's columns; empty without types."""
    try:
        described = json.loads((table.schema.metadata or {})[b"huggingface"])
        return list(described["info"]["features"]["cls_id"]["names"])
    except (KeyError, ValueError, TypeError):
        return []
