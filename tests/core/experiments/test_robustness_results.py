"""Panels, tables and the figure of robustness, and its plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symile_data.experiments.objective_plan import M3, MISALIGNED, MISSING, NOISY, described
from symile_data.experiments.objectives import summaries, title
from symile_data.experiments.robustness import Panel, panels, robustness_notes, robustness_table
from symile_data.experiments.robustness_figure import draw_robustness
from symile_data.experiments.robustness_plan import PRESETS
from symile_data.losses.objectives import OBJECTIVES
from symile_data.plotting import style


def results(names: Sequence[str] = ("symile", "clip"), **changes: Any) -> list[dict[str, Any]]:
    """Two seeds of some objectives on XOR data at rate 0, and at 0.5 in each way."""
    rows = []
    for unreliable, rate in ((None, 0.0), ("missing", 0.5), ("misaligned", 0.5), ("noisy", 0.5)):
        apart = unreliable in ("misaligned", "noisy")
        for place, name in enumerate(names):
            for seed in (0, 1):
                own = {
                    "point": f"xor-{unreliable}-{rate}",
                    "dataset": "xor",
                    "modalities": 3,
                    "dims": 2,
                    "languages": None,
                    "design": None,
                    "encoder": "linear",
                    "objective": name,
                    "unreliable": unreliable,
                    "affected": "a" if unreliable == "noisy" else None,
                    "rate": rate,
                    "lr": 0.03,
                    "scale": 1.0,
                    "seed": seed,
                    "accuracy": (1.0 - rate / 2) / (1 + place) - seed / 100,
                    "bayes": 1.0,
                    "accuracy_affected": 0.3 / (1 + place) if apart else None,
                    "bayes_affected": 0.4 if apart else None,
                    "pairwise": 0.25,
                    "random_candidate": 0.25,
                    "finite": True,
                }
                rows.append({**own, **changes, "point": f"{own['point']}{changes}"})
    return rows


def panel_of(found: list[Panel], unreliable: str, test_affected: bool) -> Panel:
    (chosen,) = (one for one in found if (one.unreliable, one.test_affected) == (unreliable, test_affected))
    return chosen


def test_rate_0_belongs_to_every_panel() -> None:
    found = panels(summaries(results()))
    assert [(panel.unreliable, panel.test_affected) for panel in found] == [
        ("missing", False), ("misaligned", False), ("misaligned", True), ("noisy", False), ("noisy", True)
    ]  # fmt: skip
    assert all(panel.rates == [0.0, 0.5] and set(panel.lines) == {"symile", "clip"} for panel in found)
    missing, alike = panel_of(found, "missing", False), panel_of(found, "noisy", True)
    assert missing.bayes() == {0.0: 1.0, 0.5: 1.0} and alike.bayes() == {0.0: 1.0, 0.5: 0.4}
    assert missing.pairs() == {0.0: 0.25, 0.5: 0.25} and alike.pairs() == {}
    assert [missing.mean(line) for line in missing.lines["symile"].values()] == pytest.approx([0.995, 0.745])
    assert [alike.mean(line) for line in alike.lines["symile"].values()] == pytest.approx([0.995, 0.3])
    assert alike.heading == "a alone noisy in training rows; test rows alike"
    assert (
        panel_of(found, "misaligned", False).heading == "every modality misaligned in training rows; reliable test rows"
    )


def test_tables_have_a_column_for_each_rate() -> None:
    found = panels(summaries(results()))
    assert robustness_table(panel_of(found, "misaligned", True)) == [
        ["objective", "rate 0", "rate 0.5"],
        ["Symile", "0.995", "0.300"],
        ["CLIP", "0.495", "0.150"],
        ["*Bayes*", "1.000", "0.400"],
        ["*random*", "0.250", "0.250"],
    ]
    assert robustness_table(panel_of(found, "missing", False))[-2] == ["*by pairs*", "0.250", "0.250"]


def test_datasets_have_panels_of_their_own_and_gaps_stay_empty() -> None:
    rows = results() + results(("symile", "gram"), dataset="m3", dims=None, languages=5, pairwise=0.2)
    rows = [row for row in rows if row["dataset"] == "xor" or row["unreliable"] != "noisy"]
    rows = [row for row in rows if (row["objective"], row["unreliable"]) != ("clip", "missing")]
    found = panels(summaries(rows))
    assert [panel.data for panel in found] == ["XOR, M = 3, d = 2"] * 5 + ["M3-5"] * 3
    assert robustness_table(found[0])[2] == ["CLIP", "0.495", ""]
    lines = summaries(results(finite=False))
    assert "16 trainings did not stay finite" in robustness_notes(lines)[-1]
    assert "finite" not in robustness_notes(summaries(rows))[-1]


def test_each_table_of_the_figure_has_the_numbers_of_its_panel(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    rows = results(tuple(OBJECTIVES)) + results(tuple(OBJECTIVES), dataset="pid", design="mixed")
    figures: list[Figure] = []
    original = style.save

    def kept(drawn: Figure, path: Path) -> None:
        figures.append(drawn)
        original(drawn, path)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(style, "save", kept)
        found = panels(summaries(rows))
        draw_robustness(tmp_path / "all.png", found)
    assert (tmp_path / "all.png").stat().st_size > 50_000
    (figure,) = figures
    assert len(figure.axes) == 2 * 5
    names = [tick.get_text() for tick in figure.axes[0].get_yticklabels()]
    assert names == [*map(title, OBJECTIVES), "Bayes-optimal", "what pairs tell", "random candidate"]
    for panel, axes in zip(found, figure.axes, strict=True):
        shares = [{rate: panel.mean(line) for rate, line in panel.lines[name].items()} for name in OBJECTIVES]
        lines = enumerate([*shares, panel.bayes(), panel.pairs(), panel.random()])
        wanted = {(x, y): f"{share:.2f}" for y, line in lines for x, share in enumerate(line.values())}
        assert {text.get_position(): text.get_text() for text in axes.texts} == wanted
        assert len(wanted) == 2 * (len(OBJECTIVES) + (2 if panel.test_affected else 3))


def test_plans_cover_every_way_at_every_rate() -> None:
    for plan in PRESETS.values():
        names = [point.name for point in plan.points]
        assert len(set(names)) == len(names) and plan.filled is None
        rates = {point.rate for point in plan.points if point.rate}
        for complete in (point for point in plan.points if not point.rate):
            ways = {MISSING, MISALIGNED, *([] if complete.dataset == M3 else [NOISY])}
            own = [
                point for point in plan.points
                if point.rate and replace(point, rate=0.0, unreliable=MISSING, affected=(), level=0.0) == complete
            ]  # fmt: skip
            assert {(point.unreliable, point.rate) for point in own} == {(way, rate) for way in ways for rate in rates}
        assert f"{plan.seeds} seeds" in described(plan)[1]
    assert {point.rate for point in PRESETS["full"].points} == {0.0, 0.25, 0.5, 0.75}
