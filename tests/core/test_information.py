"""The closed forms of binary XOR data agree with sums over every row that can occur."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Sequence
from functools import reduce
from operator import xor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from symile_data.datasets.xor.information import (
    bayes_accuracy,
    conditional_information,
    pair_information,
    total_correlation,
)
from symile_data.errors import UsageError

Table = dict[tuple[int, ...], float]

# V and d for which all rows are few.
SIZES = st.sampled_from([(3, 1), (3, 2), (3, 3), (4, 1), (4, 2), (5, 1), (6, 1)])
PROBABILITIES = st.sampled_from([0.0, 1.0]) | st.floats(0.0, 1.0)


def table_of(variables: int, dims: int, p_hat: float) -> Table:
    """Probability of every row, from the definition."""
    table: Table = defaultdict(float)
    for free in itertools.product(range(2**dims), repeat=variables - 1):
        for last, weight in ((reduce(xor, free), p_hat), (free[0], 1 - p_hat)):
            table[*free, last] += weight / 2 ** (dims * (variables - 1))
    return table


def entropy(table: Table, of: Sequence[int]) -> float:
    marginal: Table = defaultdict(float)
    for row, weight in table.items():
        marginal[tuple(row[index] for index in of)] += weight
    return -sum(weight * math.log(weight) for weight in marginal.values() if weight > 0)


def information(table: Table, one: int, other: int, given: Sequence[int] = ()) -> float:
    parts = [entropy(table, [index, *given]) for index in (one, other)]
    return sum(parts) - entropy(table, [one, other, *given]) - entropy(table, given)


def best_accuracy(table: Table, target: int) -> float:
    best: Table = defaultdict(float)
    for row, weight in table.items():
        query = row[:target] + row[target + 1 :]
        best[query] = max(best[query], weight)
    return sum(best.values())


@settings(deadline=None, max_examples=40)
@given(SIZES, PROBABILITIES)
def test_terms_agree_with_enumeration(size: tuple[int, int], p_hat: float) -> None:
    variables, dims = size
    table = table_of(variables, dims, p_hat)
    every, first, between, last = range(variables), 0, 1, variables - 1

    def given_rest(one: int, other: int) -> float:
        return information(table, one, other, [index for index in every if index not in (one, other)])

    singles = sum(entropy(table, [index]) for index in every)
    assert total_correlation(p_hat, dims) == pytest.approx(singles - entropy(table, every), abs=1e-9)
    assert pair_information(p_hat, dims) == pytest.approx(information(table, first, last), abs=1e-9)
    for one, other in itertools.combinations(every, 2):
        if (one, other) != (first, last):
            assert information(table, one, other) == pytest.approx(0.0, abs=1e-9)
    assert given_rest(first, last) == pytest.approx(total_correlation(p_hat, dims), abs=1e-9)
    assert given_rest(between, last) == pytest.approx(conditional_information(p_hat, dims), abs=1e-9)
    assert given_rest(first, between) == pytest.approx(conditional_information(p_hat, dims), abs=1e-9)


@settings(deadline=None, max_examples=40)
@given(SIZES, PROBABILITIES)
def test_accuracies_agree_with_enumeration(size: tuple[int, int], p_hat: float) -> None:
    variables, dims = size
    table = table_of(variables, dims, p_hat)
    for target in range(variables):
        between = 0 < target < variables - 1
        assert bayes_accuracy(p_hat, dims, between=between) == pytest.approx(best_accuracy(table, target), abs=1e-9)


def test_what_is_no_probability_or_has_no_bits_is_refused() -> None:
    for wrong in (-0.1, 1.5, math.nan):
        with pytest.raises(UsageError, match=r"p_hat is a probability"):
            bayes_accuracy(wrong, 5)
    with pytest.raises(UsageError, match=r"dims is a number of bits, at least 1; got 0"):
        pair_information(0.5, 0)
