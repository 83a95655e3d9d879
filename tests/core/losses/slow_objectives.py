"""The objectives as one would write them on a blackboard: loops over rows, determinants written out, autograd.

Each function takes the objective, whose settings and parameters it reads, M tensors (N, D), the scale and the mask of
missing modalities or None, and returns the loss.
"""

from collections.abc import Callable, Sequence
from itertools import combinations, permutations
from math import prod

import torch
from slow_losses import inner_product, slow_clip, slow_exact, slow_sampled
from torch import Tensor

Rows = Sequence[Tensor]


def cross_entropy(logits: Callable[[int, int], Tensor], rows: Sequence[int], smoothing: float = 0.0) -> Tensor:
    """Mean over some rows of the cross-entropy of a row with its own column among the columns of these rows."""
    losses = []
    for i in rows:
        every = torch.stack([logits(i, j) for j in rows])
        log_shares = every - every.logsumexp(0)
        losses.append(-(1 - smoothing) * log_shares[rows.index(i)] - smoothing * log_shares.mean())
    return torch.stack(losses).mean()


def symmetric(logits: Callable[[int, int], Tensor], rows: Sequence[int], smoothing: float = 0.0) -> Tensor:
    return (cross_entropy(logits, rows, smoothing) + cross_entropy(lambda i, j: logits(j, i), rows, smoothing)) / 2


def every(embeddings: Rows) -> list[int]:
    return list(range(len(embeddings[0])))


def determinant(matrix: list[list[Tensor]]) -> Tensor:
    """The sum over permutations of signed products."""
    total = torch.zeros((), dtype=torch.float64)
    for order in permutations(range(len(matrix))):
        swaps = sum(a > b for a, b in combinations(order, 2))
        total = total + (-1) ** swaps * prod((matrix[i][k] for i, k in enumerate(order)), start=torch.tensor(1.0))
    return total


def gram(vectors: Rows) -> Tensor:
    return determinant([[(a * b).sum() for b in vectors] for a in vectors])


def tuple_of(embeddings: Rows, row: int, without: int, missing: Tensor | None = None) -> list[Tensor]:
    return [
        embedding[row]
        for m, embedding in enumerate(embeddings)
        if m != without and (missing is None or not missing[row, m])
    ]


def inner_logits(left: Rows, right: Rows, scale: Tensor) -> Callable[[int, int], Tensor]:
    return lambda i, j: scale * (left[i] * right[j]).sum()


def slow_anchor(loss, embeddings, scale, missing):
    terms = [
        symmetric(inner_logits(embeddings[loss.anchor], other, scale), every(embeddings))
        for m, other in enumerate(embeddings)
        if m != loss.anchor
    ]
    return torch.stack(terms).sum()


def pair_logits(embeddings, scale, target):
    """The logits of tuple i with candidate j."""
    return lambda i, j: scale * inner_product([*tuple_of(embeddings, i, target), embeddings[target][j]])


def slow_pair(loss, embeddings, scale, missing):
    contrast = symmetric if getattr(loss, "both", False) else cross_entropy
    terms = [contrast(pair_logits(embeddings, scale, t), every(embeddings)) for t in range(len(embeddings))]
    return sum(terms) / len(terms)


def slow_sigmoid_mip(loss, embeddings, scale, missing):
    total, rows = torch.zeros((), dtype=torch.float64), every(embeddings)
    for m in range(len(embeddings)):
        logits = pair_logits(embeddings, scale, m)
        for i in rows:
            for j in rows:
                logit = logits(i, j) + loss.bias
                total = total - (torch.sigmoid(logit) if i == j else 1 - torch.sigmoid(logit)).log()
    return total / (len(embeddings) * len(rows))


def volume(loss, vectors):
    return (gram(vectors) + loss.epsilon).sqrt()


def unit_diagonal_volume(loss, vectors):
    """The same of three unit vectors, by a polynomial of their inner products."""
    p, q, r = ((a * b).sum() for a, b in combinations(vectors, 2))
    return (1 + 2 * p * q * r - p**2 - q**2 - r**2 + loss.epsilon).sqrt()


def half_simplex(loss, vectors):
    return gram([vector - vectors[0] for vector in vectors[1:]]) / 2


def slow_volumes(measure):
    def slow(loss, embeddings, scale, missing):
        terms = []
        anchors = range(len(embeddings)) if loss.anchor is None else [loss.anchor]
        for m in anchors:

            def logits(i, j, m=m):
                return -scale * measure(loss, [embeddings[m][i], *tuple_of(embeddings, j, m, missing)])

            groups = dict[tuple[bool, ...], list[int]]()
            for row in every(embeddings):
                pattern = (False,) * len(embeddings) if missing is None else tuple(missing[row].tolist())
                if not pattern[m] and sum(pattern) < len(embeddings) - 1:
                    groups.setdefault(pattern if getattr(loss, "by_pattern", True) else (), []).append(row)
            part = [len(rows) * symmetric(logits, rows, loss.smoothing) for rows in groups.values()]
            terms.append(sum(part) / max(sum(map(len, groups.values())), 1))
        return sum(terms) / len(terms)

    return slow


