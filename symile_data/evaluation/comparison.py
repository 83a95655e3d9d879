"""Compare losses over several seeds: mean and interval of each, and a paired test of their difference.

The same seed gives both losses the same pretrained features, initial weights, order and redrawn rows, so runs with the
same seed are paired. The test is Student's two-sided paired t-test on the differences.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.errors import UsageError

CONFIDENCE = 0.95

_ROUNDING = 64 * 2.0**-52  # relative rounding error of a difference of two averages over many rows
_EQUAL = "all differences are equal up to rounding, so there is no spread to test against"


def compare(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Compare one figure of several losses.

    Args:
        values: Loss -> its value for each seed, in the same order of seeds.

    Returns:
        Loss -> `summary`; and for two losses "difference": the first minus the second, its `summary` with "t" and "p".

    Raises:
        UsageError: the losses have different numbers of values.
    """
    counts = {len(series) for series in values.values()}
    if len(counts) != 1:
        raise UsageError("losses are compared on the same seeds", got=f"{sorted(counts)} values")
    result: dict[str, Any] = {loss: summary(series) for loss, series in values.items()}
    if len(values) == 2 and counts != {1}:
        first, second = values.values()
        result["difference"] = paired_test(first, second)
    return result


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Compute mean and 95% interval of the mean by Student's t. A single value has no interval.

    >>> {key: value if key == "values" else round(value, 3) for key, value in summary([0.8, 0.9, 0.85]).items()}
    {'values': [0.8, 0.9, 0.85], 'mean': 0.85, 'sd': 0.05, 'low': 0.726, 'high': 0.974}
    """
    count, mean = len(values), math.fsum(values) / len(values)
    if count < 2:
        return {"values": list(values), "mean": mean}
    from scipy import stats

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    return {"values": list(values), "mean": mean, "sd": deviation, "low": mean - margin, "high": mean + margin}


def paired_test(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Run Student's paired t-test on two losses over the same seeds.

    Args:
        first: Values of the first loss, one for each seed.
        second: Values of the second loss, in the same order of seeds.

    Returns:
        `summary` of first minus second, with "t" and the two-sided "p". Where the differences are equal up to rounding,
        their spread is only rounding error and a test has no meaning: "t" and "p" are then None and "note" says so
        (zero differences have t = 0 and p = 1).
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    result = summary(differences)
    rounding = _ROUNDING * max(abs(value) for value in (*first, *second))
    if max(differences) - min(differences) <= rounding:
        same = abs(result["mean"]) <= rounding
        return {**result, "t": 0.0 if same else None, "p": 1.0 if same else None, "note": _EQUAL}
    from scipy import stats

    test = stats.ttest_rel(first, second)
    return {**result, "t": float(test.statistic), "p": float(test.pvalue)}
