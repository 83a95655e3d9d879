"""Figures of images, audio and words: sizes, durations and how often the words of each class occur."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.datasets.m3.languages import language_label
from symile_data.format.disclosure import told
from symile_data.plotting import style
from symile_data.progress.amounts import counted

from ..statistics.quantiles import MARKS, draw_box
from ..statistics.word_counts import draw_words
from .counts import LANGUAGES
from .drawing import FOLDER, Drawing, column_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def draw_durations(directory: Path, column: str, media: dict[str, Any]) -> Drawing:
    """Draw the durations of a column's audio, all together and by group, as boxes in seconds."""
    path = column_path(column, "_durations")
    by = next(iter(media["seconds_by"]), "")
    groups = media["seconds_by"].get(by, {})
    boxes = {"all": media["seconds"], **(groups if len(groups) > 1 else {})}
    shown = [language_label(name) for name in boxes] if by in LANGUAGES else list(boxes)
    title = f"Durations of {column}" + (f" by {by}" if len(boxes) > 1 else "")
    with style.figure(0.75 + 0.24 * len(boxes), title=title) as (drawn, (axes,)):
        if len(boxes) == 1:
            _quantile_bar(axes, media["seconds"])
        else:
            _grouped_bars(axes, dict(zip(shown, boxes.values(), strict=True)))
        axes.set_xlabel("duration (s)")
        style.save(drawn, directory / path)
    caption = f"Duration of {counted(media['measured'], 'recording')}{f' by {by}' if len(boxes) > 1 else ''}: {MARKS}."
    return Drawing(path=path, title="Audio durations", caption=caption)


def draw_sizes(directory: Path, column: str, media: dict[str, Any]) -> Drawing:
    """Draw widths and heights of a column's images in pixels, and the sizes of their files in kB."""
    path = column_path(column, "_sizes")
    sizes = media["sizes"]
    if len(sizes) == 1:
        caption = (
            f"All {told(media['measured'])} images measured are {sizes[0][0]} x {sizes[0][1]} pixels. The size of "
            f"their files: {MARKS}."
        )
        title = f"Files of {column}, all of {sizes[0][0]} x {sizes[0][1]} pixels"
        with style.figure(1.0, title=title) as (drawn, (axes,)):
            _quantile_bar(axes, _kilobytes(media))
            axes.set_xlabel("size of a file (kB)")
            style.save(drawn, directory / path)
        return Drawing(path=path, title="Image sizes", caption=caption)
    widths, heights, counts = (np.array(values) for values in zip(*sizes, strict=True))
    with style.figure(3.6, 1, 2, title=f"Sizes of {column}", width_ratios=[1.25, 1]) as (drawn, (scatter, bar)):
        area = 6 + 900 * counts / max(counts.sum(), 1)  # dots of many sizes would else cover one another
        scatter.scatter(widths, heights, s=area, color=style.BLUE, alpha=0.45, linewidths=0)
        top = max(widths.max(), heights.max()) * 1.06
        scatter.plot([0, top], [0, top], color=style.MUTED, linewidth=0.7, linestyle="--")
        scatter.set(
            xlim=(0, top),
            ylim=(0, top),
            xlabel="width (pixels)",
            ylabel="height (pixels)",
            title="Images",
            aspect="equal",
        )
        scatter.grid()
        _quantile_bar(bar, _kilobytes(media))
        bar.set(xlabel="size of a file (kB)", title="Files")
        bar.set_ylim(1.6, -1.6)
        style.save(drawn, directory / path)
    caption = (
        f"Width and height of {told(media['measured'])} images (a dot's area is the number of images of that "
        f"size), and the size of their files: {MARKS}."
    )
    return Drawing(path=path, title="Image sizes", caption=caption)


def draw_word_counts(directory: Path, split: str, words: dict[str, Any]) -> Drawing:
    """Draw how evenly the classes of a split occur in each language, as targets and among the other words."""
    path = f"{FOLDER}/words.png"
    draw_words(directory / path, words)
    caption = (
        f"How evenly the classes of {split} occur in each language, as the target and among the other words: the "
        f"number of words that a class has in the language, over all classes: {MARKS}."
    )
    return Drawing(path=path, title="Words by language and class", caption=caption)


def _kilobytes(media: dict[str, Any]) -> dict[str, float]:
    """Return quantiles of bytes in kB, the unit of the card's text and of the preview."""
    return {name: value / 1000 for name, value in media["bytes"].items()}


def _grouped_bars(axes: Axes, boxes: dict[str, dict[str, float]]) -> None:
    """Draw one box for each name, the first in gray, since it has the values of all others."""
    for place, marks in enumerate(boxes.values()):
        draw_box(axes, place, marks, style.BLUE if place else style.MUTED)
    axes.set_yticks(range(len(boxes)), list(boxes))
    axes.set_ylim(len(boxes) - 0.4, -0.6)
    axes.set_xlim(0, max(marks["max"] for marks in boxes.values()) * 1.06)
    axes.grid(axis="x")
    axes.tick_params(axis="y", length=0)


def _quantile_bar(axes: Axes, marks: dict[str, float]) -> None:
    """Draw one box on its own axes."""
    draw_box(axes, 0, marks, style.BLUE)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, 0.7)
    axes.set_xlim(0, marks["max"] * 1.06)
    axes.grid(axis="x")
