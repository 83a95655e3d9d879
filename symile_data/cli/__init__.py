"""The `symile-data` command: one module for each verb, which imports heavy packages only when it runs.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the operation failed, 2 the command line is
wrong.
"""

from __future__ import annotations

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cache
from types import FrameType
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_command

from symile_data import __version__
from symile_data.cli.output.mistakes import as_sentence, with_choices
from symile_data.cli.output.options import with_options
from symile_data.errors import SymileDataError, UsageError
from symile_data.launch import end_with_launcher, is_watched

from . import build, card, doctor, embed, export, folds, imports, languages, plan, probe, reproduce, sample, train
from . import translate as translation
from . import verify as checks

# Help lists the commands in this order, the order of use, under these headings.
COMMANDS: Mapping[str, Mapping[str, typer.Typer | Callable[..., None]]] = {
    "Build": {
        "doctor": doctor.doctor,
        "languages": languages.languages,
        "plan": plan.app,
        "build": build.app,
        "import": imports.app,
        "sample": sample.app,
        "translate": translation.translate,
    },
    "Look": {"info": checks.info, "preview": card.preview, "verify": checks.verify},
    "Train": {
        "train": train.train,
        "evaluate": train.evaluate,
        "probe": probe.probe,
        "embed": embed.embed,
        "folds": folds.folds,
        "reproduce": reproduce.app,
    },
    "Share": {"card": card.card, "push": card.push, "export": export.app},
}


_UsageError: Any = typer.BadParameter.__base__  # typer's error of a wrong command line, which it does not export


class _InOrderOfUse(TyperGroup):
    """The group of all commands; typer's own lists those without subcommands first."""

    def list_commands(self, ctx: Any) -> list[str]:
        return [name for group in COMMANDS.values() for name in group]

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except _UsageError as error:
            commands: list[str] = []
            if error.ctx is not None and isinstance(error.ctx.command, TyperGroup):
                commands = error.ctx.command.list_commands(error.ctx)
            error.message = with_choices(error.message, commands)
            raise


app = typer.Typer(
    name="symile-data",
    cls=_InOrderOfUse,
    help="Build, load and learn from datasets of three and more modalities.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for heading, group in COMMANDS.items():
    for name, command in group.items():
        if isinstance(command, typer.Typer):
            app.add_typer(command, name=name, rich_help_panel=heading)
        else:
            app.command(name, rich_help_panel=heading)(command)

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
            _check_words(sys.argv[1:])
            _command()()
    except (SymileDataError, OSError, MemoryError, ModuleNotFoundError, RuntimeError, UnicodeEncodeError) as error:
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


def _check_words(words: Sequence[str]) -> None:
    """Refuse an empty word, as a shell makes it of a variable without a value: as a path it would be this directory.

    Raises:
        UsageError: a word is empty, or an option has nothing behind its equals sign.
    """
    for before, word in zip(["", *words], words, strict=False):
        if not word or (word.startswith("--") and word.endswith("=")):
            raise UsageError(
                "a value on the command line is empty",
                got=word or f"{before} ''".strip(),
                do="Give it a value, or leave the option out",
            )


@cache
def _command() -> Callable[[], Any]:
    """Return the command with all its verbs, built once: a typer app builds it anew at every call."""
    return get_command(app)


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
