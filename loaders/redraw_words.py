"""Redraw the distractor words of M3 rows in each epoch; image, audio, keys and target word stay.

The draw follows the dataset's own rule (`datasets.m3.words`) and is a function of (seed, epoch, sample_id). A small
M3 is otherwise memorised instead of learned. This is for training only: validation and test must stay fixed.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.datasets.m3.names import SEPARATOR
from symile_data.datasets.m3.words import WordRule, draw_words
from symile_data.errors import UsageError
from symile_data.format.shards.arrow_numpy import null_mask, numbers
from symile_data.rng import Stream

from .split import Split

_TARGETS = pa.schema([("cls_id", pa.int64()), ("lang", pa.string())])
_WORDS = _TARGETS.append(pa.field("text", pa.string()))
_MOST_CELLS = 1 << 24  # classes times languages
_ATTEMPTS = 64
_MOST_FAILURES = 0.01  # expected in a training whose words count as enough
_SWITCH_OFF = "pass `redraw_words=False`"

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WordRedraw:
    """Draws new texts for a split in whose words C classes and L languages occur.

    Args:
        seed: Seed of the draw.
        rule: Number of words and mode.
        vocabulary: (C, L) object array of words, empty where the split never uses that class in that language.
        target_class: (N,) index of each row's class among the C.
        target_language: (N,) index of the language of each row's target word among the L: with keys (see
            `datasets.m3.keys`) the one that their sum names, otherwise the language of the audio.
    """

    seed: int
    rule: WordRule
    vocabulary: npt.NDArray[np.object_]
    target_class: npt.NDArray[np.int32]
    target_language: npt.NDArray[np.int32]

    def texts(self, epoch: int, rows: IntArray, sample_ids: IntArray) -> npt.NDArray[np.object_]:
        """Draw new texts for some rows.

        A draw that hits a word the split never uses is repeated under the next name of the same stream, so the
        result stays a function of (seed, epoch, sample_id).

        Args:
            epoch: The epoch, from 0.
            rows: (B,) row numbers.
            sample_ids: (B,) their ids.

        Returns:
            (B,) object array of strings.

        Raises:
            UsageError: the split holds too few words to draw from.
        """
        classes, languages = self._draw(f"redraw/{epoch}", rows, sample_ids)
        words = self.vocabulary[classes, languages]
        for attempt in range(1, _ATTEMPTS):
            lacking = np.flatnonzero((words == "").any(axis=1))
            if not len(lacking):
                break
            again = self._draw(f"redraw/{epoch}/{attempt}", rows[lacking], sample_ids[lacking])
            words[lacking] = self.vocabulary[again]
        else:
            raise self.too_few()
        texts = np.empty(len(words), dtype=object)
        texts[:] = [SEPARATOR.join(row) for row in words.tolist()]
        return texts

    def too_few(self) -> UsageError:
        """Return the error for a split with too few words to draw from."""
        return UsageError(
            "words cannot be redrawn: the split uses too few of its classes in all languages",
            got=f"{int((self.vocabulary != '').sum())} of {self.vocabulary.size} words known",
            do=_SWITCH_OFF,
        )

    def expected_failures(self, epochs: int) -> float:
        """Estimate how many draws of so many epochs hit words that the split never uses in every attempt."""
        rows = np.flatnonzero((self.target_class >= 0) & (self.target_language >= 0))
        if not len(rows):
            return 0.0
        classes, languages = self._draw("redraw/0", rows, rows)
        lacking = (self.vocabulary[classes, languages] == "").any(axis=1)
        of_language = self.target_language[rows]
        counts = np.bincount(of_language)
        shares = np.bincount(of_language, weights=lacking) / np.maximum(counts, 1)
        return float(epochs * counts @ shares**_ATTEMPTS)

    def _draw(
        self, name: str, rows: IntArray, sample_ids: IntArray
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]:
        uniform = Stream(self.seed, name).at(sample_ids, self.rule.draws)
        return draw_words(self.rule, self.target_class[rows], self.target_language[rows], uniform)


def collect_words(split: Split, seed: int) -> WordRedraw:
    """Collect the words of a split.

    Raises:
        UsageError: the split is not for training, or lacks the columns or settings that the rule needs.
    """
    _check(split)
    words, targets = _gather(split)
    class_ids, class_index = _codes(words["cls_id"])
    language_names, language_index = _codes(words["lang"])
    if len(class_ids) * len(language_names) > _MOST_CELLS:
        raise UsageError(
            "words cannot be redrawn: the split's words are no names of classes",
            where=split.location,
            got=f"{len(class_ids)} classes in {len(language_names)} languages",
            do=_SWITCH_OFF,
        )
    vocabulary = np.full((len(class_ids), len(language_names)), "", dtype=object)
    vocabulary[class_index, language_index] = words["text"].to_pylist()
    rule = WordRule(
        words=split.spec["words"], classes=len(class_ids), languages=len(language_names), mode=split.spec["mode"]
    )
    return WordRedraw(
        seed=seed,
        rule=rule,
        vocabulary=vocabulary,
        target_class=_positions(targets["cls_id"], class_ids),
        target_language=_positions(targets["lang"], language_names),
    )


def check_words(split: Split, epochs: int) -> None:
    """Check that the words of a split can be redrawn in so many epochs, before any are.

    Raises:
        UsageError: as `collect_words` does, or the split probably holds too few words to draw from.
    """
    if len(split.shards) > 1:  # words that suffice in the first shard do in all; the others need not be read
        with contextlib.suppress(UsageError):
            return check_words(replace(split, shards=split.shards[:1]), epochs * len(split.shards))
    words = collect_words(split, 0)
    if words.expected_failures(epochs) > _MOST_FAILURES:
        raise words.too_few()
    return None


def _check(split: Split) -> None:
    if split.name != "train":
        raise UsageError(
            "words are redrawn for training only", where=split.location, got=f"split {split.name}", do=_SWITCH_OFF
        )
    absent = [name for name in _columns(split) if name not in split.columns]
    if absent:
        raise UsageError(
            "words cannot be redrawn without this column", where=split.location, got=absent[0], do=_SWITCH_OFF
        )
    encoded = [modality.name for modality in split.modalities if modality.name == "text" and modality.kind != "text"]
    if encoded:
        raise UsageError("words cannot be redrawn in features of texts", where=split.location, do=_SWITCH_OFF)
    settings = [name for name in ("mode", "words") if name not in split.spec]
    if settings:
        raise UsageError(
            "words cannot be redrawn: the manifest does not say by which rule they were drawn",
            where=split.location,
            got=f"no {' and '.join(settings)} in its spec",
            do=_SWITCH_OFF,
        )


def _columns(split: Split) -> tuple[str, str, str]:
    """Name the columns of the words, of the image's class and of the target word's language."""
    return "words", "cls_id", TARGET_LANGUAGE if split.spec.get("keys") else "lang"


def _gather(split: Split) -> tuple[pa.Table, pa.Table]:
    """Read the last word of the split for each class in each language, and the class and language of every row.

    Reading goes shard by shard, so that memory does not grow with the texts: 15 bytes are kept of each row.

    Raises:
        UsageError: the columns have other types.
    """
    import pyarrow.compute as pc  # here and below, as a batch whose words stay does without it

    words, targets = _WORDS.empty_table(), []
    try:
        columns = _columns(split)
        for table in split.tables(columns):
            targets.append(table.select(columns[1:]).rename_columns(_TARGETS.names).cast(_TARGETS))
            flat = pc.list_flatten(table["words"].combine_chunks())
            new = pa.table({name: pc.struct_field(flat, name) for name in _WORDS.names}).cast(_WORDS)
            known = pa.concat_tables([words, new.drop_null()])  # an imported word may have no language
            last = known.group_by(_TARGETS.names, use_threads=False).aggregate([("text", "last")])
            words = last.rename_columns(_WORDS.names)
    except pa.ArrowException as error:
        raise UsageError(
            "words cannot be redrawn from columns of these types",
            where=split.location,
            got=str(error).splitlines()[0],
            do=_SWITCH_OFF,
        ) from None
    return words, pa.concat_tables(targets)


def _codes(values: pa.ChunkedArray) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """Return the sorted unique values, and the position of each value among them."""
    import pyarrow.compute as pc

    unique = pc.unique(values)
    ordered = unique.take(pc.sort_indices(unique))
    return ordered, _positions(values, ordered)


def _positions(values: pa.ChunkedArray, ordered: pa.Array) -> npt.NDArray[np.int32]:
    """Return the position of each value in `ordered`; -1 for rows whose text is missing."""
    import pyarrow.compute as pc

    found = pc.index_in(values.cast(ordered.type), value_set=ordered)
    return np.where(null_mask(found), -1, numbers(found)).astype(np.int32)
