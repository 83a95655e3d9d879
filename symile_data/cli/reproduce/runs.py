"""What the experiments share: where results go, which command and version measured them, and how they are printed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.cores import MOST_WORKERS

from ..common import at_most
from ..output import say, say_json

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Run
    from symile_data.workflows.objectives.results import ComparisonResults

Processes = Annotated[int, typer.Option(min=0, callback=at_most(MOST_WORKERS), help="Processes; 0 for one per core.")]


def no_dataset(out: Path | None) -> Path | None:
    """Return the directory of trials and results as it was given.

    Raises:
        BadParameter: a dataset is there, among whose files the trials would lie.
    """
    from symile_data.format.manifest import FILE_NAME

    if out is not None and (out / FILE_NAME).exists():
        raise typer.BadParameter(f"a dataset is in {out}; trials and results need a directory of their own")
    return out


def this_run(out: Path) -> Run:
    """Return the command that is running, `out` only by its last part, and the version of the package."""
    from symile_data import __version__
    from symile_data.experiments.leaderboard import Run

    from ..common import command_line

    return Run(command=command_line(out), version=__version__)


def show_comparison(results: ComparisonResults, as_json: bool) -> None:
    """Print the tables and notes of a comparison of objectives, or its points."""
    from symile_data.cli.output.tables import print_wide

    if as_json:
        say_json({"points": list(results.lines)})
        return
    for heading, table in results.tables:
        print_wide(table, heading)
    for note in results.notes:
        say(note)
