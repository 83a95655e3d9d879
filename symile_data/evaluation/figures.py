"""Draw bar charts of recall at 1, 5 and 10 for one or more objectives, with intervals, values and reference lines."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from symile_data.datasets.m3.ceilings import line_style, shown
from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

FIGURES = {"accuracy": "recall at 1", "recall_at_5": "recall at 5", "recall_at_10": "recall at 10"}

_GROUP = 0.8  # total width of the bars of one figure, in units of the axis


@style.in_style()
def draw_recalls(
    path: Path, objectives: Mapping[str, Mapping[str, Mapping[str, Any]]], bounds: Mapping[str, float], title: str
) -> None:
    """Draw bars of the means, with whiskers from "low" to "high" and dots at "values" where there are any.

    Args:
        path: PNG to write.
        objectives: Objective -> figure ("accuracy", "recall_at_5", "recall_at_10") -> "mean" and possibly "low",
            "high" and "values".
        bounds: Name of a reference (`datasets.m3.ceilings.REFERENCES`) -> accuracy, drawn as a line over the bars of
            recall at 1.
        title: Title of the plot.
    """
    figure = style.sheet(6.4, 3.6)
    axes = figure.subplots()
    width = _GROUP / len(objectives)
    for index, (colour, (objective, values)) in enumerate(zip(cycle(OBJECTIVES), objectives.items(), strict=False)):
        for place, name in enumerate(FIGURES):
            value, x = values[name], place - _GROUP / 2 + (index + 0.5) * width
            axes.bar(x, value["mean"], 0.9 * width, color=colour, alpha=0.75, label=objective if place == 0 else None)
            top = max(value.get("high", 0.0), value["mean"])
            if "low" in value:
                whisker = [[value["mean"] - value["low"]], [value["high"] - value["mean"]]]
                axes.errorbar(x, value["mean"], yerr=whisker, color="0.2", capsize=3, linewidth=1)
            singles = value.get("values", []) if len(value.get("values", [])) > 1 else []
            axes.scatter([x] * len(singles), singles, s=9, color="0.2", zorder=3)
            axes.annotate(f"{value['mean']:.3f}", (x, top), (0, 4), textcoords="offset points", ha="center")
    for name, bound in bounds.items():
        ends = [-_GROUP / 2 - 0.08, _GROUP / 2 + 0.08]
        label = f"{shown(name)}, {bound:.3f}"
        axes.plot(ends, [bound] * 2, color="0.2", linewidth=1.0, linestyle=line_style(name), label=label)
    axes.set_xticks(range(len(FIGURES)), list(FIGURES.values()))
    axes.set(xlim=(-0.6, len(FIGURES) - 0.4), ylim=(0, 1.1), ylabel="share of queries", title=title)
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.grid(axis="y")
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    style.save(figure, path)
