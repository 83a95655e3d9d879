"""Tests of areas under the receiver operating characteristic that several classifiers have on the same rows.

The covariance of the areas is that of DeLong, DeLong and Clarke-Pearson (Biometrics 1988), and for rows in clusters,
such as the admissions of patients, Obuchowski's (Biometrics 1997), which is the same where each row is its own cluster.
A cluster may have positives and negatives.

The placement of a row is the share of rows of the other class on whose right side its score lies, ties counting half;
the area is the mean placement of positives, and of negatives. Areas of several seeds are averaged by averaging
placements.

Legend: N rows, K classifiers, C classes.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from .clusters import CONFIDENCE, Clusters, difference_result

_ROUNDING = 1e-24  # a variance that only rounding makes different from 0

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


def placements(positive: BoolArray, scores: FloatArray) -> FloatArray:
    """Compute the placement of every row, (N,) float64. Both classes must have rows.

    >>> placements(np.array([True, True, False]), np.array([0.9, 0.2, 0.2])).tolist()
    [1.0, 0.5, 0.75]
    """
    from scipy import stats

    ranks = stats.rankdata(scores)
    own = np.empty(len(scores))
    own[positive], own[~positive] = stats.rankdata(scores[positive]), stats.rankdata(scores[~positive])
    others = np.where(positive, np.sum(~positive), np.sum(positive))
    below = (ranks - own) / others
    placed: FloatArray = np.where(positive, below, 1.0 - below)
    return placed


def areas_and_covariance(
    positive: BoolArray, placed: Sequence[FloatArray], clusters: Clusters
) -> tuple[FloatArray, FloatArray]:
    """Compute the areas of some classifiers and their covariance.

    Args:
        positive: (N,) whether a row is of the class.
        placed: K times (N,), the `placements` by each classifier, or their mean over its seeds.
        clusters: The clusters of the rows.

    Returns:
        (K,) and (K, K) float64. The covariance is NaN where a class has rows of one cluster only.
    """
    table = np.stack([np.asarray(one, dtype=np.float64) for one in placed])
    areas = table[:, positive].mean(axis=1)
    centred = table - areas[:, None]
    counts = [int(np.sum(positive)), int(np.sum(~positive))]
    sums = [
        np.stack([clusters.take(rows).sums(row[rows]) for row in centred]) for rows in (positive, ~positive)
    ]  # (K, G) each
    with_rows = [clusters.take(rows).present() for rows in (positive, ~positive)]
    if min(with_rows) < 2:
        return areas, np.full((len(table), len(table)), np.nan)
    covariance = np.zeros((len(table), len(table)))
    for total, count, present in zip(sums, counts, with_rows, strict=True):
        covariance += present / (present - 1) * (total @ total.T) / count**2
    present = clusters.present()
    both = present / (present - 1) * (sums[0] @ sums[1].T) / (counts[0] * counts[1])
    return areas, covariance + both + both.T


def area_test(positive: BoolArray, first: FloatArray, second: FloatArray, clusters: Clusters) -> dict[str, Any]:
    """Test whether two classifiers have the same area on the same rows.

    Args:
        positive: (N,) whether a row is of the class.
        first: (N,) placements by the first classifier.
        second: (N,) placements by the second one.
        clusters: The clusters of the rows.

    Returns:
        "difference" of first minus second, its 95% interval "low" and "high" and the two-sided "p" by the normal
        distribution; "p" is None where the difference has no spread or a class has rows of one cluster only.
    """
    from scipy import stats

    areas, covariance = areas_and_covariance(positive, [first, second], clusters)
    found = float(areas[0] - areas[1])
    variance = float(covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1])
    if math.isnan(variance):
        return {"difference": found, "low": None, "high": None, "p": None}
    error = math.sqrt(variance) if variance > _ROUNDING else 0.0
    return difference_result(
        found,
        error,
        quantile=float(stats.norm.ppf((1 + CONFIDENCE) / 2)),
        p=float(2 * stats.norm.sf(abs(found) / error)) if error else None,
    )


def macro_area(labels: IntArray, probabilities: Sequence[FloatArray], clusters: Clusters) -> tuple[float, float]:
    """Compute the mean over classes of the area of each class against all others, and its standard error.

    Args:
        labels: (N,) class numbers.
        probabilities: For each seed (N, C); the area is the mean over seeds.
        clusters: The clusters of the rows.

    Returns:
        Area and standard error. Classes without rows, and a class that all rows have, do not count; both numbers are
        NaN where no class counts.
    """
    there = [one for one in np.unique(labels) if 0 < np.sum(labels == one) < len(labels)]
    if not there:
        return math.nan, math.nan
    areas, influence = [], np.zeros(len(labels))
    for one in there:
        positive = labels == one
        placed = np.mean([placements(positive, values[:, one]) for values in probabilities], axis=0)
        areas.append(placed[positive].mean())
        influence += (placed - areas[-1]) / np.where(positive, np.sum(positive), np.sum(~positive))
    present = clusters.present()
    spread = float(np.sum(clusters.sums(influence / len(there)) ** 2))
    error = math.sqrt(spread * present / (present - 1)) if present > 1 else math.nan
    return float(np.mean(areas)), error
