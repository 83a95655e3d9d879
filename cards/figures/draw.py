"""The figures of a card, drawn from its statistics (and, for the contact sheet, from the chosen rows)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.format.disclosure import told

from ..descriptions import Description
from ..samples import Sample
from ..statistics.collect import Statistics
from ..statistics.quantiles import MARKS, draw_box
from ..statistics.word_counts import draw_words
from . import style
from .clinical import draw_cohort_flow, draw_findings, draw_hours, draw_measured
from .contact_sheet import draw_contact_sheet
from .information import INFORMATION, draw_information

if TYPE_CHECKING:
    from matplotlib.axes import Axes

FOLDER = "figures"

_MOST_PATTERNS = 12  # combinations of missing modalities that are drawn
_MOST_BARS = 40  # values of a category beyond which a curve replaces the bars
_PAPER = {"facecolor": "white", "edgecolor": "none", "pad": 1.5}  # keeps lines out of a text
_WITHHELD = " Withheld counts are drawn as zero."
_SPLIT_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE)


@dataclass(frozen=True, kw_only=True)
class Drawing:
    """One figure: its path relative to the dataset, a title, and a sentence that says what it shows."""

    path: str
    title: str
    caption: str


def draw_figures(directory: Path, statistics: Statistics, samples: list[Sample], about: Description) -> list[Drawing]:
    """Write every figure that these statistics call for, in the card's order."""
    drawings = []
    if samples:
        unwritten = any(not style.drawable(word.text) for sample in samples for word in sample.words)
        draw_contact_sheet(directory / FOLDER / "samples.png", samples)
        drawings.append(
            Drawing(
                path=f"{FOLDER}/samples.png",
                title="Samples",
                caption=(
                    f"Rows of the {samples[0].split} split: the image, the clip's waveform and the words of the text "
                    "with languages and English meanings. The target, the one word in the clip's language, is marked."
                    + (
                        " Where no font for a script was installed, the English meaning stands alone."
                        if unwritten
                        else ""
                    )
                ),
            )
        )
    drawings += _information(directory, statistics)
    drawings.append(_rows(directory, statistics))
    drawings += _clinical(directory, statistics, about)
    for column, counts in statistics.get("categories", {}).items():
        if len(_values(counts)) > 1 and not _drawn_together(column, about):
            drawings.append(_category(directory, column, counts))
    for column, media in statistics.get("media", {}).items():
        if media["kind"] == "audio":
            drawings.append(_durations(directory, column, media))
        elif media["sizes"]:
            drawings.append(_sizes(directory, column, media))
    drawings += [_words(directory, split, words) for split, words in list(_worded(statistics).items())[:1]]
    if any(set(split["patterns"]) - {""} for split in statistics.get("missing", {}).values()):
        drawings.append(_missing(directory, statistics))
    return drawings


def _drawn_together(column: str, description: Description) -> bool:
    return bool(description.together) and column.startswith(description.together)


def _clinical(directory: Path, statistics: Statistics, description: Description) -> Iterator[Drawing]:
    """Selection, times, tests and findings, where the statistics have them."""
    if steps := statistics.get("funnel"):
        path = f"{FOLDER}/funnel.png"
        draw_cohort_flow(directory / path, steps)
        yield Drawing(
            path=path, title="Selection", caption="Admissions that each rule left, in the order in which they apply."
        )
    hours = statistics.get("hours", {})
    measured = statistics.get("measured", {})
    if any(of["counts"] for of in hours.values()):
        path = f"{FOLDER}/hours.png"
        draw_hours(directory / path, hours, dict(description.hours))
        bins = next(iter(hours.values()))["bin"]
        gaps = _WITHHELD if any(None in of["counts"] for of in hours.values()) else ""
        caption = f"When things were recorded, in steps of {bins} hours.{gaps}"
        yield Drawing(path=path, title="Times", caption=caption)
    if any(measured.values()):
        path = f"{FOLDER}/measured.png"
        draw_measured(directory / path, statistics)
        gaps = _WITHHELD if any(None in tests.values() for tests in measured.values()) else ""
        caption = f"Share of each split's rows in which each test was measured.{gaps}"
        yield Drawing(path=path, title="Tests", caption=caption)
    findings = {
        column.removeprefix(description.together).replace("_", " "): counts
        for column, counts in statistics.get("categories", {}).items()
        if _drawn_together(column, description)
    }
    if findings:
        path = f"{FOLDER}/findings.png"
        draw_findings(directory / path, findings, statistics["rows"])
        yield Drawing(path=path, title="Findings", caption="Labels read from the X-ray's report, by split.")


def _information(directory: Path, statistics: Statistics) -> Iterator[Drawing]:
    """What the modalities of a design tell of one another."""
    if terms := statistics.get("terms"):
        path = f"{FOLDER}/information.png"
        draw_information(directory / path, terms)
        yield Drawing(path=path, title="Information", caption=INFORMATION)


