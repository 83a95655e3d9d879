"""Draw the figures of the experiments: accuracy of both objectives and the best possible one, over p-hat (the paper's
figure 3), the number of languages (figure 4) or the rate of missing values.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.m3.ceilings import ONE_LEFT_OUT, RANDOM, line_style, shown
from symile_data.datasets.xor.information import (
    bayes_accuracy,
    conditional_information,
    pair_information,
    total_correlation,
)
from symile_data.losses.objectives import COMPARED, COMPARED_WITH_KEYS
from symile_data.plotting import style
from symile_data.plotting.palette import GREEN, OBJECTIVES, ORANGE, PURPLE

from . import m3_keys
from .m3 import MODALITIES
from .tables import TITLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Rows = Sequence[Mapping[str, Any]]

# Objective -> title, colour and marker.
_LOOKS = {name: look for name, *look in zip(COMPARED, TITLES, OBJECTIVES, ("o", "s"), strict=False)}
_KEY_LOOKS = {
    name: look for name, *look in zip(COMPARED_WITH_KEYS, m3_keys.TITLES, OBJECTIVES, ("o", "s"), strict=False)
}
_TERMS = (
    (total_correlation, "total correlation", "0.35", ":"),
    (conditional_information, "I(a; b | c) = I(b; c | a)", GREEN, "-"),
    (pair_information, "I(a; c)", PURPLE, "--"),
    (lambda _p_hat, _dims: 0.0, "I(a; b) = I(b; c)", ORANGE, "-"),
)
_CURVE = [percent / 100 for percent in range(101)]  # p-hats at which exact curves are drawn


@style.in_style()
def draw_p_hat(path: Path, rows: Rows, dims: int) -> None:
    """Draw the accuracy with the Bayes-optimal curve, and beside it the information terms.

    Args:
        path: PNG to write.
        rows: Rows from `xor.p_hat_row`.
        dims: Number of bits of a variable.
    """
    figure, (accuracies, terms) = _figure(2)
    p_hats = [row["p_hat"] for row in rows]
    best = [bayes_accuracy(p_hat, dims) for p_hat in _CURVE]
    accuracies.plot(_CURVE, best, color="0.2", linestyle="--", label="Bayes-optimal")
    _plot_objectives(accuracies, p_hats, rows)
    accuracies.set(xlabel="p-hat, share of XOR rows", ylabel="test accuracy", title="Predict b from a and c")
    for term, label, colour, line in _TERMS:
        terms.plot(_CURVE, [term(p_hat, dims) for p_hat in _CURVE], color=colour, linestyle=line, label=label)
    terms.set(xlabel="p-hat, share of XOR rows", ylabel="information (nats)", title="Information between the variables")
    _save(figure, path)


@style.in_style()
def draw_missing(path: Path, rows: Rows) -> None:
    """Draw the accuracy on complete test rows over the rate at which each variable is missing in training.

    Args:
        path: PNG to write.
        rows: Rows from `xor.missing_row`.
    """
    figure, (accuracies,) = _figure(1)
    rates = [row["rate"] for row in rows]
    _plot_objectives(accuracies, rates, rows)
    accuracies.plot(rates, [row["complete"] for row in rows], color="0.2", linestyle="--", label="complete rows")
    accuracies.set(xlabel="missing rate of each variable", ylabel="test accuracy", title="Predict b from a and c")
    _save(figure, path)


@style.in_style()
def draw_m3(path: Path, rows: Rows) -> None:
    """Draw the accuracy over the number of languages, and beside it over the missing rate, with the paper's numbers.

    Args:
        path: PNG to write.
        rows: Rows from `m3.m3_row`.
    """
    figure, (languages, rates) = _figure(2)
    whole = [row for row in rows if row["rate"] == 0]
    least = min(row["languages"] for row in rows)
    masked = [row for row in rows if row["languages"] == least]
    for axes, key, drawn in ((languages, "languages", whole), (rates, "rate", masked)):
        _plot_objectives(axes, [row[key] for row in drawn], drawn)
        _plot_published(axes, key, drawn)
        for name in ("text_alone", "counting"):
            places, known = ([row[which] for row in drawn] for which in (key, name))
            axes.plot(places, known, color="0.2", linestyle=line_style(name), label=shown(name))
        axes.set(ylabel="test accuracy", title="Find the image from text and audio")
    languages.set(xlabel="languages", xticks=[row["languages"] for row in whole])
    highest = max(row["rate"] for row in masked)
    shares = [highest * share for share in _CURVE]
    rates.plot(
        shares,
        [(1 - share) ** MODALITIES for share in shares],
        color=GREEN,
        linestyle="-.",
        label="share of complete training rows",
    )
    rates.set(xlabel=f"missing rate in training ({least} languages)")
    _save(figure, path, shared=True)


@style.in_style()
def draw_keys(path: Path, rows: Rows) -> None:
    """Draw the accuracy over the number of modalities, one plot for each number of languages, with the ceiling of a
    reader who lacks one modality.

    Args:
        path: PNG to write.
        rows: Rows from `m3_keys.key_row`.
    """
    languages = sorted({row["languages"] for row in rows})
    figure, plots = _figure(len(languages))
    for number, axes in zip(languages, plots, strict=True):
        drawn = [row for row in rows if row["languages"] == number]
        places = [row["modalities"] for row in drawn]
        _plot_objectives(axes, places, drawn, _KEY_LOOKS)
        for name in ("text_alone", ONE_LEFT_OUT):
            known = [row[name] for row in drawn]
            axes.plot(places, known, color="0.2", linestyle=line_style(name), label=shown(name))
        axes.set(xlabel="modalities", ylabel="test accuracy", title=f"Find the image, {number} languages")
        axes.set_xticks(places)
    _save(figure, path, shared=True)


def _plot_published(axes: Axes, key: str, rows: Rows) -> None:
    """Draw the paper's numbers as hollow marks, fainter where they are not confirmed."""
    for objective, (label, colour, _) in _LOOKS.items():
        for confirmed in (True, False):
            numbers = [(row[key], row["paper"][objective]) for row in rows if row["paper"][objective]]
            points = [(place, number["value"]) for place, number in numbers if number["confirmed"] is confirmed]
            if points:
                axes.plot(
                    *zip(*points, strict=True),
                    linestyle="none",
                    marker="D" if confirmed else "d",
                    markersize=7,
                    markerfacecolor="none",
                    color=colour,
                    alpha=1.0 if confirmed else 0.5,
                    label=f"paper: {label}" + ("" if confirmed else ", unconfirmed"),
                )


