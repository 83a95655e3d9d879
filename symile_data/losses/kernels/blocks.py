"""Losses over pairs of rows, a block of rows at a time: no (N, N) tensor is kept for backward."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from symile_data.losses.attach import attach

_BLOCK_ELEMENTS = 1 << 20  # of a block's (B, N) logits, 4 MiB of float32 in a processor's cache
_BLOCK_ELEMENTS_ACCELERATOR = 1 << 26

# Called with the first row of a block, its rows of each tensor that is cut, and the other tensors whole.
BlockLoss = Callable[[int, Sequence[Tensor], Sequence[Tensor]], Tensor]


def row_blocks(rows: int, block_rows: int | None, like: Tensor) -> list[tuple[int, int]]:
    """Return the rows of each block, from its first to one past its last.

    Args:
        rows: N.
        block_rows: B; None chooses so that (B, N) numbers suit the device.
        like: Gives the device.
    """
    elements = _BLOCK_ELEMENTS if like.device.type == "cpu" else _BLOCK_ELEMENTS_ACCELERATOR
    step = block_rows or max(1, elements // max(rows, 1))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]


def sum_of_blocks(
    loss: BlockLoss, cut: Sequence[Tensor], whole: Sequence[Tensor], block_rows: int | None = None
) -> Tensor:
    """Add up a loss over blocks of rows, and its gradients with it.

    Args:
        loss: Returns the () loss of one block.
        cut: Tensors (N, ...) that are cut into blocks of rows.
        whole: Tensors that every block needs whole.
        block_rows: Rows of a block; None chooses by device.

    Returns:
        () tensor, differentiable by every tensor given.
    """
    tensors = [*cut, *whole]
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in tensors)
    leaves = [tensor.detach().requires_grad_(wanted and tensor.requires_grad) for tensor in tensors]
    asked = [leaf for leaf in leaves if leaf.requires_grad]
    cuts, others = leaves[: len(cut)], leaves[len(cut) :]
    total = torch.zeros_like(cuts[0].detach()[:0].sum())
    gradients = [torch.zeros_like(leaf.detach()) for leaf in asked]
    for start, stop in row_blocks(cuts[0].shape[0], block_rows, cuts[0]):
        with torch.set_grad_enabled(wanted):
            part = loss(start, [tensor[start:stop] for tensor in cuts], others)
        total = total + part.detach()
        if wanted:
            found = torch.autograd.grad(part, asked, allow_unused=True)
            for gradient, one in zip(gradients, found, strict=True):
                if one is not None:
                    gradient += one
    return attach(total, gradients, [tensor for tensor in tensors if tensor.requires_grad]) if wanted else total
