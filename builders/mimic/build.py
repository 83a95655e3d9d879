"""Build Symile-MIMIC: survey the tables, select the cohort, split it; write build state, shards, card and manifest.

Each stage resumes where it was interrupted.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from symile_data.datasets import MIMIC
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.sample_terms import LAW, LAW_KEY
from symile_data.datasets.mimic.schema import FINDINGS, STAY_COLUMNS, mimic_schema
from symile_data.files import file_sha256, write_text
from symile_data.format.manifest import (
    BuildFingerprint,
    Dropped,
    FileEntry,
    FlowStep,
    Manifest,
    file_entry,
    library_versions,
)
from symile_data.format.schema import SPLITS, Modality

from ..engine.build_dir import INTERNAL, Artifact, BuildDir
from ..engine.card_hook import CardWriter
from ..engine.dask_executor import LOCAL
from ..engine.executor import run_stage
from ..engine.media_store import forget_chunks
from ..engine.source_files import unpack_files
from ..engine.stages import run_build, run_shards
from .build_state import assign_splits, candidate_sets, make_build_state, write_build_state
from .cohort.cxr import KINDS
from .cohort.selection import Cohort, Survey, select_cohort, survey_sources
from .cohort.splits import RowNumbers
from .rules import notes
from .sample.release import SampleTask, draw_patients, drawn_by, is_sample, sample_roots, write_tables
from .shard import ROWS_PER_SHARD, ShardTask, make_shard
from .spec import MimicSpec, Roots
from .tables import OPTIONAL_TABLES, TABLES
from .tables.files import find_optional_table, find_table
from .unreliable import UnreliableSettings

UNUSABLE = "unusable_media.tsv"  # one line for each X-ray or electrocardiogram that was left out
_RELIABLE = UnreliableSettings()
_PACKAGES = ("numpy", "pillow", "polars", "pyarrow", "wfdb")
_DICOM_PACKAGES = ("pydicom", "pylibjpeg", "pylibjpeg-libjpeg", "pylibjpeg-openjpeg")


def build_mimic(
    spec: MimicSpec, out: Path, *, workers: int, executor: str = LOCAL, write_card: CardWriter, command: str = ""
) -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: What to build.
        out: Output directory.
        workers: Worker processes; the bytes do not depend on it.
        executor: "local" for worker processes, or "dask:HOST:PORT" for a cluster: see `cluster_pool`.
        write_card: Writes the files beside the shards (card, statistics, figures) and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        SymileDataError: the sources are bad, the output directory is unsuitable, or the disk fails. Finished stages are
            kept for the next call.
    """
    versions = library_versions(_PACKAGES, "mimic")
    survey = None if spec.roots is None else survey_sources(spec.roots, spec)
    identity = _identity(spec, survey, versions)
    stay_columns = STAY_COLUMNS if survey is None else survey.stay_columns  # a sample has all tables
    schema = mimic_schema(stay_columns, spec.reliability)
    settings = UnreliableSettings(spec.reliability, spec.seed, spec.reference)

    def stages(build_dir: BuildDir, executor: Executor | None) -> Manifest:
        forget_chunks()
        surveyed = survey or survey_sources(_sample_source(build_dir, executor, spec), spec)
        cohort = select_cohort(build_dir, executor, surveyed, spec)
        splits = assign_splits(cohort, spec)
        candidates = candidate_sets(cohort, splits, spec)
        write_build_state(build_dir.internal, make_build_state(cohort, splits, candidates, reference=spec.reference))
        rows = {split: len(of_split) for split, of_split in splits.items()}
        return Manifest(
            identity=identity,
            modalities=_with_units(schema.modalities, cohort.labs.units),
            splits=rows,
            files=[
                *write_shards(build_dir, executor, rows, spec.shard_format, settings),
                *_name_unusable(build_dir.directory, cohort),
            ],
            dropped=[*cohort.dropped, *_lost_rows(cohort, splits)],
            cohort_flow=[*cohort.cohort_flow, *_split_step(cohort, rows)],
            notes=list(_notes(spec, surveyed, cohort, splits)),
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


def _with_units(modalities: tuple[Modality, ...], units: dict[int, str]) -> tuple[Modality, ...]:
    """Tell in the manifest the unit of each blood test, "" where the source gives none."""
    return tuple(
        replace(modality, details={**modality.details, "items": [_with_unit(item, units) for item in items]})
        if (items := modality.details.get("items"))
        else modality
        for modality in modalities
    )


def _with_unit(item: dict[str, Any], units: dict[int, str]) -> dict[str, Any]:
    return {**item, "unit": units[item["itemid"]]}


def _identity(spec: MimicSpec, survey: Survey | None, versions: dict[str, str]) -> BuildFingerprint:
    if survey is None:
        sources: dict[str, Any] = {"records": {"kind": "sample", "patients": spec.patients, LAW_KEY: LAW}}
        return BuildFingerprint(dataset=MIMIC, spec=spec.to_json(), sources=sources, versions=versions)
    if survey.radiographs.suffix == ".dcm":
        versions = versions | library_versions(_DICOM_PACKAGES, "mimic")
    kind = "sample" if is_sample(survey.roots) else "mimic"
    found = {table.stem: find_table(survey.roots, table) for table in TABLES}
    found |= {table.stem: path for table in OPTIONAL_TABLES if (path := find_optional_table(survey.roots, table))}
    tables = {stem: file_sha256(path) for stem, path in found.items()}
    sources = {
        "records": {"kind": kind, "tables": tables, **(drawn_by(survey.roots) if kind == "sample" else {})},
        "cxr": {"kind": KINDS[survey.radiographs.suffix], "listing": survey.radiographs.listing},
        "ecg": {"kind": "mimic-iv-ecg", "listing": survey.electrocardiograms.listing},
    }
    return BuildFingerprint(dataset=MIMIC, spec=spec.to_json(), sources=sources, versions=versions)


def _sample_source(build_dir: BuildDir, executor: Executor | None, spec: MimicSpec) -> Roots:
    """Write the sample releases under `.build/` and read them like real ones."""
    directory = build_dir.internal / "source"
    tasks = SampleTask.split(spec.patients, spec.seed, spec.pair_information)
    artifacts = [
        Artifact(path=f"{INTERNAL}/sample/{task.first:05d}.arrow", arguments=task, key=_key(task)) for task in tasks
    ]
    run_stage(build_dir, "sample patients", artifacts, draw_patients, executor)
    unpack_files(build_dir, artifacts, directory)
    write_tables(directory, spec.patients, spec.seed, spec.pair_information)
    return sample_roots(directory)


def _key(task: SampleTask) -> list[float]:
    return [task.first, task.last, task.seed, task.pair_information]


def write_shards(
    build_dir: BuildDir,
    executor: Executor | None,
    rows: dict[str, int],
    shard_format: str,
    settings: UnreliableSettings = _RELIABLE,
) -> list[FileEntry]:
    """Write the shards of the saved build state.

    Args:
        rows: Split -> its number of rows in the build state.
        shard_format: "parquet" or "webdataset".
        settings: Which rows show another row's value or a noisy one; none by default.

    Returns:
        The manifest entries of the shards.
    """
    task = partial(ShardTask, build_dir.internal, settings)
    shards, _ = run_shards(build_dir, executor, rows, ROWS_PER_SHARD, task, make_shard, shard_format=shard_format)
    return shards


def _lost_rows(cohort: Cohort, splits: dict[str, RowNumbers]) -> list[Dropped]:
    """Count the rows that the public pipeline's splits leave out."""
    lost = len(cohort.table) - sum(map(len, splits.values()))
    reason = "admission: another admission of its patient is in an earlier split"
    return [Dropped(reason=reason, count=lost, examples=[])] if lost else []


def _split_step(cohort: Cohort, rows: dict[str, int]) -> list[FlowStep]:
    """End the cohort flow with the rows of the dataset, where the splits leave some out."""
    kept = sum(rows.values())
    return [FlowStep(rule="whose patient is in no earlier split", count=kept)] if kept < len(cohort.table) else []


def _notes(spec: MimicSpec, survey: Survey, cohort: Cohort, splits: dict[str, RowNumbers]) -> list[str]:
    labels = cohort.table.select(list(FINDINGS.values()))
    labelled = np.any([column.is_not_null().to_numpy() for column in labels.get_columns()], axis=0)
    unlabelled = int((cohort.table["cxr_path"].is_not_null().to_numpy() & ~labelled).sum())
    train = cohort.labs.values[splits["train"]]
    unknown = [ITEM_IDS[column] for column in np.flatnonzero(np.isnan(train).all(axis=0)).tolist()]
    empty = [split for split in SPLITS if split not in splits]
    return list(notes(spec, cohort.labs.conflicts, unlabelled, unknown, empty, survey.stay_columns))


def _name_unusable(directory: Path, cohort: Cohort) -> list[FileEntry]:
    """List the media that could not be used, with reasons. The list is patients' data, like the releases themselves."""
    lines = [
        f"{kind}\t{path}\t{reason}\n"
        for kind, unusable in sorted(cohort.unusable.items())
        for path, reason in sorted(unusable.items())
    ]
    if not lines:
        return []
    path = directory / UNUSABLE
    write_text(path, "".join(["kind\tpath\treason\n", *lines]))
    return [file_entry(directory, path)]
