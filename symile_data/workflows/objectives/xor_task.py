"""XOR data in memory, for trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from symile_data.builders.xor.build import row_columns
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.datasets.xor.information import bayes_accuracy
from symile_data.datasets.xor.unreliable import misaligned_accuracy, noisy_accuracy
from symile_data.evaluation.retrieval import random_candidate
from symile_data.experiments.objective_plan import MISALIGNED, NOISY, Point

from .training import BAYES_AFFECTED
from .vector_task import VectorTask


class XorTask(VectorTask[XorSpec]):
    """Predict the second variable from all others; see `VectorTask`.

    Args:
        point: Variables, bits, encoder, and how variables are unreliable.
        rows: Split -> number of rows.
        seed: Seed of the data.
    """

    def __init__(self, point: Point, rows: Mapping[str, int], seed: int) -> None:
        spec = XorSpec(variables=point.modalities, dims=point.dims, rows=rows, seed=seed)
        super().__init__(point, spec, spec.names, spec.names[1])

    def columns(self, spec: XorSpec, split: str) -> Mapping[str, Any]:
        """All columns of a split, as `build xor` writes them."""
        return row_columns(spec, split, 0, spec.rows[split])

    def mean(self, modality: str) -> Tensor:
        """(d,) float32, a half for each bit."""
        return torch.full((self.spec.dims,), 0.5)

    def references(self) -> Mapping[str, float]:
        """Return the Bayes-optimal accuracy and that of a random candidate; see `Task`."""
        bayes = bayes_accuracy(self.spec.p_hat, self.spec.dims)
        return {"bayes": bayes, RANDOM: random_candidate(self.held_out("test").labels), **self._affected()}

    def _affected(self) -> dict[str, float]:
        spec, rates = self.spec, self._point.rates(self.names)
        if rates and self._point.unreliable == MISALIGNED:
            each = [rates.get(name, 0.0) for name in self.names]
            return {BAYES_AFFECTED: misaligned_accuracy(spec.p_hat, spec.dims, each)}
        if rates and self._point.unreliable == NOISY:
            return {BAYES_AFFECTED: noisy_accuracy(spec.p_hat, spec.dims, self._point.rate, self._point.level)}
        return {}
