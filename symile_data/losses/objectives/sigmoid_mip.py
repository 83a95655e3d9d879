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
from dataclasses import replace
from typing import Any, Self

import torch
from torch import Tensor, nn

from symile_data.losses.attach import attach
from symile_data.losses.inputs import LossInputs, LossResult
from symile_data.losses.kernels.sigmoid import sigmoid_of_products
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
        tensors = [*embeddings, scale, bias]
        wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
        with torch.no_grad():
            found = sigmoid_of_products(embeddings, scale, bias, wanted)
        if not wanted:
            return found.value
        return attach(found.value, [*found.gradients, found.scale_gradient, *found.parameter_gradients], tensors)

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients; see `Objective`."""
        found = sigmoid_of_products(inputs.embeddings, inputs.scale, self.bias.to(inputs.scale.dtype), wanted)
        return found if self.bias.requires_grad else replace(found, parameter_gradients=[])
