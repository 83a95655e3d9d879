"""Results of the M3 sweep: points, rows, the paper's numbers, figure."""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from symile_data.experiments.figures import draw_m3
from symile_data.experiments.m3 import LANGUAGES, RATES, Point, m3_notes, m3_row, m3_table, points
from symile_data.training.config import read_config

KNOWN = {"text_alone": 0.5, "all_words_alike": 0.535, "counting": 0.605, "random_candidate": 0.01}
SEEDS = [{"symile": 0.9, "clip": 0.45, **KNOWN}, {"symile": 0.92, "clip": 0.45, **KNOWN}]


def test_rates_are_those_of_the_least_languages_and_no_point_comes_twice() -> None:
    swept = points(LANGUAGES, RATES)
    assert [point.rate for point in swept if point.languages == 2] == list(RATES)
    assert [point for point in swept if point.languages > 2] == [Point(languages=5), Point(languages=10)]
    assert points([10], [0.5]) == [Point(languages=10), Point(languages=10, rate=0.5)]


def test_rows_stand_beside_the_papers_and_say_what_is_not_confirmed() -> None:
    rows = [m3_row(point, 8000, SEEDS) for point in points([2, 5], [0.5])]
    assert rows[1]["complete"] == 0.125 and {name: rows[0][name] for name in KNOWN} == KNOWN
    assert rows[0]["symile"]["values"] == [0.9, 0.92] and "text_alone" not in rows[0]["symile"]
    header, whole, masked, five = m3_table(rows)
    assert header[:5] == ["langs", "missing", "complete rows", "Symile", "CLIP"]
    assert whole[:5] == ["2", "0", "8000", "0.9100 ± 0.0141", "0.4500 ± 0.0000"]
    assert header[5:9] == ["text alone", "all words alike", "counting", "random candidate"]
    assert whole[5:] == ["0.500", "0.535", "0.605", "0.010", "0.939", "0.473"]
    assert masked[1:3] == ["0.5", "1000"] and masked[-2:] == ["0.906", "-"]
    assert five[-2:] == ["0.919 ?", "0.187 ?"]


def test_notes_say_what_is_redrawn() -> None:
    small, paper = (" ".join(m3_notes(8000, read_config(name).to_json())) for name in ("m3-small", "paper-m3-2"))
    assert "the distractor words of its text, its image (of the same cls_id), its audio (of the same lang)" in small
    assert small.startswith("8,000 training rows.") and "pretrained on labels of the training split" in small
    assert "No row is redrawn" in paper and "encoders of the config" in paper
    assert all(f"{name}, " in small for name in ("text alone", "all words alike", "counting", "random candidate"))


def test_the_figure_shows_the_rows(tmp_path: Path) -> None:
    rows = [m3_row(point, 8000, SEEDS) for point in points([2, 5], [0.5])]
    other = [m3_row(Point(languages=2), 8000, SEEDS[:1]), *rows[1:]]
    for name, drawn in (("one", rows), ("again", rows), ("other", other)):
        draw_m3(tmp_path / f"{name}.png", drawn)
    one, again, different = ((tmp_path / f"{name}.png").read_bytes() for name in ("one", "again", "other"))
    assert one == again != different
    with Image.open(tmp_path / "one.png") as image:
        assert image.width > 2 * image.height
