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

from symile_data.format.shards.arrow_numpy import arrow_int64, arrow_text, null_mask, numbers, one_chunk, true

from .names import SEPARATOR

_SEPARATOR = arrow_text([SEPARATOR])[0]

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_OTHER, _NULL = -1, -2  # codes of a name that does not occur, and of null
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
    classified = _numbers(table["cls_id"], _NO_CLASS)
    inside = (classified >= 0) & (classified < len(wnids))
    places = np.where(inside, classified, 0)
    names = [classes.get(number) for number in range(len(wnids))]
    return ~(inside & _named(table["wnid"], wnids, places) & _named(table["cls"], names, places))


def _named(column: pa.ChunkedArray, names: Sequence[str | None], places: IntArray) -> BoolArray:
    """Return (N,) bool, True where a column of texts has the name at a row's place; None names no row."""
    encoded = one_chunk(column).dictionary_encode()
    known = {name: code for code, name in enumerate(encoded.dictionary.to_pylist())}
    codes = np.array([known.get(name, _OTHER) if name is not None else _OTHER for name in names], dtype=np.int64)
    agree: BoolArray = _numbers(encoded.indices, _NULL) == codes[places]
    return agree


def _of_texts(table: pa.Table, rules: TextRules) -> BoolArray:
    words = table["words"].combine_chunks()
    present = true(pc.is_valid(words))
    lengths = np.where(present, _numbers(pc.list_value_length(words), 0), 0)
    found = np.zeros(len(table), dtype=bool)
    if not present.any():
        return found
    width = rules.words or int(np.bincount(lengths[present]).argmax())
    regular = present & (lengths == width)
    found[present & ~regular] = True
    if width and regular.any():
        rows = arrow_int64(np.flatnonzero(regular))
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
    named = text.take(arrow_int64(every * width + answer))
    sound = (answers.sum(axis=1) == 1) & targets[every, answer] & _agree(named, table["target_text"].take(rows))
    if rules.distinct_words:
        sound &= targets.sum(axis=1) == 1
    if "text_misaligned" in table.column_names:  # the text is of another row
        sound |= true(table["text_misaligned"].take(rows))
    sound &= (texts >= 0).all(axis=1)
    if rules.distinct_words:
        sound &= _distinct(texts)
    if rules.disjoint:
        sound &= _distinct(languages) & _distinct(classes)
    if rules.written:
        offsets = arrow_int64(np.arange(0, texts.size + 1, width)).cast(pa.int32())
        joined = pc.binary_join(pa.ListArray.from_arrays(offsets, text), _SEPARATOR)
        sound &= _agree(joined, table["text"].take(rows))
    broken: BoolArray = ~sound
    return broken


def _distinct(values: IntArray) -> BoolArray:
    """Return (N,) bool, True where the values of a row of (N, W) all differ."""
    ordered = np.sort(values, axis=1)
    different: BoolArray = (ordered[:, 1:] != ordered[:, :-1]).all(axis=1)
    return different


def _agree(one: pa.Array, other: pa.ChunkedArray) -> BoolArray:
    """Return (N,) bool, True where two columns are equal and not null."""
    agree: BoolArray = true(pc.equal(one, one_chunk(other)))
    return agree


def _numbers(column: pa.Array | pa.ChunkedArray, null: int) -> IntArray:
    """Return (N,) int64 with a number in place of null."""
    return np.where(null_mask(column), null, numbers(column)).astype(np.int64)
