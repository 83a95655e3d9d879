"""Each objective's formula written directly in torch, as `loss.py` compares with.

They are what one would write first: cross_entropy of whole (N, N) logits, determinants of (N, N, M, M) Gram matrices,
(N, N, D) tensors of gated or of subtracted vectors, one library decomposition for each row. Autograd keeps what it
needs. `numbers` says how many numbers the largest tensors of a form hold, so that the benchmark skips what memory does
not.

Shapes: N rows, D width, M modalities.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

# Called with the objective (for its own parameters), M tensors (N, D), the scale, and the mask (N, M) or None.
Plain = Callable[[Any, Sequence[Tensor], Tensor, Tensor | None], Tensor]


def symmetric(logits: Tensor, smoothing: float = 0.0) -> Tensor:
    """The mean of both directions of cross_entropy."""
    own = torch.arange(len(logits))
    rows = F.cross_entropy(logits, own, label_smoothing=smoothing)
    return (rows + F.cross_entropy(logits.t(), own, label_smoothing=smoothing)) / 2


def by_rows(logits: Tensor) -> Tensor:
    """The cross_entropy of rows with the positives on the diagonal."""
    return F.cross_entropy(logits, torch.arange(len(logits)))


def others_of(e: Sequence[Tensor], m: int) -> list[Tensor]:
    """All tensors but one."""
    return [one for o, one in enumerate(e) if o != m]


def product(e: Sequence[Tensor]) -> Tensor:
    """The elementwise product of the tensors."""
    return math.prod(e[1:], start=e[0])


def mean(terms: Sequence[Tensor]) -> Tensor:
    """The mean of () tensors."""
    return torch.stack(list(terms)).mean()


def clip(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """CLIP: the sum over pairs."""
    return torch.stack([symmetric(s * a @ b.t()) for a, b in combinations(e, 2)]).sum()


def anchor(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Anchor: the pairs with the first modality."""
    return torch.stack([symmetric(s * e[0] @ b.t()) for b in e[1:]]).sum()


