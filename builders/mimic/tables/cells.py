"""The types of a table's cells: the allowed values of a column, how text is parsed, and which cells are wrong.

Every cell is read as text and parsed here, so a table means the same as .csv.gz, .csv or .parquet, with or without
quotes, with ids as `10000032` or `10000032.0`, with dates as `21800506` or as a column of dates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import polars as pl

CellKind = Literal["id", "whole", "number", "flag", "finding", "text", "name", "path", "time", "date", "clock"]

MEANINGS: dict[CellKind, str] = {
    "id": "a whole number from 1",
    "whole": "a whole number from 0 to 9999",
    "number": "a number",
    "flag": "0, 1 or empty",
    "finding": "1, 0, -1 or empty",
    "text": "one line of text",
    "name": "a file's name",
    "path": "a path below the release's folder",
    "time": "a time as 2150-03-01 12:00:00",
    "date": "a date as 21500301",
    "clock": "a time of day as 120000",
}
ROW = "number of the row"  # extra column: position in the file, from 0
LARGEST = float(np.finfo(np.float32).max)  # values are stored in single precision

# Texts of cells without a value. PhysioNet writes ___ for removed text, and pandas nan for missing values.
_EMPTY = ("", "___", "nan", "NaN")
_INFINITE = r"(?i)^[+-]?(inf|infinity)$"
_LENIENT: tuple[CellKind, ...] = ("date", "clock")  # unreadable cells are null: an X-ray without a time is left out
_LARGEST_WHOLE = 9999
_MOST_NAME_BYTES = 200  # a suffix is added, and file systems end at 255
_MOST_PATH_BYTES = 1000
_NAME = r"^[^/\\\x00-\x1f\x7f]+$"
_PATH = r"^[^/\\\x00-\x1f\x7f]+(/[^/\\\x00-\x1f\x7f]+)*$"
_UPWARDS = r"(^|/)\.{1,2}(/|$)"
_DATE = r"^(\d{4})-?(\d{2})-?(\d{2})(?:\.0+|[ T]00:00:00(?:\.0+)?)?$"
_CLOCK = r"^(\d{2}):(\d{2}):(\d{2})(?:\.\d*)?$"
_TIME = "%Y-%m-%d %H:%M:%S"


def typed(cells: pl.LazyFrame, kinds: Mapping[str, CellKind]) -> pl.LazyFrame:
    """Parse columns of text. The text stays beside each column under `written(name)`, for messages on wrong cells.

    A cell that is empty, or that its kind does not allow, is null.
    """
    import polars as pl

    texts = {written(name): pl.col(name).cast(pl.String).str.strip_chars() for name in kinds}
    return cells.with_columns(**texts).with_columns(
        **{name: _parsed(pl.col(written(name)), kind) for name, kind in kinds.items()}
    )


def written(name: str) -> str:
    """Return the name of the column that keeps another column's text."""
    return f"{name} as written"


def wrong(kinds: Mapping[str, CellKind]) -> pl.Expr:
    """Tell for each row whether it has a cell that is not empty and that its column does not allow."""
    import polars as pl

    return pl.any_horizontal(*(_wrong(name, kind) for name, kind in kinds.items() if kind not in _LENIENT))


def wrong_column(line: pl.DataFrame, kinds: Mapping[str, CellKind]) -> str:
    """Return the first column whose cell is wrong in a typed line."""
    flags = line.select(**{name: _wrong(name, kind) for name, kind in kinds.items() if kind not in _LENIENT})
    return next(name for name in flags.columns if flags[name][0])


def overflowing(kinds: Mapping[str, CellKind]) -> dict[str, pl.Expr]:
    """Map each column of numbers to whether a typed cell is infinite or beyond single precision."""
    import polars as pl

    return {name: pl.col(name).abs() > LARGEST for name, kind in kinds.items() if kind == "number"}


def finite(kinds: Mapping[str, CellKind]) -> list[pl.Expr]:
    """Make numbers null where they are infinite or beyond single precision."""
    import polars as pl

    return [
        pl.when(pl.col(name).abs() <= LARGEST).then(pl.col(name)).alias(name)
        for name, kind in kinds.items()
        if kind == "number"
    ]


def _parsed(text: pl.Expr, kind: CellKind) -> pl.Expr:
    import polars as pl

    if kind == "id":
        return _between(_whole(text), 1, None)
    if kind == "whole":
        return _between(_whole(text), 0, _LARGEST_WHOLE)
    if kind == "number":
        return text.cast(pl.Float64, strict=False).fill_nan(None)
    if kind == "flag":
        return _between(_whole(text), 0, 1).cast(pl.Int8)
    if kind == "finding":
        number = text.cast(pl.Float64, strict=False)
        return pl.when(number.is_in([-1.0, 0.0, 1.0])).then(number).cast(pl.Int8)
    if kind == "time":
        usual = text.str.to_datetime(_TIME, time_unit="us", strict=False)
        other = text.str.replace("T", " ", literal=True).str.to_datetime(_TIME + "%.f", time_unit="us", strict=False)
        return pl.coalesce(usual, other)
    if kind == "date":
        return text.str.replace(_DATE, "$1$2$3").str.to_date("%Y%m%d", strict=False)
    if kind == "clock":
        seconds = text.str.replace(_CLOCK, "$1$2$3").cast(pl.Float64, strict=False).floor()
        return pl.when(seconds >= 0).then(seconds).cast(pl.Int64, strict=False).cast(pl.String).str.zfill(6)
    if kind == "text":
        allowed = ~text.str.contains("\n", literal=True)
    elif kind == "name":
        allowed = text.str.contains(_NAME) & (text.str.len_bytes() <= _MOST_NAME_BYTES)
    else:
        allowed = text.str.contains(_PATH) & (text.str.len_bytes() <= _MOST_PATH_BYTES)
    if kind in ("name", "path"):
        allowed = allowed & ~text.str.contains(_UPWARDS)
    return pl.when(allowed & ~text.is_in(_EMPTY[:2])).then(text)


def _whole(text: pl.Expr) -> pl.Expr:
    import polars as pl

    return text.str.strip_suffix(".0").cast(pl.Int64, strict=False)


def _between(number: pl.Expr, least: int, most: int | None) -> pl.Expr:
    import polars as pl

    inside = number >= least if most is None else (number >= least) & (number <= most)
    return pl.when(inside).then(number)


def _wrong(name: str, kind: CellKind) -> pl.Expr:
    """Tell whether a cell has text that gave no value."""
    import polars as pl

    text = pl.col(written(name))
    found = pl.col(name).is_null() & text.is_not_null() & ~text.is_in(_EMPTY)
    return found & ~text.str.contains(_INFINITE) if kind == "finding" else found