def _figure(count: int) -> tuple[Figure, list[Axes]]:
    figure = style.sheet(style.WIDTH / 2 * count, 3.2)
    return figure, list(figure.subplots(1, count, squeeze=False)[0])


def _plot_objectives(
    axes: Axes, places: Sequence[float], rows: Rows, objectives: Mapping[str, Sequence[str]] | None = None
) -> None:
    """Draw the mean over seeds as a line, all seeds as a band, and the accuracy of a random candidate if known."""
    for objective, (label, colour, marker) in (objectives or _LOOKS).items():
        means = [row[objective]["mean"] for row in rows]
        axes.plot(places, means, color=colour, marker=marker, markersize=4, label=label)
        lowest, highest = ([pick(row[objective]["values"]) for row in rows] for pick in (min, max))
        axes.fill_between(places, lowest, highest, color=colour, alpha=0.2, linewidth=0)
    if all(RANDOM in row for row in rows):
        random = [row[RANDOM] for row in rows]
        axes.plot(places, random, color="0.5", linestyle=line_style(RANDOM), label=shown(RANDOM))
    axes.set_ylim(-0.02, 1.02)


def _save(figure: Figure, path: Path, *, shared: bool = False) -> None:
    """Write the figure, with a legend below each plot, or one for all plots."""
    for axes in figure.axes:
        axes.grid()
        if not shared:
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.23), ncols=2)
    if shared:
        drawn = [axes.get_legend_handles_labels() for axes in figure.axes]
        handles = {label: handle for found, labels in drawn for handle, label in zip(found, labels, strict=True)}
        columns = 4 if len(handles) <= 4 else 3
        figure.legend(list(handles.values()), list(handles), loc="outside lower center", ncols=columns)
    style.save(figure, path)
