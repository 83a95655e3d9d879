"""Draw the figures of a card from its statistics, and the contact sheet from the chosen rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from symile_data.format.schema import Modality
from symile_data.plotting.fonts import drawable, searched

from ..descriptions import Description
from ..samples import Sample
from ..statistics.collect import Statistics
from .clinical import draw_cohort_flow, draw_findings, draw_hours, draw_measured
from .contact_sheet import draw_contact_sheet
from .counts import draw_category, draw_rows, values_of
from .drawing import FOLDER, Drawing
from .information import INFORMATION, draw_information
from .media import draw_durations, draw_sizes, draw_word_counts
from .missing import draw_missing
from .task import draw_task

_WITHHELD = " Withheld counts are drawn as zero."


def draw_figures(
    directory: Path,
    statistics: Statistics,
    samples: list[Sample],
    about: Description,
    modalities: tuple[Modality, ...] = (),
) -> list[Drawing]:
    """Draw every figure for which there are statistics, in the card's order: first the one that shows the task."""
    counted = {name: value for name, value in statistics.items() if name != "samples"}  # they name their own fonts
    named = [json.dumps(counted, ensure_ascii=False), *(f"{modality.name} {modality.kind}" for modality in modalities)]
    with searched(named):
        return _draw_all(directory, statistics, samples, about, modalities)


def _draw_all(
    directory: Path,
    statistics: Statistics,
    samples: list[Sample],
    about: Description,
    modalities: tuple[Modality, ...],
) -> list[Drawing]:
    drawings = draw_task(directory, samples, about, modalities)
    if samples:
        target = "spoken language" if samples[0].target_lang is None else "language that the keys name"
        unwritten = any(not drawable(word.text) for sample in samples for word in sample.words)
        draw_contact_sheet(directory / FOLDER / "samples.png", samples)
        drawings.append(
            Drawing(
                path=f"{FOLDER}/samples.png",
                title="Samples",
                caption=(
                    f"Rows of the {samples[0].split} split: the image, the waveform of the audio and the words of the "
                    f"text with languages and English meanings. The target, the one word in the {target}, is marked."
                    + (" Where no font has a script, the English meaning stands alone." if unwritten else "")
                ),
            )
        )
    drawings += _information(directory, statistics)
    drawings.append(draw_rows(directory, statistics))
    drawings += _clinical(directory, statistics, about)
    # The card's table of misaligned and noisy values has these.
    flags = {f"{modality.name}{ending}" for modality in modalities for ending in ("_misaligned", "_noisy")}
    for column, counts in statistics.get("categories", {}).items():
        if len(values_of(counts)) > 1 and about.group_of(column) is None and column not in flags:
            drawings.append(draw_category(directory, column, counts))
    for column, media in statistics.get("media", {}).items():
        if media["kind"] == "audio":
            drawings.append(draw_durations(directory, column, media))
        elif media["sizes"]:
            drawings.append(draw_sizes(directory, column, media))
    drawings += [draw_word_counts(directory, split, words) for split, words in list(_worded(statistics).items())[:1]]
    if any(set(split["patterns"]) - {""} for split in statistics.get("missing", {}).values()):
        drawings.append(draw_missing(directory, statistics))
    return drawings


def _clinical(directory: Path, statistics: Statistics, description: Description) -> Iterator[Drawing]:
    """Draw selection, times, tests and findings, where the statistics have them."""
    if steps := statistics.get("funnel"):
        path = f"{FOLDER}/funnel.png"
        draw_cohort_flow(directory / path, steps)
        yield Drawing(
            path=path, title="Selection", caption="Admissions at each step, in the order in which the rules apply."
        )
    hours = statistics.get("hours", {})
    measured = statistics.get("measured", {})
    if any(of["counts"] for of in hours.values()):
        path = f"{FOLDER}/hours.png"
        draw_hours(directory / path, hours, dict(description.hours))
        bins = next(iter(hours.values()))["bin"]
        gaps = _WITHHELD if any(None in of["counts"] for of in hours.values()) else ""
        caption = f"Times of the recorded events, in steps of {bins} hours.{gaps}"
        yield Drawing(path=path, title="Times", caption=caption)
    if any(measured.values()):
        path = f"{FOLDER}/measured.png"
        draw_measured(directory / path, statistics)
        gaps = _WITHHELD if any(None in tests.values() for tests in measured.values()) else ""
        caption = f"Share of each split's rows in which each test was measured.{gaps}"
        yield Drawing(path=path, title="Tests", caption=caption)
    for group in description.groups:
        found = {
            column.removeprefix(group.prefix).replace("_", " "): counts
            for column, counts in statistics.get("categories", {}).items()
            if column.startswith(group.prefix)
        }
        if found:
            path = f"{FOLDER}/{group.title.lower()}.png"
            draw_findings(directory / path, found, statistics["rows"], group)
            yield Drawing(path=path, title=group.title, caption=group.caption)


def _information(directory: Path, statistics: Statistics) -> Iterator[Drawing]:
    """What the modalities of a design tell of one another."""
    if terms := statistics.get("terms"):
        path = f"{FOLDER}/information.png"
        draw_information(directory / path, terms)
        yield Drawing(path=path, title="Information", caption=INFORMATION)


def _worded(statistics: Statistics) -> dict[str, dict[str, Any]]:
    """Return the counts of words of the splits that have any."""
    return {split: words for split, words in statistics.get("words", {}).items() if words["target"]}
