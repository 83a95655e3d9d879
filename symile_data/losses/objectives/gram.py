"""GRAM: modalities that belong together span a small volume.

With V_ij the volume of the parallelepiped spanned by row i of anchor modality m and the tuple of row j of the others,

    V_ij^2 = det Gram(e_m(i), tuple j)         L = mean over m of  (CE(-s V) + CE(-s V')) / 2

A candidate's score is -V. It ranks as the norm of the candidate's projection on the span of the query does, so a
candidate and its negative have one score. Where the vectors of tuples coincide, every volume is 0: perfectly aligned
modalities have the loss log N, and no ranking.

Source: Cicchetti et al., GRAM, ICLR 2025, equations 3 to 8. The authors take the text as the only anchor and smooth
labels by 0.1 (`anchor`, `smoothing`). Their public code gathers without gradient also on one GPU, so that the anchor
learns from one direction and the others from the other: the same value, other gradients. Here gradients are those of
the value.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.kernels.volumes import outside_of_span, whiten
from symile_data.losses.volume_objective import VolumeObjective

EPSILON = 1e-8  # added to squared volumes, whose root has no gradient at 0


class GramLoss(VolumeObjective):
    """The contrast of volumes, over all modalities as anchors or one.

    Args:
        anchor: Index of the only anchor modality, or None for all in turn.
        smoothing: Label smoothing, from 0 to below 1.
        epsilon: Added to squared volumes before the root.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a setting is out of range.
    """

    def __init__(
        self,
        *,
        anchor: int | None = None,
        smoothing: float = 0.0,
        epsilon: float = EPSILON,
        gather: bool = False,
    ) -> None:
        super().__init__(anchor=anchor, smoothing=smoothing, gather=gather)
        if epsilon < 0:
            raise UsageError("epsilon is at least 0", got=epsilon)
        self.epsilon = epsilon

    def describe(self, tuples: Tensor, absent: Tensor | None) -> Sequence[Tensor]:
        """Return a basis of each tuple's span and the determinant of its Gram matrix; see `VolumeObjective`."""
        return whiten(tuples, absent)

    def similarity(self, vectors: Sequence[Tensor], tuples: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
        """Return -V, (B, N); see `VolumeObjective`."""
        basis, determinant = tuples
        squared = determinant * outside_of_span(vectors[0], basis)
        return -(squared.clamp(min=0.0) + self.epsilon).sqrt()

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return minus the volume that the M vectors of each row span, (R,); see `Objective`."""
        rows = torch.stack([embedding.double() for embedding in embeddings], dim=1)
        squared: Tensor = torch.linalg.det(rows @ rows.mT).clamp(min=0.0)
        return -(squared + self.epsilon).sqrt().to(embeddings[0].dtype)
