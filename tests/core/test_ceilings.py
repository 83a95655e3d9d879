"""Accuracy ceilings of Symile-M3: against slow counting, against retrieval itself, against readers that reach them."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from symile_data.datasets.m3.ceilings import (
    line_style,
    named_ceilings,
    random_candidate,
    subset_ceilings,
)
from symile_data.datasets.m3.word_rows import WordRows, WordRowsReader
from symile_data.datasets.m3.words import WordRule, draw_words
from symile_data.evaluation.embeddings import Embeddings
from symile_data.evaluation.retrieval import Protocol, Retrieval, candidate_rows, retrieve
from symile_data.losses import SymileLoss
from symile_data.rng import Stream

LANGS = np.array(["ar", "el", "en", "hi", "ja", "ko", "te", "th", "uk", "zh-CN"])


def drawn(
    mode: Literal["disjoint", "overlap"], words: int, languages: int, classes: int, rows: int, seed: int = 0
) -> pa.Table:
    """Rows as a dataset has them."""
    rule = WordRule(words=words, classes=classes, languages=languages, mode=mode)
    rng = np.random.default_rng(seed)
    cls, lang = rng.integers(classes, size=rows), rng.integers(languages, size=rows)
    word_classes, word_langs = draw_words(rule, cls, lang, Stream(seed, "rows").rows(0, rows, rule.draws))
    texts = [
        [{"text": f"{c}{LANGS[x]}", "lang": LANGS[x], "cls_id": int(c)} for c, x in zip(*row, strict=True)]
        for row in zip(word_classes, word_langs, strict=True)
    ]
    return table_of(texts, cls.tolist(), LANGS[lang].tolist())


WORD = pa.struct([("text", pa.string()), ("lang", pa.string()), ("cls_id", pa.int32())])


def table_of(words: list[Any], classes: list[Any], langs: list[Any]) -> pa.Table:
    return pa.table(
        {
            "words": pa.array(words, pa.list_(WORD)),
            "cls_id": pa.array(classes, pa.int64()),
            "lang": pa.array(langs, pa.string()),
        }
    )


def read(table: pa.Table) -> WordRows:
    reader = WordRowsReader()
    assert reader.fits(table.schema)
    for batch in table.to_batches(max_chunksize=17):
        reader.add(batch)
    rows = reader.rows()
    assert rows is not None
    return rows


class Slow:
    """The definitions, one row at a time, in fractions."""

    def __init__(self, table: pa.Table) -> None:
        self.rows = table.to_pylist()
        self.possible = [self._possible(row["words"]) for row in self.rows]

    @staticmethod
    def _possible(words: list[Any]) -> list[Any]:
        langs, classes = [w["lang"] for w in words], [w["cls_id"] for w in words]
        return [w for w in words if langs.count(w["lang"]) == 1 and classes.count(w["cls_id"]) == 1]

    def mean(self, values: list[Any]) -> Fraction:
        return sum(values, Fraction(0)) / len(self.rows)

    def of_label(self, label: str) -> dict[str, Fraction]:
        counts = Counter(row[label] for row in self.rows)
        there = [[counts[word[label]] for word in words if counts[word[label]]] for words in self.possible]
        own = [counts[row[label]] for row in self.rows]
        return {
            "text_alone": self.mean([Fraction(1, len(some)) for some in there]),
            "all_words_alike": self.mean([Fraction(n, sum(some)) for n, some in zip(own, there, strict=True)]),
            "counting": self.mean([Fraction(max(some), sum(some)) for some in there]),
            "none": Fraction(max(counts.values()), len(self.rows)),
        }

    def of_text(self, labels: tuple[str, ...]) -> Fraction:
        """Every text's probability given the labels that were read, by Bayes' rule over its possible words."""
        found = []
        for row in self.rows:
            weights = [
                Fraction(sum(all(word[label] == row[label] for label in labels) for word in words), len(words))
                for words in self.possible
            ]
            found.append(max(weights) / sum(weights))
        return self.mean(found)


@given(
    st.sampled_from([("disjoint", 2, 2), ("disjoint", 3, 4), ("overlap", 3, 3), ("overlap", 5, 3), ("overlap", 4, 2)]),
    st.integers(6, 40),
    st.integers(1, 40),
    st.integers(0, 2**32),
)
def test_ceilings_are_those_of_slow_counting(
    rule: tuple[Literal["disjoint", "overlap"], int, int], classes: int, count: int, seed: int
) -> None:
    table = drawn(*rule, classes, count, seed)
    slow, rows = Slow(table), read(table)
    subsets = subset_ceilings(rows)
    for target, label, other in (("image", "cls_id", "audio"), ("audio", "lang", "image")):
        expected = slow.of_label(label)
        named = named_ceilings(rows, target)
        assert list(named) == ["text_alone", "all_words_alike", "counting"]
        assert named == pytest.approx({name: float(expected[name]) for name in named})
        pair = "+".join(sorted(["text", other]))
        none, counting = float(expected["none"]), float(expected["counting"])
        assert subsets[target] == pytest.approx({"none": none, other: none, "text": counting, pair: 1.0})
    of_text = {"none": (), "image": ("cls_id",), "audio": ("lang",), "audio+image": ("cls_id", "lang")}
    assert subsets["text"] == pytest.approx({name: float(slow.of_text(labels)) for name, labels in of_text.items()})
    assert named_ceilings(rows, "text") == pytest.approx(
        {
            "image_alone": subsets["text"]["image"],
            "audio_alone": subsets["text"]["audio"],
            "audio_and_image": subsets["text"]["audio+image"],
        }
    )
    assert named_ceilings(rows, "video") == {}


@pytest.mark.parametrize(
    ("rule", "classes", "count", "expected"),
    [
        (("disjoint", 2, 2), 140, 1000, (0.500, 0.535, 0.605)),
        (("disjoint", 10, 10), 140, 1000, (0.100, 0.112, 0.161)),
        (("disjoint", 5, 5), 1000, 1000, (0.314, 0.359, 0.446)),
        (("overlap", 10, 10), 140, 1000, (0.272, 0.298, 0.367)),
        (("overlap", 10, 5), 140, 1000, (0.636, 0.658, 0.706)),
        (("overlap", 10, 2), 140, 1000, (1.0, 1.0, 1.0)),
    ],
)
def test_ceilings_of_the_usual_datasets(
    rule: tuple[Literal["disjoint", "overlap"], int, int], classes: int, count: int, expected: tuple[float, ...]
) -> None:
    found = named_ceilings(read(drawn(*rule, classes, count)), "image")
    assert tuple(found.values()) == pytest.approx(expected, abs=0.02)


@pytest.mark.parametrize("classes", [200, 1000])
def test_one_in_w_holds_only_where_all_classes_are_candidates(classes: int) -> None:
    """The expectation over splits, by inclusion and exclusion, is nearly (1 - (1 - x)^W) / (W x)."""
    x = 1 - (1 - 1 / classes) ** 499
    found = [named_ceilings(read(drawn("disjoint", 5, 5, classes, 500, seed)), "image") for seed in range(4)]
    alone = [ceilings["text_alone"] for ceilings in found]
    assert np.mean(alone) == pytest.approx((1 - (1 - x) ** 5) / (5 * x), abs=0.01)
    assert min(alone) > 0.2


@pytest.mark.parametrize("rule", [("disjoint", 3, 3), ("overlap", 6, 4)])
@pytest.mark.parametrize("candidates", [0, 8])
def test_scoring_the_words_alike_is_worth_what_is_said(
    rule: tuple[Literal["disjoint", "overlap"], int, int], candidates: int
) -> None:
    rows = read(drawn(*rule, 40, 120))
    hot = torch.eye(40)
    texts = torch.stack([hot[words[words >= 0]].sum(0) for words in torch.from_numpy(rows.word_classes).long()])
    labels = torch.from_numpy(rows.classes).long()
    values = {"text": texts, "audio": torch.ones(120, 40), "image": hot[labels]}
    embedded = Embeddings(values, labels)
    retrieval = Retrieval(target="image", objective=SymileLoss(), candidates=candidates)
    sets = candidate_rows(embedded, retrieval).numpy() if candidates else None
    accuracy = retrieve(embedded, retrieval)["accuracy"]
    assert named_ceilings(rows, "image", sets)["all_words_alike"] == pytest.approx(accuracy, abs=1e-6)


def test_a_reader_of_the_text_reaches_what_is_said_among_drawn_sets() -> None:
    """In a drawn set the right class stands once, so a reader who counts leaves out classes that stand twice."""
    rows = read(drawn("disjoint", 5, 5, 12, 3000))
    labels = torch.from_numpy(rows.classes).long()
    sets = candidate_rows(Embeddings({}, labels), Protocol(target="image", candidates=20)).numpy()
    found = named_ceilings(rows, "image", sets)
    rng, hits, counted = np.random.default_rng(0), 0, 0
    for words, right, candidates in zip(rows.word_classes, rows.classes, rows.classes[sets], strict=True):
        there = Counter(candidates.tolist())
        hits += rng.choice([word for word in words if there[word]]) == right
        counted += rng.choice([word for word in words if there[word] == 1]) == right
    assert hits / 3000 == pytest.approx(found["text_alone"], abs=0.035)
    assert counted / 3000 == pytest.approx(found["counting"], abs=0.035)
    assert found["counting"] > found["text_alone"] + 0.05


def test_given_sets_in_which_right_ones_repeat_are_counted_as_they_are() -> None:
    rows = WordRows(
        np.array([[0, 1], [0, 1], [1, 0]]), np.array([[0, 1]] * 3), np.array([0, 0, 1]), np.array([0, 0, 0])
    )
    found = named_ceilings(rows, "image", np.array([[0, 1, 2], [1, 0, 2], [2, 0, 1]]))
    assert found == pytest.approx({"text_alone": 1 / 2, "all_words_alike": 5 / 9, "counting": 2 / 3})
    assert named_ceilings(rows, "text", np.zeros((3, 2), dtype=int)) == {}


def test_a_reader_who_counts_reaches_what_is_said() -> None:
    rows = read(drawn("disjoint", 4, 4, 60, 20_000))
    parts = np.array_split(np.arange(len(rows)), 100)  # so that classes have few candidates each
    hits, expected = [], []
    for part in parts:
        arrays: dict[str, Any] = {name: value for name, value in vars(rows).items() if isinstance(value, np.ndarray)}
        some = replace(rows, **{name: value[part] for name, value in arrays.items()})
        counts = np.bincount(some.classes, minlength=60)
        guess = some.word_classes[np.arange(len(part)), np.argmax(counts[some.word_classes], axis=1)]
        hits.append((guess == some.classes).mean())
        expected.append(named_ceilings(some, "image")["counting"])
    assert np.mean(hits) == pytest.approx(np.mean(expected), abs=4 * 0.5 / np.sqrt(20_000))


def word(cls: int | None, lang: str | None) -> dict[str, Any]:
    return {"text": "x", "lang": lang, "cls_id": cls}


def test_rows_by_another_rule_count_every_word() -> None:
    """Texts of others may name the right class twice; then a repeated word is no sign of a wrong one."""
    texts = [[word(0, "el"), word(0, "en"), word(1, "uk")], [word(0, "el"), word(1, "en"), word(2, "uk")]]
    rows = read(table_of(texts, [0, 1], ["el", "en"]))
    assert rows.word_classes.tolist() == [[0, 0, 1], [0, 1, 2]]
    assert named_ceilings(rows, "image")["text_alone"] == pytest.approx(1 / 2)


def test_unknown_words_and_texts_of_other_lengths() -> None:
    texts = [[word(0, "el"), word(None, None)], [word(1, "en"), word(0, "el"), word(2, "uk")]]
    rows = read(table_of(texts, [0, 1], ["el", "en"]))
    assert rows.word_classes.tolist() == [[0, -1, -1], [1, 0, 2]]
    assert named_ceilings(rows, "image") == pytest.approx(
        {"text_alone": 0.75, "all_words_alike": 0.75, "counting": 0.75}
    )


def test_nothing_is_said_where_an_answer_is_unknown_or_nothing_is_complete() -> None:
    unknown, empty = WordRowsReader(), WordRowsReader()
    unknown.add(table_of([[word(None, None), word(1, "en")]], [0], ["el"]))
    table = table_of([[word(0, "el"), word(1, "en")], None, [word(0, "el"), word(1, "en")]], [0, 0, None], ["el"] * 3)
    empty.add(table, np.array([True, False, False]))
    assert unknown.rows() is None and empty.rows() is None and WordRowsReader().rows() is None


@pytest.mark.parametrize(
    "columns",
    [
        {"words": pa.array([["a"]]), "cls_id": pa.array([1]), "lang": pa.array(["el"])},
        {"words": pa.array(["a"]), "cls_id": pa.array([1]), "lang": pa.array(["el"])},
        {"words": pa.array([[word(0, "el")]], pa.list_(WORD)), "cls_id": pa.array(["1"]), "lang": pa.array(["el"])},
        {"words": pa.array([[word(0, "el")]], pa.list_(WORD)), "cls_id": pa.array([1])},
    ],
)
def test_other_columns_do_not_fit(columns: dict[str, Any]) -> None:
    assert not WordRowsReader.fits(pa.table(columns).schema)


def test_a_random_candidate_and_the_lines() -> None:
    assert random_candidate(np.array([3, 1])) == 10 / 16
    together = [
        ("text_alone", "all_words_alike", "counting", "random_candidate"),
        ("image_alone", "audio_alone", "audio_and_image", "random_candidate"),
        ("all_others", "one_other", "random_candidate"),
        ("one_left_out", "all_others", "random_candidate"),
    ]
    for names in together:
        assert len({line_style(name) for name in names}) == len(names)
