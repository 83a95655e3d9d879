"""Vectors in memory, for trials: the rows that a builder would write, less the mean of what they can be."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Generic, TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.spec import XorSpec
from symile_data.encoders import DataDescription, make_encoder
from symile_data.experiments.objective_plan import MISALIGNED, MISSING, MLP, NOISY, Point, Recipe
from symile_data.reliability import Reliability

from .training import Batch, Rows, missing_identity, row_order

Spec = TypeVar("Spec", XorSpec, PidSpec)


class VectorTask(ABC, Generic[Spec]):
    """Predict one modality from all others, among the rows of the test split.

    A candidate is right where it shows the value that the row shows. Vectors enter less their mean and twice as large,
    so that bits are -1 and 1, and a missing one enters as zeros.

    Args:
        point: Encoder, and how modalities are unreliable.
        spec: Settings of a build of reliable rows.
        names: The modalities.
        target: The one that is predicted.
    """

    def __init__(self, point: Point, spec: Spec, names: tuple[str, ...], target: str) -> None:
        self.names, self.target = names, target
        self._point = point
        self._reliable: Spec = spec
        self._missing = dict(point.rates(names)) if point.unreliable == MISSING else {}
        self.spec: Spec = replace(spec, reliability=reliability_of(point, names))

    @abstractmethod
    def columns(self, spec: Spec, split: str) -> Mapping[str, Any]:
        """All columns of a split, as the builder writes them."""

    @abstractmethod
    def mean(self, modality: str) -> Tensor:
        """(K,) float32, the mean of a modality's vectors."""

    @abstractmethod
    def references(self) -> Mapping[str, float]:
        """Return what test accuracies are compared with; see `Task`."""

    def identity(self) -> Any:
        """Return what decides the data, JSON-like."""
        return [self.spec.to_json(), missing_identity(self._point, self.names)]

    def encoders(self, recipe: Recipe, imputed: bool) -> list[nn.Module]:
        """Make one encoder per modality; see `Task`."""
        settings: dict[str, Any] = {"model": self._point.encoder, "dropout": recipe.dropout}
        if self._point.encoder == MLP:
            settings["hidden"] = recipe.hidden
        filled = imputed and bool(self._missing)
        return [
            make_encoder("vector", recipe.dim, settings, DataDescription(size=len(self.mean(name)), imputed=filled))
            for name in self.names
        ]

    def batches(self, rows: int, seed: int) -> Iterator[Batch]:
        """Yield batches of training rows; see `Task`."""
        columns = self.columns(replace(self.spec, missing=self._missing), "train")
        values, absent = self._values(columns), None
        if self._missing:
            absent = torch.from_numpy(np.stack([columns[f"{name}_missing"] for name in self.names], axis=1))
            values = [torch.where(absent[:, m, None], 0.0, value) for m, value in enumerate(values)]
        for _, index in row_order(len(values[0]), rows, seed):
            yield Batch(values=[value[index] for value in values], missing=None if absent is None else absent[index])

    def held_out(self, split: str, affected: bool = False) -> Rows:
        """Return the rows of a split, labelled by the value of the target; see `Task`."""
        values = self._values(self.columns(self.spec if affected else self._reliable, split))
        shown = values[self.names.index(self.target)].numpy()
        _, labels = np.unique(shown, axis=0, return_inverse=True)
        return Rows(values=values, labels=torch.from_numpy(labels.reshape(-1)))

    def _values(self, columns: Mapping[str, Any]) -> list[Tensor]:
        """M tensors (N, K) float32."""
        lists = [torch.tensor(columns[name].values.to_numpy().reshape(len(columns[name]), -1)) for name in self.names]
        return [2 * (value - self.mean(name)) for name, value in zip(self.names, lists, strict=True)]


def reliability_of(point: Point, names: tuple[str, ...]) -> Reliability:
    """Return the settings of a build whose rows, also those of the test split, are as unreliable as the point's."""
    rates = point.rates(names)
    if point.unreliable == MISALIGNED and rates:
        return Reliability(misaligned=rates, misaligned_test=True)
    if point.unreliable == NOISY and rates:
        return Reliability(noisy=rates, noise_levels=dict.fromkeys(rates, point.level), noisy_test=True)
    return Reliability()
