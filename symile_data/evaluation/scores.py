"""Score the probabilities that a method gives to the test rows of one label, with intervals, and compare two methods.

A method has one set of probabilities for each seed it was trained with; each figure is the mean over seeds. Intervals
are for the rows, drawn again by cluster (such as patients), the same for every seed and method:

- AUROC of two classes, AUPRC and Brier score: percentiles of a bootstrap of clusters. An AUROC of 0 or 1, whose
  replicates are all alike, has Wilson's interval for as many rows as the rarer class has clusters.
- Macro AUROC of more than two classes: its log-odds, with the standard error of its placements.
- Accuracy: Wilson's interval with the effective number of rows.
- Expected calibration error: none, because its bootstrap replicates are biased upwards.

Legend: N rows, C classes, B bootstrap replicates, G clusters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from .classification import (
    ACCURACY,
    AUPRC,
    AUROC,
    BRIER,
    ECE,
    auroc,
    average_precision,
    brier_terms,
    calibration_error,
    is_right,
)
from .clusters import (
    Clusters,
    bootstrap_test,
    logit_interval,
    paired_mean_test,
    percentile_interval,
    perfect_interval,
    wilson_interval,
)
from .delong import area_test, macro_area, placements

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]

_TERMS = 8_000_000  # weights of rows in replicates that are computed at a time


@dataclass(frozen=True, kw_only=True)
class LabelRows:
    """The test rows of one label.

    Args:
        labels: (N,) class numbers from 0 to C - 1.
        classes: C.
        clusters: Clusters of the rows.
        counts: (B, G) how often each cluster is in each replicate (`clusters.draw_counts`); None for no bootstrap.
    """

    labels: IntArray
    classes: int
    clusters: Clusters
    counts: FloatArray | None = None

    @property
    def main_figure(self) -> str:
        """Return the figure by which methods are shown and tested: AUROC for two classes, accuracy for more."""
        return AUROC if self.classes == 2 else ACCURACY


@dataclass(frozen=True, kw_only=True)
class Score:
    """One figure of one method.

    Args:
        value: Mean over seeds; None where the figure is not defined, as AUROC without positives.
        low: Lower end of the 95% interval; None where there is none.
        high: Upper end.
        seeds: The figure of each seed.
        replicates: (B,) bootstrap replicates of `value`; empty without a bootstrap.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    seeds: Sequence[float | None] = ()
    replicates: FloatArray = field(default_factory=lambda: np.empty(0), repr=False, compare=False)

    def to_json(self) -> dict[str, Any]:
        """Return the figure as JSON: "value", "low", "high" and "seeds"."""
        return {"value": self.value, "low": self.low, "high": self.high, "seeds": list(self.seeds)}


def score(rows: LabelRows, probabilities: Sequence[FloatArray]) -> dict[str, Score]:
    """Score one method on the test rows of one label.

    Args:
        rows: The rows.
        probabilities: For each seed (N, C).

    Returns:
        Figure (`classification.FIGURES`) -> score; AUPRC for two classes only.
    """
    right = np.mean([is_right(rows.labels, one) for one in probabilities], axis=0)
    low, high = wilson_interval(right, rows.clusters)
    found = {
        ACCURACY: Score(
            value=float(right.mean()),
            low=low,
            high=high,
            seeds=[float(np.mean(is_right(rows.labels, one))) for one in probabilities],
        ),
        BRIER: _bootstrapped(rows, [brier_terms(rows.labels, one) for one in probabilities], _weighted_mean),
    }
    errors = [calibration_error(rows.labels, one) for one in probabilities]
    found[ECE] = Score(value=float(np.mean(errors)), seeds=errors)
    if rows.classes > 2:
        return {**found, AUROC: _macro(rows, probabilities)}
    positive = rows.labels == 1
    columns = [one[:, 1] for one in probabilities]
    found[AUROC] = _not_certain(
        rows, _bootstrapped(rows, columns, lambda column, weights: auroc(positive, column, weights))
    )
    found[AUPRC] = _bootstrapped(rows, columns, lambda column, weights: average_precision(positive, column, weights))
    return found


