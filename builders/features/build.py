"""Build a feature dataset in three stages: number the unique inputs, encode each once, write rows with the features.

Ids, masks, labels, splits and the order of rows are those of the source. Each stage resumes where it was interrupted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest, library_versions
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards import check_format
from symile_data.format.shards.writer import write_shard

from ..engine.build_dir import BuildDir
from ..engine.card_hook import CardWriter
from ..engine.dask_executor import LOCAL
from ..engine.stages import run_build, run_shards
from .chunks import ChunkedFeatures, forget_chunks
from .encoding import KIND, PACKAGES, Source, check_models, check_windows, encode_all, feature_notes
from .media import MediaIndex
from .source import SourceRows, source_rows
from .spec import Encode, FeatureSpec

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_SHARD = 20_000
ROWS_PER_GROUP = 500  # about two megabytes of features


@dataclass(frozen=True, kw_only=True)
class ShardTask:
    """The task to write rows `start` to `stop - 1` of a split whose first row is number `first_row` in the dataset."""

    source: Path
    internal: Path
    spec: FeatureSpec
    modalities: tuple[Modality, ...]
    split: str
    first_row: int
    start: int
    stop: int


def build_features(
    source: Path,
    out: Path,
    spec: FeatureSpec,
    encode: Encode,
    *,
    workers: int,
    executor: str = LOCAL,
    write_card: CardWriter,
    command: str = "",
) -> Manifest:
    """Build the features of the dataset in `source` into `out`, or finish a build that was interrupted there.

    Args:
        source: Directory of a finished dataset.
        out: Output directory.
        spec: The models and their settings.
        encode: The function that runs a model.
        workers: Worker processes; the bytes do not depend on their number.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        UsageError: a modality does not exist or holds features already, or audio is longer than its model's window.
        SymileDataError: the source is damaged, the output directory is unsuitable, or the disk fails. Finished
            artifacts are kept.
    """
    check_format(spec.shard_format)
    there = manifests.read(source)
    check_models(source, there, spec)
    forget_chunks()
    splits = {split: source_rows(source, split) for split in there.splits}
    check_windows(there, splits, spec)
    schema = feature_schema(next(iter(splits.values())).schema, there.modalities, spec)
    identity = _identity(there, spec)
    encoded = Source(source, there, splits)

    def stages(build_dir: BuildDir, pool: Executor | None) -> Manifest:
        encode_all(build_dir, pool, encoded, spec, encode)
        return replace(
            there,
            identity=identity,
            modalities=schema.modalities,
            files=_shards(build_dir, pool, encoded, spec),
            notes=[*there.notes, *feature_notes(spec)],
            pooled=None,
            publication=there.publication.inherited(),
        )

    return run_build(
        out, identity, schema, stages, workers=workers, executor=executor, write_card=write_card, command=command
    )


def feature_schema(stored: pa.Schema, modalities: Sequence[Modality], spec: FeatureSpec) -> DatasetSchema:
    """Return the schema of the source with lists of F float16 in the columns of encoded modalities.

    Args:
        stored: Arrow schema of the source's rows.
        modalities: The modalities of the source.
        spec: The models; each gives its modality and F.
    """
    from datasets import Features, List, Value

    models = {model.modality: model for model in spec.models}
    features: Features = Features.from_arrow_schema(stored)
    made = []
    for modality in modalities:
        model = models.get(modality.name)
        if model is None:
            made.append(modality)
            continue
        features[modality.column] = List(Value("float16"), length=model.size)
        details = {"of": modality.kind, **model.to_json()}
        made.append(replace(modality, kind=KIND, details=details, suffix="npy"))
    return DatasetSchema(features=features, modalities=tuple(made))


def make_shard(task: ShardTask, path: Path) -> dict[str, Any]:
    """Write one shard of rows with features.

    Returns:
        The number of rows under "rows".
    """
    rows = source_rows(task.source, task.split)
    schema = feature_schema(rows.schema, task.modalities, task.spec)
    return {"rows": write_shard(path, schema, _batches(task, rows, schema.arrow))}


def _batches(task: ShardTask, rows: SourceRows, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    columns = {modality.name: modality.column for modality in task.modalities}
    encoded = {
        columns[model.modality]: (MediaIndex.open(task.internal, model.modality), ChunkedFeatures(task.internal, model))
        for model in task.spec.models
    }
    kept = [name for name in schema.names if name not in encoded]
    for start in range(task.start, task.stop, ROWS_PER_GROUP):
        stop = min(start + ROWS_PER_GROUP, task.stop)
        table = rows.read(kept, start, stop)
        arrays = {name: table[name].combine_chunks() for name in kept}
        for name, (index, features) in encoded.items():
            arrays[name] = features.column(index.numbers[task.first_row + start : task.first_row + stop])
        yield pa.RecordBatch.from_arrays([arrays[field.name].cast(field.type) for field in schema], schema=schema)


def _shards(build_dir: BuildDir, pool: Executor | None, source: Source, spec: FeatureSpec) -> list[FileEntry]:
    def task(split: str, start: int, stop: int) -> ShardTask:
        return ShardTask(
            source=source.directory,
            internal=build_dir.internal,
            spec=spec,
            modalities=source.manifest.modalities,
            split=split,
            first_row=source.first_rows[split],
            start=start,
            stop=stop,
        )

    rows = source.manifest.splits
    shards, _ = run_shards(build_dir, pool, rows, ROWS_PER_SHARD, task, make_shard, shard_format=spec.shard_format)
    return shards


def _identity(there: Manifest, spec: FeatureSpec) -> BuildFingerprint:
    """Add the models to the source's settings and the source's own fingerprint to its sources."""
    source = there.identity
    layout = {"layout": "shards"} if "layout" in source.spec else {}
    return BuildFingerprint(
        dataset=source.dataset,
        spec={**source.spec, **layout, "format": spec.shard_format, KIND: spec.to_json()},
        sources={**source.sources, "encoded": source.fingerprint},
        versions=library_versions(PACKAGES, "pretrained"),
    )
