"""Hospital admissions with the patient's sex and age and the end of the stay.

X-rays, ECGs and blood tests are joined to them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped
from symile_data.progress.amounts import counted

from ..spec import Roots
from ..tables import ADMISSIONS, PATIENTS, read
from ..tables.cells import ROW
from ..tables.checks import lines, require_any
from ..tables.files import find_table

if TYPE_CHECKING:
    from pathlib import Path

    import polars as pl


def read_admissions(roots: Roots, reference: bool) -> tuple[pl.DataFrame, list[Dropped]]:
    """Read every admission, in the table's order, and count the lines of both tables that are left out.

    Args:
        roots: The folders of the releases.
        reference: Keep admissions of patients that the patients table lacks, as the public pipeline does.

    Returns:
        `subject_id`, `hadm_id`, `admittime`, `stay_from` (the patient's previous discharge), `stay_until` (this one),
        `gender`, `age` in the year of admission, and `hospital_expire_flag` where the table has it; and the lines left
        out, by reason. Admissions without a time are left out.

    Raises:
        SourceError: a table is missing or damaged, lines contradict each other, a patient is unknown, or no admission
            has a time; with `reference`, one admission without a time is enough.
    """
    import polars as pl

    path = find_table(roots, ADMISSIONS)
    listed = read(path, ADMISSIONS)
    admissions, dropped = listed.frame, list(listed.dropped)
    timeless = admissions.filter(pl.col("admittime").is_null())
    if len(timeless):
        if reference:
            where = f"{path}, {lines(path, timeless[ROW].to_list())}"
            raise SourceError("an admission has no time, where the public pipeline stops", where=where, do=_WITHOUT)
        reason = ADMISSIONS.reason("its line has no admittime")
        dropped.append(Dropped(reason=reason, count=len(timeless), examples=[]))
    require_any(len(admissions) - len(timeless), dropped, path)
    patients, of_patients = _patients(roots, admissions, path, reference)
    # An admission without a discharge does not hide those before it.
    latest = pl.col("dischtime").cum_max().forward_fill().shift(1)
    previous = latest.over("subject_id", order_by=["admittime", "hadm_id"])
    age = pl.col("anchor_age") + pl.col("admittime").dt.year().cast(pl.Int64) - pl.col("anchor_year")
    ends = [name for name in ADMISSIONS.optional if name in admissions.columns]
    timed = (
        admissions.filter(pl.col("admittime").is_not_null())
        .with_columns(stay_from=previous, stay_until=pl.col("dischtime"))
        .join(patients, on="subject_id", how="left", maintain_order="left", validate="m:1")
        .select("subject_id", "hadm_id", "admittime", "stay_from", "stay_until", "gender", *ends, age=age)
    )
    return timed, [*dropped, *of_patients]


_WITHOUT = "build without `reference`: such entries are then left out and counted"


def _patients(
    roots: Roots, admissions: pl.DataFrame, path: Path, reference: bool
) -> tuple[pl.DataFrame, list[Dropped]]:
    where = find_table(roots, PATIENTS)
    listed = read(where, PATIENTS)
    patients = listed.frame.drop(ROW)
    unknown = admissions.join(patients, on="subject_id", how="anti")
    if len(unknown) and not reference:
        raise SourceError(
            f"patients of {counted(len(unknown), 'admission')} are not in the patients table",
            where=path,
            got=f"subject_id {unknown['subject_id'][0]}",
            do=f"take both tables from the same release ({where.name} is beside it)",
        )
    return patients, listed.dropped
