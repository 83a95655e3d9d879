"""Results of the comparison of objectives: the tidy table of all tests, and the summary of each point with statistics.

Rows of results are those of `symile_data.workflows.objectives.run_comparison`: one for each point, objective and seed.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from symile_data.errors import SourceError
from symile_data.evaluation.comparison import compare, summary
from symile_data.losses.objectives import all_objectives

Rows = Sequence[Mapping[str, Any]]

# Columns of the tidy table -> key in a row of results.
COLUMNS: Mapping[str, str] = {
    "dataset": "dataset",
    "modalities": "modalities",
    "dims": "dims",
    "languages": "languages",
    "design": "design",
    "encoder": "encoder",
    "objective": "objective",
    "unreliable": "unreliable",
    "affected": "affected",
    "rate": "rate",
    "lr": "lr",
    "scale": "scale",
    "seed": "seed",
    "accuracy": "accuracy",
    "bayes": "bayes",
    "pairwise": "pairwise",
    "accuracy_affected": "accuracy_affected",
    "bayes_affected": "bayes_affected",
    "random": "random_candidate",
    "finite": "finite",
}


_TEXTS = ("dataset", "design", "encoder", "objective", "unreliable", "affected")
_WHOLE = ("modalities", "dims", "languages", "seed")
_OF_A_POINT = ("dataset", "modalities", "dims", "languages", "design", "encoder", "unreliable", "affected", "rate")
_OF_A_SEED = ("seed", "accuracy", "accuracy_affected", "finite")
_SUMMARISED = ("values", "mean", "low", "high")
REFERENCES = ("bayes", "pairwise", "random_candidate")  # what accuracies are compared with


def tidy_csv(rows: Rows) -> str:
    """Write rows of results as CSV, one line for each test; what does not apply is empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for row in rows:
        writer.writerow([_csv_cell(row[key]) for key in COLUMNS.values()])
    return text.getvalue()


def read_tests(text: str, where: str = "results.csv") -> list[dict[str, Any]]:
    """Read what `tidy_csv` wrote, as rows of results; "point" joins what the tests of a point have in common.

    Raises:
        SourceError: the columns are others.
    """
    lines = csv.DictReader(io.StringIO(text))
    if tuple(lines.fieldnames or ()) != tuple(COLUMNS):
        raise SourceError(
            "a table of tests has other columns", where=where, got=lines.fieldnames, do=f"give {', '.join(COLUMNS)}"
        )
    rows = []
    for line in lines:
        row = {key: _value(column, line[column]) for column, key in COLUMNS.items()}
        rows.append({"point": "/".join(str(row[name]) for name in _OF_A_POINT), **row})
    return rows


def _value(column: str, cell: str) -> Any:
    """Read a cell: text, or a number that is whole for numbers of things."""
    if not cell:
        return None
    if column in _TEXTS:
        return cell
    if column == "finite":
        return cell == "1"
    return int(cell) if column in _WHOLE else float(cell)


def _csv_cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(int(value))
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def summaries(rows: Rows) -> list[dict[str, Any]]:
    """Summarise the seeds of each objective at each point, and test each objective against the point's first.

    Returns:
        One row for each point and objective: what its rows of results have in common, "title", "values", "mean",
        "low" and "high" (a 95% interval within 0 and 1; not with one seed), "diverged" (seeds whose training did not
        stay finite), and for all but the first objective with several seeds "difference" and "p_holm" (see
        `symile_data.evaluation.comparison`; the family of tests is that of the point). Where test rows were affected,
        "values_affected", "mean_affected", "low_affected" and "high_affected" are of the accuracy among those.
    """
    points: dict[str, dict[str, list[Mapping[str, Any]]]] = {}
    for row in rows:
        points.setdefault(row["point"], {}).setdefault(row["objective"], []).append(row)
    result = []
    for objectives in points.values():
        found = compare({name: [row["accuracy"] for row in seeds] for name, seeds in objectives.items()}, shares=True)
        for name, seeds in objectives.items():
            common = {key: value for key, value in seeds[0].items() if key not in _OF_A_SEED}
            references = {key: _mean([row[key] for row in seeds]) for key in REFERENCES}
            line = {**common, **references, "title": title(name), **found[name]}
            affected = [row["accuracy_affected"] for row in seeds]
            if None not in affected:
                of_affected = summary(affected, shares=True)
                line |= {f"{key}_affected": of_affected[key] for key in _SUMMARISED if key in of_affected}
            line["diverged"] = sum(not row["finite"] for row in seeds)
            if name in found.get("differences", {}):
                test = found["differences"][name]
                line |= {"difference": test["mean"], "p_holm": test["p_holm"]}
            result.append(line)
    return result


