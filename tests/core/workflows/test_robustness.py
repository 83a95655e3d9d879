"""The comparison on unreliable rows, on a tiny plan, from nothing to tables and figure."""

from __future__ import annotations

import csv
import json
from dataclasses import replace
from pathlib import Path

import pytest
from command import call

from symile_data.experiments import robustness_plan
from symile_data.experiments.objective_plan import Plan, Point, Recipe, pid_point
from symile_data.experiments.robustness_plan import unreliable_points

RECIPE = Recipe(dim=4, batch=16, steps=4, tuning_steps=2, lrs=(0.1,), scales=(1.0,), weight_decay=0.0)
ROWS = {"train": 64, "validation": 16, "test": 16}
COMPLETE = (Point(dataset="xor", modalities=3, dims=1), replace(pid_point("mixed"), encoder="linear"))
PLAN = Plan(
    points=tuple(point for complete in COMPLETE for point in unreliable_points(complete, (0.5,))),
    seeds=2,
    vector_rows=ROWS,
    m3_rows=ROWS,
    recipes={"xor": RECIPE, "pid": RECIPE},
    filled=None,
)


def test_every_objective_is_compared_at_every_rate(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(robustness_plan.PRESETS, "small", PLAN)
    words = ("reproduce", "robustness", "--preset", "small", "--out", tmp_path, "--workers", "1")
    assert call(*words, "--objectives", "symile-pair,symile-subset") == 0
    said = capsys.readouterr()
    heading = "XOR, M = 3, d = 1: every modality misaligned in training rows; test rows alike"
    assert heading in " ".join(said.out.split())
    assert "objectives: 16/16 cells" in said.err
    rows = list(csv.DictReader((tmp_path / "robustness.csv").read_text().splitlines()))
    assert len(rows) == 2 * 4 * 2 * 2
    assert {(row["unreliable"], row["affected"], row["rate"]) for row in rows} == {
        ("", "", "0"), ("missing", "", "0.5"), ("misaligned", "", "0.5"), ("noisy", "a", "0.5")
    }  # fmt: skip
    for row in rows:
        assert (
            bool(row["accuracy_affected"])
            == bool(row["bayes_affected"])
            == (row["unreliable"] in ("misaligned", "noisy"))
        )
    (bayes,) = {row["bayes_affected"] for row in rows if row["dataset"] == "xor" and row["unreliable"] == "misaligned"}
    assert float(bayes) == 0.5 + 0.5 * 0.5**3
    points = json.loads((tmp_path / "robustness.json").read_text())
    assert points["plan"]["points"][0]["dims"] == 1 and len(points["points"]) == 16
    assert (tmp_path / "robustness.md").read_text().count("## ") == 2 * 5
    assert (tmp_path / "robustness.png").read_bytes().startswith(b"\x89PNG")
    first = (tmp_path / "robustness.csv").read_bytes()
    assert call(*words, "--objectives", "symile-pair,symile-subset", "--json") == 0
    assert json.loads(capsys.readouterr().out)["points"] == points["points"]
    assert (tmp_path / "robustness.csv").read_bytes() == first


def test_an_unknown_preset_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("reproduce", "robustness", "--preset", "large") == 2
    assert "is not one of 'small', 'full'" in " ".join(capsys.readouterr().err.split())
