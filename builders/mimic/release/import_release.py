"""Import the published Symile-MIMIC: write its rows, splits and retrieval sets in the format of a build."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from symile_data.datasets import MIMIC
from symile_data.datasets.mimic.schema import FINDINGS, mimic_schema
from symile_data.errors import SourceError
from symile_data.files import digest
from symile_data.format.manifest import BuildFingerprint, Dropped, FlowStep, Manifest, library_versions
from symile_data.format.shards import check_format

from ...engine.build_dir import INTERNAL, Artifact, BuildDir
from ...engine.card_hook import CardWriter
from ...engine.dask_executor import LOCAL
from ...engine.executor import run_stage
from ...engine.media_store import forget_chunks, write_chunk
from ...engine.stages import run_build
from ..build import write_shards
from ..build_state import make_build_state, write_build_state
from ..cohort.labs import LabValues
from ..cohort.selection import Cohort, days_between
from ..cohort.splits import RowNumbers
from ..signals.media import CHUNK, CXR, ECG, MediaKind, Place, Prepared, chunk_path
from .files import COHORT, SETS, SPLITS, Release, check_rows, gray_png, lab_values, retrieval_sets, whole_units
from .subset import first_rows

if TYPE_CHECKING:
    import polars as pl

VERSION = "1.0.0"
_FLAG = "hospital_expire_flag"

_PACKAGES = ("numpy", "pillow", "polars", "pyarrow")
_NOTES = (
    "Imported from the published release: its splits and retrieval sets are kept as they are. A retrieval set may "
    "contain another admission of the query's patient.",
    "X-rays are the release's 320 x 320 crops: random ones in the training split, central ones in the others.",
    "Electrocardiograms were scaled in the release; they are whole units again, with their median at zero. Their "
    "offset is unknown, and so is their amplitude where all differences of a record share a factor.",
    "The release does not have the times of the blood tests.",
    "In every mask True means missing; the release's labs_missingness stores 1 for measured.",
)
_PART = (
    "A part of the release: the first training rows, and rows of whole retrieval sets. A validation or test row "
    "without candidates is a candidate of others and no query. Percentiles are those of the release's whole training "
    "split."
)


def import_mimic(
    source: Path,
    out: Path,
    *,
    rows: int | None = None,
    shard_format: str = "parquet",
    workers: int,
    executor: str = LOCAL,
    write_card: CardWriter,
    command: str = "",
) -> Manifest:
    """Write the release in `source` as a dataset in `out`, or finish an import that was interrupted there.

    Args:
        source: The release's folder, with SHA256SUMS.txt, the CSV files and data_npy/.
        out: Output directory.
        rows: Largest number of rows of each split; None imports all. Validation and test keep whole retrieval sets: see
            `first_rows`. The rows, their ids and percentiles are those of the whole import.
        shard_format: "parquet" or "webdataset".
        workers: Worker processes; the bytes do not depend on it.
        executor: "local" for worker processes, or "dask:HOST:PORT" for a cluster: see `cluster_pool`.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        UsageError: a retrieval set has more rows than `rows`.
        SymileDataError: a file is missing, differs from its checksum or contradicts another; or the output directory is
            unsuitable.
    """
    check_format(shard_format)
    release = Release(source)
    sums = release.sums()
    schema = mimic_schema(_stay_columns(release))
    identity = BuildFingerprint(
        dataset=MIMIC,
        spec={**_spec(release), "format": shard_format, **({} if rows is None else {"first_rows": rows})},
        sources={"records": {"kind": "release", "version": VERSION, "files": digest(sums)}},
        versions=library_versions(_PACKAGES, "mimic"),
    )

    def stages(build_dir: BuildDir, executor: Executor | None) -> Manifest:
        forget_chunks()
        _check_files(build_dir, executor, release, sums)
        read = _read(build_dir, executor, release, rows)
        sizes = {split: len(chosen) for split, chosen in read.chosen.items()}
        state = make_build_state(read.cohort, read.chosen, read.sets, reference=True, whole=read.splits)
        write_build_state(build_dir.internal, state)
        return Manifest(
            identity=identity,
            modalities=schema.modalities,
            splits=sizes,
            files=write_shards(build_dir, executor, sizes, shard_format),
            dropped=read.cohort.dropped,
            cohort_flow=read.cohort.cohort_flow,
            notes=[*_NOTES, *([] if rows is None else [_PART])],
        )

    return run_build(
        out,
        identity,
        schema,
        stages,
        workers=workers,
        executor=executor,
        write_card=write_card,
        command=command,
    )


def _spec(release: Release) -> dict[str, Any]:
    """Make the settings for the manifest, with the keys of a build: `verify` and the card read them."""
    sizes = {
        len(found) for name in SETS.values() for found in retrieval_sets(release.table(f"{name}.csv"), name).values()
    }
    if len(sizes) != 1:
        raise SourceError("retrieval sets of the release differ in size", where=release.root, got=sorted(sizes))
    return {
        "release": VERSION,
        "reference": True,
        "allow_missing": False,
        "within_stay": False,
        "candidates": sizes.pop(),
        "sample": False,
    }


def _stay_columns(release: Release) -> list[str]:
    """Return the columns about the stay that the release's table of admissions gives."""
    given = release.table(COHORT).columns
    needed = {"admittime": "admittime", "length_of_stay_days": "dischtime", "hospital_expire_flag": _FLAG}
    return [name for name, source in needed.items() if source in given]


