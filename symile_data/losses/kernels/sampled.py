"""The sampled loss, negatives="n": per anchor modality, K shuffles of the other modalities supply the negatives.

For anchor modality m, set k and column c, the candidate is C_kc = prod_{m' != m} E_m'[index_km'(c)], and anchor i has
the logits s <E_m[i], C_kc> and its positive T_i = s sum_d prod_m E_m[i, d]:

    L = mean over m and i of  log(exp T_i + sum_kc exp(s <E_m[i], C_kc>)) - T_i

No candidate is the anchor's own positive. For M = 3 this holds by construction: with a permutation p, set k pairs p(c)
with p(c + delta_k mod N), delta_k != 0, and distinct deltas keep the sets disjoint (so N - 1 sets are all there are).
For M > 3, where independent permutations agree in one column of N^(M-2), such columns are masked. For M = 2 there is
nothing to shuffle: all N - 1 negatives are used (CLIP). As in the paper, one candidate an anchor gives its place to the
positive, so there are N K - 1 negatives; it is a random one of the first set.

Columns have no order, so they are numbered by the row of the first other modality, which is then read in place, without
a gather.

Cost: K matrix products (N, D) x (D, N) an anchor modality and 2 K in its gradient, a block of anchor rows at a time, so
a block's softmax is complete and its gradient is taken at once, without keeping or recomputing logits. On W ranks each
has its own rows as anchors against the candidates of all. All gradients are taken by s T and multiplied by s at the
end; the scale's own is s dL/ds = <E_0, dL/dE_0> (Euler).

Shapes: N rows, D width, K sets, R anchor rows a block. Memory: M (K N, D) tensors, one block of R K N logits.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from symile_data.losses.inputs import LossInputs, LossResult

from .powers import LOG2_E, log2sumexp2
from .products import add_matmul, matmul, products_of_others

_BLOCK_ELEMENTS = 1 << 20  # of logits, 4 MiB of float32 in a processor's cache
_BLOCK_ELEMENTS_ACCELERATOR = 1 << 26
_BLOCK_ROWS = 16


@dataclass(frozen=True)
class Candidates:
    """The rows that make up the candidates of one anchor modality.

    Args:
        rows: (M - 2, K, N) int64: for each other modality after the first, set and column the row taken; the first
            other modality's row is the number of the column.
        replaced: (N,) int64: per anchor the column of the first set that gives its place to the positive.
    """

    rows: Tensor
    replaced: Tensor

    def to(self, device: torch.device) -> Candidates:
        """Copy the indices to another device."""
        return Candidates(self.rows.to(device), self.replaced.to(device))


def draw_candidates(rows: int, modalities: int, shuffles: int, generator: torch.Generator) -> Candidates:
    """Draw the candidates of one anchor modality.

    Args:
        rows: N.
        modalities: M >= 3.
        shuffles: K; for M = 3 at most N - 1 sets exist, and more are not drawn.
        generator: Source of all randomness; advanced.

    Returns:
        Indices on the generator's device.

    >>> candidates = draw_candidates(4, 3, 2, torch.Generator().manual_seed(0))
    >>> bool((candidates.rows == torch.arange(4)).any())
    False
    """

    def permutation(count: int) -> Tensor:
        return torch.randperm(count, generator=generator, device=generator.device)

    order = permutation(rows)
    if modalities > 3:
        # Independent permutations, seen from the first modality's, are again independent permutations.
        drawn = [torch.stack([permutation(rows) for _ in range(shuffles)]) for _ in range(modalities - 2)]
        return Candidates(torch.stack(drawn), order)
    deltas = permutation(max(rows - 1, 0))[:shuffles] + 1
    place = torch.empty_like(order)
    place[order] = torch.arange(rows, device=order.device)
    return Candidates(order[(place + deltas[:, None]) % rows][None], order)


def solve_sampled(
    inputs: LossInputs,
    wanted: bool,
    *,
    shuffles: int,
    generator: torch.Generator,
    gemm_dtype: torch.dtype | None = None,
) -> LossResult:
    """Compute value and gradients over K sets of shuffled negatives.

    Args:
        inputs: The batch of all ranks, M >= 3.
        wanted: Also compute gradients.
        shuffles: K.
        generator: Must be in the same state on every rank.
        gemm_dtype: Operand type of matrix products, or None.
    """
    embeddings, scale, shard = inputs.embeddings, inputs.scale, inputs.shard
    modalities, (n, width) = len(embeddings), embeddings[0].shape
    mine = slice(shard.start, shard.stop)
    numbers = torch.arange(n, device=scale.device)
    groups = inputs.groups
    if groups is None and modalities > 3:
        groups = [numbers] * modalities
    if modalities == 3:
        shuffles = min(shuffles, n - 1)
    gathered = [scale.new_empty((shuffles * n, width)) for _ in range(modalities - 2)]
    candidates = scale.new_empty((shuffles, n, width))
    columns = candidates.view(-1, width)
    gradients = [torch.zeros_like(embedding) for embedding in embeddings] if wanted else []
    own_products = products_of_others([embedding[mine] for embedding in embeddings])
    positives = torch.linalg.vecdot(embeddings[0][mine], own_products[0])
    positive_gradient = torch.zeros_like(positives)
    loss = torch.zeros_like(scale)
    scale2 = scale * LOG2_E  # logits, their sums and losses are to base 2
    blocks = _blocks(shard.start, shard.stop, len(columns), scale)
    # The first block of each anchor modality writes these sums; a rank without rows has no block.
    column_gradient = (torch.empty_like if blocks else torch.zeros_like)(columns) if wanted else columns
    logits_buffer = scale.new_empty((max((stop - start for start, stop in blocks), default=0), len(columns)))

    for m, anchors in enumerate(embeddings):
        drawn = draw_candidates(n, modalities, shuffles, generator).to(scale.device)
        first, *others = [index for index in range(modalities) if index != m]
        for other, index, rows in zip(others, drawn.rows, gathered, strict=True):
            torch.index_select(embeddings[other], 0, index.reshape(-1), out=rows)
        torch.mul(gathered[0].view_as(candidates), embeddings[first], out=candidates)
        for rows in gathered[1:]:
            columns.mul_(rows)
        low = columns.to(gemm_dtype or columns.dtype)
        low_anchors = anchors.to(gemm_dtype or anchors.dtype)

        for start, stop in blocks:
            logits = matmul(low_anchors[start:stop], low.t(), gemm_dtype, logits_buffer[: stop - start])
            logits.mul_(scale2)
            if shuffles:
                logits[numbers[: stop - start], drawn.replaced[start:stop]] = -torch.inf
            if groups is not None:
                logits.masked_fill_(_copies(groups, first, others, drawn, start, stop), -torch.inf)
            block = slice(start - shard.start, stop - shard.start)
            positive = positives[block] * scale2
            negatives = log2sumexp2(logits, dim=1)
            lse = torch.logaddexp2(negatives, positive)
            loss += torch.logaddexp2(negatives - positive, torch.zeros_like(positive)).sum()
            if wanted:
                positive_gradient[block] -= (negatives - lse).exp2()
                probabilities = logits.sub_(lse[:, None]).exp2_().to(gemm_dtype or logits.dtype)
                add_matmul(gradients[m][start:stop], probabilities, low, gemm_dtype)
                fresh = start == shard.start
                add_matmul(column_gradient, probabilities.t(), low_anchors[start:stop], gemm_dtype, fresh=fresh)
        if wanted:
            by_set = column_gradient.view_as(candidates)
            parts = [embeddings[first].expand_as(candidates), *(rows.view_as(candidates) for rows in gathered)]
            rest_of_first, *rests = products_of_others(parts)
            for set_gradient, rest in zip(by_set, rest_of_first, strict=True):
                gradients[first].addcmul_(set_gradient, rest)
            for other, index, rest in zip(others, drawn.rows, rests, strict=True):
                part = by_set.mul_(rest) if other == others[-1] else by_set * rest
                gradients[other].index_add_(0, index.reshape(-1), part.view(-1, width))

    count = modalities * n
    value = shard.sum(loss) / (count * LOG2_E)
    if not wanted:
        return LossResult(value, [], torch.zeros_like(scale))
    for gradient, product in zip(gradients, own_products, strict=True):
        gradient[mine].addcmul_(product, positive_gradient[:, None])
    scale_gradient = shard.sum(torch.linalg.vecdot(embeddings[0], gradients[0]).sum()) / count
    return LossResult(value, shard.own([gradient.mul_(scale / count) for gradient in gradients]), scale_gradient)


def _copies(groups: list[Tensor], first: int, others: list[int], drawn: Candidates, start: int, stop: int) -> Tensor:
    """Which candidates equal which anchor's positive in all modalities but its own, (stop - start, K N) bool."""
    agree = groups[first][start:stop, None] == groups[first].repeat(drawn.rows.shape[1])
    for other, index in zip(others, drawn.rows, strict=True):
        agree &= groups[other][start:stop, None] == groups[other][index.reshape(-1)]
    return agree


def _blocks(start: int, stop: int, columns: int, like: Tensor) -> list[tuple[int, int]]:
    """`start` to `stop` in equal blocks of so many rows that a block's logits stay small."""
    elements = _BLOCK_ELEMENTS if like.device.type == "cpu" else _BLOCK_ELEMENTS_ACCELERATOR
    step = max(_BLOCK_ROWS, elements // max(columns, 1))
    return [(first, min(first + step, stop)) for first in range(start, stop, step)]
