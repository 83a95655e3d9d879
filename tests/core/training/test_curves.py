"""Tests of the figure of losses and accuracies over the epochs."""

from __future__ import annotations

from pathlib import Path

import pytest
from matplotlib.figure import Figure

from symile_data.plotting import style
from symile_data.training.curves import draw_curves


def test_a_run_that_was_validated_once_is_visible(tmp_path: Path) -> None:
    """The axis of accuracies is fixed, so two figures of one point differ only where the point is drawn."""
    drawn = []
    for accuracy in (0.3, 0.6):
        row = {"epoch": 0, "train_loss": 2.0, "val_loss": 3.0, "val_accuracy": accuracy}
        draw_curves(tmp_path / "curves.png", {"symile": [row]}, {"random_candidate": 0.1})
        drawn.append((tmp_path / "curves.png").read_bytes())
    assert drawn[0] != drawn[1]


def test_each_run_has_its_own_axis_of_losses_and_all_share_that_of_accuracies(monkeypatch: pytest.MonkeyPatch) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: figures.append(figure))
    runs = {
        name: [
            {"epoch": epoch, "train_loss": scale / (epoch + 1), "val_loss": scale, "val_accuracy": 0.1 * (epoch + 1)}
            for epoch in range(3)
        ]
        for name, scale in (("symile", 20.0), ("clip", 0.5))
    }
    draw_curves(Path("curves.png"), runs, {"text_alone": 0.2, "random_candidate": 0.1})
    accuracies, *losses = figures[0].axes
    assert [axes.get_title(loc="left") for axes in losses] == ["Loss: symile", "Loss: clip"]
    assert losses[0].get_ylim()[1] > 20 > 1 > losses[1].get_ylim()[1]
    drawn = {str(line.get_label()): list(line.get_ydata()) for line in accuracies.lines}  # type: ignore[arg-type]
    assert drawn["symile"] == drawn["clip"] == pytest.approx([0.1, 0.2, 0.3])
    assert drawn["text alone, 0.200"] == [0.2, 0.2]
    assert accuracies.get_ylim() == (0, 1)


def test_ticks_are_whole_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also of few epochs, where the usual ticks would be halves."""
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: figures.append(figure))
    rows = [{"epoch": epoch, "train_loss": 2.0, "val_loss": 3.0, "val_accuracy": 0.3} for epoch in range(3)]
    draw_curves(Path("curves.png"), {"symile": rows}, {})
    ticks = [tick for axes in figures[0].axes for tick in axes.get_xticks()]
    assert ticks and all(float(tick).is_integer() for tick in ticks)


def test_one_epoch_stands_between_its_neighbours_and_validation_is_told_from_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: figures.append(figure))
    row = {"epoch": 1, "train_loss": 2.0, "val_loss": 3.0, "val_accuracy": 0.3}
    draw_curves(Path("curves.png"), {"symile": [row]}, {})
    accuracies, losses = figures[0].axes
    assert accuracies.get_xlim() == losses.get_xlim() == (0, 3)
    training, validation = losses.lines
    assert training.get_markerfacecolor() != validation.get_markerfacecolor() == "white"


def test_a_loss_that_hardly_moves_has_whole_numbers_at_its_axis(monkeypatch: pytest.MonkeyPatch) -> None:
    """An offset above the axis, which matplotlib would write, stands in the title."""
    figures: list[Figure] = []
    monkeypatch.setattr(style, "save", lambda figure, _: figures.append(figure))
    rows = [{"epoch": n, "train_loss": 20.721 + n / 1e4, "val_loss": 20.722, "val_accuracy": 1.0} for n in range(3)]
    draw_curves(Path("curves.png"), {"clip": rows}, {})
    accuracies, losses = figures[0].axes
    figures[0].canvas.draw()
    assert losses.yaxis.get_offset_text().get_text() == ""
    assert all(tick.get_text().startswith("20.72") for tick in losses.get_yticklabels())
    assert not accuracies.lines[0].get_clip_on(), "an accuracy of 1 is whole"
