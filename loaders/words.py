"""Redraw the distractor words of M3 rows in each epoch: same picture, clip and target word, new other words.

The draw follows the dataset's own rule (`symile_data.words`) and is a function of (seed, epoch, sample_id). A small
M3 is otherwise memorised instead of learned. For training only; what validation and test ask must stay fixed.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import UsageError
from symile_data.streams import Stream
from symile_data.words import WordRule, draw_words

from .dataset import Split

SEPARATOR = "_"  # between the words of a text, as in the published release

_COLUMNS = ("words", "cls_id", "lang")
_ATTEMPTS = 64
_SWITCH_OFF = "pass redraw_words=False"

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class WordRedraw:
    """What redrawing needs to know of a split. C classes and L languages occur in its words.

    Args:
        rule: Number of words and mode.
        vocabulary: (C, L) object array of words, empty where the split never uses that class in that language.
        target_class: (N,) index of each row's class among the C.
        target_language: (N,) index of each row's language among the L.
    """

    seed: int
    rule: WordRule
    vocabulary: npt.NDArray[np.object_]
    target_class: npt.NDArray[np.int32]
    target_language: npt.NDArray[np.int32]

    def texts(self, epoch: int, rows: IntArray, sample_ids: IntArray) -> npt.NDArray[np.object_]:
        """New texts of some rows.

        A draw that hits a word the split never uses is repeated under the next name of the same stream, so the
        result stays a function of (seed, epoch, sample_id).

        Args:
            epoch: From 0.
            rows: (B,) row numbers.
            sample_ids: (B,) their ids.

        Returns:
            (B,) object array of strings.

        Raises:
            UsageError: too few words are known to draw from.
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
            raise UsageError(
                "words cannot be redrawn: the split uses too few of its classes in all languages",
                got=f"{int((self.vocabulary != '').sum())} of {self.vocabulary.size} words known",
                do=_SWITCH_OFF,
            )
        texts = np.empty(len(words), dtype=object)
        texts[:] = [SEPARATOR.join(row) for row in words.tolist()]
        return texts

    def _draw(
        self, name: str, rows: IntArray, sample_ids: IntArray
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]:
        uniform = Stream(self.seed, name).at(sample_ids, self.rule.draws)
        return draw_words(self.rule, self.target_class[rows], self.target_language[rows], uniform)


def collect_words(split: Split, seed: int) -> WordRedraw:
    """Read a split's words once.

    Raises:
        UsageError: not a training split, or one without the columns or settings that the rule needs.
    """
    if split.name != "train":
        raise UsageError(
            "words are redrawn for training only", where=split.location, got=f"split {split.name}", do=_SWITCH_OFF
        )
    absent = [name for name in _COLUMNS if name not in split.columns]
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
    table = split.read_all(_COLUMNS)
    words = _one(table["words"]).flatten()
    words = words.filter(pc.is_valid(words.field("lang")))  # an imported word may not be told
    class_ids, class_index = _codes(words.field("cls_id"))
    language_names, language_index = _codes(words.field("lang"))
    vocabulary = np.full((len(class_ids), len(language_names)), "", dtype=object)
    vocabulary[class_index, language_index] = words.field("text").to_pylist()
    rule = WordRule(
        words=split.spec["words"], classes=len(class_ids), languages=len(language_names), mode=split.spec["mode"]
    )
    return WordRedraw(
        seed=seed,
        rule=rule,
        vocabulary=vocabulary,
        target_class=_positions(_one(table["cls_id"]), class_ids),
        target_language=_positions(_one(table["lang"]), language_names),
    )


def _codes(values: pa.Array) -> tuple[pa.Array, npt.NDArray[np.int32]]:
    """Sorted unique values, and the position of each value among them."""
    unique = pc.sort_indices(pc.unique(values))
    ordered = pc.unique(values).take(unique)
    return ordered, _positions(values, ordered)


def _positions(values: pa.Array, ordered: pa.Array) -> npt.NDArray[np.int32]:
    """Where each value stands among `ordered`; -1 where it does not (only rows whose text is missing)."""
    found = pc.index_in(values.cast(ordered.type), value_set=ordered)
    return np.asarray(pc.fill_null(found, -1).to_numpy(zero_copy_only=False), dtype=np.int32)


def _one(column: pa.ChunkedArray) -> pa.Array:
    return column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
