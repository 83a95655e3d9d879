"""The distributed half of the losses: bring the rows of all ranks together, and hand gradients back.

Every rank holds n_r rows; the loss is that of all N = sum n_r rows together. `RankShard.gather` brings the rows to
every rank, padded to the longest shard because the last batch may be unequal. Each rank then does its part of the
work, and `RankShard.own` sums the partial gradients of all ranks and returns each rank its own rows. With one process
all of these do nothing.

Gradients come back multiplied by the number of ranks W, because DDP takes the mean of parameter gradients over ranks:
the rows of rank r reach the encoder's parameters only through rank r, so mean_r(W * dL/dE_r * dE_r/dparams) =
dL/dparams, the gradient one process would have computed on the concatenated batch. All communication happens while the
loss is computed and none during backward, so it cannot interleave with DDP's own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor

from symile_data.errors import UsageError


@dataclass(frozen=True)
class RankShard:
    """The part of the N gathered rows that this rank holds.

    Args:
        rank: This process, from 0.
        counts: Rows held by each rank; its length is the number of ranks W.

    >>> shard = RankShard(rank=1, counts=(3, 2))
    >>> shard.world, shard.start, shard.stop, shard.total
    (2, 3, 5, 5)
    """

    rank: int
    counts: tuple[int, ...]

    @property
    def world(self) -> int:
        """The number of ranks that gather their rows."""
        return len(self.counts)

    @property
    def start(self) -> int:
        """Index of this rank's first row among all rows."""
        return sum(self.counts[: self.rank])

    @property
    def stop(self) -> int:
        """One past this rank's last row."""
        return self.start + self.counts[self.rank]

    @property
    def total(self) -> int:
        """N, the rows of all ranks."""
        return sum(self.counts)

    def part(self, count: int) -> tuple[int, int]:
        """The contiguous part of `range(count)` that is this rank's, equal among ranks to within one.

        >>> [RankShard(rank, (1, 1, 1)).part(10) for rank in range(3)]
        [(0, 3), (3, 6), (6, 10)]
        """
        return count * self.rank // self.world, count * (self.rank + 1) // self.world

    def gather(self, tensors: Sequence[Tensor]) -> list[Tensor]:
        """Gather the rows of all ranks, in rank order.

        Args:
            tensors: Equally shaped (n_r, ...) tensors of one dtype; all of them travel in one collective.

        Returns:
            As many (N, ...) tensors, without gradient.
        """
        if self.world == 1:
            return [tensor.detach() for tensor in tensors]
        packed = torch.stack([tensor.detach() for tensor in tensors], dim=1)
        padded = packed.new_zeros((max(self.counts), *packed.shape[1:]))
        padded[: packed.shape[0]] = packed
        parts = [torch.empty_like(padded) for _ in self.counts]
        dist.all_gather(parts, padded)
        rows = torch.cat([part[:count] for part, count in zip(parts, self.counts, strict=True)])
        return list(rows.unbind(dim=1))

    def own(self, gradients: Sequence[Tensor]) -> list[Tensor]:
        """Sum partial gradients over ranks, times W, and keep this rank's rows.

        Args:
            gradients: Equally shaped (N, D) partial gradients.

        Returns:
            As many (n_r, D) tensors.
        """
        if self.world == 1:
            return list(gradients)
        packed = torch.stack(list(gradients), dim=1)
        parts = packed.new_zeros((self.world, max(self.counts), *packed.shape[1:]))
        for part, rows in zip(parts, torch.split_with_sizes(packed, self.counts), strict=True):
            part[: rows.shape[0]] = rows
        mine = torch.empty_like(parts[0])
        dist.reduce_scatter(mine, list(parts.unbind(0)))
        return list((mine[: self.counts[self.rank]] * self.world).unbind(dim=1))

    def sum(self, tensor: Tensor) -> Tensor:
        """Sum a tensor over ranks; every rank gets the result."""
        if self.world == 1:
            return tensor
        total = tensor.clone()
        dist.all_reduce(total)
        return total

    def log2sumexp2(self, logs: Tensor) -> Tensor:
        """log2 of the sum over ranks of 2**logs, entry by entry; -inf stands for an empty sum."""
        if self.world == 1:
            return logs
        highest = logs.clone()
        dist.all_reduce(highest, op=dist.ReduceOp.MAX)
        level = torch.where(highest == -torch.inf, 0.0, highest)
        return level + self.sum((logs - level).exp2()).log2()


def rank_shard(rows: int, device: torch.device, gather: bool) -> RankShard:
    """The shard of this process: its rows among those of all ranks, or all rows where nothing is gathered.

    Args:
        rows: Rows of this process.
        device: Device on which ranks communicate.
        gather: Whether to gather, where torch.distributed runs with several ranks.

    Raises:
        UsageError: no rank has a row.
    """
    counts = (rows,)
    rank = 0
    if gather and dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1:
        rank = dist.get_rank()
        mine = torch.tensor([rows], device=device)
        parts = [torch.empty_like(mine) for _ in range(dist.get_world_size())]
        dist.all_gather(parts, mine)
        counts = tuple(torch.cat(parts).tolist())
    if sum(counts) == 0:
        raise UsageError("the batch has no rows", do="pass at least one row a modality")
    return RankShard(rank, counts)
