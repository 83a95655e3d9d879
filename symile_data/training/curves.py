"""Draw curves.png: losses and retrieval accuracy over the epochs of one run or of several runs.

The losses of two objectives have different zeros and scales, so each has axes of its own; accuracies share theirs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import line_style, shown
from symile_data.plotting import style
from symile_data.plotting.palette import OBJECTIVES

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@style.in_style()
def draw_curves(
    path: Path,
    runs: Mapping[str, Sequence[Mapping[str, Any]]],
    bounds: Mapping[str, float],
    title: str = "Zero-shot retrieval, validation",
) -> None:
    """Draw the curves of some runs: a panel of the losses of each, beside one panel of all accuracies.

    Args:
        path: PNG to write.
        runs: Label -> rows with "epoch", "train_loss", "val_loss", "val_accuracy".
        bounds: Name of a reference (`symile_data.datasets.m3.ceilings.REFERENCES`) -> accuracy on the validation rows.
        title: Title of the panel of accuracies.
    """
    from matplotlib.ticker import MaxNLocator

    height = max(3.4, 0.9 + 1.25 * len(runs))
    figure = style.sheet(9.5, height)
    grid = figure.add_gridspec(len(runs), 2, width_ratios=(1, 1.15))
    accuracies = figure.add_subplot(grid[:, 1])
    first: Axes | None = None
    for place, (colour, (label, rows)) in enumerate(zip(cycle(OBJECTIVES), runs.items(), strict=False)):
        losses = figure.add_subplot(grid[place, 0], sharex=first)
        first = first or losses
        epochs = [row["epoch"] + 1 for row in rows]
        # A line of one point would show nothing.
        look: dict[str, Any] = {"color": colour, "marker": "o" if len(rows) == 1 else ""}
        for name, line, kind in (("train_loss", "-", "training"), ("val_loss", ":", "validation")):
            known: list[Any] = [row.get(name) for row in rows]  # None leaves a gap
            filled: dict[str, Any] = {} if name == "train_loss" else {"markerfacecolor": "white"}
            losses.plot(epochs, known, linestyle=line, label=kind, **look, **filled)
        losses.set(title=f"Loss: {label}", ylabel="loss")
        losses.ticklabel_format(axis="y", useOffset=False)  # an offset would stand in the title
        losses.tick_params(labelbottom=place == len(runs) - 1)
        beside_title: dict[str, Any] = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.0}
        losses.legend(ncols=2, handlelength=1.5, columnspacing=1.2, **beside_title)
        accuracies.plot(epochs, [row["val_accuracy"] for row in rows], label=label, clip_on=False, zorder=3, **look)
    for name, value in bounds.items():
        accuracies.axhline(
            value, color=style.MUTED, linewidth=0.9, linestyle=line_style(name), label=f"{shown(name)}, {value:.3f}"
        )
    losses.set_xlabel("epoch")
    accuracies.set(xlabel="epoch", ylabel="accuracy", title=title, ylim=(0, 1))
    accuracies.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    last = max((row["epoch"] + 1 for rows in runs.values() for row in rows), default=1)
    for axes in figure.axes:
        axes.grid()
        if all(len(rows) < 2 for rows in runs.values()):  # matplotlib would show a few hundredths of an epoch
            axes.set_xlim(0, last + 1)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=8))
    style.save(figure, path)
