"""Write the results of a probing as CSV: every figure of every method, and every paired test."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from symile_data.files import write_text

_FIGURES = ("label", "run", "network", "features", "figure", "value", "low", "high", "seeds")
_DIFFERENCES = ("label", "first", "second", "test", "difference", "low", "high", "p", "p_holm")
MEAN = "mean of labels"


def write_tables(out: Path, result: Mapping[str, Any]) -> None:
    """Write `probe.csv`, a line for each figure, and `probe-differences.csv`, a line for each test.

    Args:
        out: Directory of the files.
        result: What `probe_runs` returns.
    """
    write_text(out / "probe.csv", _csv(_FIGURES, figure_rows(result)))
    write_text(out / "probe-differences.csv", _csv(_DIFFERENCES, difference_rows(result)))


def figure_rows(result: Mapping[str, Any]) -> Iterator[list[Any]]:
    """List label, run, network, features, figure, value, interval and number of seeds, and the means over labels."""
    for name, run in result["runs"].items():
        for network, labels in run.items():
            if network == "seeds":
                continue
            for label, features in labels.items():
                for feature, found in features.items():
                    for figure, one in found["figures"].items():
                        yield [label, name, network, feature, figure, *_interval(one), len(one["seeds"])]
    for method, one in result["mean"].items():
        yield [MEAN, method, "", "", "auroc", *_interval(one), len(one["seeds"])]


def difference_rows(result: Mapping[str, Any]) -> Iterator[list[Any]]:
    """List label, both methods, test, difference, interval and p-values."""
    differences = result["differences"]
    for label, others in {**differences["labels"], MEAN: differences["mean"]}.items():
        for name, test in others.items():
            yield [label, differences["against"], name, *(test[column] for column in _DIFFERENCES[3:])]
            if test.get("over_seeds"):
                seeds = test["over_seeds"]
                figures = [seeds["mean"], seeds["low"], seeds["high"], seeds["p"], seeds["p_holm"]]
                yield [label, differences["against"], name, "paired t over seeds", *figures]


def _interval(one: Mapping[str, Any]) -> list[Any]:
    return [one["value"], one["low"], one["high"]]


def _csv(header: Sequence[str], rows: Iterator[list[Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(["" if value is None else value for value in row] for row in rows)
    return text.getvalue()
