"""The words of a row, against a slow reading of the rule, and their distribution."""

from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from symile_data.datasets.m3.words import MODES, WordRule, distinct, draw_words, target_positions
from symile_data.errors import UsageError
from symile_data.rng import Stream


def slow_words(rule: WordRule, target_class: int, target_language: int, uniform: list[float]) -> list[tuple[int, int]]:
    """One row, word by word: draw each among what is left, then sort by the last W numbers."""
    numbers = iter(uniform)

    def pick(left: list[Any]) -> Any:
        return left.pop(int(next(numbers) * len(left)))

    classes = [cls for cls in range(rule.classes) if cls != target_class]
    languages = [language for language in range(rule.languages) if language != target_language]
    others = range(rule.words - 1)
    if rule.mode == "disjoint":
        chosen_classes = [pick(classes) for _ in others]
        words = list(zip(chosen_classes, [pick(languages) for _ in others], strict=True))
    else:
        pairs = [(cls, language) for cls in classes for language in languages]
        words = [pick(pairs) for _ in others]
    ranks = list(numbers)
    return [word for _, word in sorted(zip(ranks, [(target_class, target_language), *words], strict=True))]


@st.composite
def rules(draw: st.DrawFn) -> WordRule:
    mode: Literal["disjoint", "overlap"] = draw(st.sampled_from(MODES))
    languages = draw(st.integers(2, 10))
    classes = draw(st.integers(2, 30))
    room = min(languages, classes) if mode == "disjoint" else (classes - 1) * (languages - 1) + 1
    return WordRule(words=draw(st.integers(2, min(room, 14))), classes=classes, languages=languages, mode=mode)


def draw(rule: WordRule, rows: int, seed: int = 0) -> tuple[np.ndarray, ...]:
    """Targets and words of many rows."""
    rng = np.random.default_rng(seed)
    cls, language = rng.integers(0, rule.classes, rows), rng.integers(0, rule.languages, rows)
    return cls, language, *draw_words(rule, cls, language, Stream(seed, "words").rows(0, rows, rule.draws))


@given(rules(), st.integers(0, 2**32))
def test_words_are_those_of_the_slow_reading(rule: WordRule, seed: int) -> None:
    cls, language, word_classes, word_languages = draw(rule, 5, seed)
    uniform = Stream(seed, "words").rows(0, 5, rule.draws)
    assert word_classes.dtype == np.int32
    assert word_languages.dtype == np.int16
    for row in range(5):
        expected = slow_words(rule, int(cls[row]), int(language[row]), uniform[row].tolist())
        assert list(zip(word_classes[row].tolist(), word_languages[row].tolist(), strict=True)) == expected


@given(rules(), st.integers(0, 2**32))
def test_exactly_one_word_answers_each_row(rule: WordRule, seed: int) -> None:
    cls, language, word_classes, word_languages = draw(rule, 40, seed)
    in_language, of_class = word_languages == language[:, None], word_classes == cls[:, None]
    assert (in_language.sum(axis=1) == 1).all()
    np.testing.assert_array_equal(in_language, of_class)
    pairs = word_classes.astype(np.int64) * rule.languages + word_languages
    assert all(len(set(row)) == rule.words for row in pairs.tolist())
    if rule.mode == "disjoint":
        for words in (word_classes, word_languages):
            assert all(len(set(row)) == rule.words for row in words.tolist())


@given(rules(), st.integers(0, 2**32), st.data())
def test_a_given_position_is_kept_and_moves_one_word(rule: WordRule, seed: int, data: st.DataObject) -> None:
    cls, language, word_classes, word_languages = draw(rule, 5, seed)
    position = np.array([data.draw(st.integers(0, rule.words - 1)) for _ in range(5)])
    uniform = Stream(seed, "words").rows(0, 5, rule.draws)
    placed = np.stack(draw_words(rule, cls, language, uniform, position), axis=2)
    drawn = np.stack([word_classes, word_languages], axis=2)
    for row, (before, after) in enumerate(zip(drawn.tolist(), placed.tolist(), strict=True)):
        target = [int(cls[row]), int(language[row])]
        at = before.index(target)
        before[at], before[position[row]] = before[position[row]], before[at]
        assert after == before and after[position[row]] == target


