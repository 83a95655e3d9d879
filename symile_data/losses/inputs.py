"""The frame of every loss: check the arguments, gather rows, and attach gradients to the result.

The losses compute their gradients together with the value (see `exact`, `sampled` and `contrast`), outside autocast, in
float32 or better. `attach` then makes the value a node of the graph whose backward is one multiplication: backward
costs nothing, may be called twice, and only the M (N, D) gradients are held in between. Objectives that are plain
formulas stay in autograd's graph where one process computes them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field

import torch
from torch import Tensor

from symile_data.errors import UsageError

from .attach import attach
from .gather import RankShard, rank_shard


@dataclass(frozen=True)
class LossInputs:
    """The batch of all ranks, checked and converted.

    Args:
        embeddings: M tensors (N, D) of one dtype, float32 or float64, without gradient.
        scale: () tensor of that dtype, multiplies every inner product.
        groups: M tensors (N,) int64, or None when no two rows of any modality share a value.
        shard: The rows that this rank holds.
        missing: (N, M) bool, True where a row lacks a modality, or None where the loss was not told.
    """

    embeddings: list[Tensor]
    scale: Tensor
    groups: list[Tensor] | None
    shard: RankShard
    missing: Tensor | None = None


@dataclass(frozen=True)
class LossResult:
    """The value of a loss and its gradients.

    Args:
        value: () tensor, the loss of the batch of all ranks. Where it lies in autograd's graph already, the gradients
            are left to that.
        gradients: M tensors (n_r, D) for this rank's rows, multiplied by the number of ranks; empty when not asked for.
        scale_gradient: () tensor, the derivative by `LossInputs.scale`, the same on every rank.
        parameter_gradients: Derivatives by the parameters of the loss itself, the same on every rank.
    """

    value: Tensor
    gradients: list[Tensor]
    scale_gradient: Tensor
    parameter_gradients: list[Tensor] = field(default_factory=list)


Solver = Callable[[LossInputs, bool], LossResult]


def differentiable_loss(
    embeddings: Sequence[Tensor],
    logit_scale: Tensor | float,
    solve: Solver,
    *,
    groups: Sequence[Tensor | None] | None,
    factor: float,
    gather: bool,
    missing: Tensor | None = None,
    parameters: Sequence[Tensor] = (),
) -> Tensor:
    """Run a solver on checked inputs and return its value as a differentiable scalar.

    Args:
        embeddings: M tensors (n, D).
        logit_scale: Scalar, already exponentiated.
        solve: Called with the inputs and whether gradients are wanted.
        groups: Per modality (n,) int64 group ids or None.
        factor: Multiplies `logit_scale`.
        gather: Compute on the rows of all ranks.
        missing: (n, M) bool, True where a row lacks a modality, or None.
        parameters: Parameters of the loss itself, for which the solver returns gradients too.

    Returns:
        () tensor, float64 where the embeddings are, else float32.

    Raises:
        UsageError: shapes or dtypes that do not fit.
    """
    embeddings = list(embeddings)
    _check(embeddings, groups, missing)
    first, common = embeddings[0], _common_dtype(embeddings)
    dtype = torch.promote_types(common, torch.float32)
    scale = torch.as_tensor(logit_scale, device=first.device)
    if scale.numel() != 1:
        raise UsageError("logit_scale is one number", got=f"shape {tuple(scale.shape)}")
    inputs_of_graph = (scale, *embeddings, *parameters)
    wanted = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs_of_graph)
    device = first.device.type
    outside = torch.autocast(device, enabled=False) if torch.is_autocast_enabled(device) else nullcontext()
    with torch.no_grad(), outside:
        shard = rank_shard(first.shape[0], first.device, gather)
        rows = shard.gather([one if one.dtype == common else one.to(common) for one in embeddings])
        inputs = LossInputs(
            embeddings=[(row if row.dtype == dtype else row.to(dtype)).contiguous() for row in rows],
            scale=scale.detach().reshape(()).to(dtype) * factor,
            groups=_canonical_groups(groups, first, shard),
            shard=shard,
            missing=None if missing is None else shard.gather([missing.to(first.device, torch.uint8)])[0].bool(),
        )
        result = solve(inputs, wanted)
    if not wanted or result.value.requires_grad:
        return result.value
    gradients = (result.scale_gradient * factor, *result.gradients, *result.parameter_gradients)
    return attach(result.value, gradients, inputs_of_graph)


def differentiate(
    formula: Callable[[Sequence[Tensor], Tensor, Tensor | None], Tensor],
    inputs: LossInputs,
    parameters: Sequence[Tensor],
) -> LossResult:
    """Differentiate a formula of all rows by autograd: every rank computes it whole and keeps its own rows' gradients.

    Args:
        formula: Called with M tensors (N, D), the scale and the mask of missing modalities.
        inputs: The batch of all ranks.
        parameters: Parameters that the formula may use; those that it does not use get zeros.
    """
    with torch.enable_grad():
        leaves = [embedding.detach().requires_grad_() for embedding in inputs.embeddings]
        scale = inputs.scale.detach().requires_grad_()
        value = formula(leaves, scale, inputs.missing)
    variables = [*leaves, scale, *parameters]
    found: Sequence[Tensor | None] = [None] * len(variables)
    if value.requires_grad:  # it does not where no row takes part
        found = torch.autograd.grad(value, variables, allow_unused=True)
    gradients = [torch.zeros_like(leaf) if one is None else one for leaf, one in zip(variables, found, strict=True)]
    shard, count = inputs.shard, len(leaves)
    own = gradients[:count]
    if shard.world > 1:
        own = [gradient[shard.start : shard.stop] * shard.world for gradient in own]
    return LossResult(value.detach(), own, gradients[count], gradients[count + 1 :])


def mip_factor(mip_scale: str, modalities: int, width: int) -> float:
    """Factor of the multilinear inner product of M vectors of width D, for a name in `MIP_SCALES`.

    "none" is 1; "aligned" is D^((M-2)/2), which brings aligned dense unit vectors to 1 (and CLIP's scale at M = 2);
    "unit" is D^((M-1)/2), which brings random unit vectors to unit variance.

    >>> mip_factor("none", 3, 64), mip_factor("aligned", 3, 64), mip_factor("unit", 3, 64), mip_factor("aligned", 2, 64)
    (1.0, 8.0, 64.0, 1.0)
    """
    half_powers = {"none": 0, "aligned": modalities - 2, "unit": modalities - 1}[mip_scale]
    return float(width ** (half_powers / 2))


def _common_dtype(embeddings: Sequence[Tensor]) -> torch.dtype:
    dtype = embeddings[0].dtype
    for embedding in embeddings[1:]:
        if embedding.dtype != dtype:
            dtype = torch.promote_types(dtype, embedding.dtype)
    return dtype


def _check(embeddings: Sequence[Tensor], groups: Sequence[Tensor | None] | None, missing: Tensor | None = None) -> None:
    if len(embeddings) < 2:
        raise UsageError("a contrastive loss needs two modalities or more", got=len(embeddings))
    shapes = [tuple(embedding.shape) for embedding in embeddings]
    if len(shapes[0]) != 2 or len(set(shapes)) != 1:
        raise UsageError("embeddings are (rows, width) tensors of one shape", got=", ".join(map(str, shapes)))
    if not all(embedding.is_floating_point() for embedding in embeddings):
        raise UsageError("embeddings are floating point", got=", ".join(str(e.dtype) for e in embeddings))
    if missing is not None and (missing.shape != (shapes[0][0], len(embeddings)) or missing.dtype != torch.bool):
        raise UsageError(
            f"missing is a bool tensor of shape ({shapes[0][0]}, {len(embeddings)})",
            got=f"{missing.dtype}, shape {tuple(missing.shape)}",
        )
    if groups is None:
        return
    if len(groups) != len(embeddings):
        raise UsageError(f"groups has one entry for each of the {len(embeddings)} modalities", got=len(groups))
    for group in groups:
        if group is not None and (group.shape != embeddings[0].shape[:1] or group.dtype != torch.int64):
            raise UsageError(
                f"group ids are an int64 tensor of {shapes[0][0]} rows",
                got=f"{group.dtype}, shape {tuple(group.shape)}",
            )


def _canonical_groups(groups: Sequence[Tensor | None] | None, like: Tensor, shard: RankShard) -> list[Tensor] | None:
    """Gather the group ids of all ranks and number each -1 apart; None where all values differ, the common case."""
    if groups is None or all(group is None for group in groups):
        return None
    alone = torch.full(like.shape[:1], -1, dtype=torch.int64, device=like.device)
    rows = shard.gather([alone if group is None else group.to(like.device) for group in groups])
    numbers = torch.arange(shard.total, device=like.device)
    # `inverse` is below N, so N + row number is free for the rows that share with nobody.
    ids = [torch.where(row == -1, shard.total + numbers, torch.unique(row, return_inverse=True)[1]) for row in rows]
    if all(torch.unique(row).numel() == shard.total for row in ids):
        return None
    return ids
