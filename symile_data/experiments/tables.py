"""Summarise the results of all experiments over several seeds, and format them as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, stdev
from typing import Any

from symile_data.losses.objectives import COMPARED, OBJECTIVES

# Names in tables of the objectives that the paper compares.
TITLES = tuple(OBJECTIVES[objective].title for objective in COMPARED)

# Objective -> accuracy for one seed; it may also have ceilings by name.
Accuracies = Mapping[str, float]


def summary(values: Sequence[float]) -> dict[str, Any]:
    """Compute mean and standard deviation (None for a single value) of the values of several seeds.

    >>> summary([0.5, 0.7])["mean"], summary([0.5])["deviation"]
    (0.6, None)
    """
    return {
        "mean": fmean(values),
        "deviation": stdev(values) if len(values) > 1 else None,
        "values": list(values),
    }


def by_objective(seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """Return the `summary` of the accuracies of each objective."""
    return {
        objective: summary([accuracies[objective] for accuracies in seeds])
        for objective in seeds[0]
        if objective in COMPARED
    }


def accuracy(result: Mapping[str, Any]) -> str:
    """Format a `summary` as a table cell.

    >>> accuracy(summary([0.5, 0.5])), accuracy(summary([1.0]))
    ('0.5000 ± 0.0000', '1.0000')
    """
    return f"{result['mean']:.4f}" + ("" if result["deviation"] is None else f" ± {result['deviation']:.4f}")


def markdown(table: Sequence[Sequence[str]]) -> str:
    r"""Format a table as Markdown.

    >>> markdown([["a", "I(a;b|c)"], ["1", "2"]])
    '| a | I(a;b\\|c) |\n|---|---|\n| 1 | 2 |\n'
    """
    escaped = [[cell.replace("|", "\\|") for cell in cells] for cells in table]
    lines = [f"| {' | '.join(cells)} |" for cells in escaped]
    return "\n".join([lines[0], "|---" * len(table[0]) + "|", *lines[1:], ""])
