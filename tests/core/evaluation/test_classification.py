"""Figures of classification against scikit-learn and against loops over pairs, with weights and ties."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import average_precision_score, brier_score_loss, roc_auc_score

from symile_data.evaluation.classification import (
    auroc,
    average_precision,
    brier_terms,
    calibration_error,
    is_right,
)

Floats = npt.NDArray[np.floating]


def drawn(seed: int, rows: int = 60) -> tuple[npt.NDArray[np.bool_], Floats, Floats]:
    """Positives, scores with many ties, and three weightings with zeros."""
    rng = np.random.default_rng(seed)
    positive = rng.random(rows) < 0.3
    positive[:2] = [True, False]
    scores = np.round(rng.normal(size=rows) + positive, 1)
    weights = rng.integers(0, 4, size=(3, rows)).astype(float)
    weights[:, :2] = 1.0
    return positive, scores, weights


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**32))
def test_areas_are_those_of_scikit_learn(seed: int) -> None:
    positive, scores, weights = drawn(seed)
    expected = [roc_auc_score(positive, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(auroc(positive, scores, weights), expected)
    expected = [average_precision_score(positive, scores, sample_weight=row) for row in weights]
    np.testing.assert_allclose(average_precision(positive, scores, weights), expected)


def test_the_area_is_the_share_of_pairs_in_the_right_order() -> None:
    positive, scores, weights = drawn(1, 25)
    total = right = 0.0
    for one in np.flatnonzero(positive):
        for other in np.flatnonzero(~positive):
            pair = weights[0, one] * weights[0, other]
            total += pair
            right += pair * (1.0 if scores[one] > scores[other] else 0.5 if scores[one] == scores[other] else 0.0)
    assert auroc(positive, scores, weights)[0] == pytest.approx(right / total)


def test_a_weight_is_a_number_of_copies() -> None:
    positive, scores, weights = drawn(2)
    copies = np.repeat(np.arange(len(scores)), weights[0].astype(int))
    for figure in (auroc, average_precision):
        copied = figure(positive[copies], scores[copies], np.ones((1, len(copies))))
        assert figure(positive, scores, weights[:1]) == pytest.approx(copied)


def test_areas_without_positives_or_negatives_are_not_defined() -> None:
    scores, weights = np.array([0.1, 0.9]), np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
    positive = np.array([False, True])
    assert np.isnan(auroc(positive, scores, weights)).tolist() == [True, True, False]
    assert np.isnan(average_precision(positive, scores, weights)).tolist() == [True, False, False]


def test_brier_terms_add_up_to_the_score() -> None:
    rng = np.random.default_rng(3)
    two = rng.dirichlet([1, 1], size=40)
    labels = rng.integers(2, size=40)
    assert brier_terms(labels, two).mean() == pytest.approx(brier_score_loss(labels, two[:, 1]))
    three = rng.dirichlet([1, 1, 1], size=40)
    labels = rng.integers(3, size=40)
    slow = [sum((row[c] - (c == label)) ** 2 for c in range(3)) for row, label in zip(three, labels, strict=True)]
    np.testing.assert_allclose(brier_terms(labels, three), slow)


def test_calibration_is_the_gap_in_each_bin() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    said = np.array([0.05, 0.08, 0.12, 0.95, 1.0])
    probabilities = np.stack([1 - said, said], axis=1)
    gaps = [abs(0.05 + 0.08), abs(0.12 - 1), abs(0.95 + 1.0 - 2)]
    assert calibration_error(labels, probabilities) == pytest.approx(sum(gaps) / 5)
    three = np.array([[0.5, 0.3, 0.2], [0.1, 0.1, 0.8]])
    assert calibration_error(np.array([0, 1]), three) == pytest.approx((0.5 + 0.8) / 2)
    assert is_right(np.array([0, 1]), three).tolist() == [True, False]
