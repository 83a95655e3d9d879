"""Contrast every row of one side with every row of another: the softmax cross-entropy of a (N, N) similarity.

With logits L_ij = s sim(left_i, right_j) and the positives on the diagonal, the loss by rows is

    mean over i of  log sum_j exp(L_ij) - (1 - e) L_ii - e mean_j L_ij

where e is the label smoothing; the loss by columns is the same of L', and "both" is the mean of the two. Groups
restrict every sum to the pairs of rows of one group; rows of group -1 take no part at all.

A block of rows is compared at a time, and its gradient is taken at once: no (N, N) tensor is kept for backward. By
columns a first pass collects the sums of all blocks, and the second pass compares again. The sums leave out the
positive, so that a loss near zero and its gradient keep their digits.

Shapes: N rows, B rows of a block. Memory: what the similarity needs for (B, N).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from symile_data.losses.attach import attach

from .blocks import row_blocks
from .comparison import Comparison, Direction, Similarity, inner_products
from .shared_reference import contrast_by_one_reference

__all__ = ["contrast", "inner_products"]


def contrast(
    similarity: Similarity,
    left: Sequence[Tensor],
    right: Sequence[Tensor],
    scale: Tensor,
    *,
    shared: Sequence[Tensor] = (),
    direction: Direction = "both",
    smoothing: float = 0.0,
    groups: Tensor | None = None,
    block_rows: int | None = None,
) -> Tensor:
    """Return the cross-entropy of the diagonal of a similarity, differentiable by every tensor given.

    Args:
        similarity: Called with a block of `left`, all of `right`, and `shared`; returns their (B, N) similarities.
        left: Tensors (N, ...), cut into blocks of rows.
        right: Tensors (N, ...).
        scale: () tensor that multiplies the similarities.
        shared: Tensors that belong to no row, such as a temperature.
        direction: Softmax over the columns of each row ("rows"), the rows of each column ("columns"), or the mean of
            both.
        smoothing: Share of the target that is spread evenly over all columns (or rows), from 0 to below 1.
        groups: (N,) int64, or None where all rows are compared with all. Rows of another group are no negatives, and
            rows of group -1 leave the loss.
        block_rows: B; None chooses by device.

    Returns:
        () tensor: a mean over the rows that take part, 0 where there are none.
    """
    tensors = [*left, *right, *shared, scale]
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    leaves = [tensor.detach().requires_grad_(wanted and tensor.requires_grad) for tensor in tensors]
    lefts, rights = leaves[: len(left)], leaves[len(left) : len(left) + len(right)]
    others, factor = leaves[len(left) + len(right) : -1], leaves[-1]
    asked = Comparison(similarity, lefts, rights, others, factor, direction, smoothing)
    blocks = row_blocks(asked.rows, block_rows, scale)
    found = None
    with torch.no_grad():
        if groups is None and asked.rows:
            found = contrast_by_one_reference(asked, blocks)
        value, gradients = found or _contrast_by_own_references(asked, groups, blocks)
    return attach(value, gradients, [tensor for tensor in tensors if tensor.requires_grad]) if wanted else value


def _contrast_by_own_references(
    asked: Comparison, groups: Tensor | None, blocks: Sequence[tuple[int, int]]
) -> tuple[Tensor, list[Tensor]]:
    """Return the loss and its gradients for groups, and for logits of any range."""
    wanted, rows, direction = asked.wanted, asked.rows, asked.direction

    def logits_of(start: int, stop: int) -> Tensor:
        return asked.scale * asked.similarity([one[start:stop] for one in asked.left], asked.right, asked.shared)

    pairs = _Pairs(rows, groups, asked.scale.device)
    by_column = None if direction == "rows" else _Sums.nothing(rows, asked.scale.detach())
    if by_column is not None and len(blocks) > 1:
        for start, stop in blocks:
            by_column.add_rows(logits_of(start, stop), pairs, start, stop)
    value = torch.zeros_like(asked.scale.detach())
    gradients = [torch.zeros_like(leaf.detach()) for leaf in wanted]
    for start, stop in blocks:
        with torch.set_grad_enabled(bool(wanted)):
            logits = logits_of(start, stop)
        if by_column is not None and len(blocks) == 1:
            by_column.add_rows(logits.detach(), pairs, start, stop)
        loss, gradient = _loss_of_block(logits.detach(), pairs, start, stop, by_column, direction, asked.smoothing)
        value += loss
        if wanted:
            parts = torch.autograd.grad(logits, wanted, gradient, allow_unused=True)
            for total, one in zip(gradients, parts, strict=True):
                if one is not None:
                    total += one
    return value, gradients


class _Pairs:
    """Which rows take part, and which pairs of rows are compared.

    Args:
        rows: N.
        groups: (N,) int64, or None where all rows are compared with all.
        device: Device of the masks.
    """

    def __init__(self, rows: int, groups: Tensor | None, device: torch.device) -> None:
        self.numbers = torch.arange(rows, device=device)
        self.groups = groups
        self.present = None if groups is None else groups >= 0
        self.count = max(rows if self.present is None else int(self.present.sum()), 1)

    def compared(self, start: int, stop: int) -> Tensor | None:
        """Return which pairs of a block are compared, (B, N) bool; None where all are."""
        if self.groups is None or self.present is None:
            return None
        return (self.groups[start:stop, None] == self.groups) & self.present

    def weights(self, like: Tensor) -> Tensor:
        """Return the weight of each row in the mean, (N,): 0 for rows that take no part."""
        weights = like.new_full((len(self.numbers),), 1 / self.count)
        return weights if self.present is None else weights * self.present

    def positives(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """Return the places of a block's positives in its (B, N) logits."""
        return self.numbers[: stop - start], self.numbers[start:stop]


