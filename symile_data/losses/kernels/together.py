"""Several contrasts of inner products at once: what small batches cost is the number of operations, not their size.

The T matrices of logits are one (T, N, N) tensor, and the loss of all is computed as `shared_reference` does that of
one. Where they would not fit a processor's cache, or their range is too wide, each is computed alone.

Shapes: T pairs of tensors, N rows, D width.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.losses.attach import attach

from .comparison import Direction, inner_products
from .contrast import contrast
from .powers import LOG2_E
from .shared_reference import SAFE_RANGE

_ELEMENTS = 1 << 19  # of all logits
_LN_2 = 1 / LOG2_E


def sum_of_contrasts(
    left: Sequence[Tensor], right: Sequence[Tensor], scale: Tensor, direction: Direction = "both"
) -> Tensor:
    """Return the sum over pairs of tensors of the contrasts of their inner products.

    Args:
        left: T tensors (N, D).
        right: T tensors (N, D).
        scale: () tensor that multiplies the inner products.
        direction: As in `contrast`.

    Returns:
        () tensor, differentiable by all of them.
    """
    if 0 < len(left) * left[0].shape[0] ** 2 <= _ELEMENTS:
        lefts, rights = torch.stack(list(left)), torch.stack(list(right))
        inputs = [lefts, rights, scale]
        wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        with torch.no_grad():
            found = contrasts_at_once(lefts, rights, scale, direction, wanted)
        if found is not None:
            value, gradients = found
            return attach(value, gradients, inputs) if wanted else value
    terms = [contrast(inner_products, [a], [b], scale, direction=direction) for a, b in zip(left, right, strict=True)]
    return sum(terms[1:], terms[0])


def contrasts_at_once(
    left: Tensor, right: Tensor, scale: Tensor, direction: Direction, wanted: bool
) -> tuple[Tensor, list[Tensor]] | None:
    """Return the sum of T contrasts and its gradients by left, right and scale; None where the range is too wide.

    Args:
        left: (T, N, D).
        right: (T, N, D).
        scale: () tensor.
        direction: As in `contrast`.
        wanted: Also compute gradients.
    """
    scaled = left * (scale * LOG2_E)
    p = scaled @ right.mT
    diagonal = p.diagonal(dim1=1, dim2=2)
    positives = diagonal.clone()
    reference = positives.mean()
    diagonal.fill_(-torch.inf)
    p.sub_(reference).exp2_()
    sums = [p.sum(dim=dim) for dim in {"rows": (2,), "columns": (1,), "both": (2, 1)}[direction]]
    negatives = torch.stack(sums).log2_().add_(reference)
    below = reference - torch.logaddexp2(negatives, positives)
    if not bool((below.abs() <= SAFE_RANGE[below.dtype]).all()):
        return None
    weight = _LN_2 / (len(sums) * left.shape[1])
    value = torch.logaddexp2(negatives - positives, torch.zeros_like(positives)).sum() * weight
    if not wanted:
        return value, []
    own = (negatives - reference).add_(below).exp2_().sum(dim=0).mul_(-weight)
    factors = below.exp2_().mul_(weight)
    if direction == "both":
        p *= factors[0, :, :, None] + factors[1, :, None, :]
    else:
        p *= factors[0, :, :, None] if direction == "rows" else factors[0, :, None, :]
    diagonal.copy_(own)
    by_left = p @ right
    by_scale = torch.linalg.vecdot(by_left.flatten(), left.flatten()) * LOG2_E
    return value, [by_left.mul_(scale * LOG2_E), p.mT @ scaled, by_scale]
