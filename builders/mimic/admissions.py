"""Hospital admissions with the patient's sex and age: the rows that everything else is joined to."""

from __future__ import annotations

from typing import TYPE_CHECKING

from symile_data.errors import SourceError

from .spec import Roots
from .tables import ADMISSIONS, PATIENTS, ROW, find_table, read

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def read_admissions(roots: Roots, reference: bool) -> pl.DataFrame:
    """Every admission, in the table's order.

    Args:
        roots: Where the tables lie.
        reference: Keep admissions of patients that the patients table lacks, as the public pipeline does.

    Returns:
        `subject_id`, `hadm_id`, `admittime`, `stay_from` (the patient's previous discharge), `stay_until` (this one),
        `gender`, `age` in the year of admission. Without admissions that have no time, unless `reference`, where they
        are an error.

    Raises:
        SourceError: a table is missing or damaged, an admission is listed twice, or a patient is unknown.
    """
    import polars as pl

    path = find_table(roots, ADMISSIONS)
    admissions = read(path, ADMISSIONS)
    twice = admissions.filter(pl.col("hadm_id").is_duplicated())
    if len(twice):
        raise SourceError(
            "an admission is listed twice", where=path, got=f"hadm_id {twice['hadm_id'][0]}", do="remove one of them"
        )
    if reference and admissions["admittime"].null_count():
        raise SourceError("an admission has no time, where the public pipeline stops", where=path, do=_WITHOUT)
    patients = _patients(roots, admissions, path, reference)
    previous = pl.col("dischtime").cum_max().shift(1).over("subject_id", order_by=["admittime", "hadm_id"])
    age = pl.col("anchor_age") + pl.col("admittime").dt.year().cast(pl.Int64) - pl.col("anchor_year")
    return (
        admissions.filter(pl.col("admittime").is_not_null())
        .with_columns(stay_from=previous, stay_until=pl.col("dischtime"))
        .join(patients, on="subject_id", how="left", maintain_order="left")
        .select("subject_id", "hadm_id", "admittime", "stay_from", "stay_until", "gender", age=age)
    )


_WITHOUT = "build without --reference: such entries are then left out and counted"


def _patients(roots: Roots, admissions: pl.DataFrame, path: Path, reference: bool) -> pl.DataFrame:
    where = find_table(roots, PATIENTS)
    patients = read(where, PATIENTS).drop(ROW)
    twice = patients.filter(patients["subject_id"].is_duplicated())
    if len(twice):
        raise SourceError(
            "a patient is listed twice", where=where, got=f"subject_id {twice['subject_id'][0]}", do="remove one"
        )
    unknown = admissions.join(patients, on="subject_id", how="anti")
    if len(unknown) and not reference:
        raise SourceError(
            f"{len(unknown)} admissions are of patients that the patients table lacks",
            where=path,
            got=f"subject_id {unknown['subject_id'][0]}",
            do=f"take both tables from the same release ({where.name} lies beside it)",
        )
    return patients
