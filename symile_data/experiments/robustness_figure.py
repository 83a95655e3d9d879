"""The figure of robustness: coloured tables of accuracies, by objective and rate of unreliable training rows.

Lines over the rate would lie upon one another: most objectives agree to a few hundredths somewhere.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symile_data.plotting import style

from .objectives import title
from .robustness import Panel

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Inches
_NAMES = 1.25  # width of the names of the objectives and the data
_CELL, _LINE = 0.36, 0.16  # width of a cell and height of a line
_GAP = 0.1  # between tables beside each other
_REST = 0.95  # height of a table's heading and axis

_DARK = 0.55  # accuracy from which the number in a cell is white


@style.in_style()
def draw_robustness(path: Path, panels: Sequence[Panel]) -> None:
    """Draw a row of tables for each dataset, and a column for each way to be unreliable and kind of test rows.

    A table has a line for each objective and one for each reference, and a column for each rate.

    Args:
        path: PNG to write.
        panels: Panels of `robustness.panels`.
    """
    data = list(dict.fromkeys(panel.data for panel in panels))
    kinds = list(dict.fromkeys((panel.unreliable, panel.test_affected) for panel in panels))
    names = list(dict.fromkeys(name for panel in panels for name in panel.lines))
    table = _CELL * max(len(panel.rates) for panel in panels) + _GAP
    figure = style.sheet(
        max(_NAMES + table * len(kinds), style.WIDTH),
        0.3 + len(data) * (_REST + _LINE * (len(names) + len(_references(panels[0])))),
        "Test accuracy by the rate of unreliable training rows",
    )
    grid = figure.subplots(len(data), len(kinds), squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for panel in panels:
        column = kinds.index((panel.unreliable, panel.test_affected))
        axes = grid[data.index(panel.data), column]
        axes.set_axis_on()
        labels = _draw_table(axes, panel, names)
        axes.set_yticks(range(len(labels)), labels if not column else [], fontsize=7.5)
        if not column:
            axes.set_ylabel(panel.data, fontweight="bold")
    style.save(figure, path)


def _references(panel: Panel) -> dict[str, Mapping[float, float]]:
    """Return what stands below the objectives: name -> rate -> accuracy."""
    return {"Bayes-optimal": panel.bayes(), "what pairs tell": panel.pairs(), "random candidate": panel.random()}


def _draw_table(axes: Axes, panel: Panel, names: Sequence[str]) -> list[str]:
    """Draw the cells of a panel with their numbers, and return the names of its lines."""
    found = {name: {rate: panel.mean(line) for rate, line in panel.lines.get(name, {}).items()} for name in names}
    rows = [*found.values(), *_references(panel).values()]
    cells = np.array([[row.get(rate, np.nan) for rate in panel.rates] for row in rows])
    axes.imshow(cells, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for (line, column), share in np.ndenumerate(cells):
        if np.isfinite(share):
            colour = "white" if share > _DARK else style.INK
            axes.text(column, line, f"{share:.2f}", ha="center", va="center", fontsize=7, color=colour)
    axes.axhline(len(names) - 0.5, color="white", linewidth=3)
    test = "test rows alike" if panel.test_affected else "test rows reliable"
    axes.set_title(f"{panel.affected}\n{panel.unreliable},\n{test}", fontsize=7.5)
    axes.set_xticks(range(len(panel.rates)), [f"{rate:g}" for rate in panel.rates])
    axes.set_xlabel("rate", fontsize=7.5)
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    return [*map(title, names), *_references(panel)]
