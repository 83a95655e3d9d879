"""Draw the figures of a card of hospital admissions: selection, times, findings, tests."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

from symile_data.format.disclosure import told
from symile_data.plotting import style

from ..groups import CategoryGroup
from ..statistics.collect import Statistics

_COLOURS = {"1": style.RED, "-1": style.ORANGE, "0": style.SKY}
_REST = style.FAINT
# Colours and marks (with their areas) of the splits behind the first; five and four give twenty different pairs.
_DOTS = (style.ORANGE, style.INK, style.GREEN, style.PURPLE, style.RED)
_MARKS = (("D", 14), ("|", 40), ("o", 16), ("x", 20))


def draw_cohort_flow(path: Path, steps: list[dict[str, Any]]) -> None:
    """Draw one bar for each step, whose length is the number of admissions that it left or counted."""
    counts = [step["count"] or 0 for step in steps]
    most = max([*counts, 1])
    with style.figure(0.6 + 0.27 * len(steps), title="Admissions at each step") as (drawn, (axes,)):
        axes.barh(range(len(steps)), counts, 0.72, color=[style.MUTED, *[style.BLUE] * (len(steps) - 1)])
        for place, (count, step) in enumerate(zip(counts, steps, strict=True)):
            share = f"  ({100 * count / most:.0f} %)" if place and count else ""
            axes.text(count + most * 0.015, place, told(step["count"]) + share, va="center", fontsize=7)
        axes.set_yticks(range(len(steps)), [step["rule"] for step in steps])
        axes.set(ylim=(len(steps) - 0.4, -0.6), xlim=(0, most * 1.22), xlabel="admissions")
        axes.tick_params(axis="y", length=0)
        style.thousands(axes.xaxis)
        style.save(drawn, path)


def draw_hours(path: Path, hours: dict[str, dict[str, Any]], names: dict[str, str]) -> None:
    """Draw one histogram for each kind of event over the same hours from admission."""
    shown = {name: of for name, of in hours.items() if of["counts"]}
    first = min(of["first_bin"] for of in shown.values())
    last = max(of["first_bin"] + of["bin"] * len(of["counts"]) for of in shown.values())
    height, title = 0.5 + 1.05 * len(shown), "Times of the recorded events"
    with style.figure(height, len(shown), 1, title=title, sharex=True) as (drawn, panels):
        colours = itertools.cycle((style.BLUE, style.GREEN, style.ORANGE))
        for axes, (name, of), colour in zip(panels, shown.items(), colours, strict=False):
            places = [of["first_bin"] + of["bin"] * index for index in range(len(of["counts"]))]
            axes.bar(places, [count or 0 for count in of["counts"]], of["bin"] * 0.94, align="edge", color=colour)
            axes.axvline(0, color=style.INK, linewidth=0.8)
            axes.set_title(names.get(name, name))
            axes.set_xlim(first, last)
            axes.set_ylabel("events")
            axes.grid(axis="y")
            style.thousands(axes.yaxis)
        panels[-1].set_xticks(range(first - first % 12, last + 1, 12))
        panels[-1].set_xlabel("hours from admission")
        style.save(drawn, path)


def draw_findings(
    path: Path, findings: dict[str, dict[str, dict[str, int]]], rows: dict[str, int], group: CategoryGroup
) -> None:
    """Draw the stacked shares of each finding's values, one panel for each split.

    Args:
        path: The PNG to write.
        findings: Finding -> split -> value -> rows.
        rows: Split -> number of its rows.
        group: The columns that are drawn, with the names of their values 1, 0 and -1.
    """
    splits = list(rows)
    complete = all(sum(counts[split].values()) == rows[split] for counts in findings.values() for split in splits)
    rest_label = group.null if complete else f"{group.null}, or withheld"
    with style.figure(1.0 + 0.2 * len(findings), 1, len(splits), title=group.title, sharey=True) as (drawn, panels):
        for axes, split in zip(panels, splits, strict=True):
            left = [0.0] * len(findings)
            for value, label in group.values.items():
                shares = [100 * counts[split].get(value, 0) / max(rows[split], 1) for counts in findings.values()]
                axes.barh(range(len(findings)), shares, 0.74, left=left, color=_COLOURS[value], label=label)
                left = [start + share for start, share in zip(left, shares, strict=True)]
            rest = [100 - start for start in left]
            axes.barh(range(len(findings)), rest, 0.74, left=left, color=_REST, label=rest_label)
            axes.set(title=split, xlim=(0, 100), xlabel="% of rows", ylim=(len(findings) - 0.4, -0.6))
            axes.tick_params(axis="y", length=0)
        panels[0].set_yticks(range(len(findings)), list(findings))
        handles, labels = panels[0].get_legend_handles_labels()
        drawn.legend(handles, labels, loc="outside upper right", ncols=4)
        style.save(drawn, path)


def draw_measured(path: Path, statistics: Statistics) -> None:
    """Draw the share of rows that have each test: bars for the first split, dots for the others."""
    measured, rows = statistics["measured"], statistics["rows"]
    splits = [split for split in rows if split in measured]
    shares = {
        split: {name: 100 * (count or 0) / max(rows[split], 1) for name, count in measured[split].items()}
        for split in splits
    }
    first = splits[0]
    ranked = sorted(shares[first], key=lambda name: (-shares[first][name], name))
    half = -(-len(ranked) // 2)
    with style.figure(0.9 + 0.165 * half, 1, 2, title="Rows in which each test was measured") as (drawn, panels):
        for axes, names in zip(panels, (ranked[:half], ranked[half:]), strict=True):
            places = range(len(names))
            axes.barh(places, [shares[first][name] for name in names], 0.7, color=style.SKY, label=first)
            looks = zip(itertools.cycle(_DOTS), itertools.cycle(_MARKS), strict=False)
            for split, (colour, (mark, area)) in zip(splits[1:], looks, strict=False):
                dots = [shares[split][name] for name in names]
                axes.scatter(dots, places, s=area, color=colour, marker=mark, label=split, linewidths=1, zorder=3)
            axes.set_yticks(places, names)
            axes.set(xlim=(0, 102), ylim=(half - 0.4, -0.6), xlabel="% of rows")
            axes.tick_params(axis="y", length=0, labelsize=6.5)
            axes.grid(axis="x")
        handles, labels = panels[0].get_legend_handles_labels()  # bars come after dots there
        of_split = dict(zip(labels, handles, strict=True))
        drawn.legend([of_split[split] for split in splits], splits, loc="outside upper right", ncols=3)
        style.save(drawn, path)
