"""The `symile-data` command, called in the process of the tests."""

from pathlib import Path
from typing import NamedTuple

import pytest

from symile_data.cli import main


class Outcome(NamedTuple):
    """Of one call: exit code, standard output and standard error."""

    code: int
    out: str
    err: str


def call(*words: str | Path) -> int:
    """Run the command with some words, as the console script does, and return its exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["symile-data", *map(str, words)])
        patch.setenv("COLUMNS", "140")
        patch.setenv("NO_COLOR", "1")
        try:
            main()
        except SystemExit as end:
            return int(end.code or 0)
    return 0


def outcome(capsys: pytest.CaptureFixture[str], *words: str | Path) -> Outcome:
    """`call`, with what it printed."""
    capsys.readouterr()
    return Outcome(call(*words), *capsys.readouterr())
