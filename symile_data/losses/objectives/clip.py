"""Pairwise CLIP on any number of modalities, the baseline: the sum over pairs of the symmetric two-modality loss.

    L = sum_{a < b} (CE(s E_a E_b') + CE(s E_b E_a')) / 2

Each pair is the exact loss of two modalities, so it is computed in tiles and takes group ids; of few rows all pairs are
computed at once, in fewer operations. It is a sum over pairs, as in the paper's experiments, while Symile is a mean
over anchors: with three modalities the two differ threefold in size at chance.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import torch
from torch import Tensor

from symile_data.losses.inputs import LossInputs, LossResult, differentiable_loss
from symile_data.losses.kernels.budget import Options
from symile_data.losses.kernels.exact import solve_exact
from symile_data.losses.kernels.products import add_matmul
from symile_data.losses.kernels.together import contrasts_at_once, fit_together, sum_of_products
from symile_data.losses.objective import PairwiseObjective


def pairwise_clip_loss(
    embeddings: Sequence[Tensor],
    logit_scale: Tensor | float,
    *,
    groups: Sequence[Tensor | None] | None = None,
    tile_rows: int | None = None,
    cache_bytes: int | None = None,
    max_flops: float | None = None,
    gemm_dtype: torch.dtype | None = None,
    gather: bool = False,
) -> Tensor:
    """Sum over pairs of modalities of the symmetric InfoNCE loss; arguments as in `symile_loss`.

    Args:
        embeddings: M >= 2 floating tensors (N, D).
        logit_scale: Scalar, already exponentiated.
        groups: Per modality (N,) int64 ids of values, or None; row j of modality b is no negative of row i of modality
            a where rows i and j of b hold the same value.
        tile_rows: Rows of a tile; None chooses.
        cache_bytes: Logits kept between the two passes of a pair.
        max_flops: Work of one pair above which the loss is refused.
        gemm_dtype: Operand type of matrix products, or None.
        gather: Take negatives from the rows of all ranks.

    Returns:
        () float32 tensor, float64 for float64 embeddings.

    Raises:
        UsageError: arguments that do not fit.

    >>> e = torch.eye(2)
    >>> round(pairwise_clip_loss([e, e, e], 1.0).item(), 4) == round(3 * pairwise_clip_loss([e, e], 1.0).item(), 4)
    True
    """
    options = Options(tile_rows=tile_rows, cache_bytes=cache_bytes, max_flops=max_flops, gemm_dtype=gemm_dtype)

    def solve(inputs: LossInputs, wanted: bool) -> LossResult:
        if inputs.shard.world == 1 and inputs.groups is None and options == Options(gemm_dtype=gemm_dtype):
            found = _at_once(inputs, wanted, gemm_dtype)
            if found is not None:
                return found
        value, scale_gradient = torch.zeros_like(inputs.scale), torch.zeros_like(inputs.scale)
        shard, every = inputs.shard, inputs.embeddings
        gradients = [torch.zeros_like(e[shard.start : shard.stop]) for e in every] if wanted else []
        for pair in combinations(range(len(every)), 2):
            ids = None if inputs.groups is None else [inputs.groups[m] for m in pair]
            part = solve_exact(LossInputs([every[m] for m in pair], inputs.scale, ids, shard), wanted, options)
            value = value + part.value
            scale_gradient = scale_gradient + part.scale_gradient
            for m, gradient in zip(pair, part.gradients, strict=False):
                gradients[m] += gradient
        return LossResult(value, gradients, scale_gradient)

    return differentiable_loss(embeddings, logit_scale, solve, groups=groups, factor=1.0, gather=gather)


def _at_once(inputs: LossInputs, wanted: bool, gemm_dtype: torch.dtype | None) -> LossResult | None:
    """Compute the losses of all pairs at once; None where rows are many or the logits' range is too wide for that."""
    every = inputs.embeddings
    pairs = list(combinations(range(len(every)), 2))
    if not fit_together(len(pairs), len(every[0])):
        return None
    left, right = ([every[pair[side]] for pair in pairs] for side in (0, 1))
    found = contrasts_at_once(left, right, inputs.scale, "both", wanted, gemm_dtype=gemm_dtype)
    if found is None or not wanted:
        return None if found is None else LossResult(found[0], [], torch.zeros_like(inputs.scale))
    value, slopes = found
    gradients, fresh = [torch.empty_like(one) for one in every], set(range(len(every)))
    short = [one.to(gemm_dtype or one.dtype) for one in every]
    for (a, b), slope in zip(pairs, slopes, strict=True):
        low = slope.to(gemm_dtype or slope.dtype)
        for m, factors, other in ((a, low, short[b]), (b, low.t(), short[a])):
            add_matmul(gradients[m], factors, other, gemm_dtype, fresh=m in fresh)
            fresh.discard(m)
    # Each pair's logits count in the gradients of both of its modalities.
    return LossResult(value, gradients, sum_of_products(every, gradients) / (2 * inputs.scale))


class ClipLoss(PairwiseObjective):
    """`pairwise_clip_loss` as an objective.

    Args:
        tile_rows: As in `pairwise_clip_loss`, like the options after it.
    """

    takes_groups = True

    def __init__(
        self,
        *,
        tile_rows: int | None = None,
        cache_bytes: int | None = None,
        max_flops: float | None = None,
        gemm_dtype: torch.dtype | None = None,
        gather: bool = False,
    ) -> None:
        super().__init__(gather=gather)
        Options(tile_rows=tile_rows, cache_bytes=cache_bytes)  # checks them before anything is trained
        self.tile_rows, self.cache_bytes, self.max_flops = tile_rows, cache_bytes, max_flops
        self.gemm_dtype = gemm_dtype

    def forward(
        self,
        embeddings: Sequence[Tensor],
        logit_scale: Tensor | float,
        groups: Sequence[Tensor | None] | None = None,
        *,
        missing: Tensor | None = None,
    ) -> Tensor:
        """Return the loss of M tensors (N, D), a () tensor; see `pairwise_clip_loss`."""
        self.check_mask(missing)
        return pairwise_clip_loss(
            embeddings,
            logit_scale,
            groups=groups,
            tile_rows=self.tile_rows,
            cache_bytes=self.cache_bytes,
            max_flops=self.max_flops,
            gemm_dtype=self.gemm_dtype,
            gather=self.gather,
        )
