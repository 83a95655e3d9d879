"""Symile with neutral stand-ins: a missing modality becomes a vector of ones, which leaves products as they are.

A row that lacks a modality is then contrasted by the product of those it has, one order lower. Rows that lack the same
modality share one value of it, so that copies of a positive turn up among its negatives; `share_values` makes them no
negatives.

A vector of ones is longer than an L2-normalised one, by the root of D. With normalised embeddings, rows that lack a
modality therefore have much larger products than complete rows and dominate the loss. Layer-normalised embeddings,
whose entries have the size of ones, do not have this trouble; `SubsetSymileLoss` scales each pattern instead.

Source: the stand-ins of `NeutralVectors`; the public code of Gated Symile compares with the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

from torch import Tensor

from symile_data.losses.neutral import NeutralVectors, missing_groups
from symile_data.losses.objective import BatchShape

from .symile import SymileLoss


class NeutralSymileLoss(SymileLoss):
    """`SymileLoss` that takes a mask of missing modalities.

    Args:
        modalities: M.
        dim: D.
        negatives: "n" or "exact".
        shuffles: Sets of negatives per anchor, for "n".
        learned: Whether the stand-ins are learned, from ones.
        share_values: Whether rows that lack the same modality are no negatives of each other where all else is equal.
        seed: Seed of the shuffles; the same on every rank.
        gather: Take negatives from the rows of all ranks.
    """

    takes_missing = True

    def __init__(
        self,
        modalities: int,
        dim: int,
        *,
        negatives: str = "n",
        shuffles: int = 1,
        learned: bool = False,
        share_values: bool = False,
        seed: int = 0,
        gather: bool = False,
    ) -> None:
        super().__init__(negatives, shuffles=shuffles, seed=seed, gather=gather)
        self.neutral = NeutralVectors(modalities, dim, learned=learned)
        self.share_values = share_values

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the stand-ins for so many modalities of a width; see `Objective`."""
        return cls(shape.modalities, shape.dim, seed=shape.seed, **settings)

    def forward(
        self,
        embeddings: Sequence[Tensor],
        logit_scale: Tensor | float,
        groups: Sequence[Tensor | None] | None = None,
        *,
        missing: Tensor | None = None,
    ) -> Tensor:
        """Return the loss with stand-ins for what is missing; see `Objective`."""
        if missing is not None:
            embeddings = self.neutral(embeddings, missing)
            if groups is None and self.share_values:
                groups = missing_groups(missing)
        return super().forward(embeddings, logit_scale, groups)
