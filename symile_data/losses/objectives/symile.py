"""The Symile loss: for each modality as anchor in turn, find its positive among other combinations of the other
modalities.

With the multilinear inner product T[i1..iM] = s sum_d prod_m E_m[i_m, d], the loss is the mean over anchor modalities m
and rows i of -log softmax of T[i..i] among combinations with i_m = i: all N^(M-1) of them (negatives="exact", see
`exact`) or N K (negatives="n", see `sampled`). Both compute value and gradients together, in float32 or better also
under autocast, and keep nothing for backward but the gradients themselves; a second derivative does not exist.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.inputs import LossInputs, LossResult, differentiable_loss, mip_factor
from symile_data.losses.kernels.budget import Options
from symile_data.losses.kernels.exact import solve_exact
from symile_data.losses.kernels.sampled import solve_sampled
from symile_data.losses.objectives import MIP_SCALES, NEGATIVES
from symile_data.losses.shuffled_objective import ShuffledObjective


def symile_loss(
    embeddings: Sequence[Tensor],
    logit_scale: Tensor | float,
    *,
    negatives: str = "n",
    shuffles: int = 1,
    generator: torch.Generator | None = None,
    groups: Sequence[Tensor | None] | None = None,
    mip_scale: str = "none",
    tile_rows: int | None = None,
    cache_bytes: int | None = None,
    max_flops: float | None = None,
    gemm_dtype: torch.dtype | None = None,
    gather: bool = False,
) -> Tensor:
    """Mean over anchor modalities and rows of the contrastive loss.

    Args:
        embeddings: M >= 2 floating tensors (N, D), row i of each from the same sample.
        logit_scale: Scalar, already exponentiated; gets a gradient where it requires one.
        negatives: "n" for K shuffles an anchor modality, "exact" for all N^(M-1) - 1 negatives. Equal for M = 2.
        shuffles: K, for "n".
        generator: Source of the shuffles, for "n" with M > 2; advanced by each call. Under `gather` it must be in the
            same state on every rank.
        groups: Per modality (N,) int64 ids of values, or None where all differ: rows with the same id hold the same
            value (a repeated image, "missing"), -1 is a value of its own. A combination whose modalities other than the
            anchor's all equal those of the anchor's row is a copy of the positive and no negative.
        mip_scale: "none"; "aligned", times D^((M-2)/2); "unit", times D^((M-1)/2).
        tile_rows: Rows of a tile, for "exact"; None chooses by device and width.
        cache_bytes: Logits kept between the two passes of "exact" (a quarter less work where all fit); None is 64 MiB
            on a CPU, 512 MiB elsewhere, 0 keeps none.
        max_flops: Work a step and process above which "exact" is refused; None is 4e12 on a CPU, 2e14 elsewhere.
        gemm_dtype: Round operands of matrix products to this type (torch.bfloat16), accumulating in float32; None does
            not.
        gather: Where torch.distributed runs, take negatives from the rows of all ranks; every rank must call. The value
            is then that of the whole batch on every rank and gradients of embeddings are multiplied by the number of
            ranks, which DDP's mean over ranks undoes; the gradient of `logit_scale` is exact on each.

    Returns:
        () float32 tensor, float64 for float64 embeddings.

    Raises:
        UsageError: arguments that do not fit, or "exact" above its budget.

    >>> x, y, z = torch.eye(3), torch.eye(3), torch.eye(3)
    >>> round(symile_loss([x, y, z], 10.0, negatives="exact").item(), 6)
    0.000363
    """
    _check_choices(negatives, shuffles, mip_scale)
    options = Options(tile_rows=tile_rows, cache_bytes=cache_bytes, max_flops=max_flops, gemm_dtype=gemm_dtype)

    def solve(inputs: LossInputs, wanted: bool) -> LossResult:
        if negatives == "exact" or len(inputs.embeddings) == 2:
            return solve_exact(inputs, wanted, options)
        if generator is None:
            raise UsageError(
                'negatives="n" draws shuffles and needs a generator',
                do="pass generator=torch.Generator().manual_seed(seed)",
            )
        return solve_sampled(inputs, wanted, shuffles=shuffles, generator=generator, gemm_dtype=gemm_dtype)

    width = embeddings[0].shape[-1] if embeddings and embeddings[0].dim() else 1
    factor = mip_factor(mip_scale, len(embeddings), width)
    return differentiable_loss(embeddings, logit_scale, solve, groups=groups, factor=factor, gather=gather)


class SymileLoss(ShuffledObjective):
    """`symile_loss` as a module, with a seeded source of shuffles that is part of its state; see `ShuffledObjective`.

    Args:
        negatives: "n" or "exact".
        shuffles: K, for "n".
        seed: Seed of the shuffles; the same on every rank.
        mip_scale: "none", "aligned" or "unit".
        tile_rows: As in `symile_loss`, like the options after it.

    >>> loss = SymileLoss(seed=1)
    >>> loss([torch.eye(4)] * 3, 1.0).shape
    torch.Size([])
    """

    takes_groups = True

    def __init__(
        self,
        negatives: str = "n",
        *,
        shuffles: int = 1,
        seed: int = 0,
        mip_scale: str = "none",
        tile_rows: int | None = None,
        cache_bytes: int | None = None,
        max_flops: float | None = None,
        gemm_dtype: torch.dtype | None = None,
        gather: bool = False,
    ) -> None:
        super().__init__(seed=seed, gather=gather)
        _check_choices(negatives, shuffles, mip_scale)
        Options(tile_rows=tile_rows, cache_bytes=cache_bytes)  # checks them before anything is trained
        self.negatives, self.shuffles, self.mip_scale = negatives, shuffles, mip_scale
        self.tile_rows, self.cache_bytes, self.max_flops = tile_rows, cache_bytes, max_flops
        self.gemm_dtype = gemm_dtype

    def start_scale(self, modalities: int, dim: int, unit: bool) -> float:
        """Return the scale of random products with a standard deviation of half a logit; see `ProductObjective`."""
        return super().start_scale(modalities, dim, unit) / mip_factor(self.mip_scale, modalities, dim)

    def forward(
        self,
        embeddings: Sequence[Tensor],
        logit_scale: Tensor | float,
        groups: Sequence[Tensor | None] | None = None,
        *,
        missing: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of M tensors (N, D), a () tensor; see `symile_loss`."""
        self.check_mask(missing)
        return symile_loss(
            embeddings,
            logit_scale,
            negatives=self.negatives,
            shuffles=self.shuffles,
            generator=self.generator_of_call(),
            groups=groups,
            mip_scale=self.mip_scale,
            tile_rows=self.tile_rows,
            cache_bytes=self.cache_bytes,
            max_flops=self.max_flops,
            gemm_dtype=self.gemm_dtype,
            gather=self.gather,
        )

    def extra_repr(self) -> str:
        """The options that `repr` shows."""
        return f"negatives={self.negatives!r}, shuffles={self.shuffles}, seed={self.seed}, mip_scale={self.mip_scale!r}"


def _check_choices(negatives: str, shuffles: int, mip_scale: str) -> None:
    if negatives not in NEGATIVES:
        raise UsageError("negatives is unknown", got=repr(negatives), do=f"choose among {', '.join(NEGATIVES)}")
    if shuffles < 1:
        raise UsageError("shuffles is at least 1", got=shuffles)
    if mip_scale not in MIP_SCALES:
        raise UsageError("mip_scale is unknown", got=repr(mip_scale), do=f"choose among {', '.join(MIP_SCALES)}")
