"""Draw curves.png: losses and retrieval accuracy over the epochs of one run or of several runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

from symile_data.datasets.m3.ceilings import line_style, shown
from symile_data.files import atomic_path
from symile_data.plotting.palette import OBJECTIVES


def draw_curves(
    path: Path,
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    bounds: Mapping[str, float],
    title: str = "Zero-shot retrieval, validation",
) -> None:
    """Draw the curves of some runs.

    Args:
        path: PNG to write.
        runs: Label -> rows with "epoch", "train_loss", "val_loss", "val_accuracy".
        bounds: Name of a reference (`symile_data.datasets.m3.ceilings.REFERENCES`) -> accuracy on the validation rows.
        title: Title of the panel of accuracies.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 3.4), layout="constrained")
    losses, accuracies = figure.subplots(1, 2)
    for colour, (label, rows) in zip(cycle(OBJECTIVES), runs.items(), strict=False):
        epochs = [row["epoch"] + 1 for row in rows]
        # A line of one point would show nothing.
        style: dict[str, Any] = {"color": colour, "marker": "o" if len(rows) == 1 else ""}
        training, validation = ([row.get(name) for row in rows] for name in ("train_loss", "val_loss"))
        losses.plot(epochs, training, label=f"{label}, training", **style)
        losses.plot(epochs, validation, linestyle=":", label=f"{label}, validation", **style)
        accuracies.plot(epochs, [row["val_accuracy"] for row in rows], label=label, **style)
    for name, value in bounds.items():
        accuracies.axhline(
            value, color="0.35", linewidth=0.9, linestyle=line_style(name), label=f"{shown(name)}, {value:.3f}"
        )
    losses.set(xlabel="epoch", ylabel="loss", title="Loss")
    accuracies.set(xlabel="epoch", ylabel="accuracy", title=title, ylim=(0, 1))
    for axes in (losses, accuracies):
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
        axes.legend(frameon=False, fontsize=8, loc="upper left", bbox_to_anchor=(1.0, 1.0))
    with atomic_path(path) as temporary:
        figure.savefig(temporary, format="png", dpi=130, metadata={"Software": None})
