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
    return _Sampled(inputs, shuffles, gemm_dtype, wanted=wanted).solve(generator)


class _Sampled:
    """One evaluation of the loss: one anchor modality after the other, and of each a block of rows at a time.

    Logits, their sums and losses are to base 2. Gradients are those by s T until `solve` multiplies them.
    """

    def __init__(self, inputs: LossInputs, shuffles: int, gemm_dtype: torch.dtype | None, *, wanted: bool) -> None:
        self.embeddings, self.scale, self.shard = inputs.embeddings, inputs.scale, inputs.shard
        self.gemm_dtype, self.wanted = gemm_dtype, wanted
        self.modalities, (self.rows, self.width) = len(self.embeddings), self.embeddings[0].shape
        self.numbers = torch.arange(self.rows, device=self.scale.device)
        self.groups = inputs.groups
        if self.groups is None and self.modalities > 3:
            self.groups = [self.numbers] * self.modalities
        self.shuffles = min(shuffles, self.rows - 1) if self.modalities == 3 else shuffles
        self.blocks = _blocks(self.shard.start, self.shard.stop, self.shuffles * self.rows, self.scale)
        # Buffers that all anchor modalities share.
        new = self.scale.new_empty
        self.gathered = [new((self.shuffles * self.rows, self.width)) for _ in range(self.modalities - 2)]
        self.candidates = new((self.shuffles, self.rows, self.width))
        self.columns = self.candidates.view(-1, self.width)
        self.logits = new((max((stop - start for start, stop in self.blocks), default=0), len(self.columns)))
        # The first block of each anchor modality writes these sums; a rank without rows has no block.
        like = torch.empty_like if self.blocks else torch.zeros_like
        self.column_gradient = like(self.columns) if wanted else self.columns
        self.gradients = [torch.zeros_like(embedding) for embedding in self.embeddings] if wanted else []
        mine = slice(self.shard.start, self.shard.stop)
        self.own_products = products_of_others([embedding[mine] for embedding in self.embeddings])
        self.positives = torch.linalg.vecdot(self.embeddings[0][mine], self.own_products[0])
        self.positive_gradient = torch.zeros_like(self.positives)
        self.loss = torch.zeros_like(self.scale)

    def solve(self, generator: torch.Generator) -> LossResult:
        """Return value and gradients; the generator is advanced."""
        for m in range(self.modalities):
            drawn = draw_candidates(self.rows, self.modalities, self.shuffles, generator).to(self.scale.device)
            first, *others = [index for index in range(self.modalities) if index != m]
            self._multiply_candidates(drawn, first, others)
            self._contrast(m, drawn, first, others)
            if self.wanted:
                self._add_gradients_of_candidates(drawn, first, others)
        shard, count = self.shard, self.modalities * self.rows
        value = shard.sum(self.loss) / (count * LOG2_E)
        if not self.wanted:
            return LossResult(value, [], torch.zeros_like(self.scale))
        for gradient, product in zip(self.gradients, self.own_products, strict=True):
            gradient[shard.start : shard.stop].addcmul_(product, self.positive_gradient[:, None])
        by_scale = shard.sum(torch.linalg.vecdot(self.embeddings[0], self.gradients[0]).sum()) / count
        own = shard.own([gradient.mul_(self.scale / count) for gradient in self.gradients])
        return LossResult(value, own, by_scale)

    def _multiply_candidates(self, drawn: Candidates, first: int, others: list[int]) -> None:
        """Gather the rows of the candidates of one anchor modality, and multiply them."""
        for other, index, rows in zip(others, drawn.rows, self.gathered, strict=True):
            torch.index_select(self.embeddings[other], 0, index.reshape(-1), out=rows)
        torch.mul(self.gathered[0].view_as(self.candidates), self.embeddings[first], out=self.candidates)
        for rows in self.gathered[1:]:
            self.columns.mul_(rows)

    def _contrast(self, m: int, drawn: Candidates, first: int, others: list[int]) -> None:
        """Add the losses of this rank's anchors of modality m, and the gradients by anchors and by candidates."""
        dtype = self.gemm_dtype
        low = self.columns.to(dtype or self.columns.dtype)
        anchors = self.embeddings[m].to(dtype or self.scale.dtype)
        scale2 = self.scale * LOG2_E
        for start, stop in self.blocks:
            logits = matmul(anchors[start:stop], low.t(), dtype, self.logits[: stop - start])
            logits.mul_(scale2)
            if self.shuffles:
                logits[self.numbers[: stop - start], drawn.replaced[start:stop]] = -torch.inf
            if self.groups is not None:
                logits.masked_fill_(_copies(self.groups, first, others, drawn, start, stop), -torch.inf)
            block = slice(start - self.shard.start, stop - self.shard.start)
            positive = self.positives[block] * scale2
            negatives = log2sumexp2(logits, dim=1)
            lse = torch.logaddexp2(negatives, positive)
            self.loss += torch.logaddexp2(negatives - positive, torch.zeros_like(positive)).sum()
            if self.wanted:
                self.positive_gradient[block] -= (negatives - lse).exp2()
                probabilities = logits.sub_(lse[:, None]).exp2_().to(dtype or logits.dtype)
                add_matmul(self.gradients[m][start:stop], probabilities, low, dtype)
                fresh = start == self.shard.start
                add_matmul(self.column_gradient, probabilities.t(), anchors[start:stop], dtype, fresh=fresh)

    def _add_gradients_of_candidates(self, drawn: Candidates, first: int, others: list[int]) -> None:
        """Add the gradients by the candidates to the rows that they are products of."""
        by_set = self.column_gradient.view_as(self.candidates)
        parts = [rows.view_as(self.candidates) for rows in self.gathered]
        rest_of_first, *rests = products_of_others([self.embeddings[first].expand_as(self.candidates), *parts])
        for set_gradient, rest in zip(by_set, rest_of_first, strict=True):
            self.gradients[first].addcmul_(set_gradient, rest)
        for other, index, rest in zip(others, drawn.rows, rests, strict=True):
            part = by_set.mul_(rest) if other == others[-1] else by_set * rest
            self.gradients[other].index_add_(0, index.reshape(-1), part.view(-1, self.width))


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
