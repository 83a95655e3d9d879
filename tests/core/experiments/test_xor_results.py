"""Results of the XOR experiments: rows, tables, figures."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from symile_data.experiments.figures import draw_missing, draw_p_hat
from symile_data.experiments.tables import markdown
from symile_data.experiments.xor import missing_row, missing_table, p_hat_row, p_hat_table

SEEDS = [{"symile": 0.5, "clip": 0.03}, {"symile": 0.54, "clip": 0.03}]


def test_a_row_has_what_is_known_beside_what_was_measured() -> None:
    row = p_hat_row(0.5, 5, SEEDS)
    assert row["bayes"] == 0.515625 and row["random_candidate"] == 1 / 32
    assert row["pair"] + row["conditional"] == pytest.approx(row["total_correlation"])
    assert row["symile"]["values"] == [0.5, 0.54] and row["symile"]["mean"] == pytest.approx(0.52)
    assert row["symile"]["deviation"] == pytest.approx(0.0283, abs=1e-4) and row["clip"]["deviation"] == 0
    row = missing_row(0.2, 3, 1, SEEDS[:1])
    assert row["complete"] == pytest.approx(0.512) and row["random_candidate"] == 0.5
    assert row["clip"] == {"mean": 0.03, "deviation": None, "values": [0.03]}


def test_tables() -> None:
    table = p_hat_table([p_hat_row(0.5, 5, SEEDS), p_hat_row(1.0, 5, SEEDS)])
    assert table[1][:4] == ["0.5", "0.5200 ± 0.0283", "0.0300 ± 0.0000", "0.5156"]
    assert table[2] == ["1", "0.5200 ± 0.0283", "0.0300 ± 0.0000", "1.0000", "0.000", "3.466", "3.466"]
    table = missing_table([missing_row(0.5, 3, 5, SEEDS[:1])])
    assert table[1] == ["0.5", "12.5 %", "0.5000", "0.0300", "0.0312"]
    assert markdown(table) == (
        "| missing | complete rows | Symile | CLIP | random candidate |\n|---|---|---|---|---|\n"
        "| 0.5 | 12.5 % | 0.5000 | 0.0300 | 0.0312 |\n"
    )


def test_figures_show_the_rows(tmp_path: Path) -> None:
    rows = [p_hat_row(p, 5, SEEDS) for p in (0.0, 0.5, 1.0)]
    other = [*rows[:2], p_hat_row(1.0, 5, [{"symile": 0.9, "clip": 0.03}])]
    for name, drawn in (("one", rows), ("again", rows), ("other", other)):
        draw_p_hat(tmp_path / f"{name}.png", drawn, 5)
    draw_missing(tmp_path / "missing.png", [missing_row(rate, 3, 5, SEEDS) for rate in (0.0, 0.5)])
    one, again, different = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "again", "other"))
    assert one == again != different
    with Image.open(tmp_path / "one.png") as wide, Image.open(tmp_path / "missing.png") as narrow:
        assert wide.width == 2 * narrow.width
