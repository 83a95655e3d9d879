"""Resources of the exact loss: tile size, cache, precision, and the work above which it is refused."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.inputs import LossInputs


@dataclass(frozen=True)
class Defaults:
    """Values for the `Options` that were left open, by kind of device.

    Args:
        tile_elements: Numbers in the widest buffer of a tile.
        cache_bytes: Logits kept between the passes.
        max_flops: Budget of operations, per step and process.
    """

    tile_elements: int
    cache_bytes: int
    max_flops: float


# 4 MiB of float32 stay in a processor's cache; accelerators want fewer and larger launches.
_CPU = Defaults(tile_elements=1 << 20, cache_bytes=64 << 20, max_flops=4e12)
_ACCELERATOR = Defaults(tile_elements=1 << 24, cache_bytes=512 << 20, max_flops=2e14)


@dataclass(frozen=True)
class Options:
    """How the exact loss is computed; no option changes the result beyond rounding.

    Args:
        tile_rows: Rows R of a tile; None chooses by device and width.
        cache_bytes: Logits kept between the passes instead of computed twice; None is 64 MiB on a CPU, 512 MiB
            elsewhere.
        max_flops: Work above which the loss is refused, per step and process; None is 4e12 on a CPU, 2e14 elsewhere.
        gemm_dtype: Round the operands of matrix products to this type (torch.bfloat16); None keeps float32 or float64.

    Raises:
        UsageError: a number is out of range.
    """

    tile_rows: int | None = None
    cache_bytes: int | None = None
    max_flops: float | None = None
    gemm_dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        for name, value, least in (("tile_rows", self.tile_rows, 1), ("cache_bytes", self.cache_bytes, 0)):
            if value is not None and value < least:
                raise UsageError(f"{name} is at least {least}", got=value)


def flops(rows: int, width: int, modalities: int) -> float:
    """Floating-point operations of one exact loss with gradients, where no logits are cached.

    >>> flops(256, 1024, 3) / 1e9
    137.438953472
    """
    return 8.0 * float(rows) ** modalities * width


def check_options(inputs: LossInputs, options: Options) -> None:
    """Check that the work is within the budget.

    Raises:
        UsageError: the work is above the budget.
    """
    first = inputs.embeddings[0]
    rows, modalities = first.shape[0], len(inputs.embeddings)
    work = flops(rows, first.shape[1], modalities) / inputs.shard.world
    budget = defaults(first).max_flops if options.max_flops is None else options.max_flops
    if work > budget:
        raise UsageError(
            f"the exact loss over all {rows}^{modalities} combinations of {modalities} modalities needs {work:.1e}"
            f" operations a step, above the budget of {budget:.1e}",
            do='use negatives="n", whose work grows with the square of the batch, or fewer rows, or a higher max_flops',
        )


def defaults(like: Tensor) -> Defaults:
    """The defaults for the device that holds a tensor."""
    return _CPU if like.device.type == "cpu" else _ACCELERATOR
