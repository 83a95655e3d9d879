"""The figure of a design: who tells what about whom, and how well each modality can be predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.plotting import style

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

INFORMATION = (
    "Left: what two groups of modalities tell about a target, decomposed (BROJA), in nats; gray is what nobody else "
    "knows. Right: the best possible accuracy of predicting a modality's value from any number of others."
)

# part of a decomposition -> name and colour
_PARTS = {
    "redundant": ("redundant", style.ORANGE),
    "unique_first": ("unique to the first", style.SKY),
    "unique_second": ("unique to the second", style.BLUE),
    "synergistic": ("synergistic", style.GREEN),
    "private": ("private", style.FAINT),
}
_LEAST = 1e-4  # nats below which a part does not occur; the terms are rounded
_MOST_TARGETS = 8
_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.RED, style.SKY, style.INK, style.MUTED)


def draw_information(path: Path, terms: dict[str, Any]) -> None:
    """Draw the decomposition of each target, the first division of its sources, beside its accuracies by order.

    Args:
        path: The PNG.
        terms: As `symile_data.datasets.pid.terms.terms_of` returns them.
    """
    targets = list(terms["entropies"])[:_MOST_TARGETS]
    height, title = 1.2 + 0.34 * len(targets), "What the modalities tell of one another"
    with style.figure(height, 1, 2, title=title) as (drawn, (left, right)):
        parts = _decompositions(left, terms, targets)
        drawn.legend(list(parts.values()), list(parts), loc="outside lower left", ncols=len(parts))
        width = 0.84 / len(targets)
        for number, (target, colour) in enumerate(zip(targets, _COLOURS, strict=False)):
            best = terms["best_by_order"][target]
            places = [place + (number - (len(targets) - 1) / 2) * width for place in range(len(best))]
            right.bar(places, list(best.values()), width * 0.9, color=colour, label=target)
        right.set_xticks(range(len(best)), list(best))
        right.set(xlabel="modalities that are read", ylabel="Bayes accuracy", ylim=(0, 1.05))
        right.grid(axis="y")
        right.legend(title="predicted", loc="center left", bbox_to_anchor=(1.0, 0.5))
        style.save(drawn, path)


def _decompositions(axes: Axes, terms: dict[str, Any], targets: list[str]) -> dict[str, Artist]:
    """Draw one stacked bar for each target; return a bar of each part that occurs, by its name, for a legend."""
    labels = []
    parts: dict[str, Artist] = {}
    for place, target in enumerate(targets):
        found = next((entry for entry in terms["decompositions"] if entry["target"] == target), None)
        start = 0.0
        known = {part: found[part] if found else 0.0 for part in _PARTS if part != "private"}
        for part, width in {**known, "private": terms["entropies"][target] - sum(known.values())}.items():
            label, colour = _PARTS[part]
            bars = axes.barh(place, width, 0.6, left=start, color=colour)
            start += width
            if width > _LEAST:
                parts[label] = bars.patches[0]
        groups = f"\n{'+'.join(found['first'])} | {'+'.join(found['second'])}" if found else ""
        labels.append(f"{target}{groups}")
    axes.set_yticks(range(len(targets)), labels)
    most = max(terms["entropies"][target] for target in targets)
    axes.set(xlim=(0, most * 1.04), ylim=(len(targets) - 0.4, -0.6), xlabel="information (nats)")
    axes.tick_params(axis="y", length=0)
    return {label: parts[label] for label, _ in _PARTS.values() if label in parts}
