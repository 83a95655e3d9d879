"""Check that a dataset has the splits, columns and media that a training needs, before the training starts."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets import M3, MIMIC, PID, XOR
from symile_data.errors import UsageError, choose_column
from symile_data.format.schema import SPLITS
from symile_data.missingness import missing
from symile_data.progress.amounts import counted

from .configs.kind_settings import check_kind_settings
from .configs.small_splits import check_small, set_sizes

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest
    from symile_data.training.config import TrainConfig

    from .training_data import TrainingData

# Dataset -> advice on the option of its build that gives a split rows.
_MORE_ROWS = {
    M3: "build it again with `rows[{split!r}]=ROWS`",
    PID: "build it again with `rows[{split!r}]=ROWS`",
    XOR: "build it again with `rows[{split!r}]=ROWS`",
    MIMIC: "build it again with a `train` and a `validation` that leave rows for each split",
}
_FEATURES = "features"  # kind of the modalities that `symile-data embed` writes
_MORE_CUSTOM_ROWS = "write it again (write_dataset) with rows of that split"


def check_config(data: TrainingData, config: TrainConfig) -> None:
    """Check that a config can be trained on a dataset; see `TrainingData.check`."""
    from symile_data.training.module import check_modalities
    from symile_data.training.objective import config_objective

    names = [modality.name for modality in data.manifest.modalities]
    config = config.fitted(names)
    check_splits(data)
    check_modalities(names, config)
    check_kind_settings({modality.kind: None for modality in data.manifest.modalities}, config)
    _check_features(data, config)
    if config.supervised is None:
        config_objective(config, len(names))
    check_media(data.manifest, config)
    settings = config.pretrain
    labels = () if settings is None else settings.labels.values()
    data.columns(config.label, *config.resample_within_class.values(), *labels)
    _check_labels(data, "resample_within_class", config.resample_within_class.values())
    _check_labels(data, "labels of [pretrain]", labels)
    for split in SPLITS[1:] if config.supervised is None else ():
        masked = config.missingness if config.missingness_in_validation and split == "validation" else 0.0
        check_candidates(data, split, config.target, config.label, config.candidates, masked)
    _check_left_whole(data, config)
    check_small(data, config)


def _check_features(data: TrainingData, config: TrainConfig) -> None:
    """Refuse a config for features of frozen encoders on a dataset without any, whose modalities it does not set."""
    kinds = {modality.name: modality.kind for modality in data.manifest.modalities}
    others = [name for name, kind in kinds.items() if kind not in config.encoders]
    if _FEATURES in config.encoders and _FEATURES not in kinds.values() and others:
        raise UsageError(
            "the config is for features of frozen encoders, and the dataset has none",
            where=data.directory,
            got=f"[encoders.{_FEATURES}], and no settings for {', '.join(others)}",
            do="write features first (symile-data embed), or choose another `config`",
        )


def _check_left_whole(data: TrainingData, config: TrainConfig) -> None:
    """See that the values which the loader takes away leave a validation row whole, by which the weights are chosen."""
    if not (config.missingness and config.missingness_in_validation):
        return
    modalities = data.manifest.modalities
    table = data.split("validation").read_all(["sample_id", *(modality.mask for modality in modalities)])
    ids = table["sample_id"].to_numpy()
    gone = [missing(config.seed, ids, modality.name, config.missingness, "load") for modality in modalities]
    if np.logical_or.reduce([*gone, *(table[modality.mask].to_numpy() for modality in modalities)]).all():
        raise UsageError(
            "the config's missingness leaves no row of the validation split with all modalities",
            where=data.directory,
            got=f"missingness = {config.missingness}, {counted(len(ids), 'row')}",
            do="set missingness_in_validation = false, or missingness to less",
        )


def _check_labels(data: TrainingData, table: str, labels: Collection[str]) -> None:
    """See that a table of a config names columns of labels, and no modalities."""
    modalities = {name for one in data.manifest.modalities for name in (one.name, one.column)}
    if found := modalities & set(labels):
        columns = [column for column in data.split("train").columns if column not in modalities]
        raise UsageError(
            f"{table} names columns of labels, and this is a modality",
            where=data.directory,
            got=min(found),
            do=choose_column(min(found), columns),
        )


def check_splits(data: TrainingData) -> None:
    """See that there are rows to train on, to validate and to test, the last two some that lack no modality.

    Raises:
        UsageError: a split has no rows, or validation or test has no complete row.
    """
    manifest = data.manifest
    advice = _MORE_ROWS.get(manifest.identity.dataset, _MORE_CUSTOM_ROWS)
    for split in SPLITS:
        if not manifest.splits.get(split):
            raise UsageError(
                f"the dataset has no rows in its {split} split, which training needs",
                where=data.directory,
                got=", ".join(f"{rows} in {name}" for name, rows in manifest.splits.items()),
                do=advice.format(split=split),
            )
    for split in SPLITS[1:]:
        masks = data.split(split).read_all([modality.mask for modality in manifest.modalities])
        if np.logical_or.reduce([column.to_numpy() for column in masks.columns]).all():
            raise UsageError(
                f"no row of the {split} split has all modalities, and retrieval is measured on such rows",
                where=data.directory,
                do="build it again with fewer values missing (`missing`)",
            )


def check_candidates(
    data: TrainingData, split: str, target: str, label: str, candidates: int, missingness: float = 0.0
) -> None:
    """See that the rows of a split have, or give, the sets of candidates among which the target is to be retrieved.

    Args:
        data: The dataset.
        split: Name of the split.
        target: Modality that is retrieved.
        label: Column by which a candidate is right.
        candidates: K of each set; 0 for all rows, which need no sets.
        missingness: Rate of values that the loader takes away from the split.

    Raises:
        UsageError: one candidate is asked for; the dataset's own sets have another size, or name rows by another column
            than the label; or there are too few complete rows of other labels to draw sets from.
    """
    if candidates == 1:
        raise UsageError("one candidate leaves nothing to choose", got="`candidates=1`", do="take 0 for all rows")
    if not candidates:
        return
    if columns := data.candidate_columns(candidates, split, target, missingness):
        _check_own_sets(data, split, columns[0], label, candidates)
        return
    labels = _complete(data, split, label)
    others = len(labels) - max(pc.value_counts(labels).field("counts").to_pylist(), default=0)
    if others < candidates - 1:
        raise UsageError(
            f"the {split} split has too few rows of other labels for a set of candidates",
            where=data.directory,
            got=f"{candidates} candidates, {len(labels)} complete rows, {others} of them of other labels than {label}",
            do="set candidates to fewer, or to 0 for all rows",
        )


def _check_own_sets(data: TrainingData, split: str, column: str, label: str, candidates: int) -> None:
    opened = data.split(split)
    sizes = set_sizes(data, split, column)
    if sizes and sizes != [candidates]:
        raise UsageError(
            f"the sets of candidates of the {split} split have another size",
            where=data.directory,
            got=f"{candidates} candidates, sets of {', '.join(map(str, sizes))}",
            do=f"set candidates to {sizes[0]}, or to 0 for all rows",
        )
    named = opened.read_all([column])[column].combine_chunks().drop_null().flatten()
    there = opened.read_all([label])[label].combine_chunks() if label in opened.columns else pa.array([], named.type)
    if there.type != named.type or not pc.all(pc.is_in(named, there)).as_py():
        raise UsageError(
            f"the sets of candidates of the {split} split name rows by another column than the label",
            where=data.directory,
            got=label,
            do="choose the column that they name as the label, or set candidates to 0 for all rows",
        )


def _complete(data: TrainingData, split: str, label: str) -> pa.Array:
    """Read the labels of the rows that lack no modality; of a vector each value stands for itself."""
    opened = data.split(split)
    columns = {modality.name: modality.column for modality in data.manifest.modalities}
    masks = [modality.mask for modality in data.manifest.modalities]
    wanted = columns.get(label, label)
    if wanted not in opened.columns:  # every row is its own label
        return pa.array(range(opened.rows))
    table = opened.read_all([*masks, wanted])
    whole = ~np.logical_or.reduce([table[mask].to_numpy() for mask in masks])
    values = table[wanted].combine_chunks().filter(pa.array(whole))
    return pa.array([repr(value) for value in values.to_pylist()]) if pa.types.is_nested(values.type) else values


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
            do="name a config for features with `config`, such as m3-frozen, or train on the dataset of raw media",
        )
