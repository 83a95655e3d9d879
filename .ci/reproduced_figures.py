"""Draw docs/images/reproduce-*.png from docs/results/reproduce-*.csv: `python .ci/reproduced_figures.py`.

The files have the means that docs/xor.md and docs/m3.md list, in the leaderboard's columns.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from symile_data.experiments.figures import draw_keys, draw_m3, draw_p_hat
from symile_data.experiments.leaderboard import Entry, read_leaderboard
from symile_data.experiments.m3 import Point, m3_row
from symile_data.experiments.m3_keys import KeyPoint, key_row
from symile_data.experiments.xor import p_hat_row

DOCS = Path(__file__).resolve().parents[1] / "docs"
DIMS = 5
ROWS = 8_000  # training rows of Symile-M3
# The best accuracy of a reader of the text who counts the candidates, by languages, as docs/m3.md lists it.
COUNTING = {2: 0.606, 5: 0.277, 10: 0.160}


def points_of(table: str) -> dict[tuple[str, str], list[Entry]]:
    """Return the lines of each dataset and setting."""
    points: dict[tuple[str, str], list[Entry]] = {}
    for entry in read_leaderboard((DOCS / "results" / table).read_text(encoding="utf-8"), table):
        points.setdefault((entry.dataset, entry.setting), []).append(entry)
    return points


def accuracies(entries: list[Entry], languages: int = 0) -> dict[str, float]:
    """Return the accuracy by objective, and the ceilings that are known."""
    found = {entry.objective: entry.mean for entry in entries}
    if (text_alone := entries[0].pairs) is not None:
        found |= {"text_alone": text_alone, "counting": COUNTING[languages]}
    return found


def main() -> None:
    """Draw the figures, with few colours, as the others of the documentation."""
    images = DOCS / "images"
    rows = [
        p_hat_row(float(setting.removeprefix("p-hat ")), DIMS, [accuracies(entries)])
        for (_, setting), entries in points_of("reproduce-xor.csv").items()
    ]
    draw_p_hat(images / "reproduce-xor.png", rows, DIMS)
    swept, keyed = [], []
    for (dataset, setting), entries in points_of("reproduce-m3.csv").items():
        languages = int(dataset.removeprefix("M3-"))
        rate = 0.0 if setting == "complete training rows" else float(setting.removeprefix("missing at "))
        swept.append(m3_row(Point(languages=languages, rate=rate), ROWS, [accuracies(entries, languages)]))
    draw_m3(images / "reproduce-m3.png", swept)
    for (dataset, setting), entries in points_of("reproduce-m3-keys.csv").items():
        languages = int(dataset.removeprefix("M3-"))
        keys = tuple(setting.removeprefix("keys: ").split(", ")[1:])
        keyed.append(key_row(KeyPoint(languages=languages, keys=keys), ROWS, [accuracies(entries, languages)]))
    draw_keys(images / "reproduce-m3-keys.png", keyed)
    for path in images.glob("reproduce-*.png"):
        with Image.open(path) as image:
            image.convert("RGB").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main()
