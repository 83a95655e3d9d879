"""Find the rows of a table of Symile-M3 that may break a rule, all rows at once.

`M3Invariants` names the rule that a row breaks, which takes Python for each row. Of a sound dataset it looks at none:
here every row that breaks a rule is found, and few others. Legend: N rows, W words in most texts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from .names import SEPARATOR

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_NO_CLASS, _NO_WORD_CLASS, _NO_LANGUAGE, _NO_WORD_LANGUAGE = -1, -2, -1, -2  # stand for nulls, which never agree


@dataclass(frozen=True, kw_only=True)
class TextRules:
    """The rules of a dataset's texts.

    Args:
        words: Number of words; None where texts may have any number, as published ones.
        answer_language: Column of the language of the word that names the image.
        distinct_words: Whether no word occurs twice in a text, and the image's class once.
        disjoint: Whether no two words share a language or a class.
        written: Whether the column `text` has the words joined, and not features of them.
    """

    words: int | None
    answer_language: str
    distinct_words: bool
    disjoint: bool
    written: bool


def suspects(table: pa.Table, rules: TextRules, classes: Mapping[int, str], wnids: Sequence[str]) -> BoolArray:
    """Return (N,) bool, True where a row may break a rule.

    Args:
        table: Rows with the columns that the rules need.
        rules: The rules of the texts.
        classes: Number of a class -> its name, as far as it is known.
        wnids: Names of the classes in WordNet, by number.

    Raises:
        ArrowException, TypeError, ValueError, KeyError: columns are not of the types of Symile-M3.
    """
    return _of_classes(table, classes, wnids) | _of_texts(table, rules)


def _of_classes(table: pa.Table, classes: Mapping[int, str], wnids: Sequence[str]) -> BoolArray:
    """Compare the three columns that name a row's class."""
    numbers = _numbers(table["cls_id"], _NO_CLASS)
    inside = (numbers >= 0) & (numbers < len(wnids))
    places = pa.array(np.where(inside, numbers, 0))
    named = pa.array([classes.get(number) for number in range(len(wnids))], pa.string()).take(places)
    agree = _agree(pa.array(wnids, pa.string()).take(places), table["wnid"]) & _agree(named, table["cls"])
    return ~(inside & agree)


def _of_texts(table: pa.Table, rules: TextRules) -> BoolArray:
    words = table["words"].combine_chunks()
    present = _bools(pc.is_valid(words))
    lengths = np.where(present, _numbers(pc.list_value_length(words), 0), 0)
    found = np.zeros(len(table), dtype=bool)
    if not present.any():
        return found
    width = rules.words or int(np.bincount(lengths[present]).argmax())
    regular = present & (lengths == width)
    found[present & ~regular] = True
    if width and regular.any():
        rows = pa.array(np.flatnonzero(regular))
        found[regular] = _of_regular_texts(table, words.take(rows).flatten(), rows, width, rules)
    return found


def _of_regular_texts(table: pa.Table, words: Any, rows: pa.Array, width: int, rules: TextRules) -> BoolArray:
    """Examine the texts of some rows, all with so many words, which are given one after the other."""
    text, language = pc.struct_field(words, "text"), pc.struct_field(words, "lang")
    texts = _numbers(text.dictionary_encode().indices, _NO_CLASS).reshape(-1, width)
    known = pc.unique(language)
    languages = _numbers(pc.index_in(language, value_set=known, skip_nulls=True), _NO_WORD_LANGUAGE)
    languages = languages.reshape(-1, width)
    classes = _numbers(pc.struct_field(words, "cls_id"), _NO_WORD_CLASS).reshape(-1, width)

    own_class = _numbers(table["cls_id"].take(rows), _NO_CLASS)
    wanted = table[rules.answer_language].take(rows).combine_chunks()
    own_language = _numbers(pc.index_in(wanted, value_set=known, skip_nulls=True), _NO_LANGUAGE)
    answers, targets = languages == own_language[:, None], classes == own_class[:, None]
    answer, every = answers.argmax(axis=1), np.arange(len(texts))
    named = text.take(pa.array(every * width + answer))
    sound = (answers.sum(axis=1) == 1) & targets[every, answer] & _agree(named, table["target_text"].take(rows))
    if rules.distinct_words:
        sound &= targets.sum(axis=1) == 1
    if "text_misaligned" in table.column_names:  # the text is of another row
        sound |= _bools(pc.fill_null(table["text_misaligned"].take(rows).combine_chunks(), False))
    sound &= (texts >= 0).all(axis=1)
    if rules.distinct_words:
        sound &= _distinct(texts)
    if rules.disjoint:
        sound &= _distinct(languages) & _distinct(classes)
    if rules.written:
        offsets = pa.array(np.arange(0, texts.size + 1, width, dtype=np.int32))
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), SEPARATOR)
        sound &= _agree(joined, table["text"].take(rows))
    return ~sound


def _distinct(values: IntArray) -> BoolArray:
    """Return (N,) bool, True where the values of a row of (N, W) all differ."""
    ordered = np.sort(values, axis=1)
    different: BoolArray = (ordered[:, 1:] != ordered[:, :-1]).all(axis=1)
    return different


def _agree(one: pa.Array, other: pa.ChunkedArray) -> BoolArray:
    """Return (N,) bool, True where two columns are equal and not null."""
    return _bools(pc.fill_null(pc.equal(one, other.combine_chunks()), False))


def _numbers(column: pa.Array | pa.ChunkedArray, null: int) -> IntArray:
    """Return (N,) int64 with a number in place of null."""
    filled = pc.fill_null(pc.cast(column, pa.int64()), null)
    return np.asarray(filled.to_numpy(zero_copy_only=False) if isinstance(filled, pa.Array) else filled.to_numpy())


def _bools(column: pa.Array) -> BoolArray:
    return np.asarray(column.to_numpy(zero_copy_only=False), dtype=bool)