@dataclass(frozen=True)
class _CheckTask:
    release: Release
    name: str
    sha256: str


def _check_files(build_dir: BuildDir, executor: Executor | None, release: Release, sums: dict[str, str]) -> None:
    """Check the hash of every file that is read. An interrupted import does not repeat finished checks."""
    artifacts = [
        Artifact(
            path=f"{INTERNAL}/checked/{name.replace('/', '--')}.arrow",
            arguments=_CheckTask(release, name, sha256),
            key=[name, sha256],
        )
        for name, sha256 in sums.items()
    ]
    run_stage(build_dir, "checksums", artifacts, _check_file, executor)


def _check_file(task: _CheckTask, path: Path) -> dict[str, Any]:
    task.release.check(task.name, task.sha256)
    write_chunk(path, [task.name], [None])
    return {}


@dataclass(frozen=True, kw_only=True)
class _Read:
    """What an import reads.

    Args:
        cohort: All rows of the release's splits; media are prepared for the chosen ones.
        splits: Split -> its rows in the cohort.
        chosen: Split -> those of its rows that are imported.
        sets: The retrieval sets of the chosen rows.
    """

    cohort: Cohort
    splits: dict[str, RowNumbers]
    chosen: dict[str, RowNumbers]
    sets: pa.Array


def _read(build_dir: BuildDir, executor: Executor | None, release: Release, most: int | None) -> _Read:
    """Read all rows, and the media and retrieval sets of those that are imported."""
    import polars as pl

    tables: list[pl.DataFrame] = []
    splits, chosen, sets, values = dict[str, RowNumbers](), dict[str, RowNumbers](), list[list[int] | None](), []
    for split, theirs in SPLITS.items():
        table, of_split = _split(release, split, theirs)
        raw = lab_values(table)
        check_rows(release, theirs, table, raw)
        start = sum(map(len, tables))
        kept, kept_sets = first_rows(split, table["hadm_id"].to_list(), of_split, len(table) if most is None else most)
        tables.append(table.select("subject_id", "hadm_id", "row", split=pl.lit(theirs)))
        values.append(raw)
        splits[split], chosen[split] = np.arange(start, start + len(table)), start + np.array(kept)
        sets += kept_sets
    rows = _described(release, tables)
    whole, imported = len(release.table(COHORT)), rows[np.concatenate(list(chosen.values()))]
    left = [("in one of its splits", "in no split of the release", len(rows))]
    left += [] if most is None else [("in the part that is imported", "in another part of the release", len(imported))]
    before = [whole, *(count for _, _, count in left)]
    cohort = Cohort(
        table=rows,
        labs=LabValues(
            values=np.concatenate(values),
            hours=np.full((len(rows), np.shape(values[0])[1]), np.nan),
            units={},
            conflicts={},
        ),
        cxr=_prepare(build_dir, executor, CXR, release, imported),
        ecg=_prepare(build_dir, executor, ECG, release, imported),
        cohort_flow=[
            FlowStep(rule="admissions of the release", count=whole),
            *(FlowStep(rule=rule, count=count) for rule, _, count in left),
        ],
        dropped=[
            Dropped(reason=f"admission: {reason}", count=all_rows - count, examples=[])
            for all_rows, (_, reason, count) in zip(before, left, strict=False)
        ],
    )
    return _Read(cohort=cohort, splits=splits, chosen=chosen, sets=pa.array(sets, pa.list_(pa.int64())))


