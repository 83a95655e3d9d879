"""Build a set of features beside a dataset: in its folder `features/<name>/`, without a copy of its labels and masks.

`symile_data.format.feature_sets` describes the files. There is one for each shard of the dataset, with the same rows in
the same row groups, so that readers join the two group by group.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from symile_data.errors import OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets import DATASET, FOLDER, ROWS_OF, SAMPLE_ID, check_name, column_of, rows_digest
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest, library_versions
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.writer import shard_path, write_shard

from ..engine.build_dir import Artifact, BuildDir
from ..engine.card_hook import no_card
from ..engine.dask_executor import LOCAL
from ..engine.executor import run_stage
from ..engine.stages import listed, run_build
from .chunks import ChunkedFeatures, forget_chunks
from .encoding import KIND, PACKAGES, Source, check_models, check_windows, encode_all, feature_notes
from .media import MediaIndex
from .source import source_rows
from .spec import Encode, FeatureSpec


@dataclass(frozen=True, kw_only=True)
class BesideTask:
    """The task to write the features of one shard: number `index` of a split whose first row is number `first_row` of
    the dataset.
    """

    source: Path
    internal: Path
    name: str
    spec: FeatureSpec
    modalities: tuple[Modality, ...]
    split: str
    first_row: int
    index: int


def build_beside(
    source: Path,
    name: str,
    spec: FeatureSpec,
    encode: Encode,
    *,
    workers: int,
    executor: str = LOCAL,
    command: str = "",
) -> Manifest:
    """Build a set of features in the directory of its dataset, or finish a build that was interrupted there.

    Args:
        source: Directory of a finished dataset.
        name: Name of the set, its folder in `features/`.
        spec: The models and their settings; the files are Parquet whatever its format.
        encode: The function that runs a model.
        workers: Worker processes; the bytes do not depend on their number.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        command: The command line, for the manifest.

    Returns:
        The manifest that was written.

    Raises:
        UsageError: the name is none, or the dataset has a modality or column that the set would have; a modality does
            not exist or holds features already; audio is longer than its model's window.
        SymileDataError: the dataset is damaged or without ids, there is another set of this name, or the disk fails.
            Finished artifacts are kept.
    """
    check_name(name)
    there = manifests.read(source)
    check_models(source, there, spec)
    forget_chunks()
    splits = {split: source_rows(source, split) for split, rows in there.splits.items() if rows}
    stored = next(iter(splits.values())).schema
    _check_columns(source, name, stored, there, spec)
    check_windows(there, splits, spec)
    schema = set_schema(name, stored, there.modalities, spec)
    identity = BuildFingerprint(
        dataset=DATASET,
        spec={"name": name, KIND: spec.to_json()},
        sources={"dataset": there.identity.dataset, ROWS_OF: rows_digest(there)},
        versions=library_versions(PACKAGES, "pretrained"),
    )
    encoded = Source(source, there, splits)

    def stages(build_dir: BuildDir, pool: Executor | None) -> Manifest:
        encode_all(build_dir, pool, encoded, spec, encode)
        return Manifest(
            identity=identity,
            modalities=schema.modalities,
            splits=there.splits,
            files=_shards(build_dir, pool, encoded, name, spec),
            notes=feature_notes(spec),
        )

    try:
        return run_build(
            source / FOLDER / name,
            identity,
            schema,
            stages,
            workers=workers,
            executor=executor,
            write_card=no_card,
            command=command,
        )
    except OutputError as error:  # the directory follows from the name, which is what a user can change
        advice = None if error.do is None else error.do.replace("another `out`", "another name with `beside`")
        raise OutputError(error.what, where=error.where, got=error.got, do=advice) from error


def set_schema(name: str, stored: pa.Schema, modalities: tuple[Modality, ...], spec: FeatureSpec) -> DatasetSchema:
    """Return the columns of a set: the ids of the rows, and for each model a list of F float16.

    Args:
        name: Name of the set.
        stored: Arrow schema of the dataset's rows.
        modalities: The modalities of the dataset.
        spec: The models; each gives its modality and F.
    """
    from datasets import Features, List, Value

    known = {modality.name: modality for modality in modalities}
    features = {SAMPLE_ID: Value(str(stored.field(SAMPLE_ID).type))}
    made = []
    for model in spec.models:
        column, encoded = column_of(model.modality, name), known[model.modality]
        features[column] = List(Value("float16"), length=model.size)
        details = {"modality": encoded.name, "of": encoded.kind, **model.to_json()}
        made.append(
            Modality(
                name=column,
                kind=KIND,
                column=column,
                null_columns=(column,),
                mask=encoded.mask,
                details=details,
                id_column=None,
            )
        )
    return DatasetSchema(features=Features(features), modalities=tuple(made))


def make_beside(task: BesideTask, path: Path) -> dict[str, Any]:
    """Write the features of one shard, in the row groups of the shard.

    Returns:
        The number of rows under "rows".
    """
    schema = set_schema(task.name, source_rows(task.source, task.split).schema, task.modalities, task.spec)
    return {"rows": write_shard(path, schema, _batches(task, schema.arrow))}


def _batches(task: BesideTask, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    rows = source_rows(task.source, task.split)
    encoded = [
        (MediaIndex.open(task.internal, model.modality), ChunkedFeatures(task.internal, model))
        for model in task.spec.models
    ]
    start, _ = rows.shard_ranges[task.index]
    for count in rows.group_rows(task.index):
        ids = rows.read([SAMPLE_ID], start, start + count)[SAMPLE_ID].combine_chunks()
        first = task.first_row + start
        columns = [features.column(index.numbers[first : first + count]) for index, features in encoded]
        arrays = [array.cast(field.type) for array, field in zip([ids, *columns], schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
        start += count


def _shards(
    build_dir: BuildDir, pool: Executor | None, source: Source, name: str, spec: FeatureSpec
) -> list[FileEntry]:
    splits, artifacts = [], []
    for split, rows in source.splits.items():
        count = len(rows.shard_ranges)
        for index in range(count):
            task = BesideTask(
                source=source.directory,
                internal=build_dir.internal,
                name=name,
                spec=spec,
                modalities=source.manifest.modalities,
                split=split,
                first_row=source.first_rows[split],
                index=index,
            )
            artifacts.append(Artifact(path=shard_path(split, index, count), arguments=task, key=[split, index, count]))
            splits.append(split)
    finished = run_stage(build_dir, "features", artifacts, make_beside, pool)
    return [
        listed(artifact, made, split=split) for split, artifact, made in zip(splits, artifacts, finished, strict=True)
    ]


def _check_columns(source: Path, name: str, stored: pa.Schema, there: Manifest, spec: FeatureSpec) -> None:
    """Check that rows can be joined, and that no column of the set is one of the dataset's.

    Raises:
        UsageError: a column or modality has the name that a column of the set would have, or rows have no ids.
    """
    if SAMPLE_ID not in stored.names:
        raise UsageError("rows without sample_id cannot be joined to features", where=source, do="build with `out`")
    taken = {*stored.names, *(modality.name for modality in there.modalities)}
    clash = [column for model in spec.models if (column := column_of(model.modality, name)) in taken]
    if clash:
        raise UsageError(
            "the dataset has a column or modality of this name already",
            where=source,
            got=clash[0],
            do="choose another name with `beside`",
        )
