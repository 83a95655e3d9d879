"""PID data in memory, for trials: the rows that `build pid` would write of a design of vectors."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from symile_data.builders.pid.draw import draw_rows
from symile_data.builders.pid.spec import PidSpec
from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.datasets.pid.alphabets import code_table, vector_length, vectors
from symile_data.datasets.pid.bayes import bayes_accuracy, pairwise_accuracy
from symile_data.datasets.pid.relations import value_numbers
from symile_data.evaluation.retrieval import random_candidate
from symile_data.experiments.objective_designs import DESIGNS, TARGET
from symile_data.experiments.objective_plan import Point, Recipe

from .training import Batch, Rows, row_order
from .vector_encoders import vector_encoder


class PidTask:
    """Predict one modality of a design from all others, among the rows of the test split.

    A candidate is right where its value, the tuple of its symbols, is the row's. Vectors enter less their mean and
    twice as large, so that bits are -1 and 1.

    Args:
        point: Design and encoder.
        rows: Split -> number of rows.
        seed: Seed of the data.
    """

    def __init__(self, point: Point, rows: Mapping[str, int], seed: int) -> None:
        self.spec = PidSpec(design=DESIGNS[point.design], rows=rows, seed=seed)
        self.names = self.spec.design.names
        self.target = TARGET
        self._point = point

    def identity(self) -> Any:
        """Return what decides the data, JSON-like."""
        return [self.spec.to_json(), self._point.rate]

    def encoders(self, recipe: Recipe, imputed: bool) -> list[nn.Module]:
        """Make one encoder per modality; see `Task`."""
        sizes = [vector_length(name, self.spec.design) for name in self.names]
        return [vector_encoder(self._point.encoder, size, recipe, imputed=False) for size in sizes]

    def batches(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of training rows; see `Task`."""
        values = self.held_out("train").values
        for _, index in row_order(self.spec.rows["train"], rows, seed):
            yield Batch(values=[value[index] for value in values])

    def held_out(self, split: str) -> Rows:
        """Return the rows of a split, labelled by the target's value; see `Task`."""
        design = self.spec.design
        symbols = draw_rows(self.spec, split, 0, self.spec.rows[split]).symbols
        codes = [torch.from_numpy(vectors(name, design, symbols[name])) for name in self.names]
        values = [2 * (code - self._mean(name)) for code, name in zip(codes, self.names, strict=True)]
        labels = torch.from_numpy(value_numbers(self.target, design, symbols[self.target]))
        return Rows(values=values, labels=labels)

    def references(self) -> Mapping[str, float]:
        """Return the best accuracies from all others and from pairs, and that of a random candidate; see `Task`."""
        design = self.spec.design
        others = [name for name in self.names if name != self.target]
        return {
            "bayes": bayes_accuracy(design, self.target, others),
            "pairwise": pairwise_accuracy(design, self.target),
            RANDOM: random_candidate(self.held_out("test").labels),
        }

    def _mean(self, modality: str) -> Tensor:
        """(K,) the mean of a modality's vectors."""
        blocks = self.spec.design.scoped(modality)
        return torch.cat([torch.from_numpy(code_table(block)).mean(dim=0) for block in blocks])