def compare_scores(rows: LabelRows, first: Sequence[FloatArray], second: Sequence[FloatArray]) -> dict[str, Any]:
    """Test whether two methods have the same main figure on the same rows.

    AUROC is compared by DeLong's test, accuracy by a paired t-test, both by cluster and with the mean over seeds.

    Args:
        rows: The rows.
        first: For each seed of the first method (N, C).
        second: For each seed of the second method (N, C).

    Returns:
        "figure", "test", "difference" of first minus second, "low", "high" and "p"; the latter three are None where
        the figure is not defined.
    """
    if rows.main_figure == ACCURACY:
        right = [np.mean([is_right(rows.labels, one) for one in method], axis=0) for method in (first, second)]
        return {"figure": ACCURACY, "test": "paired t", **paired_mean_test(right[0], right[1], rows.clusters)}
    positive = rows.labels == 1
    described = {"figure": AUROC, "test": "DeLong"}
    if positive.all() or not positive.any():
        return {**described, "difference": None, "low": None, "high": None, "p": None}
    placed = [np.mean([placements(positive, one[:, 1]) for one in method], axis=0) for method in (first, second)]
    return {**described, **area_test(positive, placed[0], placed[1], rows.clusters)}


def mean_score(scores: Sequence[Score]) -> Score:
    """Average one figure of one method over labels, with the interval of replicates that all labels share.

    Labels for which the figure is not defined are left out; the result has no value where it is defined for none.
    """
    known = [one for one in scores if one.value is not None]
    if not known:
        return Score(value=None)
    by_seed = [float(np.mean([values[place] for values in _seeds(known)])) for place in range(len(_seeds(known)[0]))]
    bounds, replicates = None, np.empty(0)
    if all(len(one.replicates) for one in known):
        stacked = np.stack([one.replicates for one in known])
        defined = ~np.isnan(stacked)
        total = np.where(defined, stacked, 0.0).sum(axis=0)
        replicates = np.where(defined.any(axis=0), total / np.maximum(defined.sum(axis=0), 1), np.nan)
        bounds = percentile_interval(replicates)
    low, high = bounds or (None, None)
    return Score(value=float(np.mean(by_seed)), low=low, high=high, seeds=by_seed, replicates=replicates)


def compare_means(first: Score, second: Score) -> dict[str, Any]:
    """Test whether two methods have the same mean over labels, by the bootstrap replicates that they share.

    Returns:
        As `compare_scores`, without "figure".
    """
    described: dict[str, Any] = {"test": "paired bootstrap", "difference": None, "low": None, "high": None, "p": None}
    if first.value is None or second.value is None:
        return described
    if not len(first.replicates) or not len(second.replicates):
        return {**described, "difference": first.value - second.value}
    return {**described, **bootstrap_test(first.replicates - second.replicates, first.value - second.value)}


def _seeds(scores: Sequence[Score]) -> list[list[float]]:
    return [[math.nan if value is None else value for value in one.seeds] for one in scores]


def _weighted_mean(terms: FloatArray, weights: FloatArray) -> FloatArray:
    with np.errstate(invalid="ignore"):
        mean: FloatArray = np.asarray(weights @ terms / weights.sum(axis=1))
    return mean


def _bootstrapped(
    rows: LabelRows, seeds: Sequence[FloatArray], figure: Callable[[FloatArray, FloatArray], FloatArray]
) -> Score:
    """Compute a figure of values (N,) of each seed under weights (B, N), and its interval over replicates."""
    once = np.ones((1, len(rows.labels)))
    found = [float(figure(values, once)[0]) for values in seeds]
    if any(map(math.isnan, found)):
        return Score(value=None, seeds=[None] * len(found))
    replicates = np.empty(0)
    if rows.counts is not None:
        step = max(1, _TERMS // len(rows.labels))
        parts = []
        for start in range(0, len(rows.counts), step):
            weights = rows.counts[start : start + step][:, rows.clusters.numbers]
            parts.append(np.mean([figure(values, weights) for values in seeds], axis=0))
        replicates = np.concatenate(parts)
    bounds = percentile_interval(replicates) if len(replicates) else None
    low, high = bounds or (None, None)
    return Score(value=float(np.mean(found)), low=low, high=high, seeds=found, replicates=replicates)


def _not_certain(rows: LabelRows, area: Score) -> Score:
    """Give an area of 0 or 1, whose replicates are all alike, an interval by the clusters of the rarer class."""
    if area.value not in (0.0, 1.0) or area.low is None:
        return area
    positive = rows.labels == 1
    rarer = min(rows.clusters.take(positive).present(), rows.clusters.take(~positive).present())
    low, high = perfect_interval(area.value, rarer)
    return replace(area, low=low, high=high)


def _macro(rows: LabelRows, probabilities: Sequence[FloatArray]) -> Score:
    value, error = macro_area(rows.labels, probabilities, rows.clusters)
    if math.isnan(value):
        return Score(value=None, seeds=[None] * len(probabilities))
    low, high = (None, None) if math.isnan(error) else logit_interval(value, error)
    seeds = [macro_area(rows.labels, [one], rows.clusters)[0] for one in probabilities]
    return Score(value=value, low=low, high=high, seeds=seeds)
