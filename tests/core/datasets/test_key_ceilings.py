"""The keys of Symile-M3: what they hide, and the ceilings from every set of modalities against slow counting."""

from __future__ import annotations

import math
from collections import Counter
from itertools import combinations, permutations, product

import numpy as np
import pyarrow as pa
import pytest

from symile_data.datasets.m3.ceilings import named_ceilings, subset_ceilings
from symile_data.datasets.m3.keys import check_keys, keys_among, parse_keys, target_language
from symile_data.datasets.m3.word_rows import WordRows, WordRowsReader, columns_of
from symile_data.datasets.m3.words import WordRule, draw_words
from symile_data.errors import UsageError

LANGUAGES = np.array(["ar", "el", "en"])


def test_no_proper_subset_tells_more_than_image_and_text() -> None:
    classes, words, keys = 4, 3, 2
    table: Counter[tuple[object, ...]] = Counter()
    for text in permutations(range(classes), words):
        for drawn in product(range(words), repeat=keys):
            place = int(target_language([np.array([key]) for key in drawn], words)[0])
            table[text[place], text, *drawn] += 1
    total, count = sum(table.values()), keys + 2

    def entropy(places: tuple[int, ...]) -> float:
        sums: Counter[tuple[object, ...]] = Counter()
        for values, times in table.items():
            sums[tuple(values[place] for place in places)] += times
        return -sum(times / total * math.log(times / total) for times in sums.values())

    def correlation(places: tuple[int, ...]) -> float:
        return sum(entropy((place,)) for place in places) - entropy(places)

    assert correlation(tuple(range(count))) == pytest.approx(math.log(classes))
    for size in range(2, count):
        for places in combinations(range(count), size):
            expected = math.log(classes / words) if {0, 1} <= set(places) else 0.0
            assert correlation(places) == pytest.approx(expected, abs=1e-12)


def drawn_rows(classes: int, rows: int, extra: tuple[str, ...], seed: int) -> pa.Table:
    """Rows of a dataset with these keys, without media; one language for each word."""
    rng, count = np.random.default_rng(seed), len(LANGUAGES)
    rule = WordRule(words=count, classes=classes, languages=count, mode="disjoint")
    cls, keys = rng.integers(classes, size=rows), rng.integers(count, size=(1 + len(extra), rows))
    target = target_language(list(keys), count)
    word_classes, word_languages = draw_words(rule, cls, target, rng.random((rows, rule.draws)))
    words = [
        [{"text": "", "lang": str(LANGUAGES[language]), "cls_id": int(one)} for one, language in zip(*row, strict=True)]
        for row in zip(word_classes, word_languages, strict=True)
    ]
    columns = {"words": words, "cls_id": cls, "lang": LANGUAGES[keys[0]], "target_lang": LANGUAGES[target]}
    return pa.table(
        columns | {f"{name}_id": values.astype(np.int8) for name, values in zip(extra, keys[1:], strict=True)}
    )


def read(table: pa.Table) -> WordRows:
    reader = WordRowsReader()
    for start in range(0, len(table), 7):
        reader.add(table.slice(start, 7))
    rows = reader.rows()
    assert rows is not None
    return rows


def slow(table: pa.Table, target: str, read_names: frozenset[str], keys: list[str]) -> float:
    """The mean probability of the best guess, by looping over rows, candidates and the keys that are not read."""
    rows, count = table.to_pylist(), len(LANGUAGES)
    places = {str(code): place for place, code in enumerate(LANGUAGES)}
    for row in rows:
        row["audio"] = places[row["lang"]]
        row |= {key: row[f"{key}_id"] for key in keys if key != "audio"}
    hidden = [key for key in keys if key not in read_names]
    chances = []
    for row in rows:
        known = sum(row[key] for key in keys if key in read_names)
        weights: Counter[object] = Counter()
        for guesses in product(range(count), repeat=len(hidden)):
            total = (known + sum(guesses)) % count
            if target == "text":
                for number, other in enumerate(rows):
                    weights[number] += sum(
                        places[word["lang"]] == total and ("image" not in read_names or word["cls_id"] == row["cls_id"])
                        for word in other["words"]
                    )
            elif target == "image":
                possible = [word["cls_id"] for word in row["words"] if places[word["lang"]] == total]
                for other in rows:
                    weights[other["cls_id"]] += "text" not in read_names or other["cls_id"] in possible
            else:
                named = [places[word["lang"]] for word in row["words"] if word["cls_id"] == row["cls_id"]]
                if not {"image", "text"} <= read_names or total in named:
                    value = guesses[hidden.index(target)]
                    weights[value] += sum(other[target] == value for other in rows)
        chances.append(max(weights.values()) / sum(weights.values()))
    return float(np.mean(chances))


@pytest.mark.parametrize("extra", [("symbol",), ("tone", "code")])
def test_every_ceiling_is_that_of_slow_counting(extra: tuple[str, ...]) -> None:
    table = drawn_rows(classes=6, rows=16, extra=extra, seed=len(extra))
    rows, keys = read(table), ["audio", *extra]
    found = subset_ceilings(rows)
    assert set(found) == {"image", "text", *keys}
    for target, subsets in found.items():
        others = {"image", "text", *keys} - {target}
        assert len(subsets) == 2 ** len(others)
        for names, value in subsets.items():
            asked = frozenset(names.split("+")) - {"none"}
            assert asked <= others
            assert value == pytest.approx(slow(table, target, asked, keys)), (target, names)
        lacking = [value for names, value in subsets.items() if names.count("+") < len(others) - 1]
        named = named_ceilings(rows, target)
        assert named["one_left_out"] == pytest.approx(max(lacking))
        if target == "text":
            assert named["all_others"] == subsets["+".join(sorted(others))]
        else:
            assert subsets["+".join(sorted(others))] == 1.0
    assert named_ceilings(rows, "image")["counting"] == found["image"]["text"]


def test_ceilings_of_a_key_among_sets_and_of_strangers_are_not_claimed() -> None:
    rows = read(drawn_rows(classes=6, rows=12, extra=("symbol",), seed=0))
    sets = np.arange(12).reshape(12, 1).repeat(3, axis=1)
    assert named_ceilings(rows, "symbol", sets) == named_ceilings(rows, "text", sets) == {}
    assert named_ceilings(rows, "tone") == {}
    assert {"text_alone", "one_left_out"} <= set(named_ceilings(rows, "image", sets))


def test_columns_of_rows_are_those_of_the_keys_that_are_there() -> None:
    assert columns_of(pa.schema([("words", pa.string()), ("symbol_id", pa.int8())])) == ("words", "cls_id", "lang")
    table = drawn_rows(classes=5, rows=2, extra=("tone", "code"), seed=0)
    assert columns_of(table.schema) == ("words", "cls_id", "lang", "target_lang", "tone_id", "code_id")
    assert [key.name for key in keys_among(table.column_names)] == ["tone", "code"]


@pytest.mark.parametrize("asked", ["symbol,smell", "symbol,symbol", "symbol,tone,code", ""])
def test_keys_that_cannot_be_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"`keys`|at most 2 keys"):
        parse_keys(asked)


def test_keys_are_parsed_in_one_order() -> None:
    assert parse_keys(" code, symbol") == ("symbol", "code")
    check_keys(())
