"""The style of all figures, and how they are saved: readable in print, safe for the colour-blind, with the same bytes.

A figure is drawn at its printed size (a page's width), so that its letters are as large as the surrounding text.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.files import atomic_path
from symile_data.plotting.fonts import families
from symile_data.plotting.palette import BLUE as BLUE
from symile_data.plotting.palette import GREEN as GREEN
from symile_data.plotting.palette import ORANGE as ORANGE
from symile_data.plotting.palette import PURPLE as PURPLE
from symile_data.plotting.palette import RED as RED
from symile_data.plotting.palette import SKY as SKY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.text import Text

WIDTH = 7.0  # inches
DPI = 160

INK, MUTED, FAINT = "#1A1A1A", "#666666", "#DDDDDD"


@contextlib.contextmanager
def figure(
    height: float, rows: int = 1, columns: int = 1, *, width: float = WIDTH, **layout: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Make a figure in the project's style, on the Agg backend, without changing global state.

    Args:
        height: Height in inches.
        rows: Number of rows of axes.
        columns: Number of columns of axes.
        width: Width in inches; a page's without it.
        layout: Passed on to `Figure.subplots`.

    Yields:
        The figure and its axes, row by row.
    """
    import matplotlib as mpl
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_parameters())
        drawn = Figure(figsize=(width, height), layout="constrained")
        FigureCanvasAgg(drawn)
        axes = drawn.subplots(rows, columns, squeeze=False, **layout)
        yield drawn, list(axes.flat)


def split_colours() -> Iterator[str]:
    """The colours of splits in their order, over and over."""
    return itertools.cycle((BLUE, ORANGE, GREEN, PURPLE))


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PNG, without dates or software names."""
    with atomic_path(path) as temporary:
        drawn.savefig(temporary, format="png", dpi=DPI, metadata={"Software": None})


def width_of(written: Text) -> float:
    """Return the width of a drawn text in inches."""
    figure = written.get_figure(root=True)
    return float(written.get_window_extent().width / figure.dpi) if figure is not None else 0.0


def thousands(axis: object) -> None:
    """Format an axis's numbers like 12,000."""
    from matplotlib.axis import Axis
    from matplotlib.ticker import FuncFormatter, MaxNLocator

    if isinstance(axis, Axis):
        axis.set_major_locator(MaxNLocator(nbins=4, integer=True))
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))


def _parameters() -> dict[Any, Any]:
    return {
        "font.family": families(),
        "font.size": 8.5,
        "text.color": INK,
        "axes.labelcolor": INK,
        "axes.edgecolor": MUTED,
        "axes.linewidth": 0.6,
        "axes.titlesize": 9.5,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.labelsize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "xtick.labelsize": 8,
        "ytick.labelsize": 8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.labelcolor": INK,
        "text.parse_math": False,  # a dollar sign in a name is a dollar sign
        "legend.frameon": False,
        "legend.fontsize": 8,
        "figure.facecolor": "white",
        "savefig.facecolor": "white",
        "image.interpolation": "antialiased",
    }
