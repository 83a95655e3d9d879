"""Accuracy against the rate of unreliable training rows: results of the comparison of objectives, by panels.

A panel is one dataset, one way to be unreliable and one kind of test rows. Its rates start at 0, where all ways agree.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .objective_plan import MISALIGNED, MISSING, NOISY
from .objectives import data_name, title

Line = Mapping[str, Any]

_DATA = ("dataset", "modalities", "dims", "languages", "design", "encoder")  # what the points of a row of panels share


@dataclass(frozen=True)
class Panel:
    """Results of one dataset, one way to be unreliable, one kind of test rows.

    Args:
        data: Name of the dataset.
        unreliable: "missing", "misaligned" or "noisy".
        affected: Names of the unreliable modalities, "image alone", or "every modality".
        test_affected: Whether test rows are as unreliable as training rows; else they are reliable.
        lines: Objective -> rate -> row of `objectives.summaries`, rates ascending.
    """

    data: str
    unreliable: str
    affected: str
    test_affected: bool
    lines: Mapping[str, Mapping[float, Line]]

    @property
    def rates(self) -> list[float]:
        """All rates that any line has, ascending."""
        return sorted({rate for lines in self.lines.values() for rate in lines})

    @property
    def heading(self) -> str:
        """Say what training and test rows are like."""
        test = "test rows alike" if self.test_affected else "reliable test rows"
        return f"{self.affected} {self.unreliable} in training rows; {test}"

    def mean(self, line: Line) -> float:
        """The mean accuracy of a row of `objectives.summaries` in this panel."""
        return float(line["mean_affected"] if self._apart(line) else line["mean"])

    def bayes(self) -> dict[float, float]:
        """Rate -> the best possible accuracy."""
        return self._reference("bayes", "bayes_affected")

    def pairs(self) -> dict[float, float]:
        """Rate -> the best accuracy by what pairs tell; {} for affected test rows, of which it is not known."""
        return {} if self.test_affected else self._reference("pairwise", "pairwise")

    def random(self) -> dict[float, float]:
        """Rate -> the accuracy of a random candidate among reliable rows."""
        return self._reference("random_candidate", "random_candidate")

    def _apart(self, line: Line) -> bool:
        return self.test_affected and bool(line["rate"])

    def _reference(self, reliable: str, affected: str) -> dict[float, float]:
        every = {rate: line for lines in self.lines.values() for rate, line in lines.items()}
        return {rate: float(every[rate][affected if self._apart(every[rate]) else reliable]) for rate in self.rates}


def panels(lines: Sequence[Line]) -> list[Panel]:
    """Sort rows of `objectives.summaries` into panels: by dataset, then by the way to be unreliable.

    Args:
        lines: All rows; where a dataset has one at rate 0, it is part of each of its panels.
    """
    found: list[Panel] = []
    groups: dict[tuple[Any, ...], list[Line]] = {}
    for line in lines:
        groups.setdefault(tuple(line[key] for key in _DATA), []).append(line)
    for members in groups.values():
        complete = [line for line in members if not line["rate"]]
        for unreliable in (MISSING, MISALIGNED, NOISY):
            ways = list(dict.fromkeys(line["affected"] for line in members if line["unreliable"] == unreliable))
            for affected in ways:
                own = [line for line in members if (line["unreliable"], line["affected"]) == (unreliable, affected)]
                for apart in (False, True):
                    if apart and any("mean_affected" not in line for line in own):
                        continue
                    data, named = data_name(own[0]), f"{affected} alone" if affected else "every modality"
                    found.append(Panel(data, unreliable, named, apart, _by_objective([*complete, *own])))
    return found


def _by_objective(lines: Sequence[Line]) -> dict[str, dict[float, Line]]:
    found: dict[str, dict[float, Line]] = {}
    for line in sorted(lines, key=lambda line: float(line["rate"])):
        found.setdefault(line["objective"], {})[line["rate"]] = line
    names = dict.fromkeys(line["objective"] for line in lines)
    return {name: found[name] for name in names}


def robustness_table(panel: Panel) -> list[list[str]]:
    """Mean accuracies of a panel as cells, the header first: a row for each objective, a column for each rate."""
    rates = panel.rates
    table = [["objective", *(f"rate {rate:g}" for rate in rates)]]
    for name, lines in panel.lines.items():
        shares = {rate: panel.mean(line) for rate, line in lines.items()}
        table.append([title(name), *_cells(shares, rates)])
    references = {"*Bayes*": panel.bayes(), "*by pairs*": panel.pairs(), "*random*": panel.random()}
    table += [[name, *_cells(shares, rates)] for name, shares in references.items() if shares]
    return table


def _cells(shares: Mapping[float, float], rates: Sequence[float]) -> list[str]:
    return [f"{shares[rate]:.3f}" if rate in shares else "" for rate in rates]


def robustness_notes(lines: Sequence[Line]) -> list[str]:
    """Say what the tables and the figure show."""
    diverged = sum(line["diverged"] for line in lines)
    return [
        "Accuracy: the mean over seeds of retrieving the second variable by its value (XOR, PID), or an image of the"
        " class (Symile-M3). Training rows are unreliable at the rate, validation rows never. Test rows are reliable,"
        " or, where the heading says alike, as unreliable as those of training; hits are then judged by the value that"
        " a row shows.",
        "Bayes: the best possible accuracy on these test rows, for a reader who does not know which rows are affected."
        " On reliable ones it does not depend on the rate. By pairs: the best by what each other modality alone tells"
        " of the target. Random: a random candidate.",
        "An objective without a policy for missing modalities gets the mean of the training rows with an indicator for"
        " what is missing, or a token of its own for a text.",
        *(
            [f"{diverged} trainings did not stay finite: they count with the accuracy of a random candidate."]
            if diverged
            else []
        ),
    ]
