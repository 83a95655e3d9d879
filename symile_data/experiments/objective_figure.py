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
Panels = Mapping[str, Rows]  # heading -> what its panel shows

_COLUMNS = 3
_MARKERS = ("o", "s", "^", "D", "v", "P")
_LINE, _LINE_OF_SEVERAL = 0.16, 0.2  # inches of an objective's line with one dot, and with several
_REST, _LEGEND = 0.85, 1.1  # inches of a panel's heading and axis, and of a legend below all panels
_LEAST = 4  # lines below which a panel is not made lower
_SPREAD = 0.66  # of a line's height that its dots share


@style.in_style()
def draw_objectives(path: Path, lines: Rows) -> None:
    """Draw the mean accuracy of each objective, with its interval, beside the Bayes-optimal and a random one.

    Dots of one panel differ in the bits of a variable, or the missing rate, by colour and marker; thin ticks in the
    colour of a dot mark the accuracy of a random candidate there. One legend holds for all panels: in the place of the
    panel that the last row lacks, or else below.

    Args:
        path: PNG to write.
        lines: Rows of `objectives.summaries`.
    """
    panels = _panels(lines)
    names = list(dict.fromkeys(line["objective"] for line in lines))
    columns = min(_COLUMNS, len(panels))
    rows = -(-len(panels) // columns)
    styles = _styles(panels)
    line = _LINE if len(styles) == 1 else _LINE_OF_SEVERAL
    height = rows * (_REST + line * max(len(names), _LEAST)) + (0.4 if len(panels) < rows * columns else _LEGEND)
    figure = style.sheet(1.0 + 2.0 * columns, height, "Test accuracy by objective and data")
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True, sharex=True)
    places = {name: place for place, name in enumerate(names)}
    for axes, (heading, members) in zip(grid.flat, panels.items(), strict=False):
        _draw_panel(axes, members, places, styles)
        axes.set_title(heading)
        axes.set_xlabel("test accuracy")
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_yticks(range(len(names)), [title(name) for name in names])
    grid[0, 0].set(ylim=(len(names) - 0.5, -0.5), xlim=(-0.03, 1.03))
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for found, labels in drawn for handle, label in zip(found, labels, strict=True)}
    order = sorted(handles, key=lambda label: [*_LINES, *styles].index(label))
    shown: dict[str, Any] = {"handles": [handles[label] for label in order], "labels": order, "handletextpad": 0.4}
    if len(panels) < grid.size:
        grid.flat[len(panels)].legend(loc="upper left", **shown)
    else:
        figure.legend(loc="outside lower center", ncols=min(len(order), 1 + columns), **shown)
    style.save(figure, path)


# What is drawn beside the accuracies, by its name in the legend.
_LINES: Mapping[str, Mapping[str, Any]] = {
    "Bayes-optimal": {"color": "0.2", "linestyle": "--", "linewidth": 1},
    "what pairs tell": {"color": "0.4", "linestyle": "-.", "linewidth": 1},
    "random candidate": {"color": "0.5", "linestyle": ":", "linewidth": 1.2},
    "random candidate for d": {"color": "0.4", "linestyle": "none", "marker": "|", "markersize": 5},
}


def _styles(panels: Panels) -> dict[str, dict[str, Any]]:
    """Return the look of each kind of dot: rates are hollow, so that they are not taken for bits of equal colour."""
    found = [(line["rate"], line["dims"] or 0, _kind(line, drawn)) for drawn in panels.values() for line in drawn]
    kinds = list(dict.fromkeys(kind for _, _, kind in sorted(found)))
    styles: dict[str, dict[str, Any]] = {}
    for group in ("accuracy", "d = ", "rate "):
        for number, kind in enumerate(kind for kind in kinds if kind.startswith(group)):
            colour = "0.15" if group == "accuracy" else OBJECTIVES[number % len(OBJECTIVES)]
            face = {"markerfacecolor": "white"} if group == "rate " else {}
            styles[kind] = {"color": colour, "marker": _MARKERS[number % len(_MARKERS)], **face}
    return styles


def _panels(lines: Rows) -> Panels:
    """Group the lines by what a panel shows, under its heading of one or two lines."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {}
    for line in lines:
        data = (line[name] for name in ("dataset", "modalities", "languages", "design", "encoder"))
        unreliable = (line["dims"], line["unreliable"]) if line["rate"] else ()
        groups.setdefault((*data, *unreliable), []).append(line)
    return {_heading(drawn): drawn for drawn in groups.values()}


def _heading(drawn: Rows) -> str:
    line = drawn[0]
    encoders = {"linear": "linear", "mlp": "MLP"}.get(line["encoder"], line["encoder"])
    if line["dataset"] == "m3":
        data, details = f"Symile-M3, {line['languages']} languages", []
    elif line["dataset"] == "pid":
        data, details = f"PID, {line['design']}", [f"{encoders} encoders"]
    else:
        bits = "" if _by_bits(drawn) else f", d = {line['dims']}"
        data, details = f"XOR, M = {line['modalities']}{bits}", [f"{encoders} encoders"]
    details += [line["unreliable"]] if line["rate"] else []
    return "\n".join([data, ", ".join(details)]).strip()


def _draw_panel(axes: Axes, lines: Rows, places: Mapping[str, int], styles: Mapping[str, Mapping[str, Any]]) -> None:
    kinds = list(dict.fromkeys(_kind(line, lines) for line in lines))
    by_bits = _by_bits(lines)
    marked = {"Bayes-optimal": lines[0]["bayes"]}
    if lines[0]["dataset"] != "xor":  # there pairs tell nothing
        marked["what pairs tell"] = lines[0]["pairwise"]
    if not by_bits:
        marked["random candidate"] = lines[0][RANDOM]
    for label, place in marked.items():
        axes.axvline(place, label=label, **_LINES[label])
    for number, kind in enumerate(kinds):
        chosen = [line for line in lines if _kind(line, lines) == kind]
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


def _by_bits(drawn: Rows) -> bool:
    """Whether the dots of a panel differ in the bits of a variable."""
    return drawn[0]["dataset"] == "xor" and not drawn[0]["rate"] and len({line["dims"] for line in drawn}) > 1


def _kind(line: Mapping[str, Any], drawn: Rows) -> str:
    """Say in what the dots of one panel differ."""
    if line["rate"]:
        return f"rate {line['rate']:g}"
    return f"d = {line['dims']}" if _by_bits(drawn) else "accuracy"
