"""Checks of a table's typed lines: cells that a column does not allow, missing keys, repeated lines."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped

from .cells import MEANINGS, ROW, CellKind, overflowing, typed, written, wrong, wrong_column

if TYPE_CHECKING:
    import polars as pl

    from . import Table

AS_SHIPPED = "use the table as the release ships it"
_WRONG = "the first wrong row"
_MOST_SHOWN = 60  # characters of a cell in a message
_MOST_LINES = 5  # numbers of lines in a message


def faults(cells: pl.LazyFrame, table: Table, columns: Sequence[str]) -> pl.LazyFrame:
    """Count the faults of typed lines in one row for `report`, in memory that does not grow with the table.

    Args:
        cells: The result of `typed`.
        table: The table of the cells.
        columns: The columns that are typed.

    Returns:
        The first row with a cell that its column does not allow, and how many lines cannot be used for another cause. A
        line counts once, under the first column that is at fault.
    """
    import polars as pl

    kinds: dict[str, CellKind] = {name: table.columns[name] for name in columns}
    unusable = {name: pl.col(name).is_null() for name in table.needed if name in kinds} | overflowing(kinds)
    counts: dict[str, pl.Expr] = {}
    fine = pl.lit(value=True)
    for name, fault in unusable.items():
        counts[name] = (fine & fault).sum()
        fine = fine & ~fault.fill_null(value=False)
    return cells.select(pl.col(ROW).filter(wrong(kinds)).min().alias(_WRONG), **counts)


def report(found: pl.DataFrame, path: Path, table: Table, again: Callable[[], pl.LazyFrame]) -> list[Dropped]:
    """Turn the result of `faults` into counts of dropped lines, or into an error.

    Args:
        found: The one row of `faults`.
        path: File of the table.
        table: The table.
        again: Scans the cells as text once more, for the message.

    Returns:
        Lines that are left out, by reason.

    Raises:
        SourceError: a cell does not have its column's type.
    """
    (numbers,) = found.rows(named=True)
    row = numbers.pop(_WRONG)
    if row is not None:
        raise _wrong_cell(again(), row, path, table)
    dropped = []
    for name, number in numbers.items():
        why = f"its line has no {name}" if name in table.needed else f"its {name} is not a finite number"
        if number:
            dropped.append(Dropped(reason=table.reason(why), count=number, examples=[]))
    return dropped


def _wrong_cell(texts: pl.LazyFrame, row: int, path: Path, table: Table) -> SourceError:
    import polars as pl

    line = typed(texts.filter(pl.col(ROW) == row).head(1), table.columns).collect(engine="streaming")
    column = wrong_column(line, table.columns)
    text = line[written(column)][0]
    shown = text if len(text) <= _MOST_SHOWN else text[:_MOST_SHOWN] + "..."
    return SourceError(
        "a table has a value that its column does not allow",
        where=f"{path}, {lines(path, [row])}",
        got=f"{column} {shown!r}, which is not {MEANINGS[table.columns[column]]}",
        do=f"{AS_SHIPPED}, or correct that line",
    )


def require_any(kept: int, dropped: Sequence[Dropped], path: Path) -> None:
    """Refuse a table of which no line can be used.

    Raises:
        SourceError: lines were dropped and none was kept.
    """
    if dropped and not kept:
        raise SourceError(
            "no line of a table can be used",
            where=path,
            got="; ".join(f"{entry.reason}: {entry.count:,}" for entry in dropped),
            do=AS_SHIPPED,
        )


def once(frame: pl.DataFrame, path: Path, table: Table) -> tuple[pl.DataFrame, list[Dropped]]:
    """Keep the first of equal lines, and count the others.

    Args:
        frame: `ROW` and the table's columns, in file order.
        path: File of the table, for messages.
        table: The table, which names its keys.

    Raises:
        SourceError: lines with one key differ.
    """
    import polars as pl

    distinct = frame.unique(list(table.columns), keep="first", maintain_order=True)
    for key in table.keys:
        twice = distinct.filter(pl.col(key).is_duplicated())
        if len(twice):
            value = twice[key][0]
            rows = twice.filter(pl.col(key) == value)[ROW].to_list()
            raise SourceError(
                f"{table.noun} is listed twice with different cells",
                where=path,
                got=f"{key} {value} in {lines(path, rows)}",
                do="keep one of them",
            )
    repeated = len(frame) - len(distinct)
    reason = table.reason("its line repeats another one")
    return distinct, [Dropped(reason=reason, count=repeated, examples=[])] if repeated else []


def lines(path: Path, rows: Sequence[int]) -> str:
    """Name the lines of a file in which rows stand, for messages.

    >>> lines(Path("admissions.csv.gz"), [0, 7]), lines(Path("admissions.parquet"), [0])
    ('lines 2 and 9', 'row 1')
    """
    word, first = ("row", 1) if path.suffix == ".parquet" else ("line", 2)
    numbers = [f"{row + first:,}" for row in rows[:_MOST_LINES]]
    if len(rows) > _MOST_LINES:
        numbers.append(f"{len(rows) - _MOST_LINES:,} more")
    shown = numbers[0] if len(numbers) == 1 else f"{', '.join(numbers[:-1])} and {numbers[-1]}"
    return f"{word}{'s' if len(rows) > 1 else ''} {shown}"
