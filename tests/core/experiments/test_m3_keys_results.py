"""Results of the sweep over modalities: rows, the table with one modality shuffled, and the figure."""

from __future__ import annotations

from pathlib import Path

from symile_data.experiments.figures import draw_keys
from symile_data.experiments.m3_keys import KeyPoint, key_points, key_row, key_table

KNOWN = {"text_alone": 0.2, "all_words_alike": 0.22, "counting": 0.28, "random_candidate": 0.01}
SEEDS = [
    {"symile-pair": 0.9, "clip": 0.2, "symile-pair/audio": 0.19, "symile-pair/text": 0.01, "clip/audio": 0.2, **KNOWN},
    {"symile-pair": 0.8, "clip": 0.2, "symile-pair/audio": 0.21, "symile-pair/text": 0.03, "clip/audio": 0.2, **KNOWN},
]


def test_rows_hold_accuracies_with_each_modality_shuffled() -> None:
    row = key_row(KeyPoint(languages=5, keys=("symbol",)), 8000, SEEDS)
    assert row["symile-pair"]["values"] == [0.9, 0.8] and row["one_left_out"] == row["counting"] == 0.28
    assert {name: list(by_modality) for name, by_modality in row["shuffled"].items()} == {
        "symile-pair": ["audio", "text"], "clip": ["audio"],
    }  # fmt: skip
    assert row["shuffled"]["symile-pair"]["audio"]["values"] == [0.19, 0.21]


def test_the_table_shows_the_highest_of_them() -> None:
    header, cells = key_table([key_row(KeyPoint(languages=5, keys=("symbol",)), 8000, SEEDS)])
    assert header[3:6] == ["Symile pair", "CLIP", "Symile pair, one shuffled"]
    assert cells[:3] == ["4", "5", "audio, symbol"] and cells[5] == "0.2000 ± 0.0141" and cells[-1] == "0.010"
    plain = [{name: value for name, value in seed.items() if "/" not in name} for seed in SEEDS]
    assert key_table([key_row(KeyPoint(languages=2), 8000, plain)])[1][5] == "-"


def test_the_figure_shows_the_rows(tmp_path: Path) -> None:
    rows = [key_row(point, 8000, SEEDS) for point in key_points([2, 5])]
    assert len({point.name for point in key_points([2, 5])}) == 6
    for name, drawn in (("one", rows), ("again", rows), ("other", rows[:3])):
        draw_keys(tmp_path / f"{name}.png", drawn)
    one, again, other = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "again", "other"))
    assert one == again != other
