"""The sigmoid loss of all pairs of targets and tuples, with its gradients, a block of targets at a time.

With the logits L_m = s E_m C_m' + b, where row j of C_m is the product of the other modalities of row j, the loss is
the mean over m and i of

    softplus(-L_m,ii) + sum over j != i of softplus(L_m,ij)

and its derivative by a logit a sigmoid. The logits of the positives change their sign in place, so that one softplus
and one sigmoid serve all pairs.

Shapes: N rows, D width, M modalities, B rows of a block. Memory: one block of (M, B, N) logits.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from symile_data.losses.inputs import LossResult

from .blocks import row_blocks
from .products import add_through_products, stacked_products_of_others

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
    targets, tuples = torch.stack(list(embeddings)), stacked_products_of_others(embeddings)
    modalities, rows, _ = targets.shape
    share = 1 / max(modalities * rows, 1)
    value, by_scale, by_bias = (torch.zeros_like(scale) for _ in range(3))
    by_targets = torch.empty_like(targets) if wanted else targets
    by_tuples = torch.zeros_like(tuples) if wanted else tuples
    for start, stop in row_blocks(rows, block_rows, scale, layers=modalities):
        scaled = targets[:, start:stop] * scale
        logits = torch.baddbmm(bias, scaled, tuples.mT)
        positives = logits.diagonal(offset=start, dim1=1, dim2=2)
        positives.neg_()
        value += F.softplus(logits, threshold=_LINEAR_FROM).sum()
        if not wanted:
            continue
        slopes = logits.sigmoid_()
        positives.neg_()
        torch.matmul(slopes, tuples, out=by_targets[:, start:stop])
        by_tuples.baddbmm_(slopes.mT, scaled)
        by_bias += slopes.sum()
    if not wanted:
        return LossResult(value * share, [], by_scale)
    by_scale = torch.linalg.vecdot(by_targets.view(-1), targets.view(-1)) * share
    factor = scale * share
    gradients = list(by_targets.mul_(factor).unbind())
    add_through_products(gradients, by_tuples.mul_(share).unbind(), embeddings)
    return LossResult(value * share, gradients, by_scale, [by_bias * share])
