"""Print the results of `train` and `evaluate` as tables on a terminal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.cli.output import cell

_COUNTS = ("rows", "candidates", "rows_clean", "rows_affected")
_RANKS = ("median_rank",)
_WIDEST = 180  # columns of a terminal that a table may take: on a narrower one its lines break, but no number is cut


def print_results(results: Mapping[str, Mapping[str, float]]) -> None:
    """Print figures as a table with one column for each objective and one line for each figure.

    Args:
        results: Objective -> figure -> value.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title="Zero-shot retrieval")
    table.add_column("")
    for objective in results:
        table.add_column(cell(objective), justify="right")
    for name in next(iter(results.values())):
        table.add_row(cell(name.replace("_", " ")), *(_number(name, results[objective][name]) for objective in results))
    Console().print(table)


def print_intervals(
    results: Mapping[str, Mapping[str, Mapping[str, Any]]],
    title: str,
    bounds: Mapping[str, float] | None = None,
    differences: Mapping[str, Mapping[str, Mapping[str, Any]]] | None = None,
) -> None:
    """Print figures as `print_results` does, with intervals.

    Args:
        results: Objective -> figure -> "mean" and, where known, "low" and "high".
        title: Title of the table.
        bounds: Name -> reference value for the accuracies, printed on a separate line.
        differences: Name -> figure -> as in `results`, with "p_holm"; each is printed in a separate column.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title=title)
    table.add_column("")
    columns = {**results, **(differences or {})}
    for column in columns:
        table.add_column(cell(column), justify="right")
    for name in next(iter(results.values())):
        cells = [_interval(name, values.get(name)) for values in columns.values()]
        table.add_row(cell(name.replace("_", " ")), *cells)
    for name, value in (bounds or {}).items():
        table.add_row(cell(name.replace("_", " ")), *(_number(name, value) for _ in results))
    Console().print(table)


def print_wide(table: Sequence[Sequence[str]], title: str) -> None:
    """Print the cells of an experiment's table, the header first, with no number cut on a narrow terminal."""
    from rich.console import Console
    from rich.table import Table

    header, *body = table
    shown = Table(title=title)
    for name in header:
        shown.add_column(cell(name))
    for cells in body:
        shown.add_row(*(cell(value) for value in cells))
    Console(width=max(Console().width, _WIDEST)).print(shown)


def _interval(name: str, value: Mapping[str, Any] | None) -> str:
    if value is None:
        return ""
    text = _number(name, value["mean"])
    if "low" in value:
        text += f" [{_number(name, value['low'])}, {_number(name, value['high'])}]"
    if "p_holm" not in value:
        return text
    return text + (", p = none (equal for all seeds)" if value["p_holm"] is None else f", p = {value['p_holm']:.2g}")


def _number(name: str, value: float) -> str:
    if name in _COUNTS:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if name in _RANKS else f"{value:.4f}"
