"""Sigmoid MIP: each pair of a target and a tuple is judged alone, true or not, as in SigLIP.

With MIP_ij the multilinear inner product of row i of modality m with the tuple of the other modalities of row j,

    L = mean over m of [ mean_i softplus(-(s MIP_ii + b)) + (1/N) sum_{i != j} softplus(s MIP_ij + b) ]

The bias b is learned and starts at -log(N - 1), at which each positive weighs as much as its N - 1 negatives together.
No sum runs over the negatives inside a logarithm, so ranks need not agree on any normalisation.

Source: the sigmoid loss of Zhai et al., ICCV 2023, on the multilinear inner product of Symile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.losses.kernels.blocks import sum_of_blocks
from symile_data.losses.kernels.products import products_of_others
from symile_data.losses.objective import BatchShape, ProductObjective


class SigmoidMipLoss(ProductObjective):
    """The sigmoid loss on multilinear inner products.

    Args:
        rows: N, the rows of a batch on all ranks, from which the bias starts.
        gather: Take negatives from the rows of all ranks.
    """

    def __init__(self, rows: int, *, gather: bool = False) -> None:
        super().__init__(gather=gather)
        self.bias = nn.Parameter(torch.tensor(-math.log(max(rows - 1, 1))))

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the loss with a bias that suits the rows of a batch; see `Objective`."""
        return cls(shape.rows, **settings)

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the mean over targets of the losses of all pairs; see the module."""
        bias = self.bias.to(scale.dtype)
        targets, tuples = torch.stack(list(embeddings), dim=1), torch.stack(products_of_others(embeddings), dim=1)
        rows, modalities, _ = targets.shape
        return sum_of_blocks(_pairs, [targets], [tuples, scale, bias]) / (modalities * rows)


def _pairs(start: int, cut: Sequence[Tensor], whole: Sequence[Tensor]) -> Tensor:
    """Return the sum of the losses of a block of targets with all tuples; the positives lie on the diagonals."""
    (targets,), (tuples, scale, bias) = cut, whole
    logits = torch.baddbmm(bias, (scale * targets).transpose(0, 1), tuples.permute(1, 2, 0))
    positives = logits.diagonal(offset=start, dim1=1, dim2=2)
    # softplus(-x) = softplus(x) - x, so the positives are negatives first and are then corrected.
    return F.softplus(logits).sum() - positives.sum()
