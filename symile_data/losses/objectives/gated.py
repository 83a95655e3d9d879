"""Gated Symile: Symile pair in which every modality of a tuple may give way to a neutral vector.

For target t, a candidate c and a tuple i, each modality m of the tuple is replaced by

    g_m = unit((1 - a) e_m + a (w e_m + (1 - w) n_m)),     w = sigmoid(<q_t(c), k_m(e_m)> / T) (1 - p(c))

with learned neutral vectors n_m, projections q_t and k_m whose outputs are normalised, p(c) = sigmoid((h(c) + b_t) / T)
of a small network h, the gates' strength a and their temperature T. The logits are s D^((M-1)/2) times the multilinear
inner product of c with the g_m, and the loss is the mean over targets of the contrast of each tuple with all
candidates. With a = 0 it is Symile pair at that scale. A candidate's score is the gated inner product.

As g_m = (A e_m + B n_m) / norm with numbers A, B and norm for every pair, the product over the M - 1 modalities of a
tuple expands into 2^(M-1) matrix products; no tensor of shape (N, N, D) is made.

Source: Gated Symile, 2026, and its public code. T is softplus(log 0.7) + 0.1 = 0.631 at the start, as in that code and
unlike the 0.7 of the text. The code draws a sample of negatives and adds a distillation term; both are left out.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from typing import Any, Self, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from symile_data.errors import UsageError
from symile_data.losses.kernels.contrast import contrast
from symile_data.losses.kernels.products import product_of_all
from symile_data.losses.objective import BatchShape, Objective

_TEMPERATURE, _LEAST_TEMPERATURE = 0.7, 0.1
_STRENGTH = -3.0  # logit of a at the start
_WIDTH = 256  # of the projections


class GatedSymileLoss(Objective):
    """Symile pair with gates that depend on the candidate.

    Args:
        modalities: M.
        dim: D.
        width: Width of the projections and of the network h; 256 or D, whichever is less, where not given.
        seed: Seed of the initial weights.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: the width is below 1.
    """

    unit = True

    def __init__(
        self, modalities: int, dim: int, *, width: int | None = None, seed: int = 0, gather: bool = False
    ) -> None:
        super().__init__(gather=gather)
        if width is not None and width < 1:
            raise UsageError("width is at least 1", got=width)
        inner = min(_WIDTH, dim) if width is None else width
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.queries = nn.ModuleList(nn.Linear(dim, inner, bias=False) for _ in range(modalities))
            self.keys = nn.ModuleList(nn.Linear(dim, inner, bias=False) for _ in range(modalities))
            self.null_head = nn.Sequential(nn.LayerNorm(dim), nn.Linear(dim, inner), nn.ReLU(), nn.Linear(inner, 1))
            self.neutral = nn.Parameter(F.normalize(torch.randn(modalities, dim), dim=1))
        self.null_bias = nn.Parameter(torch.zeros(modalities))
        self.log_temperature = nn.Parameter(torch.tensor(math.log(_TEMPERATURE)))
        self.strength = nn.Parameter(torch.tensor(_STRENGTH))

    @classmethod
    def for_batch(cls, shape: BatchShape, **settings: Any) -> Self:
        """Make the gates for so many modalities of a width; see `Objective`."""
        return cls(shape.modalities, shape.dim, seed=shape.seed, **settings)

    def start_scale(self, modalities: int, dim: int, unit: bool) -> float:
        """Return 1: the factor D^((M-1)/2) of the logits gives random products unit variance."""
        return 1.0

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the mean over targets of the contrast of tuples with candidates; see the module."""
        modalities, dim = len(embeddings), embeddings[0].shape[1]
        terms = []
        for t, target in enumerate(embeddings):
            others = {m: embedding for m, embedding in enumerate(embeddings) if m != t}
            terms.append(
                contrast(
                    _gated_products,
                    self._of_tuples(others),
                    self._of_candidates(target, t),
                    scale * dim ** ((modalities - 1) / 2),
                    shared=[one.to(target) for one in self._shared(list(others))],
                    direction="rows",
                )
            )
        return sum(terms[1:], terms[0]) / len(terms)

    def tuple_score(self, embeddings: Sequence[Tensor], target: int) -> Tensor:
        """Return the gated inner product of each row, (R,), from the definition; see `Objective`."""
        like = self.neutral
        rows = [embedding.to(like) for embedding in embeddings]
        neutral, temperature, strength = self._shared(range(len(rows)))
        candidates, query, null = self._of_candidates(rows[target], target)
        gated = candidates
        for m, embedding in enumerate(rows):
            if m != target:
                key = F.normalize(self.keys[m](embedding), dim=1)
                weight = (torch.linalg.vecdot(query, key) / temperature).sigmoid() * (1 - null)
                mixed = weight[:, None] * embedding + (1 - weight[:, None]) * neutral[m]
                gated = gated * F.normalize((1 - strength) * embedding + strength * mixed, dim=1)
        return gated.sum(dim=1).to(embeddings[0])

    def scores(self, queries: Mapping[int, Tensor], candidates: Tensor, target: int) -> Tensor:
        """Return the gated inner product of every candidate with every query, (Q, C); see `Objective`."""
        like = self.neutral
        with self.outside_autocast(candidates):
            found = _gated_products(
                self._of_tuples({m: queries[m].to(like) for m in sorted(queries)}),
                self._of_candidates(candidates.to(like), target),
                self._shared(sorted(queries)),
            )
        return found.to(candidates.device, torch.promote_types(candidates.dtype, torch.float32))

    def _of_tuples(self, others: Mapping[int, Tensor]) -> list[Tensor]:
        """Return embedding and key of each modality of the tuples, one after the other."""
        pairs = [(embedding, F.normalize(_apply(self.keys[m], embedding), dim=1)) for m, embedding in others.items()]
        return [tensor for pair in pairs for tensor in pair]

    def _of_candidates(self, candidates: Tensor, target: int) -> list[Tensor]:
        """Return the candidates, their queries, and the probability (N,) that a gate opens for nothing."""
        query = F.normalize(_apply(self.queries[target], candidates), dim=1)
        logits = _apply(self.null_head, candidates)[:, 0] + self.null_bias[target]
        return [candidates, query, (logits / self._temperature()).sigmoid()]

    def _shared(self, others: Sequence[int] | range) -> list[Tensor]:
        """Return the unit neutral vectors of some modalities, the temperature and the gates' strength."""
        neutral = F.normalize(self.neutral[list(others)], dim=1)
        return [neutral, self._temperature(), self.strength.sigmoid()]

    def _temperature(self) -> Tensor:
        return F.softplus(self.log_temperature) + _LEAST_TEMPERATURE


