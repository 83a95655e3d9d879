"""Eigenvalues and leading eigenvector of many small symmetric matrices, with a gradient that stays finite.

The gradient of a leading eigenvector needs the gaps between the leading eigenvalue and the others only, and those are
kept above a floor. The library's own gradient divides by the gaps among all eigenvalues and is not a number where two
of the others are equal, as in orthonormal rows.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

_GAP = 1e-3  # least difference of eigenvalues that a gradient is divided by


def leading_spectrum(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Decompose symmetric matrices.

    Args:
        matrices: (N, M, M), float64.

    Returns:
        Eigenvalues (N, M), the largest first, and unit eigenvectors (N, M) of the largest, whose sign is arbitrary.
    """
    values, vector = _LeadingSpectrum.apply(matrices)  # type: ignore[no-untyped-call]
    return values, vector


def finite_only(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Replace matrices that are not finite, for which the library raises, by zeros.

    Args:
        matrices: (..., M, M).

    Returns:
        The matrices, and (...) bool, True where one was replaced and its results should be NaN.
    """
    unfit = ~matrices.isfinite().flatten(-2).all(dim=-1)
    return matrices.masked_fill(unfit[..., None, None], 0.0), unfit


def spectrum(matrices: Tensor) -> tuple[Tensor, Tensor]:
    """Return the eigenvalues (N, M) of symmetric matrices, the largest first, and their vectors (N, M, M) as columns.

    Eigenvalues of matrices that are not finite are NaN.
    """
    finite, unfit = finite_only(matrices)
    values, vectors = torch.linalg.eigh(finite)
    return values.flip(-1).masked_fill(unfit[..., None], torch.nan), vectors.flip(-1)


def gradient_of_spectrum(values: Tensor, vectors: Tensor, by_values: Tensor, by_vector: Tensor) -> Tensor:
    """Return the gradient by the matrices, (N, M, M) and symmetric.

    Args:
        values: (N, M), from `spectrum`.
        vectors: (N, M, M), from `spectrum`.
        by_values: (N, M), gradient by the eigenvalues.
        by_vector: (N, M), gradient by the leading vectors.
    """
    others = vectors[..., 1:]
    gaps = (values[..., :1] - values[..., 1:]).clamp(min=_GAP)
    weights = (others.mT @ by_vector[..., None])[..., 0] / gaps
    # V diag(by_values) V' and the symmetric part of (sum_k w_k v_k) v_1' share their left factor.
    inner = torch.diag_embed(by_values)
    inner[..., 1:, 0] = inner[..., 0, 1:] = weights / 2
    gradient: Tensor = vectors @ inner @ vectors.mT
    return gradient


class _LeadingSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> tuple[Tensor, Tensor]:
        values, vectors = spectrum(matrices)
        ctx.save_for_backward(values, vectors)
        return values, vectors[..., 0].clone()

    @staticmethod
    def backward(ctx: Any, by_values: Tensor, by_vector: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        return gradient_of_spectrum(values, vectors, by_values, by_vector)
