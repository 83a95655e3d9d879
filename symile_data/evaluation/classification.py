"""Figures of a classifier's probabilities, computed for many weightings of the same rows at once.

A bootstrap replicate is a weighting: each row counts as often as its cluster was drawn. One sort of the rows then
serves all replicates.

Legend: N rows, C classes, B weightings.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

AUROC, AUPRC, BRIER, ECE, ACCURACY = "auroc", "auprc", "brier", "ece", "accuracy"
FIGURES = (AUROC, AUPRC, BRIER, ECE, ACCURACY)
BINS = 10  # of the expected calibration error, equally wide

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


def auroc(positive: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute the area under the receiver operating characteristic; a tie of a positive and a negative counts half.

    Args:
        positive: (N,) whether a row is of the class.
        scores: (N,), higher for the class.
        weights: (B, N), not negative.

    Returns:
        (B,) float64; NaN where a weighting has no positives or no negatives.

    >>> auroc(np.array([False, True, True]), np.array([0.2, 0.2, 0.9]), np.ones((1, 3))).tolist()
    [0.75]
    """
    hits, misses = _by_threshold(positive, scores, weights)
    above = np.cumsum(hits, axis=1) - 0.5 * hits
    with np.errstate(invalid="ignore"):
        area: FloatArray = np.sum(above * misses, axis=1) / (hits.sum(axis=1) * misses.sum(axis=1))
    return area


def average_precision(positive: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray) -> FloatArray:
    """Compute the area under the curve of precision and recall as the average precision, in steps.

    Arguments and result are those of `auroc`; NaN where a weighting has no positives.

    >>> average_precision(np.array([False, True, True]), np.array([0.5, 0.2, 0.9]), np.ones((1, 3))).round(3).tolist()
    [0.833]
    """
    hits, misses = _by_threshold(positive, scores, weights)
    found = np.cumsum(hits, axis=1)
    chosen = found + np.cumsum(misses, axis=1)
    with np.errstate(invalid="ignore"):
        precision = found / np.where(chosen > 0, chosen, 1.0)
        area: FloatArray = np.sum(hits * precision, axis=1) / hits.sum(axis=1)
    return area


def brier_terms(labels: IntArray, probabilities: FloatArray) -> FloatArray:
    """Compute each row's term of the Brier score, (N,): the squared error of the probability.

    With two classes it is that of the second class, from 0 to 1. With more it is added up over classes, from 0 to 2.
    """
    wrong = probabilities - np.eye(probabilities.shape[1])[labels]
    terms: FloatArray = wrong[:, 1] ** 2 if probabilities.shape[1] == 2 else np.sum(wrong**2, axis=1)
    return terms


def calibration_error(labels: IntArray, probabilities: FloatArray) -> float:
    """Compute the expected calibration error over `BINS` bins of equal width.

    With two classes, the probability of the second class stands against how often it occurs. With more, that of the
    predicted class stands against how often it is right.

    >>> calibration_error(np.array([0, 1]), np.array([[0.75, 0.25], [0.25, 0.75]]))
    0.25
    """
    if probabilities.shape[1] == 2:
        said, true = probabilities[:, 1], labels == 1
    else:
        said, true = probabilities.max(axis=1), probabilities.argmax(axis=1) == labels
    bins = np.minimum((said * BINS).astype(np.int64), BINS - 1)
    gaps = np.bincount(bins, weights=said - true, minlength=BINS)
    return float(np.abs(gaps).sum() / len(labels))


def is_right(labels: IntArray, probabilities: FloatArray) -> npt.NDArray[np.bool_]:
    """Whether the most probable class of each row is its label, (N,)."""
    return np.asarray(probabilities.argmax(axis=1) == labels)


def _by_threshold(
    positive: npt.NDArray[np.bool_], scores: FloatArray, weights: FloatArray
) -> tuple[FloatArray, FloatArray]:
    """Return the weights of positives and of negatives at each distinct score, (B, K) each, from the highest down."""
    order = np.argsort(-scores, kind="stable")
    sorted_scores, sorted_positive = scores[order], positive[order]
    starts = np.concatenate([[0], np.flatnonzero(np.diff(sorted_scores)) + 1])
    sorted_weights = np.asarray(weights, dtype=np.float64)[:, order]
    hits = np.where(sorted_positive, sorted_weights, 0.0)
    misses = sorted_weights - hits
    if len(starts) == len(scores):  # no ties, the usual case
        return hits, misses
    return np.add.reduceat(hits, starts, axis=1), np.add.reduceat(misses, starts, axis=1)
