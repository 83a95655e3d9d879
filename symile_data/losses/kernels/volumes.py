"""Squared volumes of parallelepipeds that one vector spans with each of many tuples, without small determinants.

The Gram matrix G = L L' of a tuple is factorised once, in float64, and W = L^-1 tuple is an orthonormal basis of its
span. With a vector a, the whole determinant is then

    det Gram(a, tuple) = det G (|a|^2 - sum_k <a, w_k>^2)

so that N vectors and N tuples of K vectors cost K matrix products. Written out in inner products, as a polynomial, the
same number loses most of its gradient's digits in float32 where vectors nearly align; this form keeps them.

Shapes: B vectors, N tuples of K vectors, D width.
"""

from __future__ import annotations

import torch
from torch import Tensor

_JITTER = 1e-13  # keeps the factor of a tuple with equal vectors finite


def whiten(tuples: Tensor, absent: Tensor | None = None) -> tuple[Tensor, Tensor]:
    """Return an orthonormal basis of the span of each tuple, and the determinant of its Gram matrix.

    Args:
        tuples: (N, K, D); K may be 0.
        absent: (N, K) bool, True where a vector is left out of its tuple, or None. Its basis vector is zero.

    Returns:
        (N, K, D) and (N,), of the dtype of `tuples`, differentiable.
    """
    rows, size, _ = tuples.shape
    if size == 0:
        return tuples, tuples.new_ones(rows)
    wide = tuples.double()
    if absent is not None:
        wide = wide.masked_fill(absent[:, :, None], 0.0)
    gram = wide @ wide.mT
    diagonal = torch.full_like(gram[:, :, 0], _JITTER)
    if absent is not None:
        diagonal = diagonal + absent.double()  # an identity row leaves the determinant of the others
    factor, failed = torch.linalg.cholesky_ex(gram + torch.diag_embed(diagonal))
    # A row with NaN has no factor; its volumes are NaN, which the trainer reports as any other loss.
    factor = factor.masked_fill(failed[:, None, None] > 0, torch.nan)
    basis = torch.linalg.solve_triangular(factor, wide, upper=False)
    determinant = factor.diagonal(dim1=-2, dim2=-1).square().prod(dim=-1)
    return basis.to(tuples.dtype), determinant.to(tuples.dtype)


def outside_of_span(vectors: Tensor, basis: Tensor) -> Tensor:
    """Return the squared length of what each vector has outside each span.

    Args:
        vectors: (B, D).
        basis: (N, K, D), from `whiten`.

    Returns:
        (B, N), not below 0 but for rounding.
    """
    outside = vectors.square().sum(dim=1, keepdim=True)
    inside = [(vectors @ one.t()).square() for one in basis.unbind(dim=1)]
    return outside - sum(inside[1:], inside[0]) if inside else outside.expand(-1, basis.shape[0])
