"""Draw one figure of several methods for each label, with intervals: a line of dots for each label."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

_LINE = 0.11  # inches for the dot of one method
_GAP = 0.16  # inches between labels
_MARKERS = "os^Dv<>P"
_SHOWN = {"auroc": "AUROC", "accuracy": "accuracy"}


@style.in_style()
def draw_methods(path: Path, result: Mapping[str, Any]) -> None:
    """Draw the table of methods: the main figure of each label, and the mean over labels, with 95% intervals.

    A grey line marks what a method without features reaches: an AUROC of one half, or the accuracy of the most frequent
    label. A dotted one marks the exact AUROC of the best reader of all modalities, for synthetic admissions.

    Args:
        path: PNG to write.
        result: What `symile_data.workflows.classification.probe_runs` returns.
    """
    table = {label: dict(methods) for label, methods in result["table"].items()}
    chance = {
        label: 0.5 if its["classes"] == 2 else its["chance"]
        for label, its in result["labels"].items()
        if label in table
    }
    if result["mean"]:
        mean = "mean of labels"
        table[mean] = {name: {**one, "figure": "auroc"} for name, one in result["mean"].items()}
        chance[mean] = 0.5
    names = list(dict.fromkeys(name for methods in table.values() for name in methods))
    styles = list(zip(names, cycle((*OBJECTIVES, "0.25")), cycle(_MARKERS), strict=False))
    height = len(table) * (len(names) * _LINE + _GAP)
    figure = style.sheet(8.5, max(2.5, height + 1.4), "Methods by label, test split")
    axes = figure.subplots()
    for place, (label, methods) in enumerate(table.items()):
        ends = [place - 0.42, place + 0.42]
        axes.plot([chance[label]] * 2, ends, color="0.75", linewidth=2, zorder=0)
        ideal = result["labels"].get(label, {}).get("ideal")
        if ideal is not None:
            axes.plot(
                [list(ideal.values())[-1]] * 2, ends, color="0.75", linewidth=2, linestyle=":", zorder=0, clip_on=False
            )
        for number, (name, colour, marker) in enumerate(styles):
            _draw_dot(axes, methods.get(name), place + (number + 0.5) / len(names) * 0.8 - 0.4, colour, marker)
    axes.plot([], [], color="0.75", linewidth=2, label="without features")
    if any(result["labels"].get(label, {}).get("ideal") is not None for label in table):
        axes.plot([], [], color="0.75", linewidth=2, linestyle=":", label="best reader of all")
    for name, colour, marker in styles:
        axes.plot([], [], marker=marker, color=colour, linestyle="", markersize=5, label=name)
    kinds = list(dict.fromkeys(_SHOWN[one["figure"]] for methods in table.values() for one in methods.values()))
    shown = [_told(label, methods, kinds) for label, methods in table.items()]
    axes.set_yticks(range(len(table)), shown)
    axes.set(xlim=(0, 1), ylim=(len(table) - 0.5, -0.5))
    axes.set_xlabel(f"{' or '.join(kinds)}, with 95 % interval")
    axes.grid(axis="x")
    axes.tick_params(left=False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=4)
    style.save(figure, path)


def _draw_dot(axes: Any, one: Mapping[str, Any] | None, y: float, colour: str, marker: str) -> None:
    if one is None or one["value"] is None:
        return
    if one["low"] is not None:
        axes.plot([one["low"], one["high"]], [y, y], color=colour, linewidth=1.2, alpha=0.7, clip_on=False)
    axes.plot(one["value"], y, marker=marker, color=colour, markersize=4.5, clip_on=False)


def _told(label: str, methods: Mapping[str, Mapping[str, Any]], kinds: list[str]) -> str:
    """Name a label, with its figure where the figure has several."""
    figures = {_SHOWN[one["figure"]] for one in methods.values()}
    return f"{label} ({', '.join(sorted(figures))})" if len(kinds) > 1 else label
