"""Readers of the text, of labels, of ids and of positions alone, counted on a training split, stay at their ceiling."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest

from symile_data.builders.m3.rows.plan import RowIndices, SplitPlan
from symile_data.datasets.m3.ceilings import named_ceilings, subset_ceilings
from symile_data.datasets.m3.word_rows import WordRows, WordRowsReader
from symile_data.datasets.m3.words import WordRule
from symile_data.loaders.redraw_words import WordRedraw

RULES = {
    "disjoint-2": WordRule(words=2, classes=60, languages=2, mode="disjoint"),
    "disjoint-5": WordRule(words=5, classes=60, languages=5, mode="disjoint"),
    "disjoint-10": WordRule(words=10, classes=60, languages=10, mode="disjoint"),
    "fewer words": WordRule(words=3, classes=60, languages=5, mode="disjoint"),
    "overlap-2": WordRule(words=2, classes=60, languages=2, mode="overlap"),
    "overlap-5": WordRule(words=5, classes=60, languages=5, mode="overlap"),
    "overlap-10": WordRule(words=10, classes=60, languages=10, mode="overlap"),
}
TRAIN, TEST = 12_000, 3000
SPREADS = 4.5  # standard deviations that a reader may be lucky by


@dataclass(frozen=True)
class Data:
    """A training and a test split as they are drawn; sample ids count through both."""

    rule: WordRule
    train: RowIndices
    test: RowIndices

    @property
    def position(self) -> tuple[np.ndarray, np.ndarray]:
        """Where the answers of both splits stand."""
        train, test = (
            np.argmax(
                (rows.word_languages == rows.language[:, None]) & (rows.word_classes == rows.cls[:, None]), axis=1
            )
            for rows in (self.train, self.test)
        )
        return train, test

    @property
    def ids(self) -> tuple[np.ndarray, np.ndarray]:
        return np.arange(TRAIN), TRAIN + np.arange(TEST)


@pytest.fixture(scope="module", params=list(RULES))
def data(request: pytest.FixtureRequest) -> Data:
    rule = RULES[request.param]
    offsets = np.arange(rule.classes + 1, dtype=np.int64) * 20
    train, test = (
        SplitPlan(0, split, rule, offsets, 50).draw(0, rows) for split, rows in (("train", TRAIN), ("test", TEST))
    )
    return Data(rule, train, test)


def word_rows(rows: RowIndices) -> WordRows:
    reader = WordRowsReader()
    columns = (rows.word_classes, rows.word_languages, rows.cls, rows.language.astype(np.int32))
    reader._parts.append(tuple(column.astype(np.int32) for column in columns))  # type: ignore[arg-type]
    found = reader.rows()
    assert found is not None
    return found


def at_most(hits: np.ndarray, ceiling: float) -> bool:
    return bool(hits.mean() <= ceiling + SPREADS * np.sqrt(ceiling * (1 - ceiling) / len(hits)) + 1e-9)


def told(feature: tuple[np.ndarray, np.ndarray], answer: np.ndarray) -> np.ndarray:
    """For each test row the most frequent answer among training rows of its value of a feature."""
    train, test = feature
    values = max(train.max(), test.max()) + 1
    counts = np.zeros((values, answer.max() + 1), dtype=int)
    np.add.at(counts, (train, answer), 1)
    return np.argmax(counts, axis=1)[test]


def features(rows: RowIndices) -> dict[str, np.ndarray]:
    """What a reader of the text sees of each word, as small numbers."""
    count = rows.word_classes.shape[1]
    place = np.broadcast_to(np.arange(count), rows.word_classes.shape)
    same_class = (rows.word_classes[:, :, None] == rows.word_classes[:, None]).sum(axis=2)
    same_language = (rows.word_languages[:, :, None] == rows.word_languages[:, None]).sum(axis=2)
    before = np.pad(rows.word_languages, ((0, 0), (1, 0)), constant_values=-1)[:, :-1] + 1
    rank = np.argsort(np.argsort(rows.word_classes, axis=1), axis=1)
    return {
        "place": place,
        "class": rows.word_classes,
        "language": rows.word_languages,
        "place and language": place * 16 + rows.word_languages,
        "language before": rows.word_languages * 16 + before,
        "rank of the class": rank,
        "alone": (same_class == 1) * 2 + (same_language == 1),
    }


def read_texts(data: Data) -> np.ndarray:
    """The class that a naive Bayes reader of the words of each test row finds."""
    answers = np.arange(data.rule.words) == data.position[0][:, None]
    score = np.zeros(data.test.word_classes.shape)
    for train, test in zip(features(data.train).values(), features(data.test).values(), strict=True):
        size = int(max(train.max(), test.max())) + 1
        right, wrong = (np.bincount(train[chosen], minlength=size) + 0.5 for chosen in (answers, ~answers))
        score += np.log(right / right.sum() / (wrong / wrong.sum()))[test]
    return data.test.word_classes[np.arange(TEST), np.argmax(score, axis=1)]


def test_a_reader_of_the_text_stays_at_its_ceiling(data: Data) -> None:
    rows = word_rows(data.test)
    ceiling, hits = named_ceilings(rows, "image"), read_texts(data) == data.test.cls
    assert at_most(hits, ceiling["text_alone"])
    assert hits.mean() > 0.9 * ceiling["text_alone"] - 0.01  # and comes near it: this reader is a good one
    assert ceiling["text_alone"] < ceiling["all_words_alike"] < ceiling["counting"] < 1


def test_readers_of_labels_and_ids_stay_at_the_largest_class(data: Data) -> None:
    ceiling = subset_ceilings(word_rows(data.test))["image"]["none"]
    known: dict[str, Any] = {
        "language": (data.train.language, data.test.language),
        "recording": (data.train.recording, data.test.recording),
    }
    known |= {f"id modulo {m}": (data.ids[0] % m, data.ids[1] % m) for m in (2, 3, 5, 7, 10, 64, data.rule.words)}
    known["slot"] = (data.train.slot % 20, data.test.slot % 20)
    for name, feature in known.items():
        assert at_most(told(feature, data.train.cls) == data.test.cls, ceiling), name


def position_readers(
    position: tuple[np.ndarray, np.ndarray], ids: tuple[np.ndarray, np.ndarray], words: int
) -> list[Any]:
    """Hits of readers that know a row's number and what stood where in training."""
    moduli = sorted({2, 3, 4, 5, 8, 10, 16, words, 2 * words, words**2})
    known = [(ids[0] % m, ids[1] % m) for m in moduli]
    known += [(np.zeros(TRAIN, dtype=int), np.zeros(TEST, dtype=int))]
    return [told(feature, position[0]) == position[1] for feature in known]


