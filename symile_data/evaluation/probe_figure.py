"""Draw the accuracies of probes: a panel for each label, bars of trained runs beside ticks of untrained networks."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import cycle
from pathlib import Path
from typing import Any

from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

_COLUMNS = 3  # panels beside each other
_GROUP = 0.8  # total width of the bars of one feature, in units of the axis


@style.in_style()
def draw_probes(path: Path, result: Mapping[str, Any]) -> None:
    """Draw mean test accuracies by label and feature, with whiskers from "low" to "high" where there are several seeds.

    Args:
        path: PNG to write.
        result: What `symile_data.workflows.classification.probe_runs` returns.
    """
    labels = result["labels"]
    columns = min(_COLUMNS, len(labels))
    rows = -(-len(labels) // columns)
    figure = style.sheet(4.2 * columns, 2.9 * rows + 0.6, "Linear probes on frozen embeddings, test split")
    panels = figure.subplots(rows, columns, squeeze=False, sharey=True).flat
    for axes in panels:
        axes.set_visible(False)
    for axes, (label, described) in zip(figure.axes, labels.items(), strict=False):
        axes.set_visible(True)
        _draw_label(axes, result["runs"], label, described)
    drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
    handles = {label: handle for found, names in drawn for handle, label in zip(found, names, strict=True)}
    figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=min(6, len(handles)))
    figure.supylabel("accuracy", fontsize=8.5)
    style.save(figure, path)


def _draw_label(axes: Any, runs: Mapping[str, Any], label: str, described: Mapping[str, Any]) -> None:
    width = _GROUP / len(runs)
    features = list(next(iter(runs.values()))["trained"][label])
    for index, (colour, (name, run)) in enumerate(zip(cycle(OBJECTIVES), runs.items(), strict=False)):
        for place, feature in enumerate(features):
            x, first = place - _GROUP / 2 + (index + 0.5) * width, place == 0
            value, fresh = run["trained"][label][feature], run["untrained"][label][feature]["mean"]
            axes.bar(x, value["mean"], 0.9 * width, color=colour, alpha=0.75, label=name if first else None)
            if "low" in value:
                whisker = [[value["mean"] - value["low"]], [value["high"] - value["mean"]]]
                axes.errorbar(x, value["mean"], yerr=whisker, color="0.2", capsize=2, linewidth=1)
            ends = [x - 0.45 * width, x + 0.45 * width]
            told = "untrained" if first and index == 0 else None
            axes.plot(ends, [fresh] * 2, color="0.1", linewidth=2, label=told)
    axes.axhline(described["chance"], color="0.4", linewidth=1, linestyle=":", label="most frequent label")
    for place, feature in enumerate(features):
        bayes = (described.get("bayes") or {}).get(feature)
        if bayes is not None:
            ends = [place - _GROUP / 2 - 0.06, place + _GROUP / 2 + 0.06]
            shown = "Bayes" if place == 0 else None
            axes.plot(ends, [bayes] * 2, color="0.4", linewidth=1, linestyle="--", label=shown)
    information = f" ({described['information']})" if described.get("information") else ""
    axes.set_title(f"{label}{information}")
    axes.set_xticks(range(len(features)), features, rotation=25, ha="right", fontsize=7)
    axes.set(ylim=(0, 1.08))
    axes.set_yticks([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    axes.grid(axis="y")