def _split(release: Release, split: str, theirs: str) -> tuple[pl.DataFrame, list[list[int] | None]]:
    """Read a split's table with each admission once, and each row's retrieval set."""
    table = release.table(f"{theirs}.csv").with_row_index("row")
    if split not in SETS:
        return table, [None] * len(table)
    name = f"{SETS[split]}.csv"
    sets = retrieval_sets(release.table(name), name)
    if "label" in table.columns:
        table = table.filter(table["label"] == 1)
    absent = [hadm_id for hadm_id in table["hadm_id"].to_list() if hadm_id not in sets]
    if absent:
        raise SourceError("an admission has no retrieval set", where=name, got=absent[0])
    return table, [sets[hadm_id] for hadm_id in table["hadm_id"].to_list()]


def _described(release: Release, tables: list[pl.DataFrame]) -> pl.DataFrame:
    """Join the rows of all splits with the release's cohort table, and name the columns as in a cohort."""
    import polars as pl

    whole = release.table(COHORT)
    form = "%Y-%m-%d %H:%M:%S"
    moments: dict[str, pl.Expr] = {
        name: pl.col(name).cast(pl.String).str.to_datetime(form)
        for name in ("admittime", "dischtime", "cxr_StudyDateTime", "ecg_time")
        if name in whole.columns
    }
    stays = {
        "admittime": lambda: moments["admittime"].dt.strftime(form),
        "length_of_stay_days": lambda: days_between(moments["admittime"], moments["dischtime"]),
        _FLAG: lambda: pl.col(_FLAG).cast(pl.Int8),
    }
    hours = {
        column: (moments[name] - moments["admittime"]).dt.total_microseconds() / 3_600_000_000
        for column, name in (("cxr_hours", "cxr_StudyDateTime"), ("ecg_hours", "ecg_time"))
    }
    described = whole.select(
        "hadm_id",
        "gender",
        pl.col("age").cast(pl.Int64),
        pl.col("cxr_dicom_id").alias("dicom_id"),
        pl.col("cxr_study_id").cast(pl.Int64),
        pl.col("cxr_ViewPosition").alias("view"),
        pl.col("ecg_study_id").cast(pl.Int64),
        *(pl.col(name).cast(pl.Float64).cast(pl.Int8).alias(column) for name, column in FINDINGS.items()),
        **hours,
        **{name: stays[name]() for name in _stay_columns(release)},
    )
    rows = pl.concat(tables).join(described, on="hadm_id", how="left", maintain_order="left")
    unknown = rows.filter(rows["dicom_id"].is_null())
    if len(unknown):
        raise SourceError(f"{COHORT} lacks an admission of a split", where=release.root, got=unknown["hadm_id"][0])
    path = pl.format("{}/{}", "split", "row")
    return rows.with_columns(cxr_path=path, ecg_path=path)


@dataclass(frozen=True)
class _MediaTask:
    release: Release
    kind: str
    split: str
    rows: tuple[int, ...]


def _prepare(
    build_dir: BuildDir, executor: Executor | None, kind: MediaKind, release: Release, rows: pl.DataFrame
) -> Prepared:
    """Convert the X-rays or ECGs of the arrays to those of the shards, each once."""
    artifacts: list[Artifact] = []
    places: dict[str, Place] = {}
    for (split,), part in rows.group_by("split", maintain_order=True):
        numbers = part["row"].to_list()
        for start in range(0, len(numbers), CHUNK):
            group = tuple(numbers[start : start + CHUNK])
            places |= {f"{split}/{number}": (len(artifacts), place) for place, number in enumerate(group)}
            task = _MediaTask(release, kind.name, str(split), group)
            artifacts.append(
                Artifact(path=chunk_path(kind.name, len(artifacts)), arguments=task, key=[split, group[0]])
            )
    run_stage(build_dir, kind.title, artifacts, _make_media, executor)
    return Prepared(places)


def _make_media(task: _MediaTask, path: Path) -> dict[str, Any]:
    array = task.release.array(task.split, task.kind)
    data: list[bytes | None] = []
    for row in task.rows:
        try:
            made = gray_png(array[row]) if task.kind == CXR.name else whole_units(array[row]).astype("<i2").tobytes()
        except ValueError as error:
            raise SourceError(
                "an array of the release has unexpected contents",
                where=f"data_npy/{task.split}/{task.kind}_{task.split}.npy, row {row}",
                got=error,
                do="report it with this message",
            ) from None
        data.append(made)
    write_chunk(path, [f"{task.split}/{row}" for row in task.rows], data)
    return {}
