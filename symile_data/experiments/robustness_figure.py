"""The figure of robustness: accuracy against the rate of unreliable training rows, one line for each objective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

from .objectives import title
from .robustness import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "<", ">", "p", "*", "h", "d", "8", "H")
_STYLES = ("solid", "dashed", "dotted")
_JITTER = 0.022  # of the axis of rates, over which the markers of all objectives spread


@style.in_style()
def draw_robustness(path: Path, panels: Sequence[Panel]) -> None:
    """Draw a row of panels for each dataset, and a column for each way to be unreliable and kind of test rows.

    Objectives differ by marker, and by colour and style of their lines; the legend below holds for all panels.

    Args:
        path: PNG to write.
        panels: Panels of `robustness.panels`.
    """
    data = list(dict.fromkeys(panel.data for panel in panels))
    kinds = list(dict.fromkeys((panel.unreliable, panel.test_affected) for panel in panels))
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    figure = style.sheet(
        0.8 + 3.1 * len(kinds), 2.2 + 2.7 * len(data), "Accuracy by the rate of unreliable training rows"
    )
    grid = figure.subplots(len(data), len(kinds), squeeze=False, sharex=True, sharey=True)
    for axes in grid.flat:
        axes.set_visible(False)
    for panel in panels:
        column = kinds.index((panel.unreliable, panel.test_affected))
        axes = grid[data.index(panel.data), column]
        axes.set_visible(True)
        _draw_panel(axes, panel, names)
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("rate in training rows")
        if not column:
            axes.set_ylabel(f"{panel.data}\ntest accuracy")
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for handles, labels in drawn for handle, label in zip(handles, labels, strict=True)}
    figure.legend(
        handles.values(),
        handles.keys(),
        loc="outside lower center",
        ncols=min(len(handles), 3 + len(kinds)),
        handlelength=3.2,
    )
    style.save(figure, path)


def _draw_panel(axes: Axes, panel: Panel, names: Sequence[str]) -> None:
    for number, name in enumerate(names):
        lines = panel.lines.get(name, {})
        shift = _JITTER * (number / max(1, len(names) - 1) - 0.5)
        axes.plot(
            [rate + shift for rate in lines],
            [panel.mean(line) for line in lines.values()],
            color=OBJECTIVES[number % len(OBJECTIVES)],
            linestyle=_STYLES[number // len(OBJECTIVES) % len(_STYLES)],
            marker=_MARKERS[number % len(_MARKERS)],
            markersize=4,
            linewidth=1.2,
            alpha=0.85,
            label=title(name),
        )
    bayes, pairs, random = panel.bayes(), panel.pairs(), panel.random()
    axes.plot(
        list(bayes), list(bayes.values()), color="0.1", linewidth=2.2, linestyle="--", zorder=1, label="Bayes-optimal"
    )
    if pairs and max(pairs.values()) > 1.2 * max(random.values()):
        axes.plot(list(pairs), list(pairs.values()), color="0.35", linestyle="-.", zorder=1, label="what pairs tell")
    axes.plot(list(random), list(random.values()), color="0.5", linestyle=":", zorder=1, label="random candidate")
    axes.set_title(panel.heading.replace("; ", "\n"))
    axes.set(ylim=(-0.03, 1.05), xticks=panel.rates)
    axes.grid()
    axes.tick_params(labelsize=8)
