"""Errors of the library name arguments, and the command line prints the options that stand for them."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import pytest
import typer
from command import outcome

from symile_data.cli import app
from symile_data.cli.output.options import OPTIONS, with_options

REPOSITORY = Path(__file__).resolve().parents[3]
PRINTED = ("symile_data/cli",)  # speaks of options itself
# Arguments of functions that no option of the command line sets.
OF_THE_LIBRARY_ALONE = {
    *("augment", "bucket_by", "columns", "limit", "modalities", "schema", "spec", "splits", "threads", "tokens"),
    *("transforms", "where"),
    *("datasets", "load_dataset", "name"),  # of `write_dataset`: the library, its function, and an argument
}


@pytest.mark.parametrize(
    ("told", "printed"),
    [
        ("unknown `layout`", "unknown --layout"),
        ("unknown `shard_format`; got 'zip'", "unknown --format; got 'zip'"),
        ("`rows['validation']` is a number of rows", "--validation is a number of rows"),
        ("got `rows['train']=0`", "got --train 0"),
        ("`shard_format='webdataset'` and `words=3`", "--format webdataset and --words 3"),
        ("use `images=None` or `images=PATH`", "use --images sample or --images PATH"),
        ("pass `redraw_words=False`", "pass --set redraw_words=false"),
        ("give `recordings`", "give --audio common-voice:PATH"),
        ("leave it out of `columns`", "leave it out of `columns`"),
        ("log in with `hf auth login`", "log in with `hf auth login`"),
        ("a ` alone, and two ``", "a ` alone, and two ``"),
    ],
)
def test_arguments_become_options_and_other_quotes_stay(told: str, printed: str) -> None:
    assert with_options(told) == printed


def messages() -> Iterator[tuple[str, str]]:
    """Every constant text within a call of an error, outside the command line: its place and the text."""
    for folder in ("symile_data", "builders", "loaders", "cards"):
        for path in sorted((REPOSITORY / folder).rglob("*.py")):
            place = path.relative_to(REPOSITORY).as_posix()
            if path.resolve() != path or place.startswith(PRINTED):
                continue
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _name(node.func).endswith(("Error", "Finding")):
                    texts = [part for part in ast.walk(node) if isinstance(part, ast.Constant)]
                    yield from ((f"{place}:{text.lineno}", text.value) for text in texts if isinstance(text.value, str))


def _name(function: ast.expr) -> str:
    return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def test_no_error_of_the_library_names_an_option() -> None:
    found = list(messages())
    assert len(found) > 500
    assert [(place, text) for place, text in found if re.search(r"(^|[\s(])--[a-z]", text)] == []


def test_every_argument_that_an_error_names_has_its_option() -> None:
    unknown = {
        (place, argument)
        for place, text in messages()
        for argument in re.findall(r"`(\w+)(?:=[^`]*)?`", text)
        if argument not in OPTIONS and argument not in OF_THE_LIBRARY_ALONE
    }
    assert unknown == set()


def test_every_option_that_stands_for_an_argument_exists() -> None:
    command: Any = typer.main.get_command(app)
    there = set(option_names(command))
    named = {word for option in OPTIONS.values() for word in option.split() if word.startswith("--")}
    assert named - there == set()


def option_names(command: click.Command) -> Iterator[str]:
    yield from (name for parameter in command.params for name in parameter.opts)
    for inner in getattr(command, "commands", {}).values():
        yield from option_names(inner)


def test_the_command_prints_options(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    found = outcome(capsys, "build", "m3", "--out", tmp_path / "x", "--langs", "3")
    sentence = "--langs takes the number of languages; got 3. Choose 2, 5 or 10, or give codes such as el,en,fr."
    assert (found.code, found.err) == (2, f"symile-data: {sentence}\n")
