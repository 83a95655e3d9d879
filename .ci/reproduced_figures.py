"""Draw docs/images/reproduce-xor.png from docs/results/reproduce-xor.csv: `python .ci/reproduced_figures.py`.

The file has the means over seeds that docs/xor.md lists, in the leaderboard's columns; each `setting` is a p-hat.
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from symile_data.experiments.figures import draw_p_hat
from symile_data.experiments.leaderboard import Entry, read_leaderboard
from symile_data.experiments.xor import p_hat_row

DOCS = Path(__file__).resolve().parents[1] / "docs"
DIMS = 5


def p_hat_of(entry: Entry) -> float:
    """Return the p-hat that a setting names."""
    return float(entry.setting.removeprefix("p-hat "))


def main() -> None:
    """Draw the figure, with few colours, as the others of the documentation."""
    table = DOCS / "results" / "reproduce-xor.csv"
    means: dict[float, dict[str, float]] = {}
    for entry in read_leaderboard(table.read_text(encoding="utf-8"), table.name):
        means.setdefault(p_hat_of(entry), {})[entry.objective] = entry.mean
    path = DOCS / "images" / "reproduce-xor.png"
    draw_p_hat(path, [p_hat_row(p_hat, DIMS, [of_p_hat]) for p_hat, of_p_hat in means.items()], DIMS)
    with Image.open(path) as image:
        image.convert("RGB").quantize(64).save(path, optimize=True)


if __name__ == "__main__":
    main()
