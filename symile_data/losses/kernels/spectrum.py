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


class _LeadingSpectrum(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrices: Tensor) -> tuple[Tensor, Tensor]:
        finite, unfit = finite_only(matrices)
        values, vectors = torch.linalg.eigh(finite)
        values, vectors = values.flip(-1).masked_fill(unfit[..., None], torch.nan), vectors.flip(-1)
        ctx.save_for_backward(values, vectors)
        return values, vectors[..., 0].clone()

    @staticmethod
    def backward(ctx: Any, by_values: Tensor, by_vector: Tensor) -> Tensor:
        values, vectors = ctx.saved_tensors
        gradient = (vectors * by_values[..., None, :]) @ vectors.mT
        others = vectors[..., 1:]
        gaps = (values[..., :1] - values[..., 1:]).clamp(min=_GAP)
        weights = (others.mT @ by_vector[..., None])[..., 0] / gaps
        part = (others @ weights[..., None]) @ vectors[..., None, :, 0]
        total: Tensor = gradient + (part + part.mT) / 2
        return total
