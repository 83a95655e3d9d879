"""Bootstrap intervals of retrieval figures, as in the paper: B times, the rows are drawn again with replacement.

Where all rows are candidates, the candidates too are drawn again, apart from the queries, as the paper's evaluation of
Symile-M3 does; with sets of candidates each drawn row keeps its own set, as its evaluation of Symile-MIMIC does.
"""

from __future__ import annotations

import math

import torch

from symile_data.errors import UsageError
from symile_data.evaluation.embedded import Embedded
from symile_data.evaluation.retrieval import Retrieval, figures, standings

_NORMAL_95 = 1.959964  # standard errors on each side of a 95% interval


def bootstrap(embedded: Embedded, retrieval: Retrieval, replicates: int, seed: int = 0) -> dict[str, dict[str, float]]:
    """Figures with intervals.

    Args:
        embedded: The rows.
        retrieval: Protocol.
        replicates: B, 10 in the paper.
        seed: Of the draws.

    Returns:
        Figure -> "mean" over the replicates, "se" (their standard deviation, the bootstrap's estimate of the standard
        error), and "low" and "high", 95% by the normal approximation.

    Raises:
        UsageError: fewer than two replicates.
    """
    if replicates < 2:
        raise UsageError("a bootstrap needs at least two replicates", got=replicates)
    generator = torch.Generator().manual_seed(seed)
    rows = len(embedded.labels)
    queries = torch.randint(rows, (replicates, rows), generator=generator)
    weights = None
    if not retrieval.candidates:
        drawn = torch.randint(rows, (replicates, rows), generator=generator)
        weights = torch.stack([torch.bincount(row, minlength=rows) for row in drawn])
    found = standings(embedded, retrieval, weights)
    every = found if weights is not None else found * replicates
    samples = [figures(standing.take(index)) for standing, index in zip(every, queries, strict=True)]
    return {name: _interval([sample[name] for sample in samples]) for name in samples[0]}


def _interval(values: list[float]) -> dict[str, float]:
    mean = math.fsum(values) / len(values)
    error = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return {"mean": mean, "se": error, "low": mean - _NORMAL_95 * error, "high": mean + _NORMAL_95 * error}
