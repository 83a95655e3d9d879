"""Every command explains itself: an example that the command line accepts, colour on a terminal only, completion."""

from __future__ import annotations

import inspect
import os
import pty
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from command import outcome

from symile_data.cli import app

ROOT = typer.main.get_command(app)
PROGRAM = (sys.executable, "-m", "symile_data")


def commands(group: Any = ROOT, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every command that does something, with the words that call it."""
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from commands(command, (*path, name))
        else:
            yield (*path, name), command


def examples(command: Any) -> list[str]:
    return re.findall(r"^ +(symile-data .+(?:\n +--.+)*)$", command.help, flags=re.MULTILINE)


ALL = dict(commands())


def test_all_commands_are_looked_at() -> None:
    assert {("build", "m3"), ("build", "xor"), ("verify",), ("preview",), ("card",), ("push",), ("doctor",)} <= set(ALL)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_command_has_an_example_that_is_accepted(path: tuple[str, ...]) -> None:
    command = ALL[path]
    assert "Example" in command.help
    assert examples(command)
    for example in examples(command):
        words = shlex.split(example)
        assert tuple(words[1 : 1 + len(path)]) == path
        command.make_context("symile-data", words[1 + len(path) :]).close()  # raises where an option is unknown


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_examples_are_indented_in_help(path: tuple[str, ...]) -> None:
    """Typer removes the margin that all lines have after the first of what follows the first paragraph."""
    _, _, shown = inspect.cleandoc(ALL[path].help or "").partition("\n\n")
    assert "\n    symile-data " in inspect.cleandoc(shown)


@pytest.mark.parametrize("path", ALL, ids=" ".join)
def test_every_option_is_described(path: tuple[str, ...]) -> None:
    assert [parameter.name for parameter in ALL[path].params if not parameter.help] == []


@pytest.mark.parametrize(
    ("words", "most"),
    [
        (("build", "m3", "--test"), 10**12),
        (("build", "pid", "--rows"), 10**12),
        (("plan", "m3", "--seed"), 2**63 - 1),
        (("sample", "mimic", "DIR", "--seed"), 2**63 - 1),
        (("sample", "mimic", "DIR", "--patients"), 10**7),
        (("sample", "imagenet", "DIR", "--per-class"), 10**7),
        (("sample", "common-voice", "DIR", "--clips"), 10**7),
        (("build", "xor", "--workers"), 10**4),
        (("reproduce", "xor", "--seeds"), 10**4),
        (("reproduce", "objectives", "--workers"), 10**4),
    ],
    ids=lambda value: value[0] if isinstance(value, tuple) else "",
)
def test_a_very_large_bound_is_checked_and_not_shown(
    words: tuple[str, ...], most: int, capsys: pytest.CaptureFixture[str]
) -> None:
    said = outcome(capsys, *words[:2], "--help").out
    assert not re.search(r"\d{9}", said)
    assert re.search(rf"{words[-1]} +<int range> \[x>=\d+\]", said)
    given = [*words[2:], str(most), *(("--out", "out") if words[0] == "build" else ())]
    ALL[words[:2]].make_context("symile-data", given).close()  # the bound itself is allowed
    refused = outcome(capsys, *words, str(most + 1), *given[len(words) - 1 :])
    assert refused.code == 2
    assert f"Invalid value for '{words[-1]}': it is at most {most:,}; got {most + 1:,}" in refused.err


def test_help_in_a_pipe_has_no_colour_and_on_a_terminal_it_has() -> None:
    environment = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "FORCE_COLOR")}
    environment |= {"TERM": "xterm-256color", "COLUMNS": "100"}
    environment.pop("GITHUB_ACTIONS", None)
    piped = subprocess.check_output([*PROGRAM, "build", "--help"], env=environment, timeout=60)
    assert b"\x1b" not in piped
    main, other = pty.openpty()
    with subprocess.Popen([*PROGRAM, "build", "--help"], env=environment, stdout=other, stderr=other) as process:
        os.close(other)
        shown = b""
        while True:
            try:
                piece = os.read(main, 4096)
            except OSError:  # how a terminal's end says that the program has gone
                break
            if not piece:
                break
            shown += piece
        assert process.wait(timeout=60) == 0
    os.close(main)
    assert b"\x1b[" in shown
    assert b"build" in shown


def test_completion_lists_the_commands() -> None:
    environment = {
        **os.environ,
        "_SYMILE_DATA_COMPLETE": "complete_bash",
        "COMP_WORDS": "symile-data p",
        "COMP_CWORD": "1",
    }
    said = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv = ['symile-data']; from symile_data.cli import main; main()"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert said.stdout.split() == ["plan", "preview", "probe", "push"]


def test_the_commands_stand_in_the_order_of_use_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    said = outcome(capsys, "--help").out
    listed = re.findall(r"^(?:╭─ (\w+) ─|│ ([a-z]+)  )", said, flags=re.MULTILINE)
    groups: dict[str, list[str]] = {}
    for heading, command in listed:
        if heading:
            groups[heading] = []
        elif groups and command:
            groups[list(groups)[-1]].append(command)
    assert list(groups) == ["Options", "Build", "Look", "Train", "Share"]
    assert groups["Build"][:4] == ["doctor", "languages", "plan", "build"]
    assert groups["Train"][:2] == ["train", "evaluate"]
    assert {name for names in groups.values() for name in names} == {path[0] for path in ALL}


@pytest.mark.parametrize(
    ("words", "module"),
    [
        (("preview", "DIR"), "symile_data.cards.preview.page"),
        (("card", "DIR"), "symile_data.cards.statistics.collect"),
        (("doctor",), "symile_data.environment"),
        (("verify", "DIR"), "symile_data.format.verify"),
    ],
    ids=["preview", "card", "doctor", "verify"],
)
def test_ctrl_c_ends_with_one_sentence(words: tuple[str, ...], module: str, tmp_path: Path) -> None:
    """A real signal, sent when the command is known to be at work: as it imports the module that does it."""
    code = (
        "import os, signal, sys\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # as in a terminal
        "class Interrupt:\n"
        "    def find_spec(self, name, path=None, target=None):\n"
        f"        if name == {module!r}: os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Interrupt())\n"
        f"sys.argv = ['symile-data', *{list(words)!r}]\n"
        "from symile_data.cli import main\n"
        "main()\n"
    )
    said = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert said.returncode == 1
    assert "symile-data: interrupted." in said.stderr
    assert "Traceback" not in said.stderr
