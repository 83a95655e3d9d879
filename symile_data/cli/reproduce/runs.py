"""Where a command writes its results, and what measured them: the command itself and the version of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Run


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
