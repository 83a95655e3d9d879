"""Simplex: modalities that belong together are the corners of a small simplex; TRIANGLE for any number of them.

With the differences of the corners to one of them, A_ij = det Gram(differences) / 2 for row i of anchor modality m and
the tuple of row j of the others, and

    L = mean over m of  (CE(-s A) + CE(-s A')) / 2

A candidate's score is -A. Of three modalities A is twice the squared area of their triangle, which is what TRIANGLE
uses in place of the area; of two, A = 1 - cosine, and the loss is that of CLIP at the same scale.

Source: Cicchetti et al., TRIANGLE, NeurIPS 2025, for three modalities; the general form is this project's. The authors
take one anchor and smooth labels by 0.1. A memory-saving form of it in the public code of Gated Symile computes another
number in training, in which an inner product stands in the wrong place; this one agrees with TRIANGLE's own code.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.losses.kernels.volumes import whiten
from symile_data.losses.volume_objective import VolumeObjective


class SimplexLoss(VolumeObjective):
    """The contrast of squared simplex volumes, over all modalities as anchors or one; see `VolumeObjective`."""

    def describe(self, tuples: Tensor, absent: Tensor | None) -> Sequence[Tensor]:
        """Return the first corner, a basis of the sides from it, and the determinant of their Gram matrix."""
        first = tuples[:, 0]
        return first, *whiten(tuples[:, 1:] - first[:, None])

    def similarity(self, vectors: Sequence[Tensor], tuples: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Return -A, (B, N), from the part of the side to the vector that lies outside the span of the others."""
        (anchors,), (first, basis, determinant) = vectors, tuples
        outside = anchors.square().sum(dim=1, keepdim=True) + first.square().sum(dim=1) - 2 * anchors @ first.t()
        for one in basis.unbind(dim=1):
            outside = outside - (anchors @ one.t() - (first * one).sum(dim=1)).square()
        return -(determinant * outside.clamp(min=0.0)) / 2

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return minus half the determinant of the differences of each row's corners, (R,); see `Objective`."""
        rows = torch.stack([embedding.double() for embedding in embeddings], dim=1)
        sides = rows[:, 1:] - rows[:, :1]
        halved: Tensor = torch.linalg.det(sides @ sides.mT).clamp(min=0.0) / 2
        return -halved.to(embeddings[0].dtype)