def symile_n(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Symile with shuffled negatives, as the public package draws them: each other modality in an order of its own."""
    terms = []
    for m, own in enumerate(e):
        shuffled = product([one[torch.randperm(len(one))] for one in others_of(e, m)])
        positives = product(e).sum(dim=1)
        logits = own @ shuffled.t()
        terms.append(by_rows(s * torch.where(torch.eye(len(own), dtype=torch.bool), positives, logits)))
    return mean(terms)


def symile_exact(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Symile with all N^2 combinations of the two other modalities."""
    rows, terms = len(e[0]), []
    for m, own in enumerate(e):
        first, second = others_of(e, m)
        logits = s * torch.einsum("id,jd,kd->ijk", own, first, second).reshape(rows, -1)
        terms.append(F.cross_entropy(logits, torch.arange(rows) * (rows + 1)))
    return mean(terms)


def symile_pair(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Symile pair: tuples against targets."""
    return mean([by_rows(s * product(others_of(e, m)) @ own.t()) for m, own in enumerate(e)])


def sigmoid_mip(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Sigmoid MIP: each pair alone."""
    signs = 2 * torch.eye(len(e[0])) - 1
    terms = [
        -F.logsigmoid(signs * (s * own @ product(others_of(e, m)).t() + loss.bias)).sum() for m, own in enumerate(e)
    ]
    return mean(terms) / len(e[0])


def volumes(loss: Any, own: Tensor, tuples: Tensor, missing: Tensor | None) -> Tensor:
    """The volumes of an anchor's vectors and tuples (N, K, D), by determinants of (N, N, K + 1, K + 1)."""
    rows, size, _ = tuples.shape
    inner = tuples @ tuples.mT
    cross = torch.einsum("id,jkd->ijk", own, tuples)
    if missing is not None:
        inner = torch.where(missing[:, :, None] | missing[:, None, :], torch.eye(size), inner)
        cross = cross.masked_fill(missing[None], 0.0)
    top = torch.cat([own.square().sum(dim=1)[:, None, None].expand(rows, rows, 1), cross], dim=2)
    rest = torch.cat([cross[..., None], inner[None].expand(rows, rows, size, size)], dim=3)
    gram = torch.cat([top[:, :, None], rest], dim=2)
    return (torch.linalg.det(gram).clamp(min=0) + loss.epsilon).sqrt()


def gram(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """GRAM with every modality as anchor."""
    tuples = [torch.stack(others_of(e, m), dim=1) for m in range(len(e))]
    return mean([symmetric(-s * volumes(loss, own, one, None)) for own, one in zip(e, tuples, strict=True)])


def gram_masked(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """GRAM on what rows have; rows of another pattern of missing modalities are no negatives."""
    assert missing is not None
    pattern = (missing * 2 ** torch.arange(len(e))).sum(dim=1)
    terms = []
    for m, own in enumerate(e):
        took = ~missing[:, m] & ((~missing).sum(dim=1) > 1)
        absent = torch.stack([missing[:, o] for o in range(len(e)) if o != m], dim=1)
        logits = -s * volumes(loss, own, torch.stack(others_of(e, m), dim=1), absent)
        logits = logits.masked_fill(pattern[:, None] != pattern, -torch.inf)
        terms.append(symmetric(logits[took][:, took]))
    return mean(terms)


def triangle(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """TRIANGLE from its sides at the anchor, two (N, N, D) tensors."""
    terms = []
    for m, own in enumerate(e):
        u, v = (own[:, None] - one[None] for one in others_of(e, m))
        area = ((u * u).sum(-1) * (v * v).sum(-1) - (u * v).sum(-1).square()) / 2
        terms.append(symmetric(-s * area))
    return mean(terms)


def simplex(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Simplex: determinants of (N, N, M - 1, M - 1) Gram matrices of the sides at the anchor."""
    terms = []
    for m, own in enumerate(e):
        tuples = torch.stack(others_of(e, m), dim=1)
        cross = torch.einsum("id,jkd->ijk", own, tuples)
        length = own.square().sum(dim=1)[:, None, None, None]
        sides = length - cross[..., None] - cross[:, :, None] + (tuples @ tuples.mT)[None]
        terms.append(symmetric(-s * torch.linalg.det(sides) / 2))
    return mean(terms)


def pmrl(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """PMRL by the library's singular value decomposition of each row."""
    _, values, directions = torch.linalg.svd(torch.stack(list(e), dim=1), full_matrices=False)
    alignment = F.cross_entropy(values / loss.tau1, torch.zeros(len(values), dtype=torch.long))
    leading = directions[:, 0]
    return alignment + by_rows((leading @ leading.t()).abs() / loss.tau2)


def confu(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """ConFu with the objective's own networks."""
    fused = [
        symmetric(s * loss.combine({o: one for o, one in enumerate(e) if o != t}, t) @ e[t].t()) for t in range(len(e))
    ]
    pairs = [symmetric(s * a @ b.t()) for a, b in combinations(e, 2)]
    weight = loss.fused_weight
    total = weight * torch.stack(fused).sum() + (1 - weight) * torch.stack(pairs).sum()
    return total / (len(fused) + len(pairs))


def gated(loss: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Gated Symile with (N, N, D) tensors of gated vectors."""
    strength, terms = loss.strength.sigmoid(), []
    temperature = F.softplus(loss.log_temperature) + 0.1
    for t, target in enumerate(e):
        query = F.normalize(loss.queries[t](target), dim=1)
        null = ((loss.null_head(target)[:, 0] + loss.null_bias[t]) / temperature).sigmoid()
        vectors = target[None]
        for m, one in enumerate(e):
            if m != t:
                key = F.normalize(loss.keys[m](one), dim=1)
                weight = ((key @ query.t() / temperature).sigmoid() * (1 - null))[..., None]
                neutral = F.normalize(loss.neutral[m], dim=0)
                mixed = weight * one[:, None] + (1 - weight) * neutral
                vectors = vectors * F.normalize((1 - strength) * one[:, None] + strength * mixed, dim=2)
        terms.append(by_rows(s * target.shape[1] ** ((len(e) - 1) / 2) * vectors.sum(dim=2)))
    return mean(terms)


def symile_subset(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Symile pair within each pattern of missing modalities."""
    assert missing is not None
    losses, counts = [], []
    for pattern in missing.unique(dim=0):
        own = (missing == pattern).all(dim=1)
        present = [m for m in range(len(e)) if not pattern[m]]
        if len(present) > 1 and own.sum() > 1:
            factor = s * e[0].shape[1] ** ((len(present) - 2) / 2)
            losses.append(symile_pair(None, [e[m][own] for m in present], factor, None))
            counts.append(own.sum())
    weights = torch.stack(counts)
    return (torch.stack(losses) * weights).sum() / weights.sum()


def symile_neutral(_: Any, e: Sequence[Tensor], s: Tensor, missing: Tensor | None) -> Tensor:
    """Symile with ones in the place of what is missing."""
    assert missing is not None
    filled = [torch.where(missing[:, m, None], torch.ones_like(one), one) for m, one in enumerate(e)]
    return symile_n(None, filled, s, None)


# Objective -> its form, and the numbers that its largest tensors hold together, given N, D and M = 3.
PLAIN: dict[str, tuple[Plain, Callable[[int, int], float]]] = {
    "clip": (clip, lambda n, d: 12.0 * n * n),
    "anchor": (anchor, lambda n, d: 8.0 * n * n),
    "symile": (symile_n, lambda n, d: 12.0 * n * n),
    "symile-exact": (symile_exact, lambda n, d: 8.0 * n**3 + n * n * d),
    "symile-pair": (symile_pair, lambda n, d: 8.0 * n * n),
    "sigmoid-mip": (sigmoid_mip, lambda n, d: 12.0 * n * n),
    "gram": (gram, lambda n, d: 120.0 * n * n),
    "gram-masked": (gram_masked, lambda n, d: 120.0 * n * n),
    "triangle": (triangle, lambda n, d: 15.0 * n * n * d),
    "simplex": (simplex, lambda n, d: 80.0 * n * n),
    "pmrl": (pmrl, lambda n, d: 4.0 * n * n),
    "confu": (confu, lambda n, d: 20.0 * n * n),
    "gated": (gated, lambda n, d: 24.0 * n * n * d),
    "symile-subset": (symile_subset, lambda n, d: 8.0 * n * n),
    "symile-neutral": (symile_neutral, lambda n, d: 12.0 * n * n),
}
WITH_MASKS = ("gram-masked", "symile-subset", "symile-neutral")
AT_RANDOM = ("symile", "symile-neutral")  # their negatives are drawn, so that values of two draws differ
