"""What a contrast compares, and by what; `contrast` computes its loss."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from torch import Tensor

Direction = Literal["rows", "columns", "both"]

# Compares (B, ...) tensors with (N, ...) tensors, given tensors that belong to no row; returns (B, N).
Similarity = Callable[[Sequence[Tensor], Sequence[Tensor], Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Comparison:
    """The arguments of `contrast`, as leaves of a graph of their own.

    Args:
        similarity: Compares a block of `left` with all of `right`.
        left: Tensors (N, ...).
        right: Tensors (N, ...).
        shared: Tensors that belong to no row.
        scale: () tensor that multiplies the similarities.
        direction: Softmax over columns ("rows"), over rows ("columns"), or the mean of both.
        smoothing: Label smoothing.
    """

    similarity: Similarity
    left: Sequence[Tensor]
    right: Sequence[Tensor]
    shared: Sequence[Tensor]
    scale: Tensor
    direction: Direction
    smoothing: float

    @property
    def rows(self) -> int:
        """N, the number of rows."""
        return self.left[0].shape[0]

    @property
    def wanted(self) -> list[Tensor]:
        """The leaves that want a gradient, in the order of left, right, shared and scale."""
        return [leaf for leaf in (*self.left, *self.right, *self.shared, self.scale) if leaf.requires_grad]


def inner_products(left: Sequence[Tensor], right: Sequence[Tensor], _shared: Sequence[Tensor]) -> Tensor:
    """Return the inner products of the rows of two tensors, (B, N): the similarity of most objectives."""
    return left[0] @ right[0].t()