def test_readers_of_positions_and_ids_find_one_answer_in_w(data: Data) -> None:
    assert all(
        at_most(hits, 1 / data.rule.words) for hits in position_readers(data.position, data.ids, data.rule.words)
    )
    for position in data.position:
        share = np.bincount(position, minlength=data.rule.words) / len(position)
        slack = 1 if data.rule.mode == "disjoint" else SPREADS * np.sqrt(len(position) / data.rule.words)
        assert np.abs(share - 1 / data.rule.words).max() * len(position) <= slack


def test_such_a_reader_would_notice_positions_that_follow_ids(data: Data) -> None:
    words = data.rule.words
    told_by_id = data.ids[0] % words, data.ids[1] % words
    assert not all(at_most(hits, 1 / words) for hits in position_readers(told_by_id, data.ids, words))


def test_the_reader_of_texts_would_notice_a_language_that_answers_more_often(data: Data) -> None:
    test, train = data.test, data.train
    kept = [rows.language < max(1, data.rule.languages // 3) for rows in (train, test)]
    chosen = [np.resize(np.flatnonzero(keep), count) for keep, count in zip(kept, (TRAIN, TEST), strict=True)]
    biased = [
        replace(rows, **{name: values[some] for name, values in vars(rows).items() if name != "keys"})
        for rows, some in zip((train, test), chosen, strict=True)
    ]
    unfair = Data(data.rule, *biased)
    ceiling = named_ceilings(word_rows(unfair.test), "image")["text_alone"]
    assert not at_most(read_texts(unfair) == unfair.test.cls, ceiling)


def test_words_that_are_redrawn_stand_elsewhere_in_every_epoch(data: Data) -> None:
    rule = data.rule
    vocabulary = np.array(
        [[f"{c}-{language}" for language in range(rule.languages)] for c in range(rule.classes)], dtype=object
    )
    redraw = WordRedraw(
        seed=0, rule=rule, vocabulary=vocabulary, target_class=data.train.cls,
        target_language=data.train.language.astype(np.int32),
    )  # fmt: skip
    rows = np.arange(6000)
    targets = vocabulary[data.train.cls[rows], data.train.language[rows]]
    first, second = (
        np.array([text.split("_").index(target) for text, target in zip(texts, targets, strict=True)])
        for texts in (redraw.texts(epoch, rows, rows) for epoch in (0, 1))
    )
    for one, other in ((first, second), (first, data.position[0][rows]), (first[1:], first[:-1])):
        pairs = np.bincount(one * rule.words + other, minlength=rule.words**2)
        expected = len(one) / rule.words**2
        freedom = rule.words**2 - 1
        assert ((pairs - expected) ** 2 / expected).sum() < freedom + 5 * np.sqrt(2 * freedom)
