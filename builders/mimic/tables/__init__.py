"""The tables of the MIMIC releases that a build reads: their columns, the allowed values of cells, and their keys.

Every reader goes through `read`, or through `scan` and the same checks where a table is too long to be held.

A table may be .csv.gz (as PhysioNet ships it), .csv or .parquet; columns beyond those listed are ignored, so the
layouts of MIMIC-IV 2.2 and 3.x both work.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped

from .cells import ROW, CellKind, finite, typed
from .checks import AS_SHIPPED, faults, once, report, require_any

if TYPE_CHECKING:
    import polars as pl

_MORE_CELLS = "a line with more cells than there are columns: is a comma outside quotes?"
_MOST_HEADER_BYTES = 1 << 16  # longest line of column names


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table of a release.

    Args:
        release: Name and version of the release, for messages.
        root: The field of `Roots` with the folder of the release.
        stem: Path below that folder without the suffix; `*` stands for a version.
        noun: What one line describes, with its article.
        columns: Column -> the type of its cells, for the columns that are read.
        keys: Columns that are each unique over all lines.
        needed: Columns without which a line cannot be used; such a line is left out and counted.
        optional: Column -> the type of its cells, for columns that are read where the file has them.
    """

    release: str
    root: Literal["mimic_iv", "mimic_cxr", "mimic_ecg"]
    stem: str
    noun: str
    columns: Mapping[str, CellKind]
    keys: tuple[str, ...]
    needed: tuple[str, ...]
    optional: Mapping[str, CellKind] = field(default_factory=dict)

    def reason(self, why: str) -> str:
        """Return the reason under which lines that are left out are counted."""
        return f"{self.noun.split(maxsplit=1)[1]}: {why}"


PATIENTS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/patients",
    noun="a patient",
    columns={"subject_id": "id", "gender": "text", "anchor_age": "whole", "anchor_year": "whole"},
    keys=("subject_id",),
    needed=("subject_id",),
)
ADMISSIONS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/admissions",
    noun="an admission",
    columns={"subject_id": "id", "hadm_id": "id", "admittime": "time", "dischtime": "time"},
    keys=("hadm_id",),
    needed=("subject_id", "hadm_id"),
    optional={"hospital_expire_flag": "flag"},
)
LABEVENTS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/labevents",
    noun="a laboratory value",
    columns={
        "labevent_id": "id",
        "subject_id": "id",
        "itemid": "id",
        "charttime": "time",
        "valuenum": "number",
        "valueuom": "text",
    },
    keys=("labevent_id",),
    needed=("subject_id", "itemid", "labevent_id", "charttime"),
)
METADATA = Table(
    release="MIMIC-CXR-JPG 2.x",
    root="mimic_cxr",
    stem="mimic-cxr-*-metadata",
    noun="an X-ray",
    columns={
        "dicom_id": "name",
        "subject_id": "id",
        "study_id": "id",
        "ViewPosition": "text",
        "StudyDate": "date",
        "StudyTime": "clock",
    },
    keys=("dicom_id",),
    needed=("dicom_id", "subject_id", "study_id"),
)
CHEXPERT = Table(
    release="MIMIC-CXR-JPG 2.x",
    root="mimic_cxr",
    stem="mimic-cxr-*-chexpert",
    noun="a study",
    columns={"study_id": "id", **dict.fromkeys(FINDINGS, "finding")},
    keys=("study_id",),
    needed=("study_id",),
)
RECORDS = Table(
    release="MIMIC-IV-ECG 1.0",
    root="mimic_ecg",
    stem="record_list",
    noun="an electrocardiogram",
    columns={"subject_id": "id", "study_id": "id", "ecg_time": "time", "path": "path"},
    keys=("study_id", "path"),
    needed=("subject_id", "study_id", "ecg_time", "path"),
)

DIAGNOSES = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/diagnoses_icd",
    noun="a diagnosis",
    columns={"subject_id": "id", "hadm_id": "id", "icd_code": "text", "icd_version": "whole"},
    keys=(),
    needed=("subject_id", "hadm_id", "icd_code", "icd_version"),
)

TABLES = (PATIENTS, ADMISSIONS, LABEVENTS, METADATA, CHEXPERT, RECORDS)
OPTIONAL_TABLES = (DIAGNOSES,)  # a release without them is used all the same


@dataclass(frozen=True, kw_only=True)
class TableRows:
    """The usable lines of a table.

    Args:
        frame: `ROW` and the table's columns, typed; keys are unique and no needed column is null.
        dropped: Counts of the lines that were left out, by reason.
    """

    frame: pl.DataFrame
    dropped: list[Dropped]


