"""The XOR experiments (Symile, section 5.1): points of the two sweeps, and their results as rows of a table.

In the p-hat sweep the share of XOR rows rises from 0 to 1: Symile should follow the Bayes-optimal accuracy and CLIP
should do no better than a random candidate, however informative the pairs are. In the missingness sweep all rows are
XOR rows, and each variable is missing in more and more training and validation rows; the test split stays complete.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.datasets.xor.information import (
    bayes_accuracy,
    conditional_information,
    pair_information,
    total_correlation,
)
from symile_data.losses.objectives import COMPARED

from .tables import TITLES, Accuracies, accuracy, by_objective

P_HATS = tuple(tenths / 10 for tenths in range(11))  # those of the paper's figure 3
RATES = (0.0, 0.2, 0.4, 0.5, 0.6, 0.65, 0.7, 0.75)  # the upper ones are those of Symile-M3, section 5.2


def p_hat_row(p_hat: float, dims: int, seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """Collect the exact and the measured values at one p-hat.

    Args:
        p_hat: Share of XOR rows.
        dims: Number of bits of a variable.
        seeds: The test accuracy by objective, for each seed.

    Returns:
        "p_hat", "bayes", "random_candidate" (one of the values of b), the information terms in nats ("pair",
        "conditional", "total_correlation"; see `datasets.xor.information`), and for each objective its `summary`.
    """
    return {
        "p_hat": p_hat,
        "bayes": bayes_accuracy(p_hat, dims),
        "random_candidate": 2.0**-dims,
        "pair": pair_information(p_hat, dims),
        "conditional": conditional_information(p_hat, dims),
        "total_correlation": total_correlation(p_hat, dims),
        **by_objective(seeds),
    }


def missing_row(rate: float, variables: int, dims: int, seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """Collect the exact and the measured values at one rate of missing values.

    Args:
        rate: Rate at which each variable is missing.
        variables: Number of variables.
        dims: Number of bits of a variable.
        seeds: The test accuracy by objective, for each seed.

    Returns:
        "rate", "complete" (expected share of complete training rows), "random_candidate" (one of the values of b), and
        for each objective its `summary`.

    >>> missing_row(0.5, 3, 5, [{"symile": 1.0}])["complete"]
    0.125
    """
    return {"rate": rate, "complete": (1 - rate) ** variables, "random_candidate": 2.0**-dims, **by_objective(seeds)}


def p_hat_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Format rows of `p_hat_row` as cells, the header first."""
    table = [["p-hat", *TITLES, "Bayes", "I(a;c)", "I(a;b|c)", "TC"]]
    for row in rows:
        terms = [f"{abs(row[name]):.3f}" for name in ("pair", "conditional", "total_correlation")]
        accuracies = [accuracy(row[objective]) for objective in COMPARED]
        table.append([f"{row['p_hat']:g}", *accuracies, f"{row['bayes']:.4f}", *terms])
    return table


def missing_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Format rows of `missing_row` as cells, the header first."""
    table = [["missing", "complete rows", *TITLES, "random candidate"]]
    for row in rows:
        accuracies = [accuracy(row[objective]) for objective in COMPARED]
        table.append(
            [f"{row['rate']:g}", f"{100 * row['complete']:.1f} %", *accuracies, f"{row['random_candidate']:.4f}"]
        )
    return table
