"""Losses compared over several seeds: mean and interval of each, and a paired test of their difference.

The same seed gives both losses the same pretrained features, initial weights, order and redrawn rows, so that seeds
pair the runs: the test is Student's paired t-test on the differences, two-sided.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.errors import UsageError

CONFIDENCE = 0.95


def compare(values: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """Compare one figure of several losses.

    Args:
        values: Loss -> its value for each seed, in the same order of seeds.

    Returns:
        Loss -> `summary`; and for two losses "difference": the first minus the second, its `summary` with "t" and "p".

    Raises:
        UsageError: other numbers of seeds.
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
    """Mean and 95% interval of the mean by Student's t; one value alone has no interval.

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
    """Student's paired t-test of two losses over the same seeds.

    Returns:
        `summary` of first minus second, with "t" and the two-sided "p". Where all differences are equal there is no
        spread to test against: "t" is None (infinite) and "p" 0, or 0 and 1 where they are zero.
    """
    result = summary([one - other for one, other in zip(first, second, strict=True)])
    if result["sd"] == 0.0:
        same = result["mean"] == 0.0
        return {**result, "t": 0.0 if same else None, "p": 1.0 if same else 0.0}
    from scipy import stats

    t = result["mean"] / (result["sd"] / math.sqrt(len(first)))
    return {**result, "t": t, "p": float(2 * stats.t.sf(abs(t), len(first) - 1))}
