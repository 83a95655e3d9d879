"""The Symile-M3 experiments (Symile, section 5.2): points of the sweep, the paper's numbers, and tables of both.

Over the number of languages Symile should keep near one while CLIP falls to what the text alone allows; over the rate
at which each modality is missing in training, Symile should learn from the few complete rows and from the others.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symile_data.datasets.m3.ceilings import RANDOM, REFERENCES, TEXT_READERS, shown

from .tables import LOSSES, TITLES, Accuracies, accuracy, by_loss

LANGUAGES = (2, 5, 10)
RATES = (0.0, 0.5, 0.6, 0.65, 0.7, 0.75)  # of the paper's figure 4c
MODALITIES = 3


@dataclass(frozen=True, kw_only=True, order=True)
class Point:
    """Where Symile and CLIP are compared.

    Args:
        languages: Number of languages, and of words in a text.
        rate: At which each modality of a training row is missing.
    """

    languages: int
    rate: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Published:
    """An accuracy of the paper.

    Args:
        value: Share of test queries.
        confirmed: Whether the number was found in a source, not only remembered.
    """

    value: float
    confirmed: bool = True


# Test accuracies; at other rates than 0.5, and for CLIP with missing modalities, the paper has a plot only.
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
    """Whole data for each number of languages, and the rates on the least of them, each point once.

    >>> points([2, 5], [0.0, 0.5])
    [Point(languages=2, rate=0.0), Point(languages=2, rate=0.5), Point(languages=5, rate=0.0)]
    """
    asked = [Point(languages=number) for number in languages]
    return sorted({*asked, *(Point(languages=min(languages), rate=rate) for rate in rates)})


def m3_row(point: Point, rows: int, seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """What is known and what was measured at one point.

    Args:
        point: Which.
        rows: Of the training split.
        seeds: Of each seed, the test accuracy by loss and what it is to be compared with, by the names of
            `symile_data.datasets.m3.ceilings.REFERENCES`; equal for all, since they have one test split.

    Returns:
        "languages", "rate", "rows", "complete" (expected share of training rows that lack nothing), those of
        `REFERENCES` that are known, "paper" (loss -> value and whether it is confirmed, or None) and for each loss its
        `summary`.

    >>> m3_row(Point(languages=2, rate=0.5), 8000, [{"symile": 1.0, "random_candidate": 0.01}])["complete"]
    0.125
    """
    published = {loss: PAPER.get((point, loss)) for loss in LOSSES}
    return {
        "languages": point.languages,
        "rate": point.rate,
        "rows": rows,
        "complete": (1 - point.rate) ** MODALITIES,
        **{name: seeds[0][name] for name in REFERENCES if name in seeds[0]},
        "paper": {
            loss: None if number is None else {"value": number.value, "confirmed": number.confirmed}
            for loss, number in published.items()
        },
        **by_loss(seeds),
    }


def m3_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Rows of `m3_row` as cells, the header first; an unconfirmed number of the paper ends in "?"."""
    known = [*(shown(name) for name in (*TEXT_READERS, RANDOM)), *(f"paper: {title}" for title in TITLES)]
    table = [["langs", "missing", "complete rows", *TITLES, *known]]
    for row in rows:
        complete = f"{row['complete'] * row['rows']:.0f}"
        measured = [accuracy(row[loss]) for loss in LOSSES]
        bounds = [f"{row[name]:.3f}" for name in (*TEXT_READERS, RANDOM)]
        paper = [_published(row["paper"][loss]) for loss in LOSSES]
        table.append([str(row["languages"]), f"{row['rate']:g}", complete, *measured, *bounds, *paper])
    return table


def m3_notes(rows: int, config: Mapping[str, Any]) -> list[str]:
    """What a reader must know to set the numbers beside the paper's.

    Args:
        rows: Of the training split.
        config: Of the runs, as saved.
    """
    redrawn = [
        *(["the distractor words of its text"] if config["redraw_words"] else []),
        *(f"its {name} (of the same {label})" for name, label in config["resample_within_class"].items()),
    ]
    anew = f"In each epoch a training row is given anew: {', '.join(redrawn)}" if redrawn else "No row is redrawn"
    encoders = "small encoders pretrained on labels of the training split, then frozen"
    return [
        f"{rows:,} training rows. {anew}. Validation and test rows stay as they are. Symile and CLIP alike.",
        f"Here: {encoders if config['pretrain'] else 'encoders of the config'}. The paper: frozen Whisper, CLIP and"
        f" XLM-R features of {PAPER_ROWS:,} training rows. The numbers show the same behaviour, not the same"
        " experiment.",
        "Missing: each modality of a training row is away with that probability, and a row's draw is the same in every"
        " epoch. Test rows are complete. Validation rows are complete too, so that the weights are chosen on all of"
        " them; the paper masks them and chooses by what is left, which of a small split would be too few rows.",
        "Counted from the test rows: text alone, the best accuracy of a reader of the text who sees which classes the"
        " candidates have; all words alike, what comes of scoring the text's words alike; counting, the best of a"
        " reader of the text who also counts the candidates of each class; random candidate, the accuracy of one. A"
        " number of the paper with ? is not confirmed; a dash: it is known as a plot only.",
    ]


def _published(number: Mapping[str, Any] | None) -> str:
    return "-" if number is None else f"{number['value']:.3f}" + ("" if number["confirmed"] else " ?")
