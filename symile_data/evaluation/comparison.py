"""Compare objectives over several seeds: mean and interval of each, and paired tests of each against the first.

The same seed gives all objectives the same pretrained features, initial weights, order and redrawn rows, so runs
with the same seed are paired. The test is Student's two-sided paired t-test on the differences. With several tests,
Holm's step-down procedure (Holm 1979) keeps the probability of any false finding among them below the level.

The interval of a mean is Student's. That of a mean of shares, such as accuracies, is computed for its log-odds, with
the standard error by the delta method, so that it stays within 0 and 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.errors import UsageError

CONFIDENCE = 0.95

_ROUNDING = 64 * 2.0**-52  # relative rounding error of a difference of two averages over many rows
_EQUAL = "all differences are equal up to rounding, so there is no spread to test against"


def compare(values: Mapping[str, Sequence[float]], *, shares: bool = False) -> dict[str, Any]:
    """Compare one figure of several objectives.

    Args:
        values: Objective -> its value for each seed, in the same order of seeds.
        shares: Whether the values are shares, from 0 to 1, such as accuracies.

    Returns:
        Objective -> `summary`; and for two or more objectives with two or more seeds "differences": each objective but
        the first -> `paired_test` of the first with it, with "p_holm": p adjusted for all of these tests by `holm`.

    Raises:
        UsageError: the objectives have different numbers of values.
    """
    counts = {len(series) for series in values.values()}
    if len(counts) != 1:
        raise UsageError("objectives are compared on the same seeds", got=f"{sorted(counts)} values")
    result: dict[str, Any] = {name: summary(series, shares=shares) for name, series in values.items()}
    if len(values) > 1 and counts != {1}:
        (_, first), *others = values.items()
        tests = {name: paired_test(first, series, shares=shares) for name, series in others}
        adjusted = holm([test["p"] for test in tests.values()])
        result["differences"] = {
            name: {**test, "p_holm": p} for (name, test), p in zip(tests.items(), adjusted, strict=True)
        }
    return result


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Adjust the p-values of a family of tests by Holm's step-down procedure.

    The k-th smallest of m, k from 0, is multiplied by m - k; an adjusted value is never below that of a smaller p, nor
    above 1. A test without p, because there is no spread to test against, counts among the m and stays without.

    >>> holm([0.01, 0.04, 0.03, None])
    [0.04, 0.09, 0.09, None]
    """
    adjusted: list[float | None] = [None] * len(p_values)
    known = [(p, place) for place, p in enumerate(p_values) if p is not None]
    highest = 0.0
    for rank, (p, place) in enumerate(sorted(known)):
        highest = max(highest, min(1.0, p * (len(p_values) - rank)))
        adjusted[place] = highest
    return adjusted


def summary(values: Sequence[float], *, shares: bool = False) -> dict[str, Any]:
    """Compute mean and 95% interval of the mean by Student's t. A single value has no interval.

    Args:
        values: One for each seed.
        shares: Whether they are shares; the interval then stays within 0 and 1 and is not symmetric. Equal values have
            an interval of length 0.

    >>> {key: value if key == "values" else round(value, 3) for key, value in summary([0.8, 0.9, 0.85]).items()}
    {'values': [0.8, 0.9, 0.85], 'mean': 0.85, 'sd': 0.05, 'low': 0.726, 'high': 0.974}
    >>> {key: round(value, 3) for key, value in summary([0.8, 1.0, 0.9], shares=True).items() if key != "values"}
    {'mean': 0.9, 'sd': 0.1, 'low': 0.363, 'high': 0.993}
    """
    count, mean = len(values), math.fsum(values) / len(values)
    if count < 2:
        return {"values": list(values), "mean": mean}
    from scipy import special, stats

    deviation = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (count - 1))
    margin = float(stats.t.ppf((1 + CONFIDENCE) / 2, count - 1)) * deviation / math.sqrt(count)
    low, high = mean - margin, mean + margin
    if shares:
        low = high = mean
        if 0.0 < mean < 1.0 and min(values) < max(values):
            odds = margin / (mean * (1.0 - mean))
            low, high = (float(special.expit(special.logit(mean) + shift)) for shift in (-odds, odds))
    return {"values": list(values), "mean": mean, "sd": deviation, "low": low, "high": high}


def paired_test(first: Sequence[float], second: Sequence[float], *, shares: bool = False) -> dict[str, Any]:
    """Run Student's paired t-test on two objectives over the same seeds.

    Args:
        first: Values of the first objective, one for each seed.
        second: Values of the second objective, in the same order of seeds.
        shares: Whether the values are shares; the interval of their difference is then cut off at -1 and 1.

    Returns:
        `summary` of first minus second, with "t" and the two-sided "p". Where the differences are equal up to rounding,
        their spread is only rounding error and a test has no meaning: "t" and "p" are then None and "note" says so
        (zero differences have t = 0 and p = 1).
    """
    differences = [one - other for one, other in zip(first, second, strict=True)]
    result = summary(differences)
    if shares:
        result |= {name: min(1.0, max(-1.0, result[name])) for name in ("low", "high") if name in result}
    rounding = _ROUNDING * max(abs(value) for value in (*first, *second))
    if max(differences) - min(differences) <= rounding:
        same = abs(result["mean"]) <= rounding
        return {**result, "t": 0.0 if same else None, "p": 1.0 if same else None, "note": _EQUAL}
    from scipy import stats

    test = stats.ttest_rel(first, second)
    return {**result, "t": float(test.statistic), "p": float(test.pvalue)}
