"""Encoder of plain vectors: one linear layer, as in the paper's XOR experiment (section 5.1)."""

from __future__ import annotations

from torch import Tensor, nn


class LinearEncoder(nn.Module):
    """One linear layer.

    Args:
        dim: Embedding size D.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.linear = nn.LazyLinear(dim)

    def forward(self, vectors: Tensor) -> Tensor:
        """(B, K) float to (B, D)."""
        embedding: Tensor = self.linear(vectors.float())
        return embedding
