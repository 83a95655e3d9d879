"""The settings that decide a feature dataset: the models, how they run, and the type of the function that runs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa


@dataclass(frozen=True, kw_only=True)
class FrozenModel:
    """The model of one modality.

    Args:
        modality: Name of the modality.
        name: Model id on the Hub, or a folder.
        settings: Settings of the encoder that uses the model.
        size: F, the length of a feature vector.
        fingerprint: Hash of the model's weights.
    """

    modality: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    size: int
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """Return the manifest's record of the model; a folder is named by its last part."""
        path = Path(self.name)
        name = path.resolve().name if path.is_dir() else self.name
        return {"model": name, "weights": self.fingerprint, "size": self.size, **self.settings}


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """Settings of a build of features.

    Args:
        models: One model for each encoded modality.
        precision: "32-true", "bf16-mixed" or "16-mixed", as Lightning names them.
        device: Kind of device, "cpu" or "cuda". The last bits of features differ between kinds.
        batch_size: Inputs in one forward pass.
        shard_format: "parquet" or "webdataset".
    """

    models: tuple[FrozenModel, ...]
    precision: str = "32-true"
    device: str = "cpu"
    batch_size: int = 64
    shard_format: str = "parquet"

    def to_json(self) -> dict[str, Any]:
        """Return what the manifest's spec records under `features`."""
        return {
            "models": {model.modality: model.to_json() for model in self.models},
            "precision": self.precision,
            "device": self.device,
            "batch_size": self.batch_size,
        }


@dataclass(frozen=True, kw_only=True)
class Media:
    """Stored inputs of one modality.

    Args:
        kind: Kind of the modality.
        values: (n,) values as the shards store them, none null.
        place: Names the shard and row of the value at an index, for messages.
    """

    kind: str
    values: pa.Array
    place: Callable[[int], str]


# Decodes and encodes inputs to (n, F) float32. Workers import it, so it must be a function of a module.
Encode = Callable[[FeatureSpec, FrozenModel, Media], npt.NDArray[np.float32]]