def title(objective: str) -> str:
    """Return an objective's name in tables, or its key where this process does not know it."""
    known = all_objectives()
    return known[objective].title if objective in known else objective


def objectives_table(lines: Rows) -> list[list[str]]:
    """Rows of `summaries` as cells, the header first."""
    header = ["data", "encoder", "unreliable", "objective", "accuracy", "95%", "first - this", "p (Holm)"]
    table = [[*header, "Bayes", "pairs", "random", "lr", "scale"]]
    for line in lines:
        interval = f"{line['low']:.3f} - {line['high']:.3f}" if "low" in line else ""
        difference = f"{line['difference']:+.3f}" if "difference" in line else ""
        diverged = f" ({line['diverged']} diverged)" if line["diverged"] else ""
        table.append(
            [
                data_name(line),
                line["encoder"],
                f"{line['unreliable']} {line['rate']:g}" if line["rate"] else "",
                line["title"],
                f"{line['mean']:.3f}{diverged}",
                interval,
                difference,
                _p(line) if "p_holm" in line else "",
                f"{line['bayes']:.3f}",
                f"{line['pairwise']:.3f}",
                f"{line['random_candidate']:.3f}",
                f"{line['lr']:g}",
                f"{line['scale']:g}",
            ]
        )
    return table


def data_name(line: Mapping[str, Any]) -> str:
    """Return the name of a point's data.

    >>> data_name({"dataset": "xor", "modalities": 4, "dims": 2}), data_name({"dataset": "m3", "languages": 5})
    ('XOR, M = 4, d = 2', 'M3-5')
    """
    if line["dataset"] == "pid":
        return f"PID, {line['design']}"
    if line["dataset"] == "m3":
        return f"M3-{line['languages']}"
    return f"XOR, M = {line['modalities']}, d = {line['dims']}"


def objectives_notes(lines: Rows) -> list[str]:
    """Say what the columns of the table mean."""
    first = lines[0]["title"]
    diverged = sum(line["diverged"] for line in lines)
    return [
        "Accuracy: the mean over seeds of retrieving the second variable by its value (XOR, PID), or an image of the"
        " class (Symile-M3), among the rows of the complete test split; 95%: an interval of that mean over seeds, by"
        " Student's t for its log-odds.",
        f"First - this: the mean difference of {first}, or of the point's first objective, from this one; p: of a"
        " paired t-test over seeds, with Holm's correction for the tests of the point. No p stands where all"
        " differences are equal, so that there is no spread to test against.",
        "Bayes: the best possible accuracy. Pairs: the best possible by what each other modality alone tells of the"
        " target; with Symile-M3, of a reader of the text who sees which classes the candidates have. Random: the"
        " accuracy of a random candidate.",
        "Unreliable: how training rows are, and at which rate of each modality; all other rows are complete. An"
        " objective without a policy for missing modalities gets the mean of the training rows with an indicator for"
        " what is missing, or a token of its own for a text.",
        *(
            [f"{diverged} trainings did not stay finite: they count with the accuracy of a random candidate."]
            if diverged
            else []
        ),
    ]


def _p(line: Mapping[str, Any]) -> str:
    return "-" if line["p_holm"] is None else f"{line['p_holm']:.2g}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
