"""XOR data in memory, for trials: the rows that `build xor` would write, as signs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from symile_data.builders.xor.build import draw_bits
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.datasets.xor.information import bayes_accuracy
from symile_data.evaluation.retrieval import random_candidate
from symile_data.experiments.objective_plan import Point, Recipe
from symile_data.missingness import missing

from .training import Batch, Rows, row_order
from .vector_encoders import vector_encoder


class XorTask:
    """Predict the second variable from all others, among the rows of the test split.

    A candidate is right where its value is the row's. Bits enter as -1 and 1, and a missing variable as zeros, which
    are their mean.

    Args:
        point: Variables, bits, encoder and missing rate.
        rows: Split -> number of rows.
        seed: Seed of the data.
    """

    def __init__(self, point: Point, rows: Mapping[str, int], seed: int) -> None:
        self.spec = XorSpec(variables=point.modalities, dims=point.dims, rows=rows, seed=seed)
        self.names = self.spec.names
        self.target = self.names[1]
        self._point = point

    def identity(self) -> Any:
        """Return what decides the data, JSON-like."""
        return [self.spec.to_json(), self._point.rate]

    def encoders(self, recipe: Recipe, imputed: bool) -> list[nn.Module]:
        """Make one encoder per variable; see `Task`."""
        filled = imputed and self._point.rate > 0
        return [vector_encoder(self._point.encoder, self.spec.dims, recipe, imputed=filled) for _ in self.names]

    def batches(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of training rows; see `Task`."""
        count, rate = self.spec.rows["train"], self._point.rate
        signs = self._signs("train")
        absent = None
        if rate:
            ids = np.arange(count)
            masks = [missing(self.spec.seed, ids, name, rate) for name in self.names]
            absent = torch.from_numpy(np.stack(masks, axis=1))
            signs = [torch.where(absent[:, m, None], 0.0, value) for m, value in enumerate(signs)]
        for _, index in row_order(count, rows, seed):
            yield Batch(values=[value[index] for value in signs], missing=None if absent is None else absent[index])

    def held_out(self, split: str) -> Rows:
        """Return the rows of a split, labelled by the target's value; see `Task`."""
        signs = self._signs(split)
        powers = 2 ** torch.arange(self.spec.dims)
        labels = ((signs[self.names.index(self.target)] > 0).long() * powers).sum(dim=1)
        return Rows(values=signs, labels=labels)

    def references(self) -> Mapping[str, float]:
        """Return the Bayes-optimal accuracy and that of a random candidate; see `Task`."""
        bayes = bayes_accuracy(self.spec.p_hat, self.spec.dims)
        return {"bayes": bayes, RANDOM: random_candidate(self.held_out("test").labels)}

    def _signs(self, split: str) -> list[Tensor]:
        bits = draw_bits(self.spec, split, 0, self.spec.rows[split])
        return [2 * torch.from_numpy(variable) - 1 for variable in bits]
