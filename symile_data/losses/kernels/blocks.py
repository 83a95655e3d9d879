"""Losses over pairs of rows, a block of rows at a time: no (N, N) tensor is kept for backward."""

from __future__ import annotations

from torch import Tensor

_BLOCK_ELEMENTS = 1 << 20  # of a block's (B, N) logits, 4 MiB of float32 in a processor's cache
_BLOCK_ELEMENTS_ACCELERATOR = 1 << 26


def row_blocks(rows: int, block_rows: int | None, like: Tensor, layers: int = 1) -> list[tuple[int, int]]:
    """Return the rows of each block, from its first to one past its last.

    Args:
        rows: N.
        block_rows: B; None chooses so that the numbers of a block suit the device.
        like: Gives the device.
        layers: How many (B, N) matrices a block has.
    """
    elements = _BLOCK_ELEMENTS if like.device.type == "cpu" else _BLOCK_ELEMENTS_ACCELERATOR
    step = block_rows or max(1, elements // max(layers * rows, 1))
    return [(start, min(start + step, rows)) for start in range(0, rows, step)]
