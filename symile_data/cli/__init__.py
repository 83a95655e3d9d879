"""The `symile-data` command: one verb per module, everything heavy imported inside the verb that needs it.

Results go to stdout, progress and errors to stderr. Exit codes: 0 done, 1 the operation failed, 2 the command line is
wrong.
"""

from __future__ import annotations

import sys

import typer

from symile_data import __version__
from symile_data.cli import build, datasets, doctor, embed, imports, learn, plan, reproduce, sample, share, translate
from symile_data.cli.mistakes import as_sentence
from symile_data.errors import SymileDataError

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
app.add_typer(plan.app, name="plan")
app.add_typer(reproduce.app, name="reproduce")
for command in (
    datasets.verify,
    datasets.info,
    share.preview,
    share.card,
    embed.embed,
    learn.train,
    learn.evaluate,
    share.push,
    translate.translate,
    doctor.doctor,
):
    app.command()(command)

_DEBUG = "--debug"
_INTERRUPTED = 130  # what typer exits with, silently, on Ctrl-C


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
    """Run the command line; the console script's entry point."""
    try:
        app()
    except (SymileDataError, OSError, ModuleNotFoundError, RuntimeError, UnicodeEncodeError) as error:
        sentence = as_sentence(error)
        if sentence is None or _DEBUG in sys.argv:
            raise
        print(f"symile-data: {sentence}", file=sys.stderr)
        sys.exit(sentence.exit_code)
    except SystemExit as end:
        if end.code != _INTERRUPTED:
            raise
        print("symile-data: interrupted. Run the same command again to go on from here.", file=sys.stderr)
        sys.exit(1)
