"""`symile-data build mimic` and `sample mimic`: the folders asked for, the sentences, a whole small run."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
from command import outcome


def test_help_names_the_options(capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "build", "mimic", "--help")
    assert code == 0
    options = (
        "--sample",
        "--mimic-iv",
        "--mimic-cxr",
        "--mimic-ecg",
        "--reference",
        "--allow-missing",
        "--within-stay",
        "--pair-information",
    )
    assert [option for option in (*options, "--candidates") if option not in out] == []


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (
            (),
            "Symile-MIMIC is made from three releases; got no --mimic-iv, --mimic-cxr, --mimic-ecg. Give all three",
        ),
        (("--mimic-iv", "X", "--mimic-cxr", "Y"), "Symile-MIMIC is made from three releases; got no --mimic-ecg."),
        (("--sample", "--pair-information", "2"), "--pair-information is a probability from 0 to 1; got 2.0."),
        (("--sample", "--mimic-iv", "X"), "--sample takes no folders; got --mimic-iv. Leave one of the two out."),
        (
            ("--sample", "--reference", "--allow-missing"),
            "--reference repeats the public pipeline, which has neither",
        ),
    ],
)
def test_wrong_command_lines(
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    words: tuple[str, ...],
    sentence: str,
) -> None:
    code, _, err = outcome(capsys, "build", "mimic", "--out", tmp_path / "out", *words)
    assert code == 2 and err.startswith(f"symile-data: {sentence}")
    assert not (tmp_path / "out").exists()


def test_the_printed_command_builds_the_sample(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = outcome(capsys, "sample", "mimic", tmp_path / "source", "--patients", "20")
    assert code == 0
    command = shlex.split(out.split("build with: symile-data ")[1].replace("OUT", str(tmp_path / "out")))
    command += ["--train", "14", "--validation", "0", "--candidates", "2", "--workers", "1"]
    code, out, err = outcome(capsys, *command)
    assert code == 0, err
    assert "symile-mimic in" in out and "14 train" in out
    code, out, _ = outcome(capsys, "verify", tmp_path / "out")
    assert code == 0 and "all as built" in out
    card = (tmp_path / "out" / "README.md").read_text()
    assert "--mimic-iv mimic-iv --mimic-cxr mimic-cxr-jpg" in card and str(tmp_path) not in card
