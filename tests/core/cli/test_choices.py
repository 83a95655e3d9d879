"""Choices of options are those of the library; they are shown, refused otherwise, and completed."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, get_args

import pytest
import typer
from command import outcome

from symile_data.builders.m3.spec import SIZES, Layout, SplitPolicy
from symile_data.builders.m3.text.languages import LANGUAGE_SETS, LANGUAGES
from symile_data.builders.m3.text.translate import ENGINES
from symile_data.builders.pid.spec import Sounds
from symile_data.cli import app, choices
from symile_data.datasets.m3.words import MODES
from symile_data.datasets.mimic.labels import UNCERTAIN, UNMENTIONED
from symile_data.datasets.pid import PRESETS
from symile_data.experiments import objective_plan, robustness_plan
from symile_data.format.schema import SPLITS
from symile_data.format.shards import FORMATS
from symile_data.losses.objectives import COMPARED, NEGATIVES, all_objectives
from symile_data.training.config import PRECISIONS, Selection, named_configs
from symile_data.training.loggers import _LOGGERS

SAME = [
    (choices.HeldOutSplit, SPLITS[1:]),
    (choices.ShardFormat, FORMATS),
    (choices.Size, SIZES),
    (choices.Mode, MODES),
    (choices.SplitPolicy, get_args(SplitPolicy)),
    (choices.Layout, get_args(Layout)),
    (choices.Preset, PRESETS),
    (choices.Sounds, get_args(Sounds)),
    (choices.TranslationEngine, ENGINES),
    (choices.LanguageCount, map(str, LANGUAGE_SETS)),
    (choices.Precision, PRECISIONS),
    (choices.Negatives, NEGATIVES),
    (choices.Selection, get_args(Selection)),
    (choices.Uncertain, UNCERTAIN),
    (choices.Unmentioned, UNMENTIONED),
    (choices.PaperObjective, COMPARED),
    (choices.Effort, objective_plan.PRESETS),
    (choices.Effort, robustness_plan.PRESETS),
]


@pytest.mark.parametrize(("shown", "known"), SAME, ids=[str(index) for index in range(len(SAME))])
def test_choices_are_those_of_the_library(shown: Any, known: Any) -> None:
    assert sorted(get_args(shown)) == sorted(known)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("buidl", "m3"), "No such command 'buidl'. Did you mean 'build'? There are doctor, languages, plan, build, "),
        (("build", "mm3"), "No such command 'mm3'. Did you mean 'm3'? There are "),
        (("reproduce", "zzz"), "No such command 'zzz'. There are xor, "),
        (
            ("build", "m3", "--format", "parqet"),
            "Invalid value for '--format': 'parqet' is not one of 'parquet', 'webdataset'. Did you mean 'parquet'?",
        ),
        (("build", "m3", "--format", "zzz"), "'--format': 'zzz' is not one of 'parquet', 'webdataset'."),
        (("train", "x", "--logger", "wand"), "'wand' is not one of 'tensorboard', 'wandb'. Did you mean 'wandb'?"),
    ],
)
def test_unknown_commands_and_choices_are_answered_with_what_there_is(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    code, _, err = outcome(capsys, *words)
    told = " ".join(err.replace("│", " ").split())
    assert code == 2 and said in told and "Value error" not in told
    assert told.count("Did you mean") == said.count("Did you mean")


def test_enumerations_are_those_of_the_library() -> None:
    assert list(choices.RunLogger) == list(_LOGGERS)
    assert list(choices.EachSplit) == list(SPLITS)


def completed(line: str) -> list[str]:
    """What bash is offered behind a command line."""
    environment = {
        **os.environ,
        "_SYMILE_DATA_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(line.split(" ")) - 1),
    }
    code = "import sys; sys.argv = ['symile-data']; from symile_data.cli import main; main()"
    said = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60)
    return said.stdout.split()


def test_bash_is_offered_choices_and_names() -> None:
    assert completed("symile-data build m3 --layout p") == ["pooled"]
    assert completed("symile-data train x --objectives symile,triang") == ["symile,triangle"]


def completions(path: str, option: str, typed: str) -> list[str]:
    """What an option offers behind what is typed, in this process."""
    command: Any = typer.main.get_command(app)
    for word in path.split():
        command = command.commands[word]
    parameter = next(parameter for parameter in command.params if option in parameter.opts)
    context = command.make_context(path, [], resilient_parsing=True)
    return [item.value for item in parameter.shell_complete(context, typed)]


@pytest.mark.parametrize(
    ("path", "option", "typed", "offered"),
    [
        ("build m3", "--size", "", ["xs", "s", "m", "l"]),
        ("build m3", "--langs", "", ["2", "5", "10", *LANGUAGES]),
        ("build m3", "--langs", "el,e", ["el,en"]),
        ("build m3", "--audio", "c", ["common-voice:"]),
        ("build m3", "--keys", "tone,", ["tone,symbol", "tone,code"]),
        ("plan pid", "--preset", "x", ["xor", "xnor"]),
        ("build xor", "--format", "w", ["webdataset"]),
        ("train", "--logger", "t", ["tensorboard"]),
        ("evaluate", "--split", "", ["validation", "test"]),
        ("probe", "--heads", "linear,", ["linear,mlp"]),
        ("train", "--config", "pid", [name for name in named_configs() if name.startswith("pid")]),
        ("train", "--objective", "", list(all_objectives())),
    ],
)
def test_options_are_completed(path: str, option: str, typed: str, offered: list[str]) -> None:
    assert completions(path, option, typed) == offered


def test_choices_are_shown_and_others_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert "<validation|test>" in outcome(capsys, "evaluate", "--help").out
    said = outcome(capsys, "evaluate", "runs/x", "--split", "train")
    assert said.code == 2 and "'train' is not one of 'validation', 'test'" in " ".join(said.err.split())
