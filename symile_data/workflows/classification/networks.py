"""The frozen representations of complete rows on which labels are probed: of trained and of untrained networks, and of
a dataset without a run.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS

from .labels import complete_rows

if TYPE_CHECKING:
    from symile_data.evaluation.probes import FloatArray, IntArray
    from symile_data.training.module import SymileModule
    from symile_data.training.run_record import RunInfo
    from symile_data.workflows.training_data import TrainingData

TRAINED, UNTRAINED = "trained", "untrained"
NETWORKS = (TRAINED, UNTRAINED)

Features = dict[str, dict[str, "FloatArray"]]  # split -> feature -> (N, D)

_NUMBERS = ("vector", "features", "labs")  # kinds of modalities whose values are a representation already
_ROWS = 256  # rows of a batch without a config


def networks(run: Path, data: TrainingData, select: str | None) -> dict[str, SymileModule]:
    """Load the trained network of a run, and make its untrained counterpart: name of `NETWORKS` -> module."""
    from symile_data.training.module import SymileModule
    from symile_data.training.run import load_module
    from symile_data.training.run_record import read_run

    trained = load_module(run, select)
    if not isinstance(trained, SymileModule):
        raise UsageError("the run is of no objective", where=run)
    return {TRAINED: trained, UNTRAINED: untrained(read_run(run), data)}


def untrained(info: RunInfo, data: TrainingData) -> SymileModule:
    """Make the network of a run with fresh weights, also in place of the encoders that the config pretrains."""
    import lightning

    from symile_data.encoders import make_encoder

    config = info.config
    kinds = {modality.name: modality.kind for modality in info.modalities}
    lightning.seed_everything(config.seed, verbose=False)
    names = () if config.pretrain is None else config.pretrain.labels
    fresh = {
        name: make_encoder(kinds[name], config.dim, config.encoders.get(kinds[name], {})).state_dict() for name in names
    }
    module = info.make_symile(fresh)
    module.fill_means(data.means(module))
    return module.eval()


def complete_ids(data: TrainingData) -> dict[str, IntArray]:
    """Return the sample ids of the rows that have every modality: split -> (N,) int64, in file order.

    Raises:
        UsageError: a split has no such row.
    """
    found = {split: complete_rows(data, split) for split in SPLITS}
    for split, ids in found.items():
        if not len(ids):
            raise UsageError("no row of a split has every modality", where=data.directory, got=split)
    return found


def embedded(module: SymileModule, data: TrainingData) -> Features:
    """Embed the complete rows of every split, in file order, with the combined features of `probe_features`."""
    from symile_data.evaluation.probes import probe_features

    values = {split: data.embedded(module, split, "sample_id").values for split in SPLITS}
    return {
        split: probe_features({name: one.numpy() for name, one in parts.items()}) for split, parts in values.items()
    }


def representations(data: TrainingData) -> tuple[Features, dict[str, str]]:
    """Represent the complete rows of a dataset without a run.

    Vectors and features of frozen encoders stand for themselves. Laboratory values are percentiles, with the training
    split's mean where one was not measured, followed by flags of what was. Any other modality is embedded by the small
    encoder of the dataset's default config with random weights (seed 0).

    Returns:
        Split -> modality or "concatenation" -> (N, D), and modality -> a description of its representation.

    Raises:
        UsageError: a modality needs an encoder, and the dataset has no default config.
    """
    from symile_data.evaluation.probes import CONCATENATION

    kinds = {modality.name: modality.kind for modality in data.manifest.modalities}
    module = None if set(kinds.values()) <= set(_NUMBERS) else _default_network(data)
    values = {split: _represented(data, split, kinds, module) for split in SPLITS}
    for name, kind in kinds.items():
        if kind == "labs":
            mean = np.nan_to_num(np.nanmean(values["train"][name], axis=0))
            for parts in values.values():
                observed = ~np.isnan(parts[name])
                parts[name] = np.concatenate([np.where(observed, parts[name], mean), observed], axis=1)
    told = {name: _DESCRIBED.get(kind, "embedding of an untrained network") for name, kind in kinds.items()}
    return {
        split: {**parts, CONCATENATION: np.concatenate(list(parts.values()), axis=1)} for split, parts in values.items()
    }, told


_DESCRIBED: Mapping[str, str] = {
    "vector": "its values",
    "features": "its values",
    "labs": "percentiles and flags of what was measured",
}


def _default_network(data: TrainingData) -> SymileModule:
    from symile_data.training.config import read_config
    from symile_data.workflows.datasets import default_config

    kinds = [modality.kind for modality in data.manifest.modalities]
    names = [modality.name for modality in data.manifest.modalities]
    try:
        config = read_config(default_config(data.manifest.identity.dataset, kinds, names)).fitted(names)
    except UsageError:
        raise UsageError(
            "this dataset has no simple representation to probe, because no default config fits its media",
            where=data.directory,
            got=", ".join(f"{name} ({kind})" for name, kind in zip(names, kinds, strict=True)),
            do="train on it and probe the run",
        ) from None
    # Nothing is trained here, so a split may have fewer rows than a batch of the config.
    rows = min(config.batch_size, data.manifest.splits.get("train", config.batch_size))
    data.check(replace(config, batch_size=max(rows, 1), pretrain=None))
    return untrained(data.run_info(config), data)


def _represented(
    data: TrainingData, split: str, kinds: Mapping[str, str], module: SymileModule | None
) -> dict[str, FloatArray]:
    """Represent the complete rows of a split; laboratory values are still NaN where they were not measured."""
    import torch

    from symile_data.loaders import BatchLoader

    if module is None:
        batches: Any = BatchLoader(data.split(split), _ROWS, shuffle=False)
    else:
        batches = data.encoded(module, split)
    parts: dict[str, list[FloatArray]] = {name: [] for name in kinds}
    for batch in batches:
        rows = ~batch["missing"].any(dim=1) & ~batch["padding"]
        embeddings = {}
        if module is not None:
            with torch.inference_mode():
                embeddings = dict(zip(module.names, module.embed(batch), strict=True))
        for name, kind in kinds.items():
            value = batch[name] if kind in _NUMBERS else embeddings[name]
            parts[name].append(value[rows].float().numpy())
    return {name: np.concatenate(values) for name, values in parts.items()}
