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
from .products import batched_matmul

_ELEMENTS = 1 << 19  # of all logits
_LN_2 = 1 / LOG2_E
# Largest sum of exponentials, and inverse of the least: the quotient of two within them does not overflow.
_LIMITS = {torch.float32: 2.0**63, torch.float64: 2.0**510}


def fit_together(count: int, rows: int) -> bool:
    """Return whether the logits of so many contrasts of so many rows are few enough to be computed at once."""
    return 0 < count * rows**2 <= _ELEMENTS


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
    if fit_together(len(left), left[0].shape[0]):
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
    left: Tensor,
    right: Tensor,
    scale: Tensor,
    direction: Direction,
    wanted: bool,
    share: float = 1.0,
    gemm_dtype: torch.dtype | None = None,
) -> tuple[Tensor, list[Tensor]] | None:
    """Return the sum of T contrasts and its gradients by left, right and scale.

    Returns None where the range of the logits is too wide, and where the scale is 0.

    Args:
        left: (T, N, D).
        right: (T, N, D).
        scale: () tensor.
        direction: As in `contrast`.
        wanted: Also compute gradients.
        share: Factor of the sum.
        gemm_dtype: Operand type of matrix products, or None; the products of the positives are in full precision.
    """
    factor = float(scale)
    if not factor:
        return None
    scale2, rows = factor * LOG2_E, left.shape[1]
    short = gemm_dtype or left.dtype
    low_left, low_right = left.to(short), right.to(short)
    p = batched_matmul(low_left, low_right.mT, scale2, left.dtype)
    diagonal = p.diagonal(dim1=1, dim2=2)
    if gemm_dtype is not None:
        diagonal.copy_(torch.linalg.vecdot(left, right).mul_(scale2))
    # Exponentials are relative to the mean of the positives, as one less operation than its division takes.
    total, part = diagonal.sum(), 1 / diagonal.numel()
    positives = torch.sub(diagonal, total, alpha=part).exp2_()
    diagonal.fill_(-torch.inf)
    p.sub_(total, alpha=part).exp2_()
    # Sums over the negatives of each anchor, (T, N), or (2, T, N) for both directions.
    if direction == "both":
        sums = torch.stack([p.sum(dim=2), p.sum(dim=1)])
    else:
        sums = p.sum(dim=2 if direction == "rows" else 1)
    weight = share / (2 * rows if direction == "both" else rows)
    whole = sums + positives
    limit = _LIMITS[p.dtype]
    if not (float(positives.amin()) >= 1 / limit and float(whole.amax()) <= limit):
        return None
    value = (sums / positives).log1p_().sum() * weight
    if not wanted:
        return value, []
    factors = whole.reciprocal_().mul_(weight * _LN_2)
    own = sums.mul_(factors).neg_()
    if direction == "both":
        own = own.sum(dim=0)
        p *= factors[0, :, :, None] + factors[1, :, None, :]
    else:
        p *= factors[:, :, None] if direction == "rows" else factors[:, None, :]
    diagonal.copy_(own)
    low = p.to(short)
    by_left = batched_matmul(low, low_right, scale2, left.dtype)
    by_right = batched_matmul(low.mT, low_left, scale2, left.dtype)
    by_scale = torch.linalg.vecdot(by_left.view(-1), left.reshape(-1)) / factor
    return value, [by_left, by_right, by_scale]
