"""The accuracy on Symile-M3 over the number of modalities: three to five, with keys beside the language of the audio.

The total correlation is the same for any number of keys, and no set of fewer modalities tells more than the text alone.
So an objective that compares pairs of modalities stays at that ceiling, and one that compares whole rows need not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from symile_data.datasets.m3.ceilings import ONE_LEFT_OUT, RANDOM, REFERENCES, shown
from symile_data.losses.objectives import COMPARED_WITH_KEYS, OBJECTIVES

from .tables import Accuracies, accuracy, summary

TITLES = tuple(OBJECTIVES[objective].title for objective in COMPARED_WITH_KEYS)
LANGUAGES = (2, 5)
KEYS: tuple[tuple[str, ...], ...] = ((), ("symbol",), ("symbol", "tone"))  # M = 3, 4 and 5

_COUNTING = "counting"


@dataclass(frozen=True, kw_only=True, order=True)
class KeyPoint:
    """A point of the sweep.

    Args:
        languages: Number of languages, of words in a text, and of values of a key.
        keys: Names of the keys beside the language of the audio.
    """

    languages: int
    keys: tuple[str, ...] = ()

    @property
    def modalities(self) -> int:
        """M, the number of modalities."""
        return 3 + len(self.keys)

    @property
    def name(self) -> str:
        """The name of the point's folder."""
        return f"m3-{self.languages}-modalities-{self.modalities}"


def key_points(languages: Sequence[int]) -> list[KeyPoint]:
    """Return the points of the sweep: three, four and five modalities for each number of languages.

    >>> [(point.languages, point.modalities) for point in key_points([2, 5])]
    [(2, 3), (2, 4), (2, 5), (5, 3), (5, 4), (5, 5)]
    """
    return [KeyPoint(languages=number, keys=keys) for number in languages for keys in KEYS]


def key_row(point: KeyPoint, rows: int, seeds: Sequence[Accuracies]) -> dict[str, Any]:
    """Collect the values at one point.

    Args:
        point: The point.
        rows: Number of training rows.
        seeds: For each seed, the test accuracy by objective; by "objective/modality" that with the modality shuffled;
            and the ceilings by the names of `symile_data.datasets.m3.ceilings.REFERENCES`, which are equal for all
            seeds since the test split is.

    Returns:
        "languages", "modalities", "keys", "rows", the known ones of `REFERENCES`, "one_left_out" (the best accuracy of
        a reader who lacks one modality), for each objective its `summary`, and in "shuffled", by objective and
        modality, the `summary` with that modality shuffled among rows.

    >>> key_row(KeyPoint(languages=2), 8000, [{"clip": 0.5, "counting": 0.6, "random_candidate": 0.01}])["one_left_out"]
    0.6
    """
    shuffled: dict[str, dict[str, Any]] = {}
    for name in seeds[0]:
        objective, slash, modality = name.partition("/")
        if slash:
            shuffled.setdefault(objective, {})[modality] = summary([accuracies[name] for accuracies in seeds])
    known = {name: seeds[0][name] for name in REFERENCES if name in seeds[0]}
    return {
        "languages": point.languages,
        "modalities": point.modalities,
        "keys": list(point.keys),
        "rows": rows,
        # With one key, which is the audio, a reader of the text who counts the candidates is the best without it.
        ONE_LEFT_OUT: known.get(_COUNTING),
        **known,
        **{
            objective: summary([accuracies[objective] for accuracies in seeds])
            for objective in COMPARED_WITH_KEYS
            if objective in seeds[0]
        },
        "shuffled": shuffled,
    }


def keys_name(row: Mapping[str, Any]) -> tuple[str, str]:
    """Return dataset and setting of a row of `key_row`, as the leaderboard names them."""
    return f"M3-{row['languages']}", f"keys: {', '.join(['audio', *row['keys']])}"


def key_table(rows: Sequence[Mapping[str, Any]]) -> list[list[str]]:
    """Format rows of `key_row` as cells, the header first."""
    bounds = ("text_alone", ONE_LEFT_OUT, RANDOM)
    first = COMPARED_WITH_KEYS[0]
    table = [["M", "langs", "keys", *TITLES, f"{TITLES[0]}, one shuffled", *(shown(name) for name in bounds)]]
    for row in rows:
        keys = ", ".join(["audio", *row["keys"]])
        measured = [accuracy(row[objective]) for objective in COMPARED_WITH_KEYS]
        shuffled = row["shuffled"].get(first)
        highest = accuracy(max(shuffled.values(), key=lambda one: one["mean"])) if shuffled else "-"
        cells = [str(row["modalities"]), str(row["languages"]), keys, *measured, highest]
        table.append([*cells, *(f"{row[name]:.3f}" for name in bounds)])
    return table


def key_notes(rows: int) -> list[str]:
    """Return notes that a reader of the table needs.

    Args:
        rows: Number of training rows.
    """
    return [
        f"{rows:,} training rows. In each epoch a training row gets anew: the distractor words of its text, its image"
        " (of the same class) and its keys (other keys of the same sum). Validation and test rows stay as they are."
        " This holds for all losses. The small encoders are pretrained on labels of the training split of the dataset"
        " with the most languages and modalities, and serve all datasets of the sweep.",
        f"{TITLES[0]}, one shuffled: its highest accuracy where the values of one of the queried modalities are"
        ' permuted among rows. It is at most the ceiling "one left out", up to chance.',
        "These values are counted from the test rows, all of which are candidates for the image, by its class: text"
        " alone, the best accuracy without any one of the keys of a reader who knows the candidates' classes; one left"
        " out, the best accuracy of a reader who lacks one modality, whichever it is, and also counts the candidates of"
        " each class; random candidate, the accuracy of a random choice. From all modalities the best accuracy is 1.",
    ]