def _rows(directory: Path, statistics: Statistics) -> Drawing:
    rows: dict[str, int] = statistics["rows"]
    with style.figure(0.55 + 0.32 * len(rows)) as (drawn, (axes,)):
        _bars(axes, rows, _SPLIT_COLOURS[0])
        axes.set_xlabel("rows")
        path = f"{FOLDER}/splits.png"
        style.save(drawn, directory / path)
    return Drawing(path=path, title="Splits", caption="Rows of each split.")


def _category(directory: Path, column: str, counts: dict[str, dict[str, int]]) -> Drawing:
    path = f"{FOLDER}/{column}.png"
    if len(_values(counts)) > _MOST_BARS:
        _ranked(directory / path, counts)
        caption = (
            f"Rows of each value of {column}, from the most frequent to the rarest; the dashed line is the mean, "
            "the frequent and rare ends are named."
        )
        return Drawing(path=path, title=f"Balance of {column}", caption=caption)
    values = _values(counts)
    height = 0.75 + 0.21 * len(values)
    with style.figure(height, 1, len(counts), sharey=True) as (drawn, panels):
        for axes, (split, of_split), colour in zip(panels, counts.items(), _colours(), strict=False):
            _bars(axes, {value: of_split.get(value, 0) for value in values}, colour)
            axes.set_title(split)
            axes.set_xlabel("rows")
        style.save(drawn, directory / path)
    return Drawing(path=path, title=f"Rows by {column}", caption=f"Rows of each value of {column}, split by split.")


