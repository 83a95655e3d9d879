"""Several contrasts of inner products at once: what small batches cost is the number of operations, not their size.

The T matrices of logits are one (T, N, N) tensor, and the losses of all are computed as `shared_reference` does that of
one. Matrix products read the tensors where they lie and add up gradients where they belong, so that nothing is copied.
Where the logits would take much memory, or their range is too wide, each contrast is computed alone.

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
from .products import matmul

_ELEMENTS = 1 << 22  # of all logits, 16 MiB of float32
# Largest sum of exponentials, and inverse of the least: the quotient of two within them does not overflow.
_LIMITS = {torch.float32: 2.0**63, torch.float64: 2.0**510}
_SMALL = 16.0  # to base 2; positives that are smaller on average leave the exponentials room enough on both sides


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
        inputs = [*left, *right, scale]
        wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        with torch.no_grad():
            found = contrasts_at_once(left, right, scale, direction, wanted)
            if found is not None:
                value, slopes = found
                if not wanted:
                    return value
                by_left = [slope @ one for slope, one in zip(slopes, right, strict=True)]
                by_right = [slope.t() @ one for slope, one in zip(slopes, left, strict=True)]
                by_scale = sum_of_products(by_left, left) / scale
        if found is not None:
            return attach(value, [*by_left, *by_right, by_scale], inputs)
    terms = [contrast(inner_products, [a], [b], scale, direction=direction) for a, b in zip(left, right, strict=True)]
    return sum(terms[1:], terms[0])


def contrasts_at_once(
    left: Sequence[Tensor],
    right: Sequence[Tensor],
    scale: Tensor,
    direction: Direction,
    wanted: bool,
    share: float = 1.0,
    gemm_dtype: torch.dtype | None = None,
) -> tuple[Tensor, list[Tensor]] | None:
    """Return the sum of T contrasts, and its gradients by the inner products, T tensors (N, N).

    Returns None where the range of the logits is too wide, and where the scale is 0.

    Args:
        left: T tensors (N, D).
        right: T tensors (N, D).
        scale: () tensor.
        direction: As in `contrast`.
        wanted: Also compute gradients; there are none otherwise.
        share: Factor of the sum.
        gemm_dtype: Operand type of matrix products, or None; the products of the positives are in full precision.
    """
    factor = scale.item()
    if not factor:
        return None
    rows = left[0].shape[0]
    p = scale.new_empty((len(left), rows, rows))
    layers = list(p.unbind())
    for layer, one, other in zip(layers, left, right, strict=True):
        if gemm_dtype is None:
            layer.addmm_(one, other.t(), beta=0, alpha=factor * LOG2_E)
            continue
        torch.mul(matmul(one, other.t(), gemm_dtype, layer), factor * LOG2_E, out=layer)
        layer.diagonal().copy_(torch.linalg.vecdot(one, other).mul_(factor * LOG2_E))
    value = losses_to_slopes(p, direction, wanted, share, factor)
    return None if value is None else (value, layers if wanted else [])


def losses_to_slopes(
    p: Tensor, direction: Direction, wanted: bool, share: float = 1.0, factor: float = 1.0
) -> Tensor | None:
    """Return the sum of T contrasts of given logits, which become its derivatives by them in place.

    Args:
        p: (T, N, N) logits to base 2.
        direction: As in `contrast`.
        wanted: Also compute derivatives; else the logits become meaningless.
        share: Factor of the sum.
        factor: Factor of the derivatives, in which logits are to base e.

    Returns:
        () tensor; None where the range of the logits is too wide.
    """
    rows = p.shape[1]
    diagonal = p.diagonal(dim1=1, dim2=2)
    positives = diagonal.clone()
    diagonal.fill_(-torch.inf)
    # One reference for all exponentials, which matters only where numbers would leave the dtype's range without it.
    reference = positives.mean().item()
    if abs(reference) > _SMALL:
        positives.sub_(reference)
        p.sub_(reference)
    positives.exp2_()
    p.exp2_()
    # Sums over the negatives of each anchor, (T, N), or (2, T, N) for both directions.
    if direction == "both":
        sums = torch.stack([p.sum(dim=2), p.sum(dim=1)])
    else:
        sums = p.sum(dim=2 if direction == "rows" else 1)
    weight = share / (2 * rows if direction == "both" else rows)
    whole = sums + positives
    limit = _LIMITS[p.dtype]
    if not (positives.amin().item() >= 1 / limit and whole.amax().item() <= limit):
        return None
    value = (sums / positives).log1p_().sum() * weight
    if not wanted:
        return value
    factors = whole.reciprocal_().mul_(weight * factor)
    own = sums.mul_(factors).neg_()
    if direction == "both":
        own = own.sum(dim=0)
        for layer, by_row, by_column in zip(p.unbind(), factors[0].unbind(), factors[1].unbind(), strict=True):
            layer *= by_row[:, None] + by_column
    else:
        p *= factors.unsqueeze(2 if direction == "rows" else 1)
    diagonal.copy_(own)
    return value


def sum_of_products(left: Sequence[Tensor], right: Sequence[Tensor]) -> Tensor:
    """Return the sum over pairs of tensors of their inner products, a () tensor."""
    terms = [torch.dot(one.reshape(-1), other.reshape(-1)) for one, other in zip(left, right, strict=True)]
    return sum(terms[1:], terms[0])
