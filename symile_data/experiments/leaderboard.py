"""The leaderboard: one line for each dataset, setting and objective, with the command and version that measured it.

Every `symile-data reproduce` writes its lines as leaderboard.csv, so that the files of several runs can be joined.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from symile_data.datasets.m3.ceilings import RANDOM
from symile_data.errors import SourceError
from symile_data.evaluation.comparison import summary

from .objectives import Rows, data_name, title


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One line of the leaderboard.

    Args:
        dataset: Name of the data ("XOR, M = 3, d = 5").
        setting: Encoders, and how training rows are unreliable.
        objective: Key of the objective in the registry.
        seeds: Number of seeds.
        mean: Mean test accuracy over seeds.
        low: Lower end of the 95 % interval of the mean; None with one seed.
        high: Its upper end.
        best: The best possible accuracy; None where it is not known.
        pairs: The best accuracy by what pairs of modalities tell; None where it is not known.
        random_candidate: Accuracy of a random candidate.
        command: The command that measured it.
        version: Version of symile-data that ran the command.
    """

    dataset: str
    setting: str
    objective: str
    seeds: int
    mean: float
    low: float | None
    high: float | None
    best: float | None
    pairs: float | None
    random_candidate: float | None
    command: str
    version: str


@dataclass(frozen=True, kw_only=True)
class Run:
    """What measured some lines: the command, and the version of symile-data."""

    command: str
    version: str


COLUMNS = tuple(field.name for field in fields(Entry))
_TEXT = ("dataset", "setting", "objective", "command", "version")


def compared_entries(lines: Rows, run: Run) -> list[Entry]:
    """Make the entries of a comparison of objectives from the lines of `objectives.summaries`."""
    return [
        Entry(
            dataset=data_name(line),
            setting=_setting(line),
            objective=line["objective"],
            seeds=len(line["values"]),
            mean=line["mean"],
            low=line.get("low"),
            high=line.get("high"),
            best=line["bayes"],
            pairs=line["pairwise"],
            random_candidate=line[RANDOM],
            command=run.command,
            version=run.version,
        )
        for line in lines
    ]


def swept_entries(
    rows: Rows, objectives: Sequence[str], name: Callable[[Mapping[str, Any]], tuple[str, str]], run: Run
) -> list[Entry]:
    """Make the entries of one of the paper's experiments.

    Args:
        rows: Rows of `xor.p_hat_row`, `xor.missing_row`, `m3.m3_row` or `m3_keys.key_row`.
        objectives: The compared objectives.
        name: Returns dataset and setting of a row.
        run: What measured them.
    """
    entries = []
    for row in rows:
        dataset, setting = name(row)
        for objective in objectives:
            if objective not in row:
                continue
            found = summary(row[objective]["values"], shares=True)
            entries.append(
                Entry(
                    dataset=dataset,
                    setting=setting,
                    objective=objective,
                    seeds=len(found["values"]),
                    mean=found["mean"],
                    low=found.get("low"),
                    high=found.get("high"),
                    best=row.get("bayes"),
                    pairs=row.get("text_alone"),
                    random_candidate=row.get(RANDOM),
                    command=run.command,
                    version=run.version,
                )
            )
    return entries


def leaderboard_csv(entries: Iterable[Entry]) -> str:
    """Write entries as CSV with a header; what is not known is empty, and numbers have six significant digits."""
    text = io.StringIO()
    writer = csv.DictWriter(text, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for entry in entries:
        values = {name: "" if value is None else value for name, value in asdict(entry).items()}
        writer.writerow({name: f"{value:.6g}" if isinstance(value, float) else value for name, value in values.items()})
    return text.getvalue()


def read_leaderboard(text: str, where: str = "leaderboard.csv") -> list[Entry]:
    """Read what `leaderboard_csv` wrote.

    Raises:
        SourceError: the columns are others, or a number is none.
    """
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise SourceError(
            "a leaderboard has other columns", where=where, got=rows.fieldnames, do=f"give {', '.join(COLUMNS)}"
        )
    entries = []
    for row in rows:
        try:
            numbers = {name: float(row[name]) if row[name] else None for name in COLUMNS if name not in _TEXT}
            if numbers["mean"] is None or not numbers["seeds"]:
                raise ValueError("a line needs its mean and number of seeds")
        except ValueError as error:
            raise SourceError(
                "a line of the leaderboard has no number where one is due",
                where=f"{where}, line {rows.line_num}",
                got=str(error),
                do="write the file again with `symile-data reproduce`",
            ) from error
        values: dict[str, Any] = {**row, **numbers, "seeds": int(numbers["seeds"])}
        entries.append(Entry(**values))
    return entries


def ranked(entries: Iterable[Entry]) -> dict[tuple[str, str], list[Entry]]:
    """Group entries by dataset and setting, each group from the highest mean to the lowest; equal means by title."""
    groups: dict[tuple[str, str], list[Entry]] = {}
    for entry in entries:
        groups.setdefault((entry.dataset, entry.setting), []).append(entry)
    return {
        group: sorted(members, key=lambda entry: (-entry.mean, title(entry.objective)))
        for group, members in groups.items()
    }


def _setting(line: Mapping[str, Any]) -> str:
    encoders = {"linear": "linear encoders", "mlp": "MLP encoders"}.get(line["encoder"], line["encoder"])
    if not line["rate"]:
        return str(encoders)
    affected = f" {line['affected'].replace('+', ' and ')}" if line["affected"] else ""
    return f"{encoders}, {line['unreliable']}{affected} at {line['rate']:g}"
