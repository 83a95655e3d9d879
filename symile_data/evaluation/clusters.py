"""Statistics of rows that come in clusters, such as the admissions of patients.

Rows of one cluster are not independent, so a bootstrap draws whole clusters, and a standard error adds up what each
cluster contributes. Where every row is its own cluster, these are the usual statistics of independent rows.

Legend: N rows, G clusters, B bootstrap replicates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.rng import Stream

CONFIDENCE = 0.95

_MOST_UNDEFINED = 0.5  # share of replicates without a value above which there is no interval

FloatArray = npt.NDArray[np.floating]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Clusters:
    """The clusters of some rows.

    Args:
        numbers: (N,) int64, from 0 to G - 1.
        count: G.
    """

    numbers: IntArray
    count: int

    @classmethod
    def of(cls, values: npt.NDArray[Any]) -> Clusters:
        """Number the distinct values of a column (N,): equal values are one cluster."""
        there, numbers = np.unique(values, return_inverse=True)
        return cls(numbers.astype(np.int64), len(there))

    def take(self, rows: npt.NDArray[Any]) -> Clusters:
        """Return the clusters of some of the rows, by index or mask. Clusters without rows stay counted in G."""
        return Clusters(self.numbers[rows], self.count)

    def present(self) -> int:
        """Count the clusters that have rows."""
        return len(np.unique(self.numbers))

    def sums(self, values: FloatArray) -> FloatArray:
        """Add the values of each cluster up: (N,) to (G,) float64."""
        sums: FloatArray = np.bincount(self.numbers, weights=values, minlength=self.count).astype(np.float64)
        return sums


def draw_counts(clusters: int, replicates: int, seed: int = 0) -> FloatArray:
    """Draw how often each cluster is in each bootstrap replicate, which has as many clusters as the data.

    Returns:
        (B, G) float32.

    Raises:
        UsageError: fewer than two replicates.
    """
    if replicates < 2:
        raise UsageError("a bootstrap needs at least two replicates", got=replicates)
    generator = Stream(seed, "evaluation/bootstrap").generator(clusters)
    drawn = generator.multinomial(clusters, np.full(clusters, 1.0 / clusters), size=replicates)
    return drawn.astype(np.float32)


def percentile_interval(replicates: FloatArray) -> tuple[float, float] | None:
    """Return the 95% interval of a figure from its replicates (B,), NaN where it is not defined.

    The interval cannot leave the values that the figure can have. None where more than half of the replicates have no
    value, as the area under a curve has none in replicates without positives.
    """
    known = replicates[~np.isnan(replicates)]
    if len(known) <= _MOST_UNDEFINED * len(replicates):
        return None
    low, high = np.quantile(known, [(1 - CONFIDENCE) / 2, (1 + CONFIDENCE) / 2])
    return float(low), float(high)


def wilson_interval(values: FloatArray, clusters: Clusters) -> tuple[float, float]:
    """Compute Wilson's 95% interval of a mean of values from 0 to 1, such as an accuracy. It stays within 0 and 1.

    The number of rows in Wilson's formula is the effective one: that of independent rows whose mean has the variance
    that the clusters show, at most N. Where all values are 0 or all 1, the variance shows nothing, and the number of
    clusters takes its place. (Wilson 1927; effective size as by Korn and Graubard 1998.)

    >>> low, high = wilson_interval(np.array([1.0] * 8 + [0.0] * 2), Clusters.of(np.arange(10)))
    >>> round(low, 3), round(high, 3)
    (0.49, 0.943)
    """
    from scipy import stats

    mean, rows = float(np.mean(values)), float(clusters.present())
    if 0.0 < mean < 1.0 and (error := clustered_error(values, clusters)) > 0.0:
        independent = mean * (1 - mean) / (len(values) - 1)  # variance of the mean over independent rows
        rows = len(values) * min(1.0, independent / error**2)
    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    centre = (mean + z**2 / (2 * rows)) / (1 + z**2 / rows)
    margin = z / (1 + z**2 / rows) * math.sqrt(mean * (1 - mean) / rows + z**2 / (4 * rows**2))
    return max(0.0, centre - margin), min(1.0, centre + margin)


def perfect_interval(value: float, rows: int) -> tuple[float, float]:
    """Compute Wilson's 95% interval of a share that is 0 or 1 in that many independent rows.

    It stands for the bootstrap, which has no spread where no row is wrong.

    >>> tuple(round(bound, 3) for bound in perfect_interval(1.0, 14))
    (0.785, 1.0)
    """
    from scipy import stats

    z = float(stats.norm.ppf((1 + CONFIDENCE) / 2))
    margin = z**2 / (rows + z**2)
    return (1.0 - margin, 1.0) if value == 1.0 else (0.0, margin)


def logit_interval(value: float, error: float) -> tuple[float, float]:
    """Compute the 95% interval of a share from its standard error, for its log-odds, so that it stays within 0 and 1.

    >>> tuple(round(bound, 3) for bound in logit_interval(0.9, 0.05))
    (0.752, 0.964)
    """
    from scipy import special, stats

    if not 0.0 < value < 1.0 or error == 0.0:
        return value, value
    shift = float(stats.norm.ppf((1 + CONFIDENCE) / 2)) * error / (value * (1 - value))
    centre = special.logit(value)
    return float(special.expit(centre - shift)), float(special.expit(centre + shift))


def clustered_error(values: FloatArray, clusters: Clusters) -> float:
    """Compute the standard error of the mean of values (N,) over rows in clusters; 0 with fewer than two clusters."""
    present = clusters.present()
    if present < 2:
        return 0.0
    sums = clusters.sums(values - np.mean(values))
    return math.sqrt(float(np.sum(sums**2)) * present / (present - 1)) / len(values)


def paired_mean_test(first: FloatArray, second: FloatArray, clusters: Clusters) -> dict[str, Any]:
    """Test whether two methods have the same mean over the same rows, such as the same accuracy.

    Args:
        first: (N,) values of the first method, such as 1 where its prediction is right.
        second: (N,) values of the second method.
        clusters: The clusters of the rows.

    Returns:
        "difference" of first minus second with its 95% interval "low" and "high", and the two-sided "p" by Student's
        t with one degree of freedom less than clusters; "p" is None where the clusters' differences have no spread.
    """
    from scipy import stats

    differences = np.asarray(first, dtype=np.float64) - second
    found, error = float(np.mean(differences)), clustered_error(differences, clusters)
    freedom = clusters.present() - 1
    return difference_result(
        found,
        error,
        quantile=float(stats.t.ppf((1 + CONFIDENCE) / 2, freedom)) if freedom > 0 else math.inf,
        p=float(2 * stats.t.sf(abs(found) / error, freedom)) if error else None,
    )


def difference_result(found: float, error: float, *, quantile: float, p: float | None) -> dict[str, Any]:
    """Describe the difference of two shares: its interval is cut off at -1 and 1; p is 1 where nothing differs."""
    margin = quantile * error if error else 0.0
    return {
        "difference": found,
        "low": max(-1.0, found - margin),
        "high": min(1.0, found + margin),
        "p": 1.0 if p is None and found == 0.0 else p,
    }


def bootstrap_test(replicates: FloatArray, found: float) -> dict[str, Any]:
    """Describe a difference of two methods by its bootstrap replicates (B,), which both methods share.

    Returns:
        As `paired_mean_test`. "p" is twice the smaller share of replicates on one side of 0, counting one more on
        either side, so that it is never 0; it has the resolution of B.
    """
    known = replicates[~np.isnan(replicates)]
    bounds = percentile_interval(replicates)
    if bounds is None:
        return {"difference": found, "low": None, "high": None, "p": None}
    tail = min(np.sum(known <= 0.0), np.sum(known >= 0.0))
    p = min(1.0, 2.0 * (int(tail) + 1) / (len(known) + 1))
    return {"difference": found, "low": bounds[0], "high": bounds[1], "p": p}