@given(st.integers(2, 12), st.integers(0, 2**32), st.integers(0, 100), st.integers(0, 40))
def test_any_range_of_positions_can_be_drawn_alone(words: int, seed: int, start: int, count: int) -> None:
    stream = Stream(seed, "positions")
    whole = target_positions(stream, words, 0, 150)
    np.testing.assert_array_equal(target_positions(stream, words, start, start + count), whole[start : start + count])
    blocks = whole[: 150 // words * words].reshape(-1, words)
    assert (np.sort(blocks, axis=1) == np.arange(words)).all()


def test_positions_are_uniform_at_every_place_of_a_block_and_apart_from_other_blocks() -> None:
    blocks = target_positions(Stream(0, "positions"), 4, 0, 96_000).reshape(-1, 4)
    assert uniformly(np.unique(blocks @ [64, 16, 4, 1], return_inverse=True)[1], 24)
    assert uniformly(blocks[1:, 0] * 4 + blocks[:-1, 3], 16)


def uniformly(values: np.ndarray, kinds: int) -> bool:
    """Chi-square against equal frequencies, far from a one in ten thousand chance."""
    counts = np.bincount(values, minlength=kinds)
    expected = len(values) / kinds
    freedom = kinds - 1
    return len(counts) == kinds and ((counts - expected) ** 2 / expected).sum() < freedom + 6 * np.sqrt(2 * freedom)


@pytest.mark.parametrize("mode", MODES)
def test_positions_classes_and_languages_are_uniform(mode: Literal["disjoint", "overlap"]) -> None:
    rule = WordRule(words=3, classes=7, languages=4, mode=mode)
    cls, language, word_classes, word_languages = draw(rule, 30_000)
    target = word_languages == language[:, None]
    assert uniformly(np.argmax(target, axis=1), rule.words)
    for position in range(rule.words):
        other = ~target[:, position]
        shifted_class = (word_classes[:, position] - cls)[other] % rule.classes
        shifted_language = (word_languages[:, position] - language)[other] % rule.languages
        assert uniformly(shifted_class - 1, rule.classes - 1)
        assert uniformly(shifted_language - 1, rule.languages - 1)
        pair = (shifted_class - 1) * (rule.languages - 1) + shifted_language - 1
        assert uniformly(pair, (rule.classes - 1) * (rule.languages - 1))


def test_overlap_shares_classes_and_languages_and_disjoint_does_not() -> None:
    shared = draw(WordRule(words=4, classes=5, languages=4, mode="overlap"), 500)
    assert any(len(set(row)) < 4 for row in shared[2].tolist())
    assert any(len(set(row)) < 4 for row in shared[3].tolist())


@given(st.integers(1, 12), st.integers(0, 11), st.integers(0, 12), st.integers(0, 2**32))
def test_choices_without_replacement(bound: int, excluded: int, count: int, seed: int) -> None:
    assume(excluded < bound)
    assume(count < bound)
    uniform = np.random.default_rng(seed).random((4, count))
    for values in distinct(uniform, bound, np.full(4, excluded)).tolist():
        assert len({*values, excluded}) == count + 1
        assert all(0 <= value < bound for value in values)


def test_every_order_of_a_choice_is_equally_likely() -> None:
    chosen = distinct(Stream(0, "orders").rows(0, 24_000, 3), 4, None)
    assert uniformly(np.unique(chosen @ [16, 4, 1], return_inverse=True)[1], 24)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"mode": "chaos"}, "unknown `mode`; got 'chaos'. Choose among disjoint, overlap."),
        ({"words": 1}, "a text needs at least two words; got 1. Raise `words`."),
        ({"languages": 1}, "a text needs words of at least two languages; got 1."),
        (
            {"words": 6},
            "6 words cannot all have different languages; got 5 languages. Lower `words` or use `mode='overlap'`.",
        ),
        (
            {"words": 5, "classes": 4},
            "5 different words cannot be drawn; got 4 classes. Use a source with more classes or lower `words`.",
        ),
        (
            {"words": 10, "classes": 3, "mode": "overlap"},
            "10 different words cannot be drawn; got 3 classes. Use a source with more classes or lower `words`.",
        ),
    ],
)
def test_rules_that_cannot_be_met_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        settings: dict[str, Any] = {"words": 3, "classes": 9, "languages": 5, "mode": "disjoint"}
        WordRule(**(settings | changes))
    assert str(caught.value) == message


@pytest.mark.parametrize(("mode", "words", "classes"), [("disjoint", 5, 5), ("overlap", 9, 3)])
def test_rules_that_just_can_be_met_are_drawn(mode: Literal["disjoint", "overlap"], words: int, classes: int) -> None:
    languages = draw(WordRule(words=words, classes=classes, languages=5, mode=mode), 50)[3]
    assert languages.shape == (50, words)
