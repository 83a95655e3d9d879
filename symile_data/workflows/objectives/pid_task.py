"""PID data in memory, for trials: designs of vectors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from symile_data.builders.pid.shard import row_columns
from symile_data.builders.pid.spec import PidSpec
from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.datasets.pid.alphabets import code_table
from symile_data.datasets.pid.bayes import bayes_accuracy, pairwise_accuracy
from symile_data.datasets.pid.unreliable import misaligned_accuracy, noisy_accuracy
from symile_data.evaluation.retrieval import random_candidate
from symile_data.experiments.objective_designs import DESIGNS, TARGET
from symile_data.experiments.objective_plan import MISALIGNED, NOISY, Point

from .training import BAYES_AFFECTED
from .vector_task import VectorTask


class PidTask(VectorTask[PidSpec]):
    """Predict one modality of a design from all others, by its tuple of symbols; see `VectorTask`.

    Args:
        point: Design, encoder, and how modalities are unreliable.
        rows: Split -> number of rows.
        seed: Seed of the data.
    """

    def __init__(self, point: Point, rows: Mapping[str, int], seed: int) -> None:
        spec = PidSpec(design=DESIGNS[point.design], rows=rows, seed=seed)
        super().__init__(point, spec, spec.design.names, TARGET)

    def columns(self, spec: PidSpec, split: str) -> Mapping[str, Any]:
        """All columns of a split, as `build pid` writes them."""
        return row_columns(spec, split, 0, spec.rows[split], lambda *_: {})  # no modality is stored as files

    def mean(self, modality: str) -> Tensor:
        """(K,) float32, the mean of all symbols' codes."""
        blocks = self.spec.design.scoped(modality)
        return torch.from_numpy(np.concatenate([code_table(block).mean(axis=0) for block in blocks]))

    def references(self) -> Mapping[str, float]:
        """Return the best accuracies from all others and from pairs, and that of a random candidate; see `Task`."""
        design = self.spec.design
        return {
            "bayes": bayes_accuracy(design, self.target, self._others()),
            "pairwise": pairwise_accuracy(design, self.target),
            RANDOM: random_candidate(self.held_out("test").labels),
            **self._affected(),
        }

    def _others(self) -> list[str]:
        return [name for name in self.names if name != self.target]

    def _affected(self) -> dict[str, float]:
        point, design, others = self._point, self.spec.design, self._others()
        rates = point.rates(self.names)
        if rates and point.unreliable == MISALIGNED:
            return {BAYES_AFFECTED: misaligned_accuracy(design, self.target, others, rates, known=False)}
        if rates and point.unreliable == NOISY:
            (noisy,) = rates
            return {BAYES_AFFECTED: noisy_accuracy(design, self.target, others, noisy, point.rate, point.level)}
        return {}
