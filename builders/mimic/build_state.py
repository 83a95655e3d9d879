"""The state of a build: one Arrow file with every row of every split, from which the shards are written.

It holds every column except the X-ray and the ECG, whose place (chunk and row) among the prepared media it names.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.mimic.lab_items import LABS
from symile_data.datasets.mimic.schema import FINDINGS, STAY_COLUMNS, mimic_schema
from symile_data.errors import UsageError
from symile_data.files import atomic_path
from symile_data.progress.amounts import counted

from .cohort.candidates import draw_candidates
from .cohort.selection import Cohort
from .cohort.splits import RowNumbers, split_by_patient, split_by_row, split_sizes
from .percentiles import UNKNOWN, percentiles
from .signals.media import Place, Prepared
from .spec import MimicSpec

if TYPE_CHECKING:
    import polars as pl

SPLIT = "split"
PLACES = {"cxr": "cxr_place", "ecg": "ecg_place"}  # (chunk, row); null where missing

# By whether the public pipeline is repeated: the percentile of a test that no training row has.
UNKNOWN_PERCENTILES = {False: UNKNOWN, True: 0.0}


def assign_splits(cohort: Cohort, spec: MimicSpec) -> dict[str, RowNumbers]:
    """Assign the rows of the cohort to splits; a split without rows is left out.

    Raises:
        UsageError: the cohort is too small for the requested sizes, or no row is left to train on.
    """
    subjects = cohort.table["subject_id"].to_list()
    train, validation = split_sizes(spec, len(subjects))
    assign = split_by_row if spec.reference else split_by_patient
    splits = assign(subjects, train, validation, spec.seed)
    if not len(splits["train"]):
        raise UsageError(
            "a dataset needs training rows, and no patient fits into the training split with all admissions",
            got=f"{counted(train, 'row')} of {counted(len(subjects), 'admission')}",
            do="give `train` more rows",
        )
    return {split: rows for split, rows in splits.items() if len(rows)}


def candidate_sets(cohort: Cohort, splits: dict[str, RowNumbers], spec: MimicSpec) -> pa.Array:
    """Draw the retrieval sets of validation and test rows, in the order of `splits`.

    Returns:
        A list of admission ids (int64) for each row; null in the training split and for rows without an X-ray.

    Raises:
        UsageError: a split has too few admissions for a retrieval set.
    """
    table = cohort.table[np.concatenate(list(splits.values()))]
    hadm_ids, subjects = table["hadm_id"].to_numpy(), table["subject_id"].to_numpy()
    has_cxr = table["cxr_path"].is_not_null().to_numpy()
    sets: list[list[int] | None] = []
    start = 0
    for split, rows in splits.items():
        part = slice(start, start + len(rows))
        start += len(rows)
        if split == "train":
            sets += [None] * len(rows)
            continue
        drawn = draw_candidates(
            split, subjects[part], has_cxr[part], spec.candidates, spec.seed, same_patient=spec.reference
        )
        ids = hadm_ids[part]
        sets += [None if row[0] < 0 else ids[row].tolist() for row in drawn]
    return pa.array(sets, pa.list_(pa.int64()))


def make_build_state(
    cohort: Cohort,
    splits: dict[str, RowNumbers],
    candidates: pa.Array,
    *,
    reference: bool,
    whole: dict[str, RowNumbers] | None = None,
) -> pa.Table:
    """Collect the rows of all splits in one table, one split after the other.

    Args:
        cohort: The admissions with their modalities.
        splits: Split -> row numbers of the cohort.
        candidates: The retrieval set of each row, in the order of `splits`.
        reference: Give values of tests that no training row has the percentile of the public pipeline, 0.
        whole: The splits of which `splits` are a part, as consecutive rows of the cohort; percentiles and sample ids
            are then those of the whole.

    Returns:
        The columns of the schema without the media, the split, and the places of X-ray and ECG.
    """
    order = np.concatenate(list(splits.values()))
    table = cohort.table[order]
    values, hours = cohort.labs.values[order], cohort.labs.hours[order]
    unknown = UNKNOWN_PERCENTILES[reference]
    placed = percentiles(cohort.labs.values[(whole or splits)["train"]], values, unknown)
    unmeasured = np.isnan(values)
    absent: npt.NDArray[np.bool_] = np.asarray(unmeasured.all(axis=1))
    columns: dict[str, Any] = {
        "sample_id": pa.array(np.arange(len(order)) if whole is None else order),
        **{name: _column(table, name) for name in ("subject_id", "hadm_id", "gender", "age")},
        "labs": _lists(values, absent),
        "labs_percentile": _lists(placed, absent),
        "labs_hours": _lists(hours, absent),
        "labs_missing": pa.FixedSizeListArray.from_arrays(pa.array(unmeasured.ravel()), LABS),
        "labs_all_missing": pa.array(absent),
        "cxr_missing": pa.array(table["cxr_path"].is_null().to_numpy()),
        "ecg_missing": pa.array(table["ecg_path"].is_null().to_numpy()),
        "cxr_dicom_id": _column(table, "dicom_id"),
        "view_position": _column(table, "view"),
        **{name: _column(table, name) for name in ("cxr_study_id", "ecg_study_id", "cxr_hours", "ecg_hours")},
        **{name: _column(table, name) for name in FINDINGS.values()},
        **{name: _column(table, name) for name in stay_columns_of(table.columns)},
        "candidates": candidates,
    }
    schema = mimic_schema(stay_columns_of(table.columns)).arrow
    typed = {name: column.cast(schema.field(name).type) for name, column in columns.items()}
    names = [split for split, rows in splits.items() for _ in rows]
    places = {
        PLACES["cxr"]: _places(cohort.cxr, table["cxr_path"].to_list()),
        PLACES["ecg"]: _places(cohort.ecg, table["ecg_path"].to_list()),
    }
    return pa.table({SPLIT: pa.array(names), **typed, **places})


def stay_columns_of(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the columns about the stay that a table has, in the schema's order."""
    return tuple(name for name in STAY_COLUMNS if name in columns)


def write_build_state(internal: Path, state: pa.Table) -> None:
    """Save the build state where `read_build_state` finds it."""
    read_build_state.cache_clear()
    with (
        atomic_path(_path(internal)) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, state.schema) as writer,
    ):
        writer.write_table(state)


@lru_cache(maxsize=1)
def read_build_state(internal: Path) -> pa.Table:
    """Map the saved build state into memory."""
    return pa.ipc.open_file(pa.memory_map(str(_path(internal)))).read_all()


def _path(internal: Path) -> Path:
    return internal / "build_state.arrow"


def _column(table: pl.DataFrame, name: str) -> pa.Array:
    import polars as pl

    return table[name].to_arrow(compat_level=pl.CompatLevel.oldest())


def _lists(values: npt.NDArray[np.float64], absent: npt.NDArray[np.bool_]) -> pa.Array:
    """Turn an (N, 50) array into lists of float32: NaN becomes null, and an absent row is null as a whole."""
    numbers = pa.array(values.astype(np.float32).ravel(), mask=np.isnan(values).ravel())
    return pa.FixedSizeListArray.from_arrays(numbers, LABS, mask=pa.array(absent))


def _places(prepared: Prepared, paths: Sequence[str | None]) -> pa.Array:
    places: list[Place | None] = [None if path is None else prepared.places[path] for path in paths]
    return pa.array(places, pa.list_(pa.int64(), 2))
