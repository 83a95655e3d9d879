"""The style of all figures, and how they are saved: readable in print, safe for the colour-blind, with the same bytes.

A figure is drawn at its printed size (a page's width), so that its letters are as large as the surrounding text.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
EDGE = 0.042  # inches between a figure's edge and what it shows
_TITLE = 0.28  # inches
_BETWEEN = 0.05  # of a panel's width that is left between panels, so that the numbers of their axes stay apart

INK, MUTED, FAINT = "#1A1A1A", "#666666", "#DDDDDD"


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Draw in the project's style, as a context or as the decorator of a function, without changing global state."""
    import matplotlib as mpl

    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_parameters())
        yield


def sheet(width: float, height: float, title: str = "") -> Figure:
    """Make a figure without axes, on the Agg backend; `in_style` must hold.

    Args:
        width: Width in inches.
        height: Height in inches, the title's line included.
        title: What the figure shows, at its upper left.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    drawn = Figure(figsize=(width, height), dpi=DPI, layout=ConstrainedLayoutEngine(wspace=_BETWEEN))
    FigureCanvasAgg(drawn)
    if title:
        drawn.suptitle(title, x=EDGE / WIDTH, ha="left")
    return drawn


@contextlib.contextmanager
def figure(
    height: float, rows: int = 1, columns: int = 1, *, title: str = "", **layout: Any
) -> Iterator[tuple[Figure, list[Axes]]]:
    """Make a page-wide figure in the project's style, without changing global state.

    Args:
        height: Height in inches, without the title's line.
        rows: Number of rows of axes.
        columns: Number of columns of axes.
        title: What the figure shows, at its upper left.
        layout: Passed on to `Figure.subplots`.

    Yields:
        The figure and its axes, row by row.
    """
    with in_style():
        drawn = sheet(WIDTH, height + (_TITLE if title else 0.0), title)
        axes = drawn.subplots(rows, columns, squeeze=False, **layout)
        yield drawn, list(axes.flat)


@contextlib.contextmanager
def page(height: float, title: str) -> Iterator[tuple[Figure, Axes]]:
    """Make a page-wide figure of what is placed by hand, without changing global state.

    Args:
        height: Height in inches, without the title's line.
        title: What the figure shows, at its upper left.

    Yields:
        The figure, and axes without frame that fill it: x is in inches from the left, y in inches down from the title.
    """
    with in_style():
        drawn = sheet(WIDTH, height + _TITLE)
        drawn.set_layout_engine("none")
        axes = drawn.add_axes((0, 0, 1, 1), xlim=(0, WIDTH), ylim=(height, -_TITLE))
        axes.set_axis_off()
        axes.text(EDGE, EDGE - _TITLE, title, fontsize=10, fontweight="bold", va="top")
        yield drawn, axes


def split_colours() -> Iterator[str]:
    """The colours of splits in their order, over and over."""
    return itertools.cycle((BLUE, ORANGE, GREEN, PURPLE))


def save(drawn: Figure, path: Path) -> None:
    """Write a figure as PNG, without dates or software names."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from PIL import Image

    canvas: Any = FigureCanvasAgg(drawn)  # matplotlib has no types for it
    canvas.draw()  # once; `savefig` lays a figure out in a first drawing and writes a second one
    with atomic_path(path) as temporary:
        Image.fromarray(np.asarray(canvas.buffer_rgba())).save(temporary, format="png", dpi=(DPI, DPI))


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
        "axes.titlesize": 9,
        "axes.titleweight": "bold",
        "figure.titlesize": 10,
        "figure.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titley": 1.0,  # at the axes' top; else matplotlib measures all ticks for its place
        "axes.labelsize": 8.5,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "grid.color": FAINT,
        "grid.linewidth": 0.6,
        "ytick.alignment": "center",
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
