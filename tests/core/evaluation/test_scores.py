"""Scores of a method over seeds: their intervals, and tests of two methods, against the parts they are made of."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from symile_data.evaluation.classification import ACCURACY, AUPRC, AUROC, BRIER, ECE
from symile_data.evaluation.clusters import Clusters, draw_counts
from symile_data.evaluation.delong import area_test, placements
from symile_data.evaluation.scores import LabelRows, compare_means, compare_scores, mean_score, score

Floats = npt.NDArray[np.floating]


def rows_and_seeds(
    classes: int = 2, rows: int = 60, replicates: int = 200, signal: float = 1.0
) -> tuple[LabelRows, list[Floats]]:
    rng = np.random.default_rng(classes)
    labels = rng.integers(classes, size=rows)
    clusters = Clusters.of(rng.integers(rows // 2, size=rows))
    logits = [rng.normal(size=(rows, classes)) + signal * np.eye(classes)[labels] for _ in range(2)]
    seeds = [np.exp(one) / np.exp(one).sum(axis=1, keepdims=True) for one in logits]
    counts = draw_counts(clusters.count, replicates)
    return LabelRows(labels=labels, classes=classes, clusters=clusters, counts=counts), seeds


def test_figures_of_two_classes_are_means_over_seeds() -> None:
    rows, seeds = rows_and_seeds()
    found = score(rows, seeds)
    areas = [roc_auc_score(rows.labels, one[:, 1]) for one in seeds]
    assert found[AUROC].seeds == pytest.approx(areas) and found[AUROC].value == pytest.approx(np.mean(areas))
    expected = np.mean([average_precision_score(rows.labels, one[:, 1]) for one in seeds])
    assert found[AUPRC].value == pytest.approx(expected)
    assert found[ECE].low is None
    for name in (AUROC, AUPRC, BRIER, ACCURACY):
        one = found[name]
        assert one.low is not None and one.high is not None and one.value is not None
        assert 0 <= one.low < one.value < one.high <= 1


def test_an_interval_is_that_of_clusters_drawn_again() -> None:
    rows, seeds = rows_and_seeds(rows=40, replicates=50)
    assert rows.counts is not None
    slow = []
    for counts in rows.counts:
        again = np.repeat(np.arange(40), counts[rows.clusters.numbers].astype(int))
        slow.append(np.mean([roc_auc_score(rows.labels[again], one[again, 1]) for one in seeds]))
    found = score(rows, seeds)[AUROC]
    np.testing.assert_allclose(found.replicates, slow)
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(slow, [0.025, 0.975])))


def test_without_a_bootstrap_there_is_no_interval_but_that_of_the_accuracy() -> None:
    rows, seeds = rows_and_seeds()
    found = score(LabelRows(labels=rows.labels, classes=2, clusters=rows.clusters), seeds)
    assert found[AUROC].low is None and found[ACCURACY].low is not None


def test_more_classes_have_accuracy_and_a_macro_area() -> None:
    rows, seeds = rows_and_seeds(classes=3)
    found = score(rows, seeds)
    assert rows.main_figure == ACCURACY and AUPRC not in found
    expected = np.mean([roc_auc_score(rows.labels, one, multi_class="ovr") for one in seeds])
    assert found[AUROC].value == pytest.approx(expected)
    assert found[AUROC].low is not None and found[AUROC].low < expected


def test_a_label_that_all_test_rows_share_has_no_area() -> None:
    rows, seeds = rows_and_seeds()
    single = LabelRows(labels=np.zeros_like(rows.labels), classes=2, clusters=rows.clusters, counts=rows.counts)
    found = score(single, seeds)
    assert found[AUROC].value is None and found[AUROC].seeds == [None, None] and found[ACCURACY].value is not None
    assert compare_scores(single, seeds, seeds)["p"] is None


def test_methods_are_compared_by_the_mean_over_seeds() -> None:
    rows, seeds = rows_and_seeds()
    worse = [0.5 * one + 0.25 for one in reversed(seeds)]
    worse[0] = np.random.default_rng(0).dirichlet([1, 1], size=60)
    found = compare_scores(rows, seeds, worse)
    positive = rows.labels == 1
    placed = [np.mean([placements(positive, one[:, 1]) for one in method], axis=0) for method in (seeds, worse)]
    assert {"figure": AUROC, "test": "DeLong", **area_test(positive, placed[0], placed[1], rows.clusters)} == found
    both = [score(rows, method)[AUROC].value for method in (seeds, worse)]
    assert both[0] is not None and both[1] is not None
    assert found["difference"] == pytest.approx(both[0] - both[1])
    many, three = rows_and_seeds(classes=3)
    against = compare_scores(many, three, three[:1])
    assert (against["figure"], against["test"]) == (ACCURACY, "paired t")


def test_the_mean_over_labels_shares_its_replicates() -> None:
    rows, seeds = rows_and_seeds()
    other = LabelRows(labels=1 - rows.labels, classes=2, clusters=rows.clusters, counts=rows.counts)
    scores = [score(one, seeds)[AUROC] for one in (rows, other)]
    mean = mean_score(scores)
    assert mean.value == pytest.approx(0.5)  # the second label is the first one's opposite
    np.testing.assert_allclose(mean.replicates, 0.5)
    assert mean.low == pytest.approx(0.5) and mean.high == pytest.approx(0.5)
    single = mean_score(scores[:1])
    assert (single.value, single.low) == (scores[0].value, scores[0].low)
    test = compare_means(single, mean)
    assert single.value is not None
    assert test["difference"] == pytest.approx(single.value - 0.5) and test["p"] <= 2 * (1 / 201) + 1e-9
    assert compare_means(mean, mean)["p"] == 1.0
