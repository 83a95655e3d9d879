"""Find the tables in a release's folder, and suggest the right folder where one is missing."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.errors import SourceError

from ..spec import Roots

if TYPE_CHECKING:
    from . import Table

SUFFIXES = (".csv.gz", ".csv", ".parquet")
_DEPTH = 3  # levels below and above a wrong folder that are searched for the right one


def find_table(roots: Roots, table: Table) -> Path:
    """Find the file of a table.

    Raises:
        SourceError: the table is missing, or there in several files. The message names a folder nearby that has it.
    """
    root: Path = getattr(roots, table.root)
    found = _files(root, table)
    if len(found) > 1:
        raise SourceError(
            f"`{table.root}` holds a table in several files, which may differ",
            where=root,
            got=", ".join(str(path.relative_to(root)) for path in found),
            do="keep one of them, or give a folder of links to the files that count",
        )
    if found:
        return found[0]
    near = _near(root, table)
    advice = f"give `{table.root}` {near}" if near else f"give `{table.root}` the folder that holds {table.stem}.csv.gz"
    raise SourceError(
        f"`{table.root}` has no table {table.stem} (.csv.gz, .csv or .parquet), which {table.release} has",
        where=root,
        got=None if root.is_dir() else "no such folder",
        do=advice,
    )


def find_optional_table(roots: Roots, table: Table) -> Path | None:
    """Find the file of a table that a release may lack; None where it does.

    Raises:
        SourceError: it is there in several files.
    """
    root: Path = getattr(roots, table.root)
    return find_table(roots, table) if _files(root, table) else None


def _files(root: Path, table: Table) -> list[Path]:
    """List the files that may hold a table."""
    return [path for suffix in SUFFIXES for path in sorted(root.glob(table.stem + suffix)) if path.is_file()]


def _near(root: Path, table: Table) -> Path | None:
    """Find a folder near `root` that holds the table."""
    if not root.is_dir():
        return None
    for depth in range(1, _DEPTH + 1):
        for folder in sorted(root.glob("/".join(["*"] * depth))):
            if folder.is_dir() and _files(folder, table):
                return folder
    parents = root.resolve().parents[:_DEPTH]
    return next((folder for folder in parents if _files(folder, table)), None)
