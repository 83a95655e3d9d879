"""Read the chapters of ICD in which the diagnoses of the cohort's admissions lie."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS, NINTH, PREFIX, TENTH, chapter_of
from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped

from ..tables import DIAGNOSES, collect, scan
from ..tables.cells import ROW, typed
from ..tables.checks import faults, lines, once, report

if TYPE_CHECKING:
    import polars as pl

_NO_CHAPTER = DIAGNOSES.reason("its code lies in no chapter of ICD-9-CM or ICD-10-CM")


def read_chapters(path: Path, admissions: pl.DataFrame) -> tuple[pl.DataFrame, list[Dropped]]:
    """Read the diagnoses of some admissions, in one pass over the table and memory that does not grow with its length.

    Args:
        path: The table diagnoses_icd.
        admissions: `hadm_id` and `subject_id` of the admissions.

    Returns:
        `hadm_id` and the int8 columns of `CHAPTER_COLUMNS`: 1 where the admission has a code of the chapter, 0 where
        it has only others. Admissions without any diagnosis are left out. And the lines that cannot be used, by reason.

    Raises:
        SourceError: the table is damaged, a cell does not have its column's type, or a diagnosis names another patient
            than its admission.
    """
    import polars as pl

    columns = tuple(DIAGNOSES.columns)
    cells = typed(scan(path, DIAGNOSES), DIAGNOSES.columns).cache()
    usable = cells.filter(pl.all_horizontal(pl.col(DIAGNOSES.needed).is_not_null()))
    wanted = usable.filter(pl.col("hadm_id").is_in(admissions["hadm_id"].implode())).select(ROW, *columns)
    found, numbers = collect([wanted, faults(cells, DIAGNOSES, columns)], path)
    dropped = report(numbers, path, DIAGNOSES, lambda: scan(path, DIAGNOSES))
    _require_same_patients(found, admissions, path)
    distinct, repeated = once(found.sort(ROW), path, DIAGNOSES)
    coded = distinct.with_columns(pl.col("icd_code").str.replace_all(".", "", literal=True))
    codes = coded.select("icd_code", "icd_version").unique()
    chapters = [chapter_of(code, version) if version in (NINTH, TENTH) else None for code, version in codes.iter_rows()]
    placed = coded.join(
        codes.with_columns(chapter=pl.Series(chapters, dtype=pl.String)), on=["icd_code", "icd_version"]
    )
    unplaced = placed["chapter"].null_count()
    flags = placed.group_by("hadm_id").agg(
        (pl.col("chapter") == column.removeprefix(PREFIX)).any().fill_null(value=False).cast(pl.Int8).alias(column)
        for column in CHAPTER_COLUMNS
    )
    nowhere = [Dropped(reason=_NO_CHAPTER, count=unplaced, examples=[])] if unplaced else []
    return flags.sort("hadm_id"), [*dropped, *repeated, *nowhere]


def _require_same_patients(found: pl.DataFrame, admissions: pl.DataFrame, path: Path) -> None:
    import polars as pl

    stays = admissions.select("hadm_id", patient="subject_id")
    others = found.join(stays, on="hadm_id").filter(pl.col("subject_id") != pl.col("patient")).sort(ROW)
    if len(others):
        raise SourceError(
            "a diagnosis names another patient than its admission",
            where=f"{path}, {lines(path, others[ROW].to_list())}",
            got=f"subject_id {others['subject_id'][0]} for hadm_id {others['hadm_id'][0]}",
            do="take both tables from the same release",
        )
