"""Write the embeddings of a run as a dataset of features: the same rows, ids, labels, masks and splits.

Legend: N rows of a split, D embedding size.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest, file_entry, library_versions
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.writer import shard_path, shard_ranges, write_shard

from ..train import check_fingerprint

if TYPE_CHECKING:
    from symile_data.builders.engine.card_hook import CardWriter
    from symile_data.training.encoding import EncodingModule
    from symile_data.training.run_record import RunInfo

    from ..training_data import TrainingData

KIND = "features"
GROUPS_PER_SHARD = 20
MOST_ROWS_PER_GROUP = 256  # 24 MiB of three embeddings of 8192 numbers

_PACKAGES = ("numpy", "pyarrow", "torch")


def export_embeddings(
    run: Path,
    data: TrainingData,
    out: Path,
    *,
    splits: Sequence[str] = (),
    select: str | None = None,
    write_card: CardWriter,
    command: str = "",
) -> Manifest:
    """Write the embeddings of a run's dataset, one float32 list of D numbers for each modality of each row.

    They are those by which the run retrieves, or which a supervised baseline classifies: after the layer norm or, where
    the config says so, of unit length. A missing modality is null, whatever stands for it in training.

    Args:
        run: Directory of the run.
        data: The dataset of the run, and its fold where it has one.
        out: Output directory.
        splits: Names of the splits, all where not given.
        select: Figure that chose the weights, "val_accuracy" or "val_loss"; None takes the config's choice.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        DamageError: the run was trained on another dataset or is not finished, or the dataset is damaged.
        UsageError: there is no such split, or the run encodes one modality only.
        OutputError: the output directory is unsuitable, or the disk fails.
    """
    from symile_data.builders.engine.stages import run_build
    from symile_data.training.features import best_device
    from symile_data.training.run import load_module
    from symile_data.training.run_record import read_run

    info, there = read_run(run), data.manifest
    check_fingerprint(run, info, data)
    chosen = [split for split in there.splits if there.splits[split] and split in (splits or there.splits)]
    if unknown := [split for split in splits if split not in chosen]:
        raise UsageError(
            "the dataset has no such split, or no rows in it",
            where=data.directory,
            got=unknown[0],
            do=f"choose among {', '.join(name for name, rows in there.splits.items() if rows)}",
        )
    module = load_module(run, select).to(best_device())
    if len(module.names) < len(there.modalities):
        raise UsageError(
            "a baseline of one modality has no embeddings of the others",
            where=run,
            got=f"{', '.join(module.names)} of {', '.join(modality.name for modality in there.modalities)}",
            do="export a run that encodes every modality",
        )
    schema = embedding_schema(data.split(chosen[0]).schema, there.modalities, info, module)
    group = min(info.config.batch_size, MOST_ROWS_PER_GROUP)
    identity = _identity(there, schema, chosen, group, module)

    def stages(*_: object) -> Manifest:
        entries = [entry for split in chosen for entry in _shards(out, schema, module, data, split, group)]
        return replace(
            there,
            identity=identity,
            modalities=schema.modalities,
            splits={split: there.splits[split] for split in chosen},
            files=entries,
            notes=[*there.notes, _note(info)],
            pooled=None,
            publication=there.publication.inherited(),
        )

    return run_build(out, identity, schema, stages, workers=1, write_card=write_card, command=command)


def embedding_schema(
    stored: pa.Schema, modalities: Sequence[Modality], info: RunInfo, module: EncodingModule
) -> DatasetSchema:
    """Return the schema of the source with lists of D float32 in the place of every modality's values."""
    from datasets import Features, List, Value

    from symile_data.training.features import weights_fingerprint

    features: Features = Features.from_arrow_schema(stored)
    weights, made = weights_fingerprint(module), []
    for modality in modalities:
        features[modality.column] = List(Value("float32"), length=info.config.dim)
        model = {"model": f"{_trained(info)} run", "weights": weights, "size": info.config.dim}
        made.append(replace(modality, kind=KIND, details={"of": modality.kind, **model}, suffix="npy"))
    return DatasetSchema(features=features, modalities=tuple(made))


def _identity(
    there: Manifest, schema: DatasetSchema, splits: Sequence[str], group: int, module: EncodingModule
) -> BuildFingerprint:
    """Add the run to the source's settings and the source's own fingerprint to its sources."""
    source = there.identity
    models = {
        modality.name: {name: value for name, value in modality.details.items() if name != "of"}
        for modality in schema.modalities
    }
    ran = {"precision": "32-true", "device": module.device.type, "batch_size": group, "splits": list(splits)}
    layout = {"layout": "shards"} if "layout" in source.spec else {}
    return BuildFingerprint(
        dataset=source.dataset,
        spec={**source.spec, **layout, "format": "parquet", KIND: {"models": models, **ran}},
        sources={**source.sources, "encoded": source.fingerprint},
        versions=library_versions(_PACKAGES, "train"),
    )


def _trained(info: RunInfo) -> str:
    """Name what a run was trained for: its objective, or its labels as a supervised baseline."""
    supervised = info.config.supervised
    return info.config.objective if supervised is None else f"supervised baseline {supervised.run_name}"


def _note(info: RunInfo) -> str:
    folds = info.folds
    fold = "" if folds is None else f", on fold {folds.fold} of repetition {folds.repeat} of its file of folds"
    return (
        f"The columns of {', '.join(modality.name for modality in info.modalities)} hold embeddings of "
        f"{info.config.dim} float32 numbers by a network that was trained on this dataset "
        f"({_trained(info)}, seed {info.config.seed}{fold})."
    )


def _shards(
    out: Path, schema: DatasetSchema, module: EncodingModule, data: TrainingData, split: str, group: int
) -> Iterator[FileEntry]:
    """Write the shards of a split, of whole row groups."""
    batches = _batches(schema, module, data, split, group)
    count = len(shard_ranges(-(-data.split(split).rows // group), GROUPS_PER_SHARD))
    for index in range(count):
        path = out / shard_path(split, index, count)
        rows = write_shard(path, schema, itertools.islice(batches, GROUPS_PER_SHARD))
        yield file_entry(out, path, rows=rows, split=split)


def _batches(
    schema: DatasetSchema, module: EncodingModule, data: TrainingData, split: str, group: int
) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a split in file order, with their embeddings."""
    import torch

    arrow = schema.arrow
    columns = {modality.column for modality in schema.modalities}
    stored = data.split(split).read_all([name for name in arrow.names if name not in columns])
    start = 0
    for batch in data.encoded(module, split, batch_size=group):
        with torch.inference_mode():
            values = module.embed(_on(batch, module.device))
        missing, rows = batch["missing"].numpy(), len(batch["missing"])
        table = stored.slice(start, rows).combine_chunks()
        start += rows
        arrays: dict[str, Any] = {name: table[name].combine_chunks() for name in table.column_names}
        for position, (modality, value) in enumerate(zip(schema.modalities, values, strict=True)):
            arrays[modality.column] = _lists(value.float().cpu().numpy(), missing[:, position])
        yield pa.RecordBatch.from_arrays([arrays[field.name].cast(field.type) for field in arrow], schema=arrow)


def _lists(values: np.ndarray[Any, np.dtype[np.float32]], missing: np.ndarray[Any, np.dtype[np.bool_]]) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1], mask=pa.array(missing))


def _on(batch: Mapping[str, Any], device: Any) -> dict[str, Any]:
    return {name: value.to(device) if hasattr(value, "to") else value for name, value in batch.items()}
