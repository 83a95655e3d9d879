"""Tests of the figure of losses and accuracies over the epochs."""

from __future__ import annotations

from pathlib import Path

from symile_data.training.curves import draw_curves


def test_a_run_that_was_validated_once_is_visible(tmp_path: Path) -> None:
    """The axis of accuracies is fixed, so two figures of one point differ only where the point is drawn."""
    drawn = []
    for accuracy in (0.3, 0.6):
        row = {"epoch": 0, "train_loss": 2.0, "val_loss": 3.0, "val_accuracy": accuracy}
        draw_curves(tmp_path / "curves.png", {"symile": [row]}, {"random_candidate": 0.1})
        drawn.append((tmp_path / "curves.png").read_bytes())
    assert drawn[0] != drawn[1]
