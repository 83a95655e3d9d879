"""Subset Symile: each row is contrasted by the modalities it has, with rows that have the same.

The rows of a batch are sorted by their pattern of missing modalities. Within a pattern of k >= 2 present modalities the
loss is Symile pair of those k, at the scale s D^((k-2)/2), since the product of one vector fewer is larger by sqrt(D)
at random. The patterns' losses are averaged by their rows, or each alike. Patterns with fewer rows than `least_rows`
leave the loss: one row alone has no negatives.

With negatives "n" each pattern uses Symile's shuffled negatives in place of whole tuples; no shuffle repeats a
positive.

Source: this project's form of the subset losses in the public code of Gated Symile.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from symile_data.errors import UsageError
from symile_data.losses.inputs import LossInputs, LossResult
from symile_data.losses.shuffled_objective import ShuffledObjective

from .symile import symile_loss
from .symile_pair import pair_at_once, pair_loss

_NEGATIVES = ("pair", "n")
_WEIGHTS = ("rows", "patterns")


class SubsetSymileLoss(ShuffledObjective):
    """Symile within each pattern of present modalities.

    Args:
        negatives: "pair" for whole tuples, "n" for one set of shuffles.
        weights: Weight of a pattern in the mean: its "rows", or all "patterns" alike.
        least_rows: Least rows of a pattern that takes part, at least 2.
        seed: Seed of the shuffles, the same on every rank.
        gather: Take negatives from the rows of all ranks.

    Raises:
        UsageError: a setting is unknown or out of range.
    """

    unit = True
    takes_missing = True

    def __init__(
        self,
        *,
        negatives: str = "pair",
        weights: str = "rows",
        least_rows: int = 2,
        seed: int = 0,
        gather: bool = False,
    ) -> None:
        super().__init__(seed=seed, gather=gather)
        for name, value, choices in (("negatives", negatives, _NEGATIVES), ("weights", weights, _WEIGHTS)):
            if value not in choices:
                raise UsageError(f"{name} is unknown", got=repr(value), do=f"choose among {', '.join(choices)}")
        if least_rows < 2:
            raise UsageError("least_rows is at least 2", got=least_rows)
        self.negatives, self.weights, self.least_rows = negatives, weights, least_rows

    def start_scale(self, modalities: int, dim: int, unit: bool) -> float:
        """Return the scale at which products of k random unit vectors have half a logit, by the factor of their k."""
        return super().start_scale(modalities, dim, unit) / math.pow(dim, (modalities - 2) / 2)

    def formula(self, embeddings: Sequence[Tensor], scale: Tensor, missing: Tensor | None) -> Tensor:
        """Return the weighted mean over patterns of their losses; see the module."""
        dim, losses, weights = embeddings[0].shape[1], [], []
        shuffles = self.generator_of_call()
        for present, index, weight in self._patterns(embeddings, missing):
            values = [embeddings[m][index] for m in present]
            factor = scale * math.pow(dim, (len(present) - 2) / 2)
            if self.negatives == "pair":
                losses.append(pair_loss(values, factor))
            else:
                losses.append(symile_loss(values, factor, generator=shuffles))
            weights.append(weight)
        if not losses:
            return scale * 0.0
        return (torch.stack(losses) * torch.tensor(weights, dtype=scale.dtype, device=scale.device)).sum()

    def closed_form(self, inputs: LossInputs, wanted: bool) -> LossResult | None:
        """Return value and gradients of small patterns of pairs; see `Objective`."""
        if self.negatives != "pair":
            return None
        embeddings, scale = inputs.embeddings, inputs.scale
        value, by_scale = torch.zeros_like(scale), torch.zeros_like(scale)
        gradients = [torch.zeros_like(embedding) for embedding in embeddings] if wanted else []
        for present, index, weight in self._patterns(embeddings, inputs.missing):
            factor = math.pow(embeddings[0].shape[1], (len(present) - 2) / 2)
            found = pair_at_once([embeddings[m][index] for m in present], scale * factor, wanted, share=weight)
            if found is None:
                return None
            value += found.value
            if wanted:
                by_scale += found.scale_gradient * factor
                for m, gradient in zip(present, found.gradients, strict=True):
                    gradients[m].index_copy_(0, index, gradient)  # a row has one pattern
        return LossResult(value, gradients, by_scale)

    def _patterns(self, embeddings: Sequence[Tensor], missing: Tensor | None) -> list[tuple[list[int], Tensor, float]]:
        """Return the present modalities, the rows and the weight of each pattern that takes part."""
        rows, modalities = embeddings[0].shape[0], range(len(embeddings))
        absent = [[False] * len(embeddings)] * rows if missing is None else missing.tolist()
        by_pattern: dict[tuple[bool, ...], list[int]] = {}
        for row, pattern in enumerate(absent):
            by_pattern.setdefault(tuple(pattern), []).append(row)
        found = []
        for pattern in sorted(by_pattern):
            present, own = [m for m in modalities if not pattern[m]], by_pattern[pattern]
            if len(present) >= 2 and len(own) >= self.least_rows:
                found.append((present, own, float(len(own)) if self.weights == "rows" else 1.0))
        total = sum(weight for _, _, weight in found)
        device = embeddings[0].device
        return [(present, torch.tensor(own, device=device), weight / total) for present, own, weight in found]
