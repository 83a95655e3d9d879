"""Zero-shot retrieval: find the target modality of each row among all rows, given its other modalities.

Protocol of the paper (section 5.2): every row of the split is a candidate, the best score is retrieved, and a hit is
a candidate of the right class. Symile ranks by the multilinear inner product, CLIP by the sum of pairwise inner
products.

Legend: N rows, D embedding size.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses import mip_scores, pairwise_scores

CHUNK = 1024  # queries scored at a time, which bounds memory to CHUNK x N scores

_SCORES = {"symile": mip_scores, "clip": pairwise_scores}


@dataclass(frozen=True)
class Embedded:
    """The embeddings and labels of some rows.

    Args:
        values: Modality name -> (N, D) float32.
        labels: (N,) int64, in a batch also (N, K) vectors.
    """

    values: Mapping[str, Tensor]
    labels: Tensor

    @classmethod
    def join(cls, parts: Sequence[Embedded]) -> Embedded:
        """Rows of several batches, in order; labels that are vectors (N, K) become numbers, equal for equal vectors."""
        names = parts[0].values if parts else {}
        labels = torch.cat([part.labels for part in parts]) if parts else torch.empty(0, dtype=torch.long)
        if labels.dim() > 1:
            labels = torch.unique(labels, dim=0, return_inverse=True)[1]
        return cls({name: torch.cat([part.values[name] for part in parts]) for name in names}, labels)

    def shuffled(self, modality: str, generator: torch.Generator) -> Embedded:
        """The same rows with one modality's values handed to other rows at random."""
        order = torch.randperm(len(self.labels), generator=generator)
        return Embedded({**self.values, modality: self.values[modality][order]}, self.labels)


def hits(embedded: Embedded, target: str, loss: str) -> Tensor:
    """Which rows retrieve a candidate of their own label.

    Args:
        target: Modality that is retrieved, among all N rows.
        loss: "symile" or "clip"; decides the score.

    Returns:
        (N,) bool.

    Raises:
        UsageError: there are no rows.
    """
    if not len(embedded.labels):
        raise UsageError("there is no row with all modalities to evaluate on", do="use a split that is not masked")
    candidates = embedded.values[target]
    queries = [value for name, value in embedded.values.items() if name != target]
    found = []
    for start in range(0, len(candidates), CHUNK):
        scores = _SCORES[loss]([query[start : start + CHUNK] for query in queries], candidates)
        found.append(embedded.labels[scores.argmax(dim=1)] == embedded.labels[start : start + CHUNK])
    return torch.cat(found)


def retrieval_accuracy(embedded: Embedded, target: str, loss: str) -> float:
    """Share of rows that retrieve a candidate of their own label."""
    return hits(embedded, target, loss).float().mean().item()


def chance(labels: Tensor) -> float:
    """Expected accuracy of a random candidate: the probability that two rows have one label.

    >>> chance(torch.tensor([0, 0, 1, 1]))
    0.5
    """
    counts = torch.bincount(labels).double()
    return float((counts**2).sum() / len(labels) ** 2)