def _ranked(path: Path, counts: dict[str, dict[str, int]]) -> None:
    values = _values(counts)
    with style.figure(2.5, 1, len(counts)) as (drawn, panels):
        for axes, (split, of_split), colour in zip(panels, counts.items(), _colours(), strict=False):
            ranked = sorted(((value, of_split.get(value, 0)) for value in values), key=lambda item: (-item[1], item[0]))
            heights = [count for _, count in ranked]
            axes.fill_between(
                np.arange(len(heights) + 1), [*heights, heights[-1]], step="post", color=colour, linewidth=0
            )
            axes.axhline(float(np.mean(heights)), color=style.INK, linestyle="--", linewidth=0.9)
            axes.set(
                xlim=(0, len(heights)), ylim=(0, max(heights) * 1.28), title=split, xlabel="values, most frequent first"
            )
            first, last = (f"{_shortened(ranked[place][0], 22)}, {heights[place]:,}" for place in (0, -1))
            ends = f"most: {first}\nleast: {last}"
            axes.text(
                0.98,
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


def _durations(directory: Path, column: str, media: dict[str, Any]) -> Drawing:
    path = f"{FOLDER}/{column}_durations.png"
    by = next(iter(media["seconds_by"]), "")
    groups = media["seconds_by"].get(by, {})
    boxes = {"all": media["seconds"], **(groups if len(groups) > 1 else {})}
    with style.figure(0.75 + 0.24 * len(boxes)) as (drawn, (axes,)):
        for place, marks in enumerate(boxes.values()):
            draw_box(axes, place, marks, style.MUTED if place == 0 and len(boxes) > 1 else style.BLUE)
        axes.set_yticks(range(len(boxes)), list(boxes))
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.set_xlabel("seconds")
        axes.grid(axis="x")
        axes.tick_params(axis="y", length=0)
        style.save(drawn, directory / path)
    caption = f"Duration of {media['measured']:,} clips{f' by {by}' if len(boxes) > 1 else ''}: {MARKS}."
    return Drawing(path=path, title="Clip durations", caption=caption)


def _sizes(directory: Path, column: str, media: dict[str, Any]) -> Drawing:
    path = f"{FOLDER}/{column}_sizes.png"
    sizes = media["sizes"]
    if len(sizes) == 1:
        caption = (
            f"All {told(media['measured'])} images measured are {sizes[0][0]} x {sizes[0][1]} pixels. The size of "
            f"their files: {MARKS}."
        )
        with style.figure(1.0) as (drawn, (axes,)):
            _quantile_bar(axes, {name: value / 1024 for name, value in media["bytes"].items()})
            axes.set_xlabel("KiB per image")
            style.save(drawn, directory / path)
        return Drawing(path=path, title="Image sizes", caption=caption)
    widths, heights, counts = (np.array(values) for values in zip(*sizes, strict=True))
    with style.figure(3.6, 1, 2, width_ratios=[1.25, 1]) as (drawn, (scatter, bar)):
        area = 14 + 500 * counts / max(counts.max(), 1)
        scatter.scatter(widths, heights, s=area, color=style.BLUE, alpha=0.45, linewidths=0)
        top = max(widths.max(), heights.max()) * 1.06
        scatter.plot([0, top], [0, top], color=style.MUTED, linewidth=0.7, linestyle="--")
        scatter.set(
            xlim=(0, top), ylim=(0, top), xlabel="width, pixels", ylabel="height, pixels", title="Sizes", aspect="equal"
        )
        scatter.grid()
        _quantile_bar(bar, {name: value / 1024 for name, value in media["bytes"].items()})
        bar.set(xlabel="KiB per image", title="Files")
        bar.set_ylim(1.6, -1.6)
        style.save(drawn, directory / path)
    caption = (
        f"Width and height of {told(media['measured'])} images (a dot's area is the number of images of that "
        f"size), and the size of their files: {MARKS}."
    )
    return Drawing(path=path, title="Image sizes", caption=caption)


def _worded(statistics: Statistics) -> dict[str, dict[str, Any]]:
    """Counts of words of the splits that have any."""
    return {split: words for split, words in statistics.get("words", {}).items() if words["target"]}


def _words(directory: Path, split: str, words: dict[str, Any]) -> Drawing:
    path = f"{FOLDER}/words.png"
    draw_words(directory / path, words)
    caption = (
        f"How evenly the classes of {split} occur in each language, as the target and among the other words: the "
        f"number of words that a class has in the language, over all classes: {MARKS}."
    )
    return Drawing(path=path, title="Words by language and class", caption=caption)


def _quantile_bar(axes: Axes, marks: dict[str, float]) -> None:
    """One box on axes of its own."""
    draw_box(axes, 0, marks, style.BLUE)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
    axes.set_ylim(-0.7, 0.7)
    axes.set_xlim(0, marks["max"] * 1.06)
    axes.grid(axis="x")


def _missing(directory: Path, statistics: Statistics) -> Drawing:
    """UpSet: one column for each combination of missing modalities, bars above, dots below."""
    path = f"{FOLDER}/missing.png"
    splits = statistics["missing"]
    names = list(next(iter(splits.values()))["rates"])
    totals: dict[str, int] = {}
    for split in splits.values():
        for pattern, count in split["patterns"].items():
            totals[pattern] = totals.get(pattern, 0) + count
    ranked = sorted(totals, key=lambda pattern: (pattern != "", -totals[pattern], pattern))[:_MOST_PATTERNS]
    places = [float(place) for place in range(len(ranked))]
    ratios = [2.0, 0.34 * len(names)]
    with style.figure(2.7 + 0.3 * len(names), 2, 1, sharex=True, height_ratios=ratios) as (drawn, (bars, dots)):
        width = 0.8 / len(splits)
        most = 0.0
        for index, ((split, of_split), colour) in enumerate(zip(splits.items(), _colours(), strict=False)):
            rows = max(statistics["rows"][split], 1)
            shares = [100 * of_split["patterns"].get(pattern, 0) / rows for pattern in ranked]
            centres = [place + (index - (len(splits) - 1) / 2) * width for place in places]
            bars.bar(centres, shares, width * 0.92, color=colour, label=split)
            for centre, share in zip(centres, shares, strict=True):
                if share:
                    bars.text(
                        centre, share, f" {share:.0f}" if share >= 1 else " <1", ha="center", va="bottom", fontsize=6.5
                    )
            most = max(most, *shares)
        bars.set_ylabel("% of the split's rows")
        bars.set_ylim(0, most * 1.15)
        bars.grid(axis="y")
        bars.tick_params(axis="x", length=0, labelbottom=False)
        bars.legend(ncols=len(splits), loc="upper right")
        for row, name in enumerate(names):
            absent = [name in pattern.split("+") for pattern in ranked]
            dots.scatter(
                places,
                [row] * len(ranked),
                s=46,
                color=[style.RED if is_absent else style.FAINT for is_absent in absent],
            )
            for place, is_absent in zip(places, absent, strict=True):
                if is_absent:
                    dots.text(
                        place, row, "×", ha="center", va="center_baseline", fontsize=8, color="white", fontweight="bold"
                    )
        for place, pattern in zip(places, ranked, strict=True):
            rows_of = [row for row, name in enumerate(names) if name in pattern.split("+")]
            if len(rows_of) > 1:
                dots.plot([place, place], [min(rows_of), max(rows_of)], color=style.RED, linewidth=1.6, zorder=0.5)
        dots.set_yticks(range(len(names)), [f"{name} missing" for name in names])
        dots.set_ylim(len(names) - 0.5, -0.5)
        dots.set_xlim(-0.6, len(ranked) - 0.4)
        dots.tick_params(length=0, labelbottom=False)
        for side in ("left", "bottom"):
            dots.spines[side].set_visible(False)
        style.save(drawn, directory / path)
    left_out = len(totals) - len(ranked)
    rest = f" {left_out} rarer combinations are left out." if left_out else ""
    caption = (
        "Share of each split's rows that lack a combination of modalities: a red cross marks a missing one, the first "
        f"column is complete rows.{rest}"
    )
    return Drawing(path=path, title="Missing modalities", caption=caption)


def _bars(axes: Axes, counts: dict[str, int], colour: str) -> None:
    """Horizontal bars with their numbers at the end."""
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


def _values(counts: dict[str, dict[str, int]]) -> list[str]:
    """All values of a category, in the order in which splits list them, "null" last."""
    values = list(dict.fromkeys(value for of_split in counts.values() for value in of_split))
    return sorted(values, key=lambda value: value == "null")


def _colours() -> Iterator[str]:
    while True:
        yield from _SPLIT_COLOURS


def _shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
