"""The figure of a design: who tells what about whom, and how well each modality can be predicted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.plotting import style

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INFORMATION = (
    "Left: what two groups of modalities tell about a target, decomposed (BROJA), in nats; gray is what nobody else "
    "knows. Right: the best possible accuracy of predicting a modality's value from any number of others."
)

_PARTS = (("redundant", style.ORANGE), ("unique_first", style.SKY), ("unique_second", style.BLUE),
          ("synergistic", style.GREEN))  # fmt: skip
_LABELS = ("redundant", "unique to the first", "unique to the second", "synergistic", "private")
_MOST_TARGETS = 8
_COLOURS = (style.BLUE, style.ORANGE, style.GREEN, style.PURPLE, style.RED, style.SKY, style.INK, style.MUTED)


def draw_information(path: Path, terms: dict[str, Any]) -> None:
    """Draw the decomposition of each target, the first division of its sources, beside its accuracies by order.

    Args:
        path: The PNG.
        terms: As `symile_data.datasets.pid.terms.terms_of` returns them.
    """
    targets = list(terms["entropies"])[:_MOST_TARGETS]
    height, title = 1.6 + 0.3 * len(targets), "What the modalities tell of one another"
    with style.figure(height, 1, 2, title=title) as (drawn, (left, right)):
        _decompositions(left, terms, targets)
        width = 0.84 / len(targets)
        for number, (target, colour) in enumerate(zip(targets, _COLOURS, strict=False)):
            best = terms["best_by_order"][target]
            places = [place + (number - (len(targets) - 1) / 2) * width for place in range(len(best))]
            right.bar(places, list(best.values()), width * 0.9, color=colour, label=target)
        right.set_xticks(range(len(best)), list(best))
        right.set(xlabel="modalities that are read", ylabel="Bayes accuracy", ylim=(0, 1.05))
        right.grid(axis="y")
        right.legend(title="predicted")
        style.save(drawn, path)


def _decompositions(axes: Axes, terms: dict[str, Any], targets: list[str]) -> None:
    labels = []
    for place, target in enumerate(targets):
        found = next((entry for entry in terms["decompositions"] if entry["target"] == target), None)
        start = 0.0
        for part, colour in _PARTS:
            width = found[part] if found else 0.0
            axes.barh(place, width, 0.6, left=start, color=colour)
            start += width
        axes.barh(place, terms["entropies"][target] - start, 0.6, left=start, color=style.FAINT)
        groups = f"\n{'+'.join(found['first'])} | {'+'.join(found['second'])}" if found else ""
        labels.append(f"{target}{groups}")
    axes.set_yticks(range(len(targets)), labels)
    axes.set(ylim=(len(targets) - 0.4, -0.6), xlabel="information (nats)")
    axes.tick_params(axis="y", length=0)
    handles = [axes.barh(0, 0, color=colour) for colour in (*(colour for _, colour in _PARTS), style.FAINT)]
    axes.legend(handles, _LABELS, ncols=2, loc="lower center", bbox_to_anchor=(0.4, 1.0))
