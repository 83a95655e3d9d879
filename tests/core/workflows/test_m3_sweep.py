"""`symile-data reproduce m3` from nothing to the table on a tiny build, and again without training anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from command import call

from symile_data.errors import OutputError
from symile_data.training.config import read_config
from symile_data.training.run_record import read_run
from symile_data.workflows import train as baseline
from symile_data.workflows import trials
from symile_data.workflows.paper.m3_trials import M3Trial
from symile_data.workflows.training_data import TrainingData

CONFIG = """
epochs = 1
batch_size = 6
dim = 4
lr = 0.01
logit_scale_init = -1.0
target = "image"
label = "cls_id"
redraw_words = true
encoders = { image = { width = 2 }, audio = { width = 4 } }
inputs = { image = { size = 16 }, audio = { n_mels = 40, seconds = 0.5 } }
pretrain = { labels = { image = "cls_id", audio = "lang" }, epochs = 1, batch_size = 6, lr = 0.01 }
"""


def test_a_sweep_runs_once(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "tiny.toml").write_text(CONFIG)
    out = tmp_path / "sweep"
    sizes = ("--train", "12", "--validation", "6", "--test", "6", "--images", tree, "--workers", "1")
    words = ("--out", out, "--langs", "2", "--rates", "0.5", "--config", tmp_path / "tiny.toml", *sizes)
    assert call("reproduce", "m3", *words, "--seeds", "2") == 0
    said = capsys.readouterr()
    assert "paper: Symile" in said.out and "the distractor words of its text" in said.out
    assert "M3 sweep: 4/4 trials" in said.err and "pretraining encoders: 2/2 sets" in said.err
    points = json.loads((out / "results.json").read_text())["points"]
    assert [(point["rate"], len(point["symile"]["values"])) for point in points] == [(0.0, 2), (0.5, 2)]
    assert points[0]["paper"]["clip"] == {"value": 0.473, "confirmed": True} and points[1]["paper"]["clip"] is None
    table = (out / "results.md").read_text()
    assert table.startswith("| langs | missing |") and "| text alone | all words alike | counting |" in table
    assert 0.5 <= points[0]["text_alone"] == points[1]["text_alone"] <= points[0]["counting"] <= 1
    assert (out / "results.png").read_bytes().startswith(b"\x89PNG")
    masked = read_run(out / "m3-2" / "missing-0.5" / "seed-1" / "clip").config
    assert (masked.missing, masked.missingness, masked.missingness_in_validation) == ("input", 0.5, False)
    assert masked.seed == 1 and masked.objective == "clip"

    def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("trained")

    monkeypatch.setattr(baseline, "train_run", fail)
    monkeypatch.setattr(TrainingData, "pretrained", fail)
    assert call("reproduce", "m3", *words, "--json") == 0  # the first of the two seeds alone
    assert json.loads(capsys.readouterr().out)["points"][1]["clip"]["values"] == points[1]["clip"]["values"][:1]

    (tmp_path / "tiny.toml").write_text(CONFIG.replace("epochs = 1, batch_size = 6", "epochs = 2, batch_size = 6"))
    assert call("reproduce", "m3", *words) == 1  # before encoders are pretrained for it
    refused = capsys.readouterr().err
    assert "has a run with another config" in refused
    assert "got pretrain.epochs: 2, not 1 (yours, not that of the run)" in refused
    (tmp_path / "tiny.toml").write_text(CONFIG)
    (out / "m3-2" / "missing-0.5" / "seed-0" / "result.json").unlink()
    with pytest.raises(RuntimeError, match="trained"):
        call("reproduce", "m3", *words)
    assert call("reproduce", "m3", *words, "--train", "11") == 1
    assert "rows" in capsys.readouterr().err


def test_validation_stays_complete_where_asked(tree: Path, tmp_path: Path) -> None:
    from factories import build

    build(tree, tmp_path)
    data = TrainingData(tmp_path)
    (tmp_path / "tiny.toml").write_text(CONFIG)
    settings = {"missingness": 0.9, "pretrain": None}
    for asked in (True, False):
        config = read_config(str(tmp_path / "tiny.toml"), {**settings, "missingness_in_validation": asked})
        loaders = data.fitting(data.run_info(config).make_module())
        missing = [bool(batch["missing"].any()) for batch in loaders.val_dataloader()]
        assert any(missing) is asked
        assert next(iter(loaders.train_dataloader()))["missing"].any()


@pytest.mark.parametrize("langs", ["3", "2,2", "2,x", ","])
def test_other_languages_than_the_papers_are_refused(langs: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "m3", "--langs", langs) == 2
    assert "it takes different ones of 2, 5 and 10, separated by commas" in capsys.readouterr().err


def test_the_default_config_is_fitted_to_few_rows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(asked: Sequence[M3Trial]) -> None:
        sizes = {(config.batch_size, config.epochs) for trial in asked for config in trial.configs.values()}
        raise OutputError("stopped", got=sizes)

    monkeypatch.setattr(trials, "check_runs", stop)
    words = ("reproduce", "m3", "--out", tmp_path, "--langs", "2", "--train", "100", "--epochs", "3")
    assert call(*words) == 1
    said = capsys.readouterr().err
    assert "m3-small is fitted to 100 training rows: batch_size = 16, pretrain.batch_size = 16. " in said
    assert "stopped; got {(16, 3)}" in said
    assert call(*words, "--config", "m3-small") == 1
    assert "stopped; got {(256, 3)}" in (said := capsys.readouterr().err) and "fitted" not in said
