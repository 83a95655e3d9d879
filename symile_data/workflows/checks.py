"""Check that a dataset has the splits, columns and media that a training needs, before the training starts."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from symile_data.errors import UsageError
from symile_data.progress.amounts import counted

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest
    from symile_data.training.config import TrainConfig

    from .training_data import TrainingData

_SPLITS = ("train", "validation", "test")
# Dataset -> advice on the option of its build that gives a split rows.
_MORE_ROWS = {
    "symile-m3": "build it again with `rows[{split!r}]=ROWS`",
    "pid": "build it again with `rows[{split!r}]=ROWS`",
    "xor": "build it again with `rows[{split!r}]=ROWS`",
    "symile-mimic": "build it again with a `train` and a `validation` that leave rows for each split",
}
_MORE_CUSTOM_ROWS = "write it again (write_dataset) with rows of that split"


def check_config(data: TrainingData, config: TrainConfig) -> None:
    """Check that a config can be trained on a dataset; see `TrainingData.check`."""
    from symile_data.training.module import check_modalities
    from symile_data.training.objective import config_objective

    names = [modality.name for modality in data.manifest.modalities]
    config = config.fitted(names)
    check_splits(data)
    check_modalities(names, config)
    if config.supervised is None:
        config_objective(config, len(names))
    check_media(data.manifest, config)
    settings = config.pretrain
    labels = () if settings is None else settings.labels.values()
    data.columns(config.label, *config.resample_within_class.values(), *labels)
    rows = data.manifest.splits.get("train", 0)
    sizes = {"batch_size": config.batch_size}
    if settings is not None:
        sizes["batch_size of [pretrain]"] = settings.batch_size
    for name, size in sizes.items():
        if rows < size:
            raise UsageError(
                "the training split has fewer rows than one batch",
                where=data.directory,
                got=f"{counted(rows, 'row')}, {name} = {size}",
                do="build more rows, or lower it (`batch_size` or a config file)",
            )


def check_splits(data: TrainingData) -> None:
    """See that there are rows to train on, to validate and to test, the last two some that lack no modality.

    Raises:
        UsageError: a split has no rows, or validation or test has no complete row.
    """
    manifest = data.manifest
    advice = _MORE_ROWS.get(manifest.identity.dataset, _MORE_CUSTOM_ROWS)
    for split in _SPLITS:
        if not manifest.splits.get(split):
            raise UsageError(
                f"the dataset has no rows in its {split} split, which training needs",
                where=data.directory,
                got=", ".join(f"{rows} in {name}" for name, rows in manifest.splits.items()),
                do=advice.format(split=split),
            )
    for split in _SPLITS[1:]:
        masks = data.split(split).read_all([modality.mask for modality in manifest.modalities])
        if np.logical_or.reduce([column.to_numpy() for column in masks.columns]).all():
            raise UsageError(
                f"no row of the {split} split has all modalities, and retrieval is measured on such rows",
                where=data.directory,
                do="build it again with fewer values missing (`missing`)",
            )


def check_media(manifest: Manifest, config: TrainConfig) -> None:
    """Check that the encoders which a config pretrains have media to learn from.

    Raises:
        UsageError: the dataset has features of frozen encoders in place of the media.
    """
    labels = {} if config.pretrain is None else config.pretrain.labels
    found = [modality.name for modality in manifest.modalities if modality.kind == "features"]
    if set(found) & set(labels):
        raise UsageError(
            "the config is for raw media, whose encoders it pretrains, but the dataset has features in their place",
            got=f"features of {', '.join(found)}",
            do="name a config for features with `config`, such as paper-m3-2, or train on the dataset of raw media",
        )
