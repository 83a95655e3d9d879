"""Export a cohort of admissions in the Medical Event Data Standard."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data import __version__
from symile_data.cards.descriptions import description_of
from symile_data.datasets import MIMIC
from symile_data.datasets.mimic.lab_items import LAB_UNITS
from symile_data.datasets.mimic.meds.events import NEEDED, codes_of, events_of
from symile_data.datasets.mimic.meds.labels import LABELS, labels_of
from symile_data.datasets.mimic.meds.schema import (
    CODES_FILE,
    DATASET_FILE,
    EXTENSIONS,
    MEDS_VERSION,
    SPLIT_NAMES,
    SPLITS_FILE,
    SUBJECT_SPLITS,
)
from symile_data.errors import DamageError, UsageError
from symile_data.files import atomic_path, check_vacant, pretty_json, write_text
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest
from symile_data.loaders import open_split
from symile_data.progress import stage
from symile_data.reliability import Reliability


def export_meds(directory: Path, out: Path) -> dict[str, int]:
    """Write the admissions of a dataset as MEDS 0.4: data/, metadata/ and labels/ below `out`.

    The events of a split are in one file, and metadata/dataset.json is written last. Equal datasets give equal bytes.

    Args:
        directory: A dataset of Symile-MIMIC, or one of features of its images and ECGs.
        out: A new or empty directory.

    Returns:
        Split, as MEDS calls it -> number of events.

    Raises:
        UsageError: the dataset has no admissions, or misaligned or noisy ones, or `out` holds files.
        DamageError: the dataset lacks columns, as those of versions before 0.2 do, or a patient is in two splits.
        OutputError: the disk fails.
    """
    manifest = manifests.read(directory)
    if manifest.identity.dataset != MIMIC:
        raise UsageError(
            "only admissions are exported as MEDS",
            where=directory,
            got=manifest.identity.dataset,
            do=f"give a dataset of {MIMIC}",
        )
    if Reliability.of(manifest.identity.spec):
        raise UsageError(
            "rows of the dataset show other admissions' values or noise, which would be events of the wrong patient",
            where=directory,
            do="export a dataset that was built without `misaligned` and `noisy`",
        )
    kind = next((modality.kind for modality in manifest.modalities if modality.name == "labs"), "none")
    if kind != "labs":
        raise UsageError(
            "the dataset does not hold the values of blood tests, which would be events",
            where=directory,
            got=f"labs of kind {kind}",
            do="export the dataset that it was made from",
        )
    manifests.check_outside(out, "the export")
    check_vacant(out)
    units = units_of(manifest)
    events: dict[str, pa.Table] = {}
    rows: list[pa.Table] = []
    with stage("MEDS", len(SPLIT_NAMES), "splits") as advance:
        for split, name in SPLIT_NAMES.items():
            if manifest.splits.get(split):
                table, paths, places = _rows(directory, manifest, split)
                events[name] = _listed(directory, table, paths, places, units)
                _write(out / "data" / name / "0.parquet", events[name])
                rows.append(table)
            advance()
    _write(out / SPLITS_FILE, _subject_splits(directory, events))
    _write(out / CODES_FILE, codes_of(list(events.values()), units))
    for column, table in labels_of(pa.concat_tables(rows)):
        _write(out / "labels" / f"{column}.parquet", table)
    write_text(out / DATASET_FILE, pretty_json(_described(manifest)))
    return {name: len(table) for name, table in events.items()}


def units_of(manifest: Manifest) -> dict[int, str]:
    """Return the unit of each test: that of the build's source, else the usual one of MIMIC-IV."""
    items = next(
        (modality.details.get("items") for modality in manifest.modalities if "items" in modality.details), None
    )
    return {**LAB_UNITS, **{int(item["itemid"]): str(item["unit"]) for item in items or () if "unit" in item}}


def _rows(directory: Path, manifest: Manifest, split: str) -> tuple[pa.Table, list[str], list[int]]:
    """Read the small columns of a split, with each row's shard and its number there."""
    opened = open_split(directory, split, manifest=manifest)
    absent = [name for name in NEEDED if name not in opened.columns]
    if absent:
        raise DamageError(
            f"the dataset lacks the column {absent[0]}, which MEDS needs",
            where=directory,
            do="build it again with this version",
        )
    columns = [name for name in opened.columns if name in {*NEEDED, *LABELS}]
    entries = manifest.shards(split)
    paths = [entry.path for entry in entries for _ in range(entry.rows or 0)]
    places = [row for entry in entries for row in range(entry.rows or 0)]
    return opened.read_all(columns).select(columns), paths, places


def _listed(
    directory: Path, rows: pa.Table, paths: Sequence[str], places: Sequence[int], units: dict[int, str]
) -> pa.Table:
    try:
        return events_of(rows, paths, places, units)
    except ValueError as error:
        raise DamageError("a time of admission cannot be read", where=directory, got=error) from None


def _subject_splits(directory: Path, events: dict[str, pa.Table]) -> pa.Table:
    """Assign each patient to a split."""
    split_of: dict[int, str] = {}
    for name, table in events.items():
        for subject_id in table["subject_id"].unique().to_pylist():
            if split_of.setdefault(subject_id, name) != name:
                raise DamageError(
                    "a patient is in two splits, which MEDS does not allow",
                    where=directory,
                    got=f"subject_id {subject_id} in {split_of[subject_id]} and {name}",
                    do="build the dataset with splits by patient",
                )
    ordered = sorted(split_of.items())
    return pa.table([[subject for subject, _ in ordered], [name for _, name in ordered]], schema=SUBJECT_SPLITS)


def _described(manifest: Manifest) -> dict[str, Any]:
    return {
        "dataset_name": manifest.identity.dataset,
        "dataset_version": manifest.identity.fingerprint,
        "etl_name": "symile-data export meds",
        "etl_version": __version__,
        "meds_version": MEDS_VERSION,
        "license": description_of(manifest).licence(manifest).label,
        **EXTENSIONS,
    }


def _write(path: Path, table: pa.Table) -> None:
    with atomic_path(path) as temporary:
        pq.write_table(table, temporary, compression="zstd", write_page_checksum=True)
