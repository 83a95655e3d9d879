"""Statistics of clustered rows against formulas and loops, and how often their intervals hold the truth."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from symile_data.errors import UsageError
from symile_data.evaluation.clusters import (
    Clusters,
    bootstrap_test,
    clustered_error,
    draw_counts,
    logit_interval,
    paired_mean_test,
    percentile_interval,
    wilson_interval,
)


def test_clusters_are_numbered_and_counted() -> None:
    clusters = Clusters.of(np.array(["b", "a", "b", "c"]))
    assert (clusters.numbers.tolist(), clusters.count) == ([1, 0, 1, 2], 3)
    some = clusters.take(np.array([True, False, True, False]))
    assert (some.numbers.tolist(), some.count, some.present()) == ([1, 1], 3, 1)
    assert clusters.sums(np.array([1.0, 2.0, 4.0, 8.0])).tolist() == [2.0, 5.0, 8.0]


def test_a_replicate_has_as_many_clusters_as_the_data() -> None:
    counts = draw_counts(7, 50)
    assert counts.shape == (50, 7) and (counts.sum(axis=1) == 7).all()
    assert np.array_equal(counts, draw_counts(7, 50)) and not np.array_equal(counts, draw_counts(7, 50, seed=1))
    with pytest.raises(UsageError, match="at least two replicates"):
        draw_counts(7, 1)


@given(st.integers(1, 200), st.floats(0, 1))
def test_wilsons_interval_of_independent_rows_is_scipys(rows: int, share: float) -> None:
    hits = round(share * rows)
    values = np.array([1.0] * hits + [0.0] * (rows - hits))
    expected = stats.binomtest(hits, rows).proportion_ci(method="wilson")
    assert wilson_interval(values, Clusters.of(np.arange(rows))) == pytest.approx((expected.low, expected.high))


def test_rows_that_repeat_their_cluster_add_nothing_to_wilsons_interval() -> None:
    values = np.array([1.0] * 8 + [0.0] * 4)
    once = wilson_interval(values, Clusters.of(np.arange(12)))
    low, high = wilson_interval(np.repeat(values, 5), Clusters.of(np.repeat(np.arange(12), 5)))
    assert (low, high) == pytest.approx(once, abs=0.01)
    perfect = wilson_interval(np.ones(60), Clusters.of(np.repeat(np.arange(12), 5)))
    assert perfect == pytest.approx(wilson_interval(np.ones(12), Clusters.of(np.arange(12))))
    assert perfect[0] < 0.8 and perfect[1] == 1.0


def test_the_clustered_error_is_that_of_cluster_sums() -> None:
    values, groups = np.array([0.2, 0.4, 0.9, 0.1, 0.5, 0.7]), np.array([0, 0, 1, 2, 2, 2])
    mean = values.mean()
    squares = [((values[groups == one] - mean).sum()) ** 2 for one in range(3)]
    assert clustered_error(values, Clusters.of(groups)) == pytest.approx(math.sqrt(sum(squares) * 3 / 2) / 6)
    assert clustered_error(values, Clusters.of(np.arange(6))) == pytest.approx(stats.sem(values))
    assert clustered_error(values, Clusters.of(np.zeros(6))) == 0.0


def test_the_paired_test_of_independent_rows_is_students() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.integers(2, size=40).astype(float), rng.integers(2, size=40).astype(float)
    found, expected = paired_mean_test(first, second, Clusters.of(np.arange(40))), stats.ttest_rel(first, second)
    assert found["p"] == pytest.approx(expected.pvalue)
    interval = expected.confidence_interval()
    assert (found["low"], found["high"]) == pytest.approx((interval.low, interval.high))
    same = paired_mean_test(first, first, Clusters.of(np.arange(40)))
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0.0, 0.0, 0.0, 1.0)
    better = paired_mean_test(np.ones(3), np.zeros(3), Clusters.of(np.arange(3)))
    assert (better["difference"], better["high"], better["p"]) == (1.0, 1.0, None)


def test_intervals_of_shares_stay_between_0_and_1() -> None:
    for value in (0.001, 0.5, 0.999):
        low, high = logit_interval(value, 0.2)
        assert 0 <= low < value < high <= 1
    assert logit_interval(1.0, 0.0) == (1.0, 1.0)


def test_percentiles_are_those_of_defined_replicates() -> None:
    values = np.arange(1001) / 1000
    assert percentile_interval(values) == pytest.approx((0.025, 0.975))
    assert percentile_interval(np.append(values, [np.nan] * 900)) == pytest.approx((0.025, 0.975))
    assert percentile_interval(np.append(values, [np.nan] * 1001)) is None


def test_the_bootstrap_test_counts_replicates_on_the_other_side() -> None:
    replicates = np.array([-1.0] * 2 + [1.0] * 97)
    assert bootstrap_test(replicates, 0.9)["p"] == pytest.approx(2 * 3 / 100)
    assert bootstrap_test(np.ones(99), 1.0)["p"] == pytest.approx(2 / 100)
    assert bootstrap_test(np.zeros(99), 0.0)["p"] == 1.0
    assert bootstrap_test(np.full(9, np.nan), 0.5)["p"] is None


@pytest.mark.parametrize("size", [1, 4])
def test_wilsons_interval_holds_the_accuracy_of_new_clusters(size: int) -> None:
    """Clusters of equal rows in half of the cases: intervals for independent rows would hold it too rarely."""
    rng = np.random.default_rng(5)
    groups, truth, covered = np.repeat(np.arange(50), size), 0.8, 0
    for _ in range(400):
        own = rng.random(50) < truth
        rows = np.where(rng.random(50 * size) < 0.5, own[groups], rng.random(50 * size) < truth)
        low, high = wilson_interval(rows.astype(float), Clusters.of(groups))
        covered += low <= truth <= high
    assert 0.92 <= covered / 400 <= 0.98