def read(path: Path, table: Table) -> TableRows:
    """Read a whole table in file order, with those of its optional columns that the file has. Only for tables that fit
    into memory.

    Raises:
        SourceError: the file is damaged, a column is missing or repeated, a cell does not have its column's type, lines
            contradict each other, or no line can be used.
    """
    import polars as pl

    table = _with_optional(path, table)
    cells = typed(scan(path, table), table.columns)
    columns = tuple(table.columns)
    frame, found = collect([cells, faults(cells, table, columns)], path)
    dropped = report(found, path, table, lambda: scan(path, table))
    kept = frame.sort(ROW).filter(pl.all_horizontal(pl.col(table.needed).is_not_null()))
    require_any(len(kept), dropped, path)
    rows, repeated = once(kept.with_columns(finite(table.columns)).select(ROW, *table.columns), path, table)
    return TableRows(frame=rows, dropped=[*dropped, *repeated])


def scan(path: Path, table: Table) -> pl.LazyFrame:
    """Scan a table's columns as the file has them, with `ROW`, the number of the row in the file. Blank lines are
    skipped.

    Raises:
        SourceError: a column is missing or repeated.
    """
    import polars as pl

    stored = _columns(path)
    columns = {name.strip(): (name, kind) for name, kind in stored}
    names = [name.strip() for name, _ in stored]
    absent = [name for name in table.columns if name not in names]
    twice = [name for name in table.columns if names.count(name) > 1]
    if absent or twice:
        raise SourceError(
            f"a table lacks the column {', '.join(absent)}, which {table.release} has"
            if absent
            else f"a table has the column {', '.join(twice)} more than once",
            where=path,
            got=", ".join(names) or "an empty first line",
            do=AS_SHIPPED,
        )
    wanted = [_on_the_wall(*columns[name]).alias(name) for name in table.columns]
    if path.suffix == ".parquet":
        frame = pl.scan_parquet(path, row_index_name=ROW)
        filled = frame.filter(pl.any_horizontal(pl.col([columns[name][0] for name in table.columns]).is_not_null()))
    else:
        frame = pl.scan_csv(path, row_index_name=ROW, infer_schema=False)
        # Asking for every column makes polars refuse a line with more cells than there are columns, such as one with a
        # comma outside quotes: behind it, other cells would stand in the columns that are read.
        filled = frame.filter(pl.any_horizontal(pl.all().exclude(ROW).is_not_null()))
    return filled.select(pl.col(ROW).cast(pl.Int64), *wanted)


def collect(frames: Sequence[pl.LazyFrame], path: Path) -> list[pl.DataFrame]:
    """Run queries over one table in one pass, in bounded memory where they filter.

    Raises:
        SourceError: the file is cut short or is not such a table.
    """
    import polars as pl

    with _reading(path):
        return pl.collect_all(frames, engine="streaming")


def _with_optional(path: Path, table: Table) -> Table:
    names = {name.strip() for name, _ in _columns(path)} if table.optional else set()
    return replace(table, columns={**table.columns, **{n: kind for n, kind in table.optional.items() if n in names}})


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[None]:
    import polars as pl

    try:
        yield
    except (OSError, EOFError, zlib.error) as error:
        raise SourceError(
            "a table cannot be read: it was probably cut short",
            where=path,
            got=error,
            do="download it again and compare with the release's SHA256SUMS.txt",
        ) from None
    except (csv.Error, UnicodeDecodeError):
        raise _no_text(path, "a first line with other bytes or ends of lines") from None
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        if "utf-8" in str(error):
            raise _no_text(path, "a cell with other bytes") from None
        raise SourceError(
            "a table has a value that its column does not allow",
            where=path,
            got=_MORE_CELLS if "more fields" in str(error) else str(error).split("\n", maxsplit=1)[0],
            do=AS_SHIPPED,
        ) from None


def _no_text(path: Path, got: str) -> SourceError:
    return SourceError("a table is not UTF-8 text with one line for each row", where=path, got=got, do=AS_SHIPPED)


def _columns(path: Path) -> list[tuple[str, pl.DataType]]:
    """Return the names of a file's columns, as written, with their stored types."""
    import polars as pl

    with _reading(path):
        if path.suffix == ".parquet":
            return list(pl.scan_parquet(path).collect_schema().items())
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            line = file.readline(_MOST_HEADER_BYTES)
        return [(name, pl.String()) for name in next(csv.reader([line.decode("utf-8-sig")]), [])]


def _on_the_wall(name: str, stored: pl.DataType) -> pl.Expr:
    """Read a column. Times with a zone become local wall-clock times, which the releases use throughout."""
    import polars as pl

    zoned = isinstance(stored, pl.Datetime) and stored.time_zone is not None
    return pl.col(name).dt.replace_time_zone(None) if zoned else pl.col(name)
