"""Compute quantiles of numbers, and draw them as a box."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from symile_data.plotting import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MARKS = "thin line from the least to the most, thick line the middle 90 %, bar the middle half, white dot the median"

_QUANTILES = {"min": 0.0, "p5": 0.05, "p25": 0.25, "median": 0.5, "p75": 0.75, "p95": 0.95, "max": 1.0}


def quantiles(values: npt.ArrayLike, digits: int = 3) -> dict[str, float]:
    """Compute the count, mean and quantiles of some numbers, rounded to `digits`.

    >>> quantiles([1, 2, 3])["median"]
    2.0
    """
    array = np.asarray(values, dtype=np.float64)
    marks = np.quantile(array, list(_QUANTILES.values()))
    named = {name: round(float(mark), digits) for name, mark in zip(_QUANTILES, marks, strict=True)}
    return {"count": int(array.size), "mean": round(float(array.mean()), digits), **named}


def draw_box(axes: Axes, place: int, marks: dict[str, float], colour: str) -> None:
    """Draw quantiles as a horizontal box, as `MARKS` describes it."""
    axes.plot([marks["min"], marks["max"]], [place, place], color=colour, linewidth=0.8)
    axes.plot([marks["p5"], marks["p95"]], [place, place], color=colour, linewidth=2.4, solid_capstyle="butt")
    least = marks["max"] * 0.006  # keeps a box visible whose values are all equal
    width = max(marks["p75"] - marks["p25"], least)
    axes.barh(place, width, 0.56, marks["p25"] - (least / 2 if width == least else 0), color=colour)
    look: dict[str, Any] = {"color": "white", "markeredgecolor": style.INK, "markeredgewidth": 0.9, "markersize": 4.5}
    axes.plot(marks["median"], place, "o", clip_on=False, zorder=3, **look)  # whole at the axes' edge
