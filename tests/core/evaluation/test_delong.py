"""DeLong's test against loops over pairs, its clustered form against copies, and its error rate in a simulation."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.metrics import roc_auc_score

from symile_data.evaluation.clusters import Clusters
from symile_data.evaluation.delong import area_test, areas_and_covariance, macro_area, placements

Floats = npt.NDArray[np.floating]
Bools = npt.NDArray[np.bool_]


def drawn(seed: int, rows: int = 40) -> tuple[Bools, Floats, Floats]:
    """Positives and the scores of two classifiers, which are correlated and have ties."""
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < 0.4
    positive[:4] = [True, True, False, False]
    common = rng.normal(size=rows)
    first, second = (np.round(common + rng.normal(size=rows) + shift * positive, 1) for shift in (0.5, 1.2))
    return positive, first, second


def slow_delong(positive: Bools, scores: list[Floats]) -> tuple[list[float], Floats]:
    """Areas and covariance by the definition of DeLong, DeLong and Clarke-Pearson (1988), pair by pair."""
    cases, controls = np.flatnonzero(positive), np.flatnonzero(~positive)

    def psi(one: float, other: float) -> float:
        return 1.0 if one > other else 0.5 if one == other else 0.0

    of_cases = np.array([[np.mean([psi(s[i], s[j]) for j in controls]) for i in cases] for s in scores])
    of_controls = np.array([[np.mean([psi(s[i], s[j]) for i in cases]) for j in controls] for s in scores])
    covariance = np.cov(of_cases) / len(cases) + np.cov(of_controls) / len(controls)
    return [float(row.mean()) for row in of_cases], covariance


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_areas_and_covariance_are_those_of_the_definition(seed: int) -> None:
    positive, *scores = drawn(seed)
    areas, covariance = areas_and_covariance(
        positive, [placements(positive, one) for one in scores], Clusters.of(np.arange(len(positive)))
    )
    expected_areas, expected = slow_delong(positive, scores)
    assert areas.tolist() == pytest.approx(expected_areas)
    assert areas.tolist() == pytest.approx([roc_auc_score(positive, one) for one in scores])
    np.testing.assert_allclose(covariance, expected, atol=1e-12)
    first, second = (placements(positive, one) for one in scores)
    found = area_test(positive, first, second, Clusters.of(np.arange(len(positive))))
    error = math.sqrt(expected[0, 0] + expected[1, 1] - 2 * expected[0, 1])
    z = (expected_areas[0] - expected_areas[1]) / error
    assert found["p"] == pytest.approx(2 * stats.norm.sf(abs(z)))
    assert found["high"] - found["low"] == pytest.approx(2 * 1.959964 * error, rel=1e-5)


def slow_obuchowski(positive: Bools, scores: Floats, groups: npt.NDArray[np.int64]) -> float:
    """Variance of an area by Obuchowski (1997), cluster by cluster."""
    placed = placements(positive, scores)
    area = placed[positive].mean()
    cases, controls = int(positive.sum()), int((~positive).sum())
    terms: list[tuple[float, float]] = []
    for one in np.unique(groups):
        mine = groups == one
        terms.append((
            float((placed[mine & positive] - area).sum()), float((placed[mine & ~positive] - area).sum())
        ))  # fmt: skip
    with_cases = len(np.unique(groups[positive]))
    with_controls = len(np.unique(groups[~positive]))
    count = len(terms)
    s10 = with_cases / ((with_cases - 1) * cases) * sum(one**2 for one, _ in terms)
    s01 = with_controls / ((with_controls - 1) * controls) * sum(other**2 for _, other in terms)
    s11 = count / (count - 1) * sum(one * other for one, other in terms)
    return s10 / cases + s01 / controls + 2 * s11 / (cases * controls)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32))
def test_the_clustered_variance_is_obuchowskis(seed: int) -> None:
    positive, scores, _ = drawn(seed)
    groups = np.random.default_rng(seed).integers(15, size=len(positive))
    groups[:4] = [0, 1, 0, 2]
    _, covariance = areas_and_covariance(positive, [placements(positive, scores)], Clusters.of(groups))
    assert covariance[0, 0] == pytest.approx(slow_obuchowski(positive, scores, groups))


def test_equal_classifiers_and_single_clusters_have_no_test() -> None:
    positive, first, second = drawn(3)
    placed, other = placements(positive, first), placements(positive, second)
    rows = Clusters.of(np.arange(len(positive)))
    same = area_test(positive, placed, placed.copy(), rows)
    assert (same["difference"], same["low"], same["high"], same["p"]) == (0.0, 0.0, 0.0, 1.0)
    lonely = np.where(positive, 0, 1 + np.arange(len(positive)))
    assert area_test(positive, placed, other, Clusters.of(lonely))["p"] is None


def test_the_test_is_wrong_as_often_as_it_says() -> None:
    """Two classifiers of equal areas on patients with one to three rows: one test in twenty finds a difference."""
    rng, found = np.random.default_rng(11), 0
    for _ in range(300):
        groups = np.repeat(np.arange(40), rng.integers(1, 4, size=40))
        own, positive = rng.normal(size=40)[groups], rng.random(len(groups)) < 0.5
        scores = [own + positive + rng.normal(size=len(groups)) for _ in range(2)]
        placed = [placements(positive, one) for one in scores]
        found += area_test(positive, placed[0], placed[1], Clusters.of(groups))["p"] < 0.05
    assert 0.02 <= found / 300 <= 0.09


def test_the_macro_area_is_the_mean_over_classes_and_seeds() -> None:
    rng = np.random.default_rng(4)
    labels = rng.integers(3, size=50)
    seeds = [rng.dirichlet([1, 1, 1], size=50) + np.eye(3)[labels] * 0.2 for _ in range(2)]
    value, error = macro_area(labels, seeds, Clusters.of(np.arange(50)))
    areas = [np.mean([roc_auc_score(labels == one, values[:, one]) for one in range(3)]) for values in seeds]
    assert value == pytest.approx(np.mean(areas))
    drawn_again = []
    for _ in range(300):
        rows = rng.integers(50, size=50)
        drawn_again.append(macro_area(labels[rows], [one[rows] for one in seeds], Clusters.of(np.arange(50)))[0])
    assert error == pytest.approx(np.std(drawn_again), rel=0.25)
    two = np.array([0, 1] * 10)
    scores = rng.random((20, 2))
    scores[:, 0] = 1 - scores[:, 1]
    found, error = macro_area(two, [scores], Clusters.of(np.arange(20)))
    assert found == pytest.approx(roc_auc_score(two == 1, scores[:, 1])) and error > 0
    assert all(map(math.isnan, macro_area(np.zeros(4, np.int64), [np.ones((4, 2))], Clusters.of(np.arange(4)))))
