"""What measured the results that a command writes: the command itself and the version of the package."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from symile_data.experiments.leaderboard import Run


def this_run(out: Path) -> Run:
    """Return the command that is running, `out` only by its last part, and the version of the package."""
    from symile_data import __version__
    from symile_data.experiments.leaderboard import Run

    from ..common import command_line

    return Run(command=command_line(out), version=__version__)