def _apply(layer: nn.Module, rows: Tensor) -> Tensor:
    """Apply a layer whose weights may be of another precision, in a model that was made so as a whole."""
    return cast(Tensor, layer(rows.to(next(layer.parameters())))).to(rows)


def _gated_products(tuples: Sequence[Tensor], candidates: Sequence[Tensor], shared: Sequence[Tensor]) -> Tensor:
    """Return the gated inner products of a block of tuples with all candidates, (B, N)."""
    (values, queries, null), (neutral, temperature, strength) = candidates, shared
    sides = []
    for m, (embedding, key) in enumerate(zip(tuples[::2], tuples[1::2], strict=True)):
        weight = (key @ queries.t() / temperature).sigmoid() * (1 - null)
        kept = (1 - strength) + strength * weight
        given = strength * (1 - weight)
        overlap = embedding @ neutral[m]
        length = embedding.square().sum(dim=1)
        norm = (kept.square() * length[:, None] + 2 * kept * given * overlap[:, None] + given.square()).sqrt()
        # Neutral vectors have unit length, hence the bare square of their share.
        sides.append(((embedding, kept / norm), (neutral[m].expand_as(embedding), given / norm)))
    terms = []
    for choice in product(*sides):
        vectors, factors = zip(*choice, strict=True)
        terms.append(product_of_all(factors) * (product_of_all(vectors) @ values.t()))
    return sum(terms[1:], terms[0])
