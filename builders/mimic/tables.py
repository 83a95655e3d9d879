"""The tables of the MIMIC releases that a build reads: where they are, which columns they need, how they are opened.

A table may be .csv.gz (as PhysioNet ships it), .csv or .parquet; columns beyond those listed are ignored, so the
layouts of MIMIC-IV 2.2 and 3.x both do.
"""

from __future__ import annotations

import contextlib
import csv
import gzip
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from symile_data.errors import SourceError

from .schema import FINDINGS
from .spec import Roots

if TYPE_CHECKING:
    import polars as pl

Kind = Literal["int", "float", "text", "time"]

SUFFIXES = (".csv.gz", ".csv", ".parquet")
ROW = "row"  # a table's row number, from 0
_TIME = "%Y-%m-%d %H:%M:%S"
_MOST_HEADER_BYTES = 1 << 16  # of a line with the columns' names
_DEPTH = 3  # levels below and above a wrong folder that are searched for the right one


@dataclass(frozen=True, kw_only=True)
class Table:
    """One table.

    Args:
        release: Which release has it, for messages.
        root: Which field of `Roots` it lies under.
        stem: Path below that without the suffix; `*` stands for a version.
        columns: Column -> type, of those that are read.
    """

    release: str
    root: Literal["mimic_iv", "mimic_cxr", "mimic_ecg"]
    stem: str
    columns: Mapping[str, Kind]

    @property
    def option(self) -> str:
        """The command line's name of its root."""
        return "--" + self.root.replace("_", "-")


PATIENTS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/patients",
    columns={"subject_id": "int", "gender": "text", "anchor_age": "int", "anchor_year": "int"},
)
ADMISSIONS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/admissions",
    columns={"subject_id": "int", "hadm_id": "int", "admittime": "time", "dischtime": "time"},
)
LABEVENTS = Table(
    release="MIMIC-IV 2.2 or 3.x",
    root="mimic_iv",
    stem="hosp/labevents",
    columns={
        "labevent_id": "int",
        "subject_id": "int",
        "itemid": "int",
        "charttime": "time",
        "valuenum": "float",
        "valueuom": "text",
    },
)
METADATA = Table(
    release="MIMIC-CXR-JPG 2.x",
    root="mimic_cxr",
    stem="mimic-cxr-*-metadata",
    columns={
        "dicom_id": "text",
        "subject_id": "int",
        "study_id": "int",
        "ViewPosition": "text",
        "StudyDate": "int",
        "StudyTime": "float",
    },
)
CHEXPERT = Table(
    release="MIMIC-CXR-JPG 2.x",
    root="mimic_cxr",
    stem="mimic-cxr-*-chexpert",
    columns={"study_id": "int", **dict.fromkeys(FINDINGS, "float")},
)
RECORDS = Table(
    release="MIMIC-IV-ECG 1.0",
    root="mimic_ecg",
    stem="record_list",
    columns={"subject_id": "int", "study_id": "int", "ecg_time": "time", "path": "text"},
)

TABLES = (PATIENTS, ADMISSIONS, LABEVENTS, METADATA, CHEXPERT, RECORDS)


def find_table(roots: Roots, table: Table) -> Path:
    """The file of a table.

    Raises:
        SourceError: not there; the message says where else it was found, if anywhere near.
    """
    root: Path = getattr(roots, table.root)
    found = _files(root, table)
    if len(found) > 1 and len({_without_suffix(path) for path in found}) > 1:
        raise SourceError(
            f"{table.option} holds several versions of one table",
            where=root,
            got=", ".join(path.name for path in found),
            do="keep one of them",
        )
    if found:
        return found[0]
    near = _near(root, table)
    advice = f"give {table.option} {near}" if near else f"give {table.option} the folder that holds {table.stem}.csv.gz"
    raise SourceError(
        f"{table.option} has no table {table.stem} (.csv.gz, .csv or .parquet), which {table.release} has",
        where=root,
        got=None if root.is_dir() else "no such folder",
        do=advice,
    )


def scan(path: Path, table: Table) -> pl.LazyFrame:
    """A table's needed columns, typed, and `row`: the number of the row in the file.

    Raises:
        SourceError: a column is missing.
    """
    import polars as pl

    columns = _column_names(path)
    absent = [name for name in table.columns if name not in columns]
    if absent:
        raise SourceError(
            f"a table lacks the column {', '.join(absent)}, which {table.release} has",
            where=path,
            got=", ".join(columns),
            do="use the table as the release ships it",
        )
    types = {"int": pl.Int64(), "float": pl.Float64(), "text": pl.String(), "time": pl.String()}
    if path.suffix == ".parquet":
        frame = pl.scan_parquet(path, row_index_name=ROW)
        schema = frame.collect_schema()
        frame = frame.select(
            ROW, *(pl.col(name).cast(types[kind]) if kind != "time" else name for name, kind in table.columns.items())
        )
        times = [name for name, kind in table.columns.items() if kind == "time" and schema[name] == pl.String]
    else:
        overrides = {name: types[kind] for name, kind in table.columns.items()}
        frame = pl.scan_csv(path, schema_overrides=overrides, row_index_name=ROW, infer_schema=False)
        frame = frame.select(ROW, *table.columns)
        times = [name for name, kind in table.columns.items() if kind == "time"]
    parsed = [pl.col(name).str.to_datetime(_TIME, time_unit="us") for name in times]
    moments = [pl.col(name).cast(pl.Datetime("us")) for name, kind in table.columns.items() if kind == "time"]
    return frame.with_columns(pl.col(ROW).cast(pl.Int64), *parsed).with_columns(moments)


def collect(frame: pl.LazyFrame, path: Path) -> pl.DataFrame:
    """Run a query over a table, in bounded memory where it filters.

    Raises:
        SourceError: the file is cut short or a value is not of its column's type.
    """
    with _reading(path):
        return frame.collect(engine="streaming")


def read(path: Path, table: Table) -> pl.DataFrame:
    """A whole table in file order; for the small ones."""
    return collect(scan(path, table), path).sort(ROW)


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
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, csv.Error, UnicodeDecodeError) as error:
        raise SourceError(
            "a table holds what its columns do not allow",
            where=path,
            got=str(error).split("\n", maxsplit=1)[0],
            do="use the table as the release ships it",
        ) from None


def _column_names(path: Path) -> list[str]:
    import polars as pl

    with _reading(path):
        if path.suffix == ".parquet":
            return list(pl.scan_parquet(path).collect_schema().names())
        opener = gzip.open if path.suffix == ".gz" else open
        with opener(path, "rb") as file:
            line = file.readline(_MOST_HEADER_BYTES)
        return next(csv.reader([line.decode("utf-8")]), [])


def _files(root: Path, table: Table) -> list[Path]:
    """A table's files in order of preference."""
    return [path for suffix in SUFFIXES for path in sorted(root.glob(table.stem + suffix)) if path.is_file()]


def _without_suffix(path: Path) -> str:
    return path.name.removesuffix(".gz").removesuffix(".csv").removesuffix(".parquet")


def _near(root: Path, table: Table) -> Path | None:
    """A folder near `root` that holds the table."""
    if not root.is_dir():
        return None
    for depth in range(1, _DEPTH + 1):
        for folder in sorted(root.glob("/".join(["*"] * depth))):
            if folder.is_dir() and _files(folder, table):
                return folder
    parents = root.resolve().parents[:_DEPTH]
    return next((folder for folder in parents if _files(folder, table)), None)
