"""Names that are corrected by hand: cells of one names table replace those of another."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from symile_data.datasets.m3.names import NamesTable, read_names
from symile_data.errors import SourceError


def override_names(table: NamesTable, path: Path) -> tuple[NamesTable, int]:
    """Replace names by those of another table of the same form; its empty cells keep the present names.

    A column that `table` lacks is added, with empty names where the file says nothing.

    Args:
        table: The names to correct.
        path: The corrections, with the columns `wnid`, `en` and language codes. Unchanged lines and columns may be
            left out.

    Returns:
        The new table, and how many names changed.

    Raises:
        SourceError: the file is not a table of that form, or names a class that `table` lacks.
    """
    manual = read_names(path)
    rows = {wnid: row for row, wnid in enumerate(table.wnids)}
    for number, wnid in enumerate(manual.wnids, start=2):
        if wnid not in rows:
            raise SourceError("a corrected class is not in the names table", where=f"{path}, line {number}", got=wnid)
    names = {language: list(column) for language, column in table.names.items()}
    changed = 0
    for language, column in manual.names.items():
        cells = names.setdefault(language, [""] * len(table.wnids))
        for wnid, name in zip(manual.wnids, column, strict=True):
            if name.strip() and name != cells[rows[wnid]]:
                cells[rows[wnid]] = name
                changed += 1
    return replace(
        table,
        path=f"{table.path} corrected by {path}",
        names={language: tuple(cells) for language, cells in names.items()},
    ), changed
