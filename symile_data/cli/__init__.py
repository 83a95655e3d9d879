"""The `symile-data` command: one module for each verb, which imports heavy packages only when it runs.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the operation failed, 2 the command line is
wrong.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Iterator
from types import FrameType

import typer

from symile_data import __version__
from symile_data.cli.output.mistakes import as_sentence
from symile_data.cli.output.options import with_options
from symile_data.errors import SymileDataError
from symile_data.launch import end_with_launcher, is_watched

from . import (
    build,
    doctor,
    embed,
    export,
    folds,
    imports,
    plan,
    probe,
    reproduce,
    sample,
    translate,
)
from . import card as share
from . import train as learn
from . import verify as datasets

app = typer.Typer(
    name="symile-data",
    help="Build, load and learn from datasets of three and more modalities.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(build.app, name="build")
app.add_typer(sample.app, name="sample")
app.add_typer(imports.app, name="import")
app.add_typer(export.app, name="export")
app.add_typer(plan.app, name="plan")
app.add_typer(reproduce.app, name="reproduce")
for command in (
    datasets.verify,
    datasets.info,
    share.preview,
    share.card,
    embed.embed,
    folds.folds,
    learn.train,
    learn.evaluate,
    probe.probe,
    share.push,
    translate.translate,
    doctor.doctor,
):
    app.command()(command)

_DEBUG = "--debug"
# Exit codes: typer's, which exits silently on Ctrl-C, and ours on SIGTERM.
_ENDINGS = {130: "interrupted", 128 + signal.SIGTERM: "ended by SIGTERM"}


def _tell_version(asked: bool) -> None:
    if asked:
        print(f"symile-data {__version__}")
        raise typer.Exit


@app.callback()
def common(
    debug: bool = typer.Option(False, _DEBUG, help="Show the traceback of an error."),
    version: bool = typer.Option(
        False, "--version", callback=_tell_version, is_eager=True, help="Print the version and do nothing else."
    ),
) -> None:
    """Build, load and learn from datasets of three and more modalities."""


def main() -> None:
    """Run the command line. This is the entry point of the console script."""
    try:
        with _signals():
            app()
    except (SymileDataError, OSError, ModuleNotFoundError, RuntimeError, UnicodeEncodeError) as error:
        sentence = as_sentence(error)
        if sentence is None or _DEBUG in sys.argv:
            raise
        print(f"symile-data: {with_options(str(sentence))}", file=sys.stderr)
        sys.exit(sentence.exit_code)
    except SystemExit as end:
        if end.code not in _ENDINGS:
            raise
        print(f"symile-data: {_ENDINGS[end.code]}. Run the same command again to go on from here.", file=sys.stderr)
        sys.exit(1)


@contextlib.contextmanager
def _signals() -> Iterator[None]:
    """Let SIGTERM, which clusters send to stop a job, end a command as Ctrl-C does.

    Where a launcher started this process, the launcher handles the signal.
    """
    if is_watched():
        end_with_launcher()
        yield
        return
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def terminate(number: int, _frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, terminate)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
