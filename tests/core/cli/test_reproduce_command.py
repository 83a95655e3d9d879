"""`symile-data reproduce xor` and `xor-missing` as a user runs them, with the training replaced."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest
from command import call

from symile_data import __version__
from symile_data.experiments.leaderboard import read_leaderboard
from symile_data.workflows import trials
from symile_data.workflows.paper.xor_trials import XorTrial
from symile_data.workflows.trials import Accuracies


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[XorTrial]:
    """The trials that were asked for; Symile finds p-hat, CLIP nothing."""
    seen: list[XorTrial] = []

    def run(_: str, asked: Sequence[XorTrial], workers: int) -> list[Accuracies]:
        assert workers >= 1
        seen.extend(asked)
        return [{"symile": trial.spec.p_hat, "clip": 0.03} for trial in asked]

    monkeypatch.setattr(trials, "run_trials", run)
    return seen


def test_the_p_hat_sweep(asked: list[XorTrial], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "xor", "--out", tmp_path, "--seeds", "2") == 0
    assert [(trial.spec.p_hat, trial.spec.seed) for trial in asked][:4] == [(0.0, 0), (0.0, 1), (0.1, 0), (0.1, 1)]
    assert len({trial.directory for trial in asked}) == 22
    assert all(config.seed == trial.spec.seed for trial in asked for config in trial.configs.values())
    assert asked[0].configs["clip"].epochs == 100 and asked[0].spec.dims == 5
    said = capsys.readouterr().out
    assert "Bayes" in said and "results.png" in said
    points = json.loads((tmp_path / "results.json").read_text())["points"]
    assert [point["symile"]["mean"] for point in points] == [tenths / 10 for tenths in range(11)]
    assert (tmp_path / "results.md").read_text().startswith("| p-hat | Symile | CLIP | Bayes |")
    board = read_leaderboard((tmp_path / "leaderboard.csv").read_text(encoding="utf-8"))
    assert [(entry.setting, entry.objective, entry.seeds) for entry in board] == [
        (f"p-hat {point['p_hat']:g}", objective, len(point[objective]["values"]))
        for point in points
        for objective in ("symile", "clip")
    ]
    assert board[0].command.startswith("symile-data") and board[0].version == __version__
    assert (tmp_path / "results.png").read_bytes().startswith(b"\x89PNG")


def test_the_missingness_sweep(asked: list[XorTrial], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("--rates", "0.5,0,0.5", "--seeds", "1", "--epochs", "7", "--dims", "2", "--json")
    assert call("reproduce", "xor-missing", "--out", tmp_path, *words) == 0
    assert [dict(trial.spec.missing) for trial in asked] == [dict.fromkeys("abc", rate) for rate in (0.0, 0.5)]
    assert asked[1].configs["symile"].epochs == 7 and asked[1].spec.dims == 2 and asked[1].spec.p_hat == 1
    points = json.loads(capsys.readouterr().out)["points"]
    assert [(point["rate"], point["complete"]) for point in points] == [(0.0, 1.0), (0.5, 0.125)]
    assert (tmp_path / "results.png").is_file()


@pytest.mark.parametrize("words", [("xor", "--p-hat", "0.5,2"), ("xor-missing", "--rates", "half")])
def test_what_is_no_number_from_0_to_1_is_refused(
    words: tuple[str, ...], asked: list[XorTrial], capsys: pytest.CaptureFixture[str]
) -> None:
    assert call("reproduce", *words) == 2
    assert "it takes numbers from 0 to 1, separated by commas" in capsys.readouterr().err
    assert not asked


@pytest.mark.parametrize("sweep", [("xor",), ("xor-missing",), ("m3",), ("objectives",), ("robustness",)])
def test_trials_do_not_go_among_the_files_of_a_dataset(
    asked: list[XorTrial], tmp_path: Path, sweep: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert call("reproduce", *sweep, "--out", tmp_path) == 2
    assert "a dataset is in" in " ".join(capsys.readouterr().err.replace("│", " ").split())
    assert not asked and [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
