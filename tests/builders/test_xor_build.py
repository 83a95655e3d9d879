"""XOR datasets: the rule, the bytes, the masks, the ways to ask wrongly."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from datasets import load_dataset
from factories import contents, problems, relist
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor, draw_bits
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import UsageError

ROWS = {"train": 60, "validation": 10, "test": 10}


def build(out: Path, **changes: Any) -> Path:
    build_xor(replace(XorSpec(rows=ROWS), **changes), out, workers=1, write_card=no_card)
    return out


@given(st.integers(3, 8), st.integers(1, 9), st.integers(0, 1000), st.integers(1, 50))
def test_the_last_variable_is_the_xor_of_the_others(variables: int, dims: int, start: int, count: int) -> None:
    bits = draw_bits(XorSpec(variables=variables, dims=dims), "train", start, start + count)
    for row in range(count):
        for bit in range(dims):
            ones = sum(int(variable[row, bit]) for variable in bits[:-1])
            assert bits[-1][row, bit] == ones % 2


def test_p_hat_decides_how_many_rows_are_xor_and_the_rest_are_copies() -> None:
    a, b, c = draw_bits(XorSpec(p_hat=0.3, dims=12), "train", 0, 4000)
    is_xor, is_copy = (c == (a != b)).all(axis=1), (c == a).all(axis=1)
    assert (is_xor | is_copy).all()
    assert abs(is_xor.mean() - 0.3) < 0.03


def test_the_bits_do_not_tell_whether_a_row_is_an_xor() -> None:
    a, b, c = draw_bits(XorSpec(p_hat=0.5), "train", 0, 8000)
    apart = b.any(axis=1)  # where the second variable is zero, XOR and copy are one
    is_xor = (c == (a != b)).all(axis=1)[apart]
    for bit in (*a[apart].T, *b[apart].T):
        assert abs(np.corrcoef(is_xor, bit)[0, 1]) < 0.05


def test_any_two_variables_are_independent() -> None:
    a, b, c = draw_bits(XorSpec(dims=1), "train", 0, 20_000)
    for first, second in ((a, b), (a, c), (b, c)):
        assert abs((first == second).mean() - 0.5) < 0.015


def test_rows_do_not_depend_on_how_they_are_asked_for() -> None:
    whole = draw_bits(XorSpec(p_hat=0.5), "test", 0, 30)
    pieces = [draw_bits(XorSpec(p_hat=0.5), "test", start, start + 10) for start in (0, 10, 20)]
    for variable in range(3):
        np.testing.assert_array_equal(whole[variable], np.concatenate([piece[variable] for piece in pieces]))


def test_two_builds_have_the_same_bytes_and_verify(tmp_path: Path) -> None:
    first, second = build(tmp_path / "1", p_hat=0.5), build(tmp_path / "2", p_hat=0.5)
    assert contents(first) == contents(second)
    assert problems(first) == []


def test_plain_datasets_opens_it(tmp_path: Path) -> None:
    loaded = load_dataset(str(build(tmp_path / "x")), cache_dir=str(tmp_path / "cache"))
    assert {name: len(split) for name, split in loaded.items()} == ROWS
    assert loaded["train"].features["a"].length == 5
    ids = [row for split in loaded.values() for row in split["sample_id"]]
    assert ids == list(range(80))


def test_a_missing_variable_is_null_and_the_test_split_stays_complete(tmp_path: Path) -> None:
    directory = build(tmp_path / "x", missing={"a": 0.5, "b": 0.0, "c": 0.2})
    train = pq.read_table(next((directory / "data").glob("train-*")))
    test = pq.read_table(next((directory / "data").glob("test-*")))
    assert 10 < train["a"].null_count < 50
    assert train["a"].is_null().to_pylist() == train["a_missing"].to_pylist()
    assert train["b"].null_count == test["a"].null_count == test["c"].null_count == 0
    assert problems(directory) == []


def test_verify_finds_a_row_that_breaks_the_rule(tmp_path: Path) -> None:
    directory = build(tmp_path / "x")
    path = next((directory / "data").glob("train-*"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    rows[7]["c"] = [1.0 - bit for bit in rows[7]["c"]]
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    relist(directory)
    assert any("sample 7: c has a value that p_hat = 1.0 does not allow" in problem for problem in problems(directory))


@pytest.mark.parametrize("p_hat", [1.0, 0.0])
def test_verify_finds_a_row_of_the_other_relation(tmp_path: Path, p_hat: float) -> None:
    directory = build(tmp_path / "x", p_hat=p_hat)
    path = next((directory / "data").glob("train-*"))
    table = pq.read_table(path)
    rows = table.to_pylist()
    row = next(row for row in rows if any(row["b"]))  # otherwise the XOR of a and b is a
    exclusive = [float(one != other) for one, other in zip(row["a"], row["b"], strict=True)]
    row["c"] = row["a"] if p_hat else exclusive
    pq.write_table(table.from_pylist(rows, schema=table.schema), path)
    relist(directory)
    said = f"sample {row['sample_id']}: c has a value that p_hat = {p_hat} does not allow"
    assert any(said in problem for problem in problems(directory))


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variables": 2}, "variables is"),
        ({"dims": 0}, "dims is"),
        ({"p_hat": 1.5}, "p_hat is"),
        ({"rows": {"train": 0, "validation": 1, "test": 1}}, "training rows"),
        ({"rows": {"train": 1, "validation": 1, "test": -1}}, r"`rows\['test'\]` is a number from 0 to .*; got -1"),
        (
            {"rows": {"train": 10**12 + 1, "validation": 1, "test": 1}},
            r"from 0 to 1,000,000,000,000; got 1000000000001",
        ),
        ({"missing": {"a": 2.0}}, "missing rate of a"),
    ],
)
def test_what_cannot_be_built_is_refused(changes: dict[str, Any], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        XorSpec(**changes)
