"""What decides a feature dataset: the models, how they are run, and the function that runs them."""

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
        modality: Its name.
        name: Model id or folder.
        settings: Of the encoder that stands on it.
        size: F, numbers in a feature vector.
        fingerprint: Of its weights.
    """

    modality: str
    name: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    size: int
    fingerprint: str

    def to_json(self) -> dict[str, Any]:
        """As the manifest records it: a folder by its last part."""
        path = Path(self.name)
        name = path.resolve().name if path.is_dir() else self.name
        return {"model": name, "weights": self.fingerprint, "size": self.size, **self.settings}


@dataclass(frozen=True, kw_only=True)
class FeatureSpec:
    """Settings of a build of features.

    Args:
        models: One for each modality that is encoded.
        precision: "32-true", "bf16-mixed" or "16-mixed", as Lightning names them.
        device: Kind of device, "cpu" or "cuda". On another kind the last bits differ.
        batch_size: Media in a forward pass.
        shard_format: Of the shards.
    """

    models: tuple[FrozenModel, ...]
    precision: str = "32-true"
    device: str = "cpu"
    batch_size: int = 64
    shard_format: str = "parquet"

    def to_json(self) -> dict[str, Any]:
        """As recorded in the manifest's spec, under `features`."""
        return {
            "models": {model.modality: model.to_json() for model in self.models},
            "precision": self.precision,
            "device": self.device,
            "batch_size": self.batch_size,
        }


@dataclass(frozen=True, kw_only=True)
class Media:
    """Some stored media of one modality.

    Args:
        kind: Of the modality.
        values: (n,) as they lie in the shards, none null.
        place: Says where the medium at an index comes from, for messages.
    """

    kind: str
    values: pa.Array
    place: Callable[[int], str]


# Decodes media and encodes them, (n, F) floats; a function of a module, since workers import it.
Encode = Callable[[FeatureSpec, FrozenModel, Media], npt.NDArray[np.float32]]
