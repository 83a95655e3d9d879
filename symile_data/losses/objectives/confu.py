"""ConFu: a network fuses the modalities of a row other than the target, and its output is contrasted with the target.

    L = (w sum over t of (CE(s F_t E_t') + CE(s E_t F_t')) / 2  +  (1 - w) CLIP) / (M + M (M - 1) / 2)

with F_t the rows f_t(tuple), where f_t is a network of one hidden layer for each target, w the weight of the fused
terms, and CLIP the sum over pairs. A candidate's score is <f_t(query), candidate>. The scale is fixed.

Source: Koutoupis et al., Contrastive fusion (ConFu), 2025. The paper's networks fuse encoder outputs; here they fuse
the embeddings themselves, so that retrieval needs no more than those and the networks. As in the public code, the
output of a network passes a leaky ReLU after its last layer; its dropout is left out, since ranks must compute one
loss.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.losses.kernels.together import sum_of_contrasts
from symile_data.losses.objective import BatchShape, InnerProductObjective

_SLOPE = 0.2  # of the leaky ReLU


class ConfuLoss(InnerProductObjective):
    """The contrast of fused tuples with targets, and of pairs.

    Args:
        modalities: M.
        dim: D.
        hidden: Width of the networks' hidden layer; D where not given.
        fused_weight: w, from 0 (pairs only) to 1 (fused terms only).
        seed: Seed of the networks' initial weights.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a setting is out of range.
    """

    unit = True
    learns_scale = False

    def __init__(
        self,
        modalities: int,
        dim: int,
        *,
        hidden: int | None = None,
        fused_weight: float = 0.5,
        seed: int = 0,
        gather: bool = False,
    ) -> None:
        super().__init__(gather=gather)
        if not 0 <= fused_weight <= 1:
            raise UsageError("fused_weight is from 0 to 1", got=fused_weight)
        if hidden is not None and hidden < 1:
            raise UsageError("hidden is at least 1", got=hidden)
        self.fused_weight = fused_weight
        width = dim if hidden is None else hidden
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.networks = nn.ModuleList(
                nn.Sequential(
                    nn.Linear((modalities - 1) * dim, width), nn.ReLU(), nn.Linear(width, dim), nn.LeakyReLU(_SLOPE)
                )
                for _ in range(modalities)
            )

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the networks for so many modalities of a width; see `Objective`."""
        return cls(shape.modalities, shape.dim, seed=shape.seed, **settings)

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the weighted mean of fused and pairwise contrasts; see the module."""
        modalities = len(embeddings)
        fused = [self.combine(_others(embeddings, t), t) for t in range(modalities)]
        pairs = list(combinations(embeddings, 2))
        of_fused = sum_of_contrasts(fused, embeddings, scale)
        of_pairs = sum_of_contrasts([a for a, _ in pairs], [b for _, b in pairs], scale)
        total = self.fused_weight * of_fused + (1 - self.fused_weight) * of_pairs
        return total / (len(fused) + len(pairs))

    def combine(self, queries: Mapping[int, Tensor], target: int) -> Tensor:
        """Return the fused unit vectors of queries, (Q, D); see `InnerProductObjective`."""
        joined = torch.cat([queries[m] for m in sorted(queries)], dim=1)
        weights = next(self.networks.parameters())
        # Retrieval brings embeddings that lie on the CPU, whatever device the networks were trained on.
        return F.normalize(self.networks[target](joined.to(weights)), dim=1).to(joined)


def _others(embeddings: Sequence[Tensor], target: int) -> dict[int, Tensor]:
    return {m: embedding for m, embedding in enumerate(embeddings) if m != target}
