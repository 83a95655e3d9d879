"""The figure of the comparison of objectives: one line for each objective, one panel for each kind of data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

from .objectives import title

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Rows = Sequence[Mapping[str, Any]]

_COLUMNS = 3
_MARKERS = ("o", "s", "^", "D", "v", "P")
_SPREAD = 0.66  # of a line's height that its dots share


@style.in_style()
def draw_objectives(path: Path, lines: Rows) -> None:
    """Draw the mean accuracy of each objective, with its interval, beside the Bayes-optimal and a random one.

    Dots of one panel differ in the bits of a variable, or the missing rate, by colour and marker; thin ticks in the
    colour of a dot mark the accuracy of a random candidate there. One legend below holds for all panels.

    Args:
        path: PNG to write.
        lines: Rows of `objectives.summaries`.
    """
    panels = _panels(lines)
    names = list(dict.fromkeys(line["objective"] for line in lines))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    figure = style.sheet(
        1.4 + 3.2 * columns, 1.2 + rows * (0.65 + 0.25 * len(names)), "Test accuracy by objective and data"
    )
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    places = {name: place for place, name in enumerate(names)}
    styles = _styles(lines)
    for axes, (heading, members) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(axes, members, places, styles)
        axes.set_title(heading)
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(names)), [title(name) for name in names])
    grid[0, 0].set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.03, 1.03))
    for axes in grid.flat[max(len(panels) - columns, 0) : len(panels)]:  # the lowest panel of each column
        axes.set_xlabel("test accuracy")
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for found, labels in drawn for handle, label in zip(found, labels, strict=True)}
    order = sorted(handles, key=lambda label: [*_LINES, *styles].index(label))
    figure.legend(
        [handles[label] for label in order],
        order,
        loc="outside lower center",
        ncols=min(len(order), 2 + 2 * columns),
        handletextpad=0.4,
    )
    style.save(figure, path)


# What is drawn beside the accuracies, by its name in the legend.
_LINES: Mapping[str, Mapping[str, Any]] = {
    "Bayes-optimal": {"color": "0.2", "linestyle": "--", "linewidth": 1},
    "what pairs tell": {"color": "0.4", "linestyle": "-.", "linewidth": 1},
    "random candidate": {"color": "0.5", "linestyle": ":", "linewidth": 1.2},
    "random candidate for d": {"color": "0.4", "linestyle": "none", "marker": "|", "markersize": 5},
}


def _styles(lines: Rows) -> dict[str, dict[str, Any]]:
    """Return the look of each kind of dot: rates are hollow, so that they are not taken for bits of equal colour."""
    kinds = list(
        dict.fromkeys(_kind(line) for line in sorted(lines, key=lambda line: (line["rate"], line["dims"] or 0)))
    )
    styles: dict[str, dict[str, Any]] = {}
    for group in ("accuracy", "d = ", "rate "):
        for number, kind in enumerate(kind for kind in kinds if kind.startswith(group)):
            colour = "0.15" if group == "accuracy" else OBJECTIVES[number % len(OBJECTIVES)]
            face = {"markerfacecolor": "white"} if group == "rate " else {}
            styles[kind] = {"color": colour, "marker": _MARKERS[number % len(_MARKERS)], **face}
    return styles


def _panels(lines: Rows) -> dict[str, list[Mapping[str, Any]]]:
    """Group the lines by what a panel shows."""
    panels: dict[str, list[Mapping[str, Any]]] = {}
    for line in lines:
        encoders = {"linear": "linear", "mlp": "MLP"}.get(line["encoder"], line["encoder"])
        if line["dataset"] == "m3":
            heading = f"Symile-M3, {line['languages']} languages"
        elif line["dataset"] == "pid":
            heading = f"PID, {line['design']}, {encoders} encoders"
        else:
            heading = f"XOR, M = {line['modalities']}, {encoders} encoders"
        if line["rate"]:
            bits = f", d = {line['dims']}" if line["dims"] else ""
            heading = f"{heading}{bits}, {line['unreliable']}"
        panels.setdefault(heading, []).append(line)
    return panels


def _draw_panel(axes: Axes, lines: Rows, places: Mapping[str, int], styles: Mapping[str, Mapping[str, Any]]) -> None:
    kinds = list(dict.fromkeys(_kind(line) for line in lines))
    by_bits = len(kinds) > 1 and not lines[0]["rate"]
    marked = {"Bayes-optimal": lines[0]["bayes"]}
    if lines[0]["dataset"] != "xor":  # there pairs tell nothing
        marked["what pairs tell"] = lines[0]["pairwise"]
    if not by_bits:
        marked["random candidate"] = lines[0][RANDOM]
    for label, place in marked.items():
        axes.axvline(place, label=label, **_LINES[label])
    for number, kind in enumerate(kinds):
        chosen = [line for line in lines if _kind(line) == kind]
        shift = _SPREAD * ((number + 0.5) / len(kinds) - 0.5)
        heights = [places[line["objective"]] + shift for line in chosen]
        look = styles[kind]
        for line, height in zip(chosen, heights, strict=True):
            ends = [line.get("low", line["mean"]), line.get("high", line["mean"])]
            axes.plot(ends, [height, height], color=look["color"], linewidth=1, alpha=0.6)
        means = [line["mean"] for line in chosen]
        axes.plot(means, heights, linestyle="none", markersize=4, label=kind, **look)
        if by_bits:
            random = [line[RANDOM] for line in chosen]
            axes.plot(random, heights, linestyle="none", color=look["color"], marker="|", markersize=5, alpha=0.8)
    if by_bits:
        axes.plot([], [], label="random candidate for d", **_LINES["random candidate for d"])
    axes.grid(axis="x")
    for place in places.values():
        axes.axhline(place + 0.5, color="0.9", linewidth=0.6, zorder=0)
    axes.tick_params(axis="y", length=0)
    axes.tick_params(axis="x", labelbottom=True, labelsize=8)


def _kind(line: Mapping[str, Any]) -> str:
    """Say in what the dots of one panel differ."""
    if line["rate"]:
        return f"rate {line['rate']:g}"
    return f"d = {line['dims']}" if line["dataset"] == "xor" else "accuracy"