@dataclass
class _Sums:
    """What a softmax needs of each of A anchors.

    Args:
        negatives: (A,) log of the sum of exp over all but the positive.
        positives: (A,) logits of the positives.
        total: (A,) sum of the logits.
        count: (A,) number of logits.
    """

    negatives: Tensor
    positives: Tensor
    total: Tensor
    count: Tensor

    @classmethod
    def nothing(cls, rows: int, like: Tensor) -> _Sums:
        """Return the sums of no rows yet, for N anchors."""
        return cls(like.new_full((rows,), -torch.inf), *(like.new_zeros(rows) for _ in range(3)))

    @classmethod
    def of_rows(cls, logits: Tensor, pairs: _Pairs, start: int, stop: int) -> _Sums:
        """Return the sums over the columns of each row of a block, (B,)."""
        place, compared = pairs.positives(start, stop), pairs.compared(start, stop)
        total, count, negatives = _sums(logits, compared, place, dim=1)
        return cls(negatives, logits[place], total, count)

    def add_rows(self, logits: Tensor, pairs: _Pairs, start: int, stop: int) -> None:
        """Add the (B, N) logits of some rows to the sums of the N columns."""
        place, compared = pairs.positives(start, stop), pairs.compared(start, stop)
        total, count, negatives = _sums(logits, compared, place, dim=0)
        self.positives[start:stop] = logits[place]
        self.total += total
        self.count += count
        self.negatives = torch.logaddexp(self.negatives, negatives)


def _sums(
    logits: Tensor, compared: Tensor | None, positives: tuple[Tensor, Tensor], dim: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Return sum and number of the logits, and the log of the sum of exp over the negatives, along a dimension."""
    negatives = logits.clone() if compared is None else logits.masked_fill(~compared, -torch.inf)
    negatives[positives] = -torch.inf
    total = (logits if compared is None else logits.masked_fill(~compared, 0.0)).sum(dim)
    count = torch.full_like(total, logits.shape[dim]) if compared is None else compared.sum(dim).to(total.dtype)
    return total, count, negatives.logsumexp(dim)


def _loss_of_block(
    logits: Tensor,
    pairs: _Pairs,
    start: int,
    stop: int,
    by_column: _Sums | None,
    direction: Direction,
    smoothing: float,
) -> tuple[Tensor, Tensor]:
    """Return a block's share of the loss, and the (B, N) gradient of the whole loss by the block's logits."""
    weights, compared = pairs.weights(logits), pairs.compared(start, stop)
    positives, own = pairs.positives(start, stop), slice(start, stop)
    loss, gradient = logits.new_zeros(()), torch.zeros_like(logits)
    if direction != "columns":
        sums = _Sums.of_rows(logits, pairs, start, stop)
        loss = loss + (weights[own] * _losses(sums, smoothing)).sum()
        gradient += _gradient(logits, sums, weights[own], compared, positives, smoothing)
    if by_column is not None:
        loss = loss + (weights * _losses(by_column, smoothing))[own].sum()
        mask = None if compared is None else compared.t()
        gradient += _gradient(logits.t(), by_column, weights, mask, (positives[1], positives[0]), smoothing).t()
    share = 0.5 if direction == "both" else 1.0
    return share * loss, gradient.mul_(share)


def _losses(sums: _Sums, smoothing: float) -> Tensor:
    """Return the loss of each anchor, (A,)."""
    loss = torch.logaddexp(sums.negatives - sums.positives, torch.zeros_like(sums.positives))
    if smoothing:
        loss = loss + smoothing * (sums.positives - sums.total / sums.count.clamp(min=1))
    return loss


def _gradient(
    logits: Tensor,
    sums: _Sums,
    weights: Tensor,
    compared: Tensor | None,
    positives: tuple[Tensor, Tensor],
    smoothing: float,
) -> Tensor:
    """Return the gradient of the weighted losses of A anchors by their logits, (A, X)."""
    whole = torch.logaddexp(sums.negatives, sums.positives)
    even = smoothing / sums.count.clamp(min=1)
    gradient = (logits - whole[:, None]).exp_()
    if smoothing:
        gradient -= even[:, None]
    if compared is not None:
        gradient.masked_fill_(~compared, 0.0)  # where exp may have overflowed
    gradient *= weights[:, None]
    # On the positive, p - 1 is minus the share of the negatives, which keeps its digits where p is nearly 1.
    on_positives = weights * (smoothing - even - (sums.negatives - whole).exp())
    gradient[positives] = on_positives[positives[0]]
    return gradient
