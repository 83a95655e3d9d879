"""Bootstrap intervals of retrieval figures: the queries are resampled with replacement B times.

Every query keeps its candidates, either all rows or its set, so it never loses its right answers. The paper's
evaluation of Symile-M3 resamples the candidates independently of the queries; a third of the queries then lose their
only right answer, which makes the task harder. The intervals cover the figure of new queries of the same kind: in a
simulation in the tests the intervals of the accuracy do so 93 to 97 times in 100, with one, four and twenty right
answers to a query. Figures near 0 or 1 have too few misses or hits for any interval of this form.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from symile_data.errors import UsageError

from .embeddings import Embeddings
from .retrieval import Retrieval, figures, ranks_of

_CONFIDENCE = 0.95
_POSSIBLE = {"median_rank": (1.0, math.inf)}  # all other figures are fractions, from 0 to 1


def bootstrap(
    embedded: Embeddings, retrieval: Retrieval, replicates: int, seed: int = 0
) -> dict[str, dict[str, float]]:
    """Bootstrap the retrieval figures of some rows.

    Args:
        embedded: The rows.
        retrieval: The protocol.
        replicates: B, which is 10 in the paper.
        seed: Seed of the resampling.

    Returns:
        Figure -> "mean" over the replicates, "se" (their standard deviation, the bootstrap's estimate of the standard
        error), and "low" and "high", the 95% interval of `interval`.

    Raises:
        UsageError: fewer than two replicates.
    """
    if replicates < 2:
        raise UsageError("a bootstrap needs at least two replicates", got=replicates)
    found = ranks_of(embedded, retrieval)
    rows = len(found.above)
    generator = torch.Generator().manual_seed(seed)
    samples = [figures(found.take(torch.randint(rows, (rows,), generator=generator))) for _ in range(replicates)]
    return {
        name: interval(
            torch.tensor([sample[name] for sample in samples], dtype=torch.float64), _POSSIBLE.get(name, (0.0, 1.0))
        )
        for name in samples[0]
    }


def interval(replicates: Tensor, possible: tuple[float, float] = (-math.inf, math.inf)) -> dict[str, float]:
    """Compute mean, standard error and 95% interval of a figure from its replicates.

    The interval uses the quantile of Student's t with B - 1 degrees of freedom instead of the normal one, and adds the
    standard error of the mean, se / sqrt(B). Few replicates therefore give a wide interval instead of one that misses
    too often. The bounds stay within the possible values.

    Args:
        replicates: (B,) values of the figure.
        possible: Least and greatest possible value of the figure.
    """
    from scipy import stats

    count = len(replicates)
    mean, error = replicates.mean().item(), replicates.std().item()
    margin = float(stats.t.ppf((1 + _CONFIDENCE) / 2, count - 1)) * error * (1 + 1 / count) ** 0.5
    return {"mean": mean, "se": error, "low": max(mean - margin, possible[0]), "high": min(mean + margin, possible[1])}