def slow_pmrl(loss, embeddings, scale, missing):
    spread, leading = [], []
    for row in every(embeddings):
        _, singular, directions = torch.linalg.svd(torch.stack([e[row] for e in embeddings]), full_matrices=False)
        spread.append((singular / loss.tau1).logsumexp(0) - singular[0] / loss.tau1)
        leading.append(directions[0])
    rows = every(embeddings)
    return torch.stack(spread).mean() + cross_entropy(
        lambda i, j: (leading[i] * leading[j]).sum().abs() / loss.tau2, rows
    )


def length_one(vector):
    return vector / (vector**2).sum().sqrt()


def fuse(loss, vectors, target):
    inner, _, outer, _ = loss.networks[target]
    hidden = (inner.weight @ torch.cat(vectors) + inner.bias).clamp(min=0)
    fused = outer.weight @ hidden + outer.bias
    return length_one(torch.where(fused > 0, fused, 0.2 * fused))


def slow_confu(loss, embeddings, scale, missing):
    modalities = len(embeddings)
    total = (1 - loss.fused_weight) * slow_clip(embeddings, scale)
    for t in range(modalities):
        fused = [fuse(loss, tuple_of(embeddings, i, t), t) for i in every(embeddings)]
        term = symmetric(inner_logits(fused, embeddings[t], scale), every(embeddings))
        total = total + loss.fused_weight * term
    return total / (modalities + modalities * (modalities - 1) / 2)


def gate(loss, candidate, target, other, m):
    """The vector of modality m that stands in a tuple where this candidate is scored."""
    temperature = (1 + loss.log_temperature.exp()).log() + 0.1
    norm, inner, _, outer = loss.null_head
    centred = candidate - candidate.mean()
    normed = centred / ((centred**2).mean() + 1e-5).sqrt() * norm.weight + norm.bias
    null = outer.weight[0] @ (inner.weight @ normed + inner.bias).clamp(min=0) + outer.bias[0]
    opened = 1 - torch.sigmoid((null + loss.null_bias[target]) / temperature)
    query = length_one(loss.queries[target].weight @ candidate)
    weight = torch.sigmoid((query * length_one(loss.keys[m].weight @ other)).sum() / temperature) * opened
    strength = torch.sigmoid(loss.strength)
    mixed = weight * other + (1 - weight) * length_one(loss.neutral[m])
    return length_one((1 - strength) * other + strength * mixed)


def slow_gated(loss, embeddings, scale, missing):
    modalities, width = len(embeddings), embeddings[0].shape[1]
    terms = []
    for t in range(modalities):

        def logits(i, j, t=t):
            candidate = embeddings[t][j]
            gated = [gate(loss, candidate, t, embeddings[m][i], m) for m in range(modalities) if m != t]
            return scale * width ** ((modalities - 1) / 2) * inner_product([candidate, *gated])

        terms.append(cross_entropy(logits, every(embeddings)))
    return sum(terms) / modalities


def slow_subset(loss, embeddings, scale, missing):
    patterns = dict[tuple[bool, ...], list[int]]()
    for row in every(embeddings):
        pattern = [False] * len(embeddings) if missing is None else missing[row].tolist()
        patterns.setdefault(tuple(pattern), []).append(row)
    total, weights = 0 * scale, 0.0
    generator = torch.Generator().manual_seed(loss.seed)
    for pattern in sorted(patterns):
        rows, present = patterns[pattern], [m for m, absent in enumerate(pattern) if not absent]
        if len(present) < 2 or len(rows) < loss.least_rows:
            continue
        values = [embeddings[m][rows] for m in present]
        factor = scale * embeddings[0].shape[1] ** ((len(present) - 2) / 2)
        if loss.negatives == "pair":
            part = slow_pair(loss, values, factor, None)
        elif len(present) == 2:
            part = slow_exact(values, factor)
        else:
            part = slow_sampled(values, factor, 1, generator)
        weight = len(rows) if loss.weights == "rows" else 1.0
        total, weights = total + weight * part, weights + weight
    return total / max(weights, 1.0)


def slow_neutral(loss, embeddings, scale, missing):
    stood_in, groups = embeddings, None
    if missing is not None:
        stood_in = [
            torch.stack([loss.neutral.vectors[m] if missing[i, m] else row for i, row in enumerate(embedding)])
            for m, embedding in enumerate(embeddings)
        ]
        if loss.share_values:
            groups = [torch.where(missing[:, m], 0, -1) for m in range(len(embeddings))]
    return slow_symile(loss, stood_in, scale, None, groups)


def slow_symile(loss, embeddings, scale, missing, groups=None):
    if loss.negatives == "exact" or len(embeddings) == 2:
        return slow_exact(embeddings, scale, groups)
    generator = torch.Generator().manual_seed(loss.seed)
    return slow_sampled(embeddings, scale, loss.shuffles, generator, groups)


def slow_sum_over_pairs(loss, embeddings, scale, missing):
    return slow_clip(embeddings, scale)
