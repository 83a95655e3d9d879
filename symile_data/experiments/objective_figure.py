"""The figure of the comparison of objectives: one line for each objective, one panel for each kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.files import atomic_path
from symile_data.palette import OBJECTIVES

from .objectives import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = 3
_MARKERS = ("o", "s", "^", "D", "v", "P")
_SPREAD = 0.6  # of a line's height that its dots share


def draw_objectives(path: Path, lines: Rows) -> None:
    """Draw the mean accuracy of each objective, with its interval, beside the Bayes-optimal and a random one.

    Dots of one panel differ in the bits of a variable, or the missing rate, by colour and marker; thin ticks in the
    colour of a dot mark the accuracy of a random candidate there.

    Args:
        path: PNG to write.
        lines: Rows of `objectives.summaries`.
    """
    from matplotlib.figure import Figure

    panels = _panels(lines)
    names = list(dict.fromkeys(line["objective"] for line in lines))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    size = (1.4 + 3.4 * columns, rows * (1.5 + 0.27 * len(names)))
    figure = Figure(figsize=size, layout="constrained")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    places = {name: place for place, name in enumerate(names)}
    for axes, (heading, members) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(axes, members, places)
        axes.set_title(heading, fontsize=9)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    grid[0, 0].set_yticks(range(len(names)), [title(name) for name in names], fontsize=8)
    grid[0, 0].set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.03, 1.03))
    for axes in grid[-1]:
        axes.set_xlabel("test accuracy")
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})


def _panels(lines: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Group the lines by what a panel shows."""
    panels: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        if line["dataset"] == "m3":
            heading = f"Symile-M3, {line['languages']} languages"
        elif line["dataset"] == "pid":
            heading = f"PID, {line['design']}, {line['encoder']} encoders"
        else:
            heading = f"XOR, M = {line['modalities']}, {line['encoder']} encoders"
        if line["rate"]:
            bits = f", d = {line['dims']}" if line["dims"] else ""
            heading = f"{heading}{bits}, {line['unreliable']}"
        panels.setdefault(heading, []).append(line)
    return panels


def _draw_panel(axes: Axes, lines: Rows, places: Mapping[str, int]) -> None:
    kinds = list(dict.fromkeys(_kind(line) for line in lines))
    axes.axvline(lines[0]["bayes"], color="0.2", linestyle="--", linewidth=1, label="Bayes-optimal")
    if lines[0]["dataset"] != "xor":  # there pairs tell nothing
        axes.axvline(lines[0]["pairwise"], color="0.4", linestyle="-.", linewidth=1, label="what pairs tell")
    if len(kinds) == 1 or lines[0]["rate"]:
        axes.axvline(lines[0][RANDOM], color="0.5", linestyle=":", linewidth=1.2, label="random candidate")
    for number, kind in enumerate(kinds):
        colour, marker = OBJECTIVES[number % len(OBJECTIVES)], _MARKERS[number % len(_MARKERS)]
        chosen = [line for line in lines if _kind(line) == kind]
        shift = _SPREAD * ((number + 0.5) / len(kinds) - 0.5)
        heights = [places[line["objective"]] + shift for line in chosen]
        for line, height in zip(chosen, heights, strict=True):
            axes.plot(
                [line.get("low", line["mean"]), line.get("high", line["mean"])],
                [height, height],
                color=colour,
                linewidth=1,
                alpha=0.6,
            )
        means = [line["mean"] for line in chosen]
        axes.plot(means, heights, linestyle="none", color=colour, marker=marker, markersize=4, label=kind)
        if len(kinds) > 1 and not chosen[0]["rate"]:
            random = [line[RANDOM] for line in chosen]
            axes.plot(random, heights, linestyle="none", color=colour, marker="|", markersize=5, alpha=0.8)
    if len(kinds) > 1 and not lines[0]["rate"]:
        axes.plot([], [], linestyle="none", color="0.4", marker="|", markersize=5, label="random candidate")
    axes.grid(axis="x", alpha=0.25)
    for place in places.values():
        axes.axhline(place + 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.legend(
        frameon=False, fontsize=7, loc="upper center", bbox_to_anchor=(0.5, -0.06), ncols=4, handletextpad=0.2,
        columnspacing=0.9,
    )  # fmt: skip


def _kind(line: Mapping[str, Any]) -> str:
    """Say in what the dots of one panel differ."""
    if line["rate"]:
        return f"rate {line['rate']:g}"
    return f"d = {line['dims']}" if line["dataset"] == "xor" else "accuracy"
