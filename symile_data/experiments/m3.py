"""The Symile-M3 experiments (Symile, section 5.2): points of the sweep, the paper's numbers, and tables of both.

With more languages Symile's accuracy should stay near one, while CLIP's falls to the ceiling of the text alone. With
more missing modalities in training, Symile should learn from the few complete rows and from the incomplete ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symile_data.datasets.m3.ceilings import RANDOM, REFERENCES, TEXT_READERS, shown
from symile_data.losses.objectives import COMPARED

from .tables import TITLES, Accuracies, accuracy, by_objective

LANGUAGES = (2, 5, 10)
RATES = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75)  # those of the paper's figure 4c
MODALITIES = 3


@dataclass(frozen=True, kw_only=True, order=True)
class Point:
    """A point of the sweep, at which Symile and CLIP are compared.

    Args:
        languages: Number of languages, and of words in a text.
        rate: Rate at which each modality of a training row is missing.
    """

    languages: int
    rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Published:
    """An accuracy of the paper.

    Args:
        value: Fraction of test queries.
        confirmed: Whether a source confirms the number.
    """

    value: float
    confirmed: bool = True


# Test accuracies. At rates other than 0.5, and for CLIP with missing modalities, the paper has only a plot.
PAPER: dict[tuple[Point, str], Published] = {
    (Point(languages=2), "symile"): Published(value=0.939),
    (Point(languages=2), "clip"): Published(value=0.473),
    (Point(languages=5), "symile"): Published(value=0.919, confirmed=False),
    (Point(languages=5), "clip"): Published(value=0.187, confirmed=False),
    (Point(languages=10), "symile"): Published(value=0.882),
    (Point(languages=10), "clip"): Published(value=0.094),
    (Point(languages=2, rate=0.5), "symile"): Published(value=0.906),
}
PAPER_ROWS = 10_000_000


def points(languages: Sequence[int], rates: Sequence[float]) -> list[Point]:
    """Return the points of the sweep: complete data for each number of languages, and all rates for the smallest
    number.

    >>> points([2, 5], [0.0, 0.5])
    [Point(languages=2, rate=0.0), Point(languages=2, rate=0.5), Point(languages=5, rate=0.0)]
    """
    asked = [Point(languages=number) for number in languages]
    return sorted({*asked, *(Point(languages=min(languages), rate=rate) for rate in rates)})


def m3_row(point: Point, rows: int, seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """Collect the known and the measured values at one point.

    Args:
        point: The point.
        rows: Number of training rows.
        seeds: For each seed, the test accuracy by objective, and the ceilings by the names of
            `symile_data.datasets.m3.ceilings.REFERENCES`, which are equal for all seeds since the test split is.

    Returns:
        "languages", "rate", "rows", "complete" (expected share of complete training rows), the known ones of
        `REFERENCES`, "paper" (objective -> value and whether it is confirmed, or None) and for each objective its
        `summary`.

    >>> m3_row(Point(languages=2, rate=0.5), 8000, [{"symile": 1.0, "random_candidate": 0.01}])["complete"]
    0.125
    """
    published = {objective: PAPER.get((point, objective)) for objective in COMPARED}
    return {
        "languages": point.languages,
        "rate": point.rate,
        "rows": rows,
        "complete": (1 - point.rate) ** MODALITIES,
        **{name: seeds[0][name] for name in REFERENCES if name in seeds[0]},
        "paper": {
            objective: None if number is None else {"value": number.value, "confirmed": number.confirmed}
            for objective, number in published.items()
        },
        **by_objective(seeds),
    }


def m3_name(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return dataset and setting of a row of `m3_row`, as the leaderboard names them."""
    return f"M3-{row['languages']}", f"missing at {row['rate']:g}" if row["rate"] else "complete training rows"


def m3_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Format rows of `m3_row` as cells, the header first. An unconfirmed number of the paper ends in "?"."""
    known = [*(shown(name) for name in (*TEXT_READERS, RANDOM)), *(f"paper: {title}" for title in TITLES)]
    table = [["langs", "missing", "complete rows", *TITLES, *known]]
    for row in rows:
        complete = f"{row['complete'] * row['rows']:.0f}"
        measured = [accuracy(row[objective]) for objective in COMPARED]
        bounds = [f"{row[name]:.3f}" for name in (*TEXT_READERS, RANDOM)]
        paper = [_published(row["paper"][objective]) for objective in COMPARED]
        table.append([str(row["languages"]), f"{row['rate']:g}", complete, *measured, *bounds, *paper])
    return table


def m3_notes(rows: int, config: Mapping[str, Any]) -> list[str]:
    """Return notes that a reader needs to compare the numbers with the paper's.

    Args:
        rows: Number of training rows.
        config: The saved config of the runs.
    """
    redrawn = [
        *(["the distractor words of its text"] if config["redraw_words"] else []),
        *(f"its {name} (of the same {label})" for name, label in config["resample_within_class"].items()),
    ]
    anew = f"In each epoch a training row gets anew: {', '.join(redrawn)}" if redrawn else "No row is redrawn"
    encoders = "small encoders pretrained on labels of the training split, then frozen"
    return [
        f"{rows:,} training rows. {anew}. Validation and test rows stay as they are. This holds for Symile and CLIP.",
        f"Here: {encoders if config['pretrain'] else 'encoders of the config'}. The paper: frozen Whisper, CLIP and"
        f" XLM-R features of {PAPER_ROWS:,} training rows. The numbers show the same behaviour, not the same"
        " experiment.",
        "Missing: each modality of a training row is missing with that probability, and a row's draw is the same in"
        " every epoch. Test rows are complete. Validation rows are complete too, so that the weights are chosen on all"
        " of them; the paper masks them and chooses by the complete ones, of which a small split has too few.",
        "These values are counted from the test rows: text alone, the best accuracy of a reader of the text who knows"
        " the candidates' classes; all words alike, the accuracy when all words of the text get the same score;"
        " counting, the best accuracy of a reader of the text who also counts the candidates of each class; random"
        " candidate, the accuracy of a random choice. A number of the paper with ? is not confirmed; a dash means that"
        " the paper has only a plot.",
    ]


def _published(number: Mapping[str, Any] | None) -> str:
    return "-" if number is None else f"{number['value']:.3f}" + ("" if number["confirmed"] else " ?")
