"""Neutral vectors, which replace the embeddings of missing modalities.

With a vector of ones the multilinear inner product becomes that of the modalities that are present, one order lower; a
learned vector starts there. All rows that lack a modality then share one value, so copies of positives turn up among
the negatives and put a floor under the loss; `missing_groups` names these rows for the `groups` argument of the losses.

Shapes: N rows, D width, M modalities; `missing` is (N, M) bool, True where absent.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError


class NeutralVectors(nn.Module):
    """One neutral vector for each modality.

    Args:
        modalities: M.
        width: D.
        learned: Whether the vectors are trained, starting from ones; otherwise they stay ones.

    >>> neutral = NeutralVectors(2, 3, learned=False)
    >>> neutral([torch.zeros(1, 3), torch.zeros(1, 3)], torch.tensor([[True, False]]))
    [tensor([[1., 1., 1.]]), tensor([[0., 0., 0.]])]
    """

    vectors: Tensor

    def __init__(self, modalities: int, width: int, learned: bool = True) -> None:
        super().__init__()
        ones = torch.ones(modalities, width)
        if learned:
            self.vectors = nn.Parameter(ones)
        else:
            self.register_buffer("vectors", ones)

    def forward(self, embeddings: Sequence[Tensor], missing: Tensor) -> list[Tensor]:
        """Replace the missing rows of embeddings; the replaced rows get no gradient.

        Args:
            embeddings: M tensors (N, D).
            missing: (N, M) bool, True where absent.

        Returns:
            M tensors (N, D) of the embeddings' dtypes.

        Raises:
            UsageError: shapes that do not fit.
        """
        modalities, width = self.vectors.shape
        rows = embeddings[0].shape[0] if embeddings else 0
        shapes = {tuple(embedding.shape) for embedding in embeddings}
        if len(embeddings) != modalities or shapes != {(rows, width)}:
            raise UsageError(f"expected {modalities} embeddings of width {width}", got=f"shapes {sorted(shapes)}")
        if tuple(missing.shape) != (rows, modalities) or missing.dtype != torch.bool:
            raise UsageError(
                f"missing is a bool tensor of shape ({rows}, {modalities})",
                got=f"{missing.dtype}, {tuple(missing.shape)}",
            )
        return [
            torch.where(missing[:, m, None], self.vectors[m].to(embedding.dtype), embedding)
            for m, embedding in enumerate(embeddings)
        ]


def missing_groups(missing: Tensor) -> list[Tensor]:
    """Group ids for the losses: in each modality the rows that lack it share one value, all others stand alone.

    Args:
        missing: (N, M) bool, True where absent.

    Returns:
        M tensors (N,) int64 of 0 where missing, -1 where present.

    >>> missing_groups(torch.tensor([[True, False], [True, True]]))
    [tensor([0, 0]), tensor([-1,  0])]
    """
    return list((missing.to(torch.int64) - 1).unbind(dim=1))
