"""The tidy table, summaries and tables of the comparison of objectives, and its plans."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

from symile_data.evaluation.comparison import compare
from symile_data.experiments.objective_figure import draw_objectives
from symile_data.experiments.objective_plan import PRESETS, Point, described
from symile_data.experiments.objectives import objectives_notes, objectives_table, summaries, tidy_csv
from symile_data.plotting import style

ACCURACIES = {"symile": [1.0, 0.99, 1.0], "clip": [0.2, 0.3, 0.25], "mine": [0.9, 0.8, 1.0]}


def results(**changes: Any) -> list[dict[str, Any]]:
    """Three objectives with three seeds at one point."""
    common = {
        "point": "xor-2-of-3-linear",
        "dataset": "xor",
        "modalities": 3,
        "dims": 2,
        "languages": None,
        "design": None,
        "encoder": "linear",
        "unreliable": None,
        "affected": None,
        "rate": 0.0,
        "lr": 0.03,
        "scale": 1.0,
        "validation": 0.5,
        "bayes": 1.0,
        "accuracy_affected": None,
        "bayes_affected": None,
        "pairwise": 0.25,
        "finite": True,
    }
    return [
        {
            **common,
            "objective": name,
            "seed": seed,
            "accuracy": value,
            "random_candidate": 0.25 + seed / 1000,
            **changes,
        }
        for name, values in ACCURACIES.items()
        for seed, value in enumerate(values)
    ]


def test_the_tidy_table_has_one_line_for_each_test() -> None:
    header, *lines = list(csv.reader(io.StringIO(tidy_csv(results()))))
    assert header == [
        "dataset", "modalities", "dims", "languages", "design", "encoder", "objective", "unreliable", "affected",
        "rate", "lr", "scale", "seed", "accuracy", "bayes", "pairwise", "accuracy_affected", "bayes_affected",
        "random", "finite",
    ]  # fmt: skip
    assert len(lines) == 9
    assert lines[1] == [
        "xor", "3", "2", "", "", "linear", "symile", "", "", "0", "0.03", "1", "1", "0.99", "1", "0.25", "", "",
        "0.251", "1",
    ]  # fmt: skip


def test_each_objective_is_summarised_and_tested_against_the_first() -> None:
    symile, clip, mine = summaries(results())
    expected = compare(ACCURACIES, shares=True)
    assert (symile["title"], clip["title"], mine["title"]) == ("Symile", "CLIP", "mine")
    assert (clip["mean"], clip["low"], clip["high"]) == tuple(expected["clip"][key] for key in ("mean", "low", "high"))
    assert "p_holm" not in symile and mine["p_holm"] == expected["differences"]["mine"]["p_holm"]
    assert clip["difference"] == pytest.approx(0.99666667 - 0.25) and clip["random_candidate"] == pytest.approx(0.251)
    table = objectives_table([symile, clip, mine])
    assert table[0][:4] == ["data", "encoder", "unreliable", "objective"]
    assert table[2][:4] == ["XOR, M = 3, d = 2", "linear", "", "CLIP"] and table[2][6] == "+0.747"


def test_what_diverged_is_said() -> None:
    lines = summaries(results(finite=False, dataset="m3", languages=5, pairwise=0.2))
    assert objectives_table(lines)[1][0] == "M3-5" and objectives_table(lines)[1][4] == "0.997 (3 diverged)"
    assert "9 trainings did not stay finite" in objectives_notes(lines)[-1]
    assert "finite" not in objectives_notes(summaries(results()))[-1]


def test_one_seed_has_neither_interval_nor_test(tmp_path: Path) -> None:
    lines = summaries([row for row in results() if not row["seed"]])
    assert all("low" not in line and "p_holm" not in line for line in lines)
    assert objectives_table(lines)[1][5:8] == ["", "", ""]
    draw_objectives(tmp_path / "one.png", lines)
    assert (tmp_path / "one.png").read_bytes().startswith(b"\x89PNG")


def test_all_kinds_of_panels_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    others = [
        results(point="d5", dims=5),
        results(point="m3", dataset="m3", dims=None, languages=2, pairwise=0.5),
        results(point="pid", dataset="pid", dims=None, design="mixed", encoder="mlp"),
        results(point="masked", unreliable="missing", rate=0.5),
        results(point="masked-more", unreliable="missing", rate=0.75),
    ]
    draw_objectives(tmp_path / "all.png", summaries([*results(), *(row for rows in others for row in rows)]))
    assert (tmp_path / "all.png").stat().st_size > 20_000
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: figures.append(figure))
    draw_objectives(tmp_path / "all.png", summaries([*results(), *(row for rows in others for row in rows)]))
    draw_objectives(tmp_path / "one.png", summaries(results()))
    headings = [[axes.get_title(loc="left") for axes in figure.axes if axes.axison] for figure in figures]
    assert headings == [
        [
            "XOR, M = 3\nlinear encoders",
            "Symile-M3, 2 languages",
            "PID, mixed\nMLP encoders",
            "XOR, M = 3, d = 2\nlinear encoders, missing",
        ],
        ["XOR, M = 3, d = 2\nlinear encoders"],
    ]
    assert all(axes.get_xlabel() == "test accuracy" for figure in figures for axes in figure.axes if axes.axison)
    # In the place of the panel that the last row lacks, or below.
    assert figures[0].axes[4].get_legend() is not None and not figures[0].legends and figures[1].legends


def test_plans_have_different_points_with_recipes() -> None:
    for plan in PRESETS.values():
        names = [point.name for point in plan.points]
        assert len(set(names)) == len(names)
        assert all(plan.recipe(point, "symile").batch == 128 for point in plan.points)
        assert len(described(plan)) == 3 and f"{plan.seeds} seeds" in described(plan)[1]
    full = PRESETS["full"]
    assert len(full.points) == 20 + 3 + 3 + 6
    ten = Point(dataset="m3", modalities=3, languages=10)
    assert full.recipe(ten, "clip").steps == 2_000
    assert full.recipe(Point(dataset="xor", modalities=4, dims=1), "symile-exact").batch == 24
