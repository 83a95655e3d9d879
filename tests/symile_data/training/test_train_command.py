"""`symile-data train` and `evaluate` as a user runs them."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from factories import build

from symile_data.cli import main

CONFIG = """
epochs = 1
batch_size = 6
dim = 4
lr = 0.01
logit_scale_init = -1.0
target = "image"
label = "cls_id"
encoders = { image = { width = 2 }, audio = { width = 4 } }
inputs = { image = { size = 16 }, audio = { n_mels = 40, seconds = 0.5 } }
"""


def call(monkeypatch: pytest.MonkeyPatch, *words: str | Path) -> int:
    monkeypatch.setattr(sys, "argv", ["symile-data", *map(str, words)])
    monkeypatch.setenv("COLUMNS", "140")
    with pytest.raises(SystemExit) as caught:
        main()
        sys.exit(0)
    return int(caught.value.code or 0)


def test_both_losses_are_trained_and_evaluated(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tree, tmp_path / "m3")
    (tmp_path / "tiny.toml").write_text(CONFIG)
    runs = tmp_path / "runs"
    assert call(monkeypatch, "train", tmp_path / "m3", "--config", tmp_path / "tiny.toml", "--out", runs) == 0
    out = capsys.readouterr().out
    for word in ("symile", "clip", "accuracy", "chance", "shuffled audio", "one word in W"):
        assert word in out
    assert (runs / "curves.png").is_file() and (runs / "clip" / "best.ckpt").is_file()

    assert call(monkeypatch, "evaluate", runs / "symile", "--ablate", "--json") == 0
    found = json.loads(capsys.readouterr().out)["symile"]
    assert found == json.loads((runs / "symile" / "metrics.json").read_text())["test"]
    assert set(found) == {"rows", "accuracy", "chance", "shuffled_audio", "shuffled_text"}

    moved = tmp_path / "moved"
    shutil.move(tmp_path / "m3", moved)
    words = ("evaluate", runs / "clip", "--split", "validation", "--json")
    assert call(monkeypatch, *words) == 1
    capsys.readouterr()
    assert call(monkeypatch, *words, "--data", moved) == 0
    assert set(json.loads(capsys.readouterr().out)["clip"]) == {"rows", "accuracy", "chance"}

    build(tree, tmp_path / "other", seed=5)
    assert call(monkeypatch, *words, "--data", tmp_path / "other") == 1
    assert "the run was trained on another dataset" in capsys.readouterr().err
    assert call(monkeypatch, "evaluate", tmp_path) == 1
    assert "this is no run directory" in capsys.readouterr().err


def test_a_directory_without_a_dataset_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert call(monkeypatch, "train", tmp_path) == 1
    assert "manifest" in capsys.readouterr().err
