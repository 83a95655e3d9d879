"""Draw the words of an M3 row: the classes and languages of the words beside the target, and their order.

The rule (Symile, section 5.2, and the public generation script): a text names W classes, one of them the image's
class in the language of the audio. It has two modes:

- disjoint: no two words share a class or a language, so with W = number of languages each language occurs once;
- overlap: the other words are drawn from all (class, language) pairs and may share a class or a language among
  themselves.

In both modes no other word is in the language of the audio or of the image's class, and no word occurs twice, so
exactly one word answers the row. (The public script's overlap mode allows such rows, which have no single answer.)

Builders draw a dataset's rows with this module, and loaders redraw the words of an epoch with it, so the rule is in one
place. A split's target words stand at every position equally often (`target_positions`): with independently drawn
positions, one position may hold the target in 14 % of a thousand rows.
Legend: N rows, W words, C classes, L languages.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.rng import FloatArray, Stream, below

Mode = Literal["disjoint", "overlap"]
MODES: tuple[str, ...] = get_args(Mode)

IntArray = npt.NDArray[np.integer]


@dataclass(frozen=True, kw_only=True)
class WordRule:
    """The rule by which the words of a row are drawn.

    Args:
        words: W, number of words in a text, the target included.
        classes: C, number of classes to draw from.
        languages: L, number of languages.
        mode: "disjoint" or "overlap".

    Raises:
        UsageError: there are too few classes or languages for the rule.

    >>> WordRule(words=1, classes=100, languages=2, mode="disjoint")
    Traceback (most recent call last):
    symile_data.errors.UsageError: a text needs at least two words; got 1. Raise `words`.
    """

    words: int
    classes: int
    languages: int
    mode: Mode

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise UsageError("unknown `mode`", got=repr(self.mode), do=f"choose among {', '.join(MODES)}")
        if self.words < 2:
            raise UsageError("a text needs at least two words", got=self.words, do="raise `words`")
        if self.languages < 2:
            raise UsageError("a text needs words of at least two languages", got=self.languages)
        if self.mode == "disjoint" and self.words > self.languages:
            raise UsageError(
                f"{self.words} words cannot all have different languages",
                got=f"{self.languages} languages",
                do="lower `words` or use `mode='overlap'`" if self.languages > 2 else "lower `words`",
            )
        room = self.classes - 1 if self.mode == "disjoint" else (self.classes - 1) * (self.languages - 1)
        if self.words - 1 > room:
            raise UsageError(
                f"{self.words} different words cannot be drawn",
                got=f"{self.classes} classes",
                do="use a source with more classes or lower `words`",
            )

    @property
    def draws(self) -> int:
        """Number of uniform numbers that one row consumes."""
        others = self.words - 1
        return self.words + others * (2 if self.mode == "disjoint" else 1)


def draw_words(
    rule: WordRule,
    target_class: IntArray,
    target_language: IntArray,
    uniform: FloatArray,
    position: IntArray | None = None,
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int16]]:
    """Draw the classes and languages of the words of N rows, in text order.

    Args:
        rule: The rule.
        target_class: (N,) index of the image's class.
        target_language: (N,) index of the audio's language.
        uniform: (N, rule.draws) numbers in [0, 1).
        position: (N,) position of the target word, from 0; None draws it like those of the other words.

    Returns:
        (N, W) int32 class indices and (N, W) int16 language indices; in each row exactly one position holds the
        target pair.

    >>> rule = WordRule(words=2, classes=5, languages=2, mode="disjoint")
    >>> classes, languages = draw_words(rule, np.array([3]), np.array([1]), np.full((1, rule.draws), 0.1))
    >>> languages.tolist(), bool((classes == 3).sum() == 1)
    ([[1, 0]], True)
    """
    others = rule.words - 1
    if rule.mode == "disjoint":
        classes = distinct(uniform[:, :others], rule.classes, target_class)
        languages = distinct(uniform[:, others : 2 * others], rule.languages, target_language)
    else:
        # Words that are neither of the target's class nor of its language, numbered 0 .. (C-1)(L-1)-1.
        pair = distinct(uniform[:, :others], (rule.classes - 1) * (rule.languages - 1), None)
        classes, languages = np.divmod(pair, rule.languages - 1)
        classes += classes >= target_class[:, None]
        languages += languages >= target_language[:, None]
    classes = np.concatenate([np.asarray(target_class, dtype=np.int32)[:, None], classes], axis=1, dtype=np.int32)
    columns = [np.asarray(target_language, dtype=np.int32)[:, None], languages]
    languages = np.concatenate(columns, axis=1, dtype=np.int32)
    order = np.argsort(uniform[:, rule.draws - rule.words :], axis=1, kind="stable")
    if position is not None:  # the target, word 0, changes places with the word at its position
        rows = np.arange(len(order))
        order[rows, np.argmin(order, axis=1)] = order[rows, position]
        order[rows, position] = 0
    ordered_languages = np.take_along_axis(languages, order, axis=1).astype(np.int16)
    return np.take_along_axis(classes, order, axis=1), ordered_languages


def target_positions(stream: Stream, words: int, start: int, stop: int) -> npt.NDArray[np.int64]:
    """Draw the positions of the target words of the rows `start` to `stop - 1` of a split.

    Each block of W rows, whose first row has a number divisible by W, takes the W positions once, in a permutation that
    is drawn from the stream's row with the block's number. So any range of rows can be drawn alone, every position is
    equally frequent up to one incomplete block, and without the seed a row's number tells nothing about its position.

    Returns:
        (stop - start,) int64, from 0 to W - 1.

    >>> target_positions(Stream(0, "example"), 3, 0, 6).reshape(2, 3).sum(axis=1).tolist()
    [3, 3]
    """
    first = start // words
    blocks = np.argsort(stream.rows(first, -(-stop // words), words), axis=1, kind="stable")
    return blocks.ravel()[start - first * words : stop - first * words]


def distinct(uniform: FloatArray, bound: int, excluded: IntArray | None) -> npt.NDArray[np.int32]:
    """Draw K different integers below `bound` in each row, uniform among all ordered choices, never `excluded`.

    It samples sequentially without replacement, all rows at once: the k-th value is drawn among the remaining ones,
    then moved past the values already taken, in ascending order.

    Args:
        uniform: (N, K) numbers in [0, 1).
        bound: The integers are from 0 to `bound` - 1.
        excluded: (N,) one value to leave out of each row, or None.

    Returns:
        (N, K) int32.

    >>> distinct(np.array([[0.0, 0.0, 0.99]]), 4, np.array([1])).tolist()
    [[0, 2, 3]]
    """
    rows, count = uniform.shape
    chosen = np.empty((count, rows), dtype=np.int32)
    taken: list[npt.NDArray[np.int32]] = []  # ascending in every row
    if excluded is not None:
        taken.append(np.asarray(excluded, dtype=np.int32))
    for k in range(count):
        value = below(uniform[:, k], bound - len(taken)).astype(np.int32)
        for smaller in taken:
            value += value >= smaller
        chosen[k] = value
        carry = value
        for position, current in enumerate(taken):  # insert, keeping the order
            taken[position] = np.minimum(current, carry)
            carry = np.maximum(current, carry)
        taken.append(carry)
    return chosen.T
