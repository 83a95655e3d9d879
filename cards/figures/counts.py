"""Figures of counts: the rows of each split, and of each value of a category."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.datasets.m3.languages import language_label
from symile_data.plotting import style

from ..statistics.collect import Statistics
from .drawing import FOLDER, Drawing, column_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes

LANGUAGES = ("lang", TARGET_LANGUAGE)  # columns of language codes
_MOST_BARS = 40  # values of a category beyond which a curve replaces the bars
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # background that keeps lines out of a text


def draw_rows(directory: Path, statistics: Statistics) -> Drawing:
    """Draw the number of rows of each split, as bars."""
    rows: dict[str, int] = statistics["rows"]
    with style.figure(0.55 + 0.32 * len(rows), title="Rows of each split") as (drawn, (axes,)):
        _bars(axes, rows, style.BLUE)
        axes.set_xlabel("rows")
        path = f"{FOLDER}/splits.png"
        style.save(drawn, directory / path)
    return Drawing(path=path, title="Splits", caption="Rows of each split.")


def draw_category(directory: Path, column: str, counts: dict[str, dict[str, int]]) -> Drawing:
    """Draw the rows of each value of a category, as bars or, where there are many values, as a ranked curve.

    Args:
        directory: Directory of the dataset.
        column: Name of the category's column.
        counts: Split -> value -> number of rows.
    """
    path = column_path(column)
    if len(values_of(counts)) > _MOST_BARS:
        _ranked(directory / path, column, counts)
        caption = (
            f"Rows of each value of {column}, from the most frequent to the rarest. The dashed line is the mean; the "
            "most frequent and the rarest value are named."
        )
        return Drawing(path=path, title=f"Balance of {column}", caption=caption)
    values = values_of(counts)
    height = 0.75 + 0.21 * len(values)
    shown = language_label if column in LANGUAGES else str
    with style.figure(height, 1, len(counts), title=f"Rows by {column}", sharey=True) as (drawn, panels):
        for axes, (split, of_split), colour in zip(panels, counts.items(), style.split_colours(), strict=False):
            _bars(axes, {shown(value): of_split.get(value, 0) for value in values}, colour)
            axes.set_title(split)
            axes.set_xlabel("rows")
        style.save(drawn, directory / path)
    return Drawing(path=path, title=f"Rows by {column}", caption=f"Rows of each value of {column}, split by split.")


def _ranked(path: Path, column: str, counts: dict[str, dict[str, int]]) -> None:
    values = values_of(counts)
    axis = "class" if column == "cls_id" else f"value of {column}"
    with style.figure(2.5, 1, len(counts), title=f"Balance of {column}: rows of each {axis}") as (drawn, panels):
        for axes, (split, of_split), colour in zip(panels, counts.items(), style.split_colours(), strict=False):
            ranked = sorted(((value, of_split.get(value, 0)) for value in values), key=lambda item: (-item[1], item[0]))
            heights = [count for _, count in ranked]
            axes.fill_between(
                np.arange(len(heights) + 1), [*heights, heights[-1]], step="post", color=colour, linewidth=0
            )
            axes.axhline(float(np.mean(heights)), color=style.INK, linestyle="--", linewidth=0.9)
            axes.set(
                xlim=(0, len(heights)),
                ylim=(0, max(heights) * 1.28),
                title=split,
                xlabel=f"{axis}, most frequent first",
            )
            first, last = (f"{_shortened(ranked[place][0], 22)}, {heights[place]:,}" for place in (0, -1))
            ends = f"most: {first}\nleast: {last}"
            axes.text(
                1.0,  # at the axes' end, where the grid ends too
                0.99,
                ends,
                transform=axes.transAxes,
                ha="right",
                va="top",
                fontsize=7,
                linespacing=1.3,
                bbox=_PAPER,
            )
            style.thousands(axes.yaxis)
            style.thousands(axes.xaxis)
            axes.grid(axis="y")
        panels[0].set_ylabel("rows")
        style.save(drawn, path)


def _bars(axes: Axes, counts: dict[str, int], colour: str) -> None:
    """Draw horizontal bars with their numbers at the end."""
    places = range(len(counts))
    axes.barh(places, list(counts.values()), 0.72, color=colour)
    most = max(counts.values(), default=1) or 1
    for place, count in zip(places, counts.values(), strict=True):
        axes.text(count + most * 0.02, place, f"{count:,}", va="center", fontsize=7)
    axes.set_yticks(places, [_shortened(value, 26) for value in counts])
    axes.set_ylim(len(counts) - 0.4, -0.6)
    axes.set_xlim(0, most * 1.24)
    axes.tick_params(axis="y", length=0)
    style.thousands(axes.xaxis)


def values_of(counts: dict[str, dict[str, int]]) -> list[str]:
    """Return all values of a category, in the order in which the splits list them, "null" last."""
    values = list(dict.fromkeys(value for of_split in counts.values() for value in of_split))
    return sorted(values, key=lambda value: value == "null")


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
