"""Every command of the README and the documentation is one that works as printed, in the activated environment.

Command lines of shells are read word by word: the programs they call, the targets and settings of make, the commands
and options of symile-data, scripts, extras and files. Commands within sentences name what exists.
"""

from __future__ import annotations

import ast
import re
import shlex
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from test_layers import REPOSITORY

from symile_data.cli import app

PAGES = [
    *(REPOSITORY / name for name in ("README.md", "CONTRIBUTING.md", "AGENTS.md")),
    *sorted((REPOSITORY / "docs").rglob("*.md")),
    *sorted((REPOSITORY / "builders").rglob("*.md")),
]
MAKEFILE = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z0-9-]+):", MAKEFILE, flags=re.MULTILINE))
SETTINGS = set(re.findall(r"^([A-Z_]+) \??:?=", MAKEFILE, flags=re.MULTILINE)) | {"MIMIC_IV", "MIMIC_CXR", "MIMIC_ECG"}
EXTRAS = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
OPEN = ("...", "…")  # a command within a sentence that leaves something out


def shell_lines(page: Path) -> Iterator[list[str]]:
    """The commands of all shell blocks of a page, fenced or indented, as words."""
    text = page.read_text(encoding="utf-8")
    blocks = re.findall(r"^```(?:bash|sh|console)\n(.*?)^```", text, flags=re.DOTALL | re.MULTILINE)
    without = re.sub(r"^```.*?^```", "", text, flags=re.DOTALL | re.MULTILINE)
    if page.parent == REPOSITORY:  # elsewhere indented lines are diagrams
        blocks += re.findall(r"^    ((?:make|git|pip|python|symile-data|source) .*)$", without, flags=re.MULTILINE)
    for line in "\n".join(blocks).replace("\\\n", " ").splitlines():
        for part in re.split(r" && ", line):
            words = shlex.split(part, comments=True)
            if words:
                yield words


def in_sentences(page: Path) -> Iterator[str]:
    """The commands of make and symile-data that stand within sentences and tables."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    yield from re.findall(r"`((?:make|symile-data) [^`\n]+)`", text)


def parse(words: list[str]) -> None:
    """Take words as symile-data does.

    Raises:
        UsageError of click: a command, option or value is unknown, or something is missing.
    """
    command: Any = typer.main.get_command(app)
    while hasattr(command, "commands") and words and not words[0].startswith("-"):
        command, words = command.commands[words[0]], words[1:]
    command.make_context("symile-data", words).close()


def check_make(words: list[str]) -> None:
    targets = [word for word in words if "=" not in word]
    settings = [word.partition("=")[0] for word in words if "=" in word]
    assert targets and set(targets) <= TARGETS and set(settings) <= SETTINGS
    for word in words:  # what ARGS adds to the command that a target runs
        if word.startswith("ARGS="):
            verb, _, dataset = targets[0].partition("-")
            place = [] if verb == "train" else [dataset]
            required = {"build": ["--out", "x"], "train": ["x"]}[verb] + (["--sample"] if dataset == "mimic" else [])
            parse([verb, *place, *required, *shlex.split(word.removeprefix("ARGS="))])


def check_pip(words: list[str]) -> None:
    assert words.pop(0) == "install"
    for word in words:
        if word == "constraints.txt":
            assert (REPOSITORY / word).is_file()
        elif extras := re.fullmatch(r"\.\[([\w,]+)\]", word):
            assert set(extras[1].split(",")) <= set(EXTRAS)
        else:
            assert word in ("-c", "-e", "faiss-cpu") or word.startswith("torch")


def check_python(words: list[str]) -> None:
    if words[0] == "-m":
        assert words[1] in ("venv", "pytest", "symile_data")
    else:
        path = REPOSITORY / words[0]
        assert path.is_file()
        ast.parse(path.read_text(encoding="utf-8"))


CHECKS: dict[str, Callable[[list[str]], None]] = {
    "make": check_make,
    "symile-data": parse,
    "pip": check_pip,
    "python": check_python,
    "python3": check_python,
}
PLAIN = [["source", ".venv/bin/activate"], ["cd", "symile-data"]]


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_commands_of_blocks_work_as_printed(page: Path) -> None:
    for words in shell_lines(page):
        if words in PLAIN or words[:2] == ["git", "clone"]:
            continue
        assert words[0] in CHECKS, words
        CHECKS[words[0]](words[1:])


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.relative_to(REPOSITORY).as_posix())
def test_commands_of_sentences_name_what_exists(page: Path) -> None:
    command: Any
    for text in in_sentences(page):
        program, *words = text.replace("[", " ").replace("]", " ").split()
        if program == "make":
            assert {word for word in words if "=" not in word and word not in OPEN} <= TARGETS, text
            continue
        command = typer.main.get_command(app)
        while hasattr(command, "commands") and words and re.fullmatch(r"[a-z][a-z0-9-]*", words[0]):
            assert words[0] in command.commands, text
            command, words = command.commands[words[0]], words[1:]
        known = {name for parameter in command.params for name in parameter.opts}
        if not hasattr(command, "commands"):
            assert {word.partition("=")[0] for word in words if word.startswith("--")} <= known | {"--help"}, text


def test_pages_have_one_convention_for_the_environment() -> None:
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        assert ".venv/bin/" not in text.replace("source .venv/bin/activate", ""), page.name
    readme = PAGES[0].read_text(encoding="utf-8")
    assert "source .venv/bin/activate" in readme


def test_the_readme_is_short() -> None:
    assert len(PAGES[0].read_text(encoding="utf-8").splitlines()) <= 150
    assert len(list(shell_lines(PAGES[0]))) > 10
