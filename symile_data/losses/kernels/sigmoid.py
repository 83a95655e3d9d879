"""The sigmoid loss of all pairs of targets and tuples, with its gradients, a block of targets at a time.

With the logits L_m = s E_m C_m' + b, where row j of C_m is the product of the other modalities of row j, the loss is
the mean over m and i of

    softplus(-L_m,ii) + sum over j != i of softplus(L_m,ij)

and its derivative by a logit a sigmoid. The logits of the positives change their sign in place, so that one softplus
and one sigmoid serve all pairs. Both come from one exponential u = exp L, as log1p(u) and u / (1 + u), which takes half
the time of the library's functions; where an exponential overflows, everything is computed again by those.

Shapes: N rows, D width, M modalities, B rows of a block. Memory: two blocks of (M, B, N) logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.losses.inputs import LossResult

from .blocks import row_blocks
from .powers import LOG2_E
from .products import add_through_products, products_of_others
from .together import sum_of_products

# Above it softplus returns its argument, which is exact in float64 from 37 on; exp overflows float32 above 88.
_LINEAR_FROM = 80.0


def sigmoid_of_products(
    embeddings: Sequence[Tensor], scale: Tensor, bias: Tensor, wanted: bool, block_rows: int | None = None
) -> LossResult:
    """Return the mean over modalities and rows of the losses of all pairs.

    Args:
        embeddings: M tensors (N, D), without gradient.
        scale: () tensor.
        bias: () tensor that is added to the logits.
        wanted: Also compute gradients; that by the bias is the only one of the parameters.
        block_rows: B; None chooses by device.
    """
    found = _solve(embeddings, scale, bias, wanted, block_rows, any_range=False)
    if found.value.isfinite().item():
        return found
    return _solve(embeddings, scale, bias, wanted, block_rows, any_range=True)


def _solve(
    embeddings: Sequence[Tensor], scale: Tensor, bias: Tensor, wanted: bool, block_rows: int | None, any_range: bool
) -> LossResult:
    modalities, rows = len(embeddings), embeddings[0].shape[0]
    share, factor, offset = 1 / max(modalities * rows, 1), scale.item(), bias.item()
    # The gradient by a scale of 0 comes from those by the embeddings at a scale of 1.
    slope = factor or 1.0
    tuples = products_of_others(embeddings)
    value, by_bias = torch.zeros_like(scale), torch.zeros_like(scale)
    gradients, by_tuples = ([torch.empty_like(one) for one in embeddings] if wanted else [] for _ in range(2))
    for start, stop in row_blocks(rows, block_rows, scale, layers=modalities):
        logits = scale.new_full((modalities, stop - start, rows), offset * LOG2_E)
        layers = list(logits.unbind())
        for layer, target, one in zip(layers, embeddings, tuples, strict=True):
            layer.addmm_(target[start:stop], one.t(), alpha=factor * LOG2_E)
        positives = logits.diagonal(offset=start, dim1=1, dim2=2)
        positives.neg_()
        value += _losses_to_slopes(logits, wanted, any_range)
        if not wanted:
            continue
        positives.neg_()
        by_bias += logits.sum()
        for m, (layer, target) in enumerate(zip(layers, embeddings, strict=True)):
            gradients[m][start:stop].addmm_(layer, tuples[m], beta=0, alpha=slope * share)
            by_tuples[m].addmm_(layer.t(), target[start:stop], beta=float(start > 0), alpha=slope * share)
    if not wanted:
        return LossResult(value * share, [], torch.zeros_like(scale))
    add_through_products(gradients, by_tuples, embeddings)
    # The scaled part of every logit is a product with one factor of each modality: s dL/ds = <E_m, dL/dE_m> for any m.
    by_scale = sum_of_products(embeddings[:1], gradients[:1]) / slope
    if not factor:
        gradients = [torch.zeros_like(one) for one in embeddings]
    return LossResult(value * share, gradients, by_scale, [by_bias * share])


def _losses_to_slopes(logits: Tensor, wanted: bool, any_range: bool) -> Tensor:
    """Return the sum of the losses, (), of logits to base 2, which become the derivatives by them where wanted."""
    if any_range:
        loss = F.softplus(logits.div_(LOG2_E), threshold=_LINEAR_FROM).sum()
        logits.sigmoid_()
        return loss
    logits.exp2_()
    other = logits.log1p()
    loss = other.sum()
    if wanted:
        logits.div_(torch.add(logits, 1.0, out=other))
    return loss
