"""`train --profile`: the loader's report at the end, and its columns in the log after each epoch."""

from __future__ import annotations

import csv
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from command import outcome
from factories import build

from symile_data.cli.train import _say_profiles
from symile_data.errors import UsageError
from symile_data.loaders.report import LoadReport
from symile_data.training.fit import Execution
from symile_data.training.loggers import LoadTimes

CONFIG = """
epochs = 2
batch_size = 5
dim = 4
lr = 0.01
target = "image"
label = "cls_id"
[encoders.image]
width = 2
[encoders.audio]
mels = 40
width = 4
[inputs.image]
size = 16
[inputs.audio]
n_mels = 40
seconds = 0.5
"""


def test_a_run_says_where_its_loader_spent_the_time(
    tree: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    build(tree, tmp_path / "m3")
    (tmp_path / "config.toml").write_text(CONFIG)
    command: list[str | Path] = [
        "train",
        tmp_path / "m3",
        "--config",
        tmp_path / "config.toml",
        "--objective",
        "symile",
    ]
    code, out, err = outcome(capsys, *command, "--out", tmp_path / "run", "--profile")
    assert code == 0, err
    report = (tmp_path / "run/symile/profile.txt").read_text()
    assert f"Loading in {tmp_path / 'run/symile'}:\n{report}" in out
    assert "20 rows" in report and "gather from the cache" in report  # two epochs of two batches of five
    assert report.splitlines()[-1].startswith("The loader ")
    with (tmp_path / "run/symile/log/0/metrics.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["load_wait_s"]]
    assert [row["epoch"] for row in rows] == ["0", "1"]
    assert all(float(row["load_gather_from_the_cache_s"]) > 0 for row in rows)
    assert float(rows[0]["load_fill_the_cache_s"]) > 0 and float(rows[1]["load_fill_the_cache_s"]) == 0
    code, again, _ = outcome(capsys, *command, "--out", tmp_path / "run", "--profile")
    assert code == 0 and report in again  # nothing is trained, so the report stays


def test_runs_without_a_report_are_told(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other/profile.txt").write_text("of another objective\n")
    _say_profiles(tmp_path, ["symile"])
    assert capsys.readouterr().out.startswith("There is no report of loading: every run was trained before")
    assert not Execution().profile


def test_each_epoch_has_what_it_added(tmp_path: Path) -> None:
    logged: list[dict[str, float]] = []
    reports = [
        LoadReport(rows=4, waited=1.0, used=2.0, seconds={"read": 0.5}, bytes=2_000_000, threads=1),
        LoadReport(
            rows=8, waited=1.5, used=5.0, seconds={"read": 0.5, "decode image": 3.0}, bytes=3_000_000, threads=1
        ),
    ]
    trainer: Any = SimpleNamespace(
        train_dataloader=SimpleNamespace(report=lambda: reports[0]),
        loggers=[SimpleNamespace(log_metrics=lambda metrics, step: logged.append({**metrics, "step": step}))],
        current_epoch=0,
        global_step=7,
        is_global_zero=True,
    )
    module: Any = None
    times = LoadTimes(tmp_path / "profile.txt")
    times.on_train_start(trainer, module)
    times.on_train_epoch_end(trainer, module)
    reports.pop(0)
    times.on_train_epoch_end(trainer, module)
    times.on_train_end(trainer, module)
    assert [row["load_wait_s"] for row in logged] == [1.0, 0.5]
    assert [row["load_read_s"] for row in logged] == [0.5, 0.0]
    assert logged[1]["load_decode_image_s"] == 3.0 and logged[1]["load_mb"] == 1.0 and logged[0]["step"] == 7
    assert (tmp_path / "profile.txt").read_text() == f"{reports[0]}\n"


def test_other_loaders_are_refused(tmp_path: Path) -> None:
    trainer: Any = SimpleNamespace(train_dataloader=[1, 2])
    module: Any = None
    with pytest.raises(UsageError, match="`profile` needs a loader that reports its time; got list"):
        LoadTimes(tmp_path / "profile.txt").on_train_start(trainer, module)
