"""`symile-data probe`: linear probes on the frozen embeddings of trained runs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from .common import Json
from .output import say, say_json


def probe(
    run: Annotated[
        Path,
        typer.Argument(help="A run's directory, or one of several runs: runs/pid or, trained with --seeds, its base."),
    ],
    data: Annotated[
        Path | None, typer.Option(help="The dataset to probe; default: the one that the run was trained on.")
    ] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="Column to predict; default: all label columns. Repeatable."),
    ] = None,
    select: Annotated[str | None, typer.Option(help="Weights by val_accuracy or val_loss; default: config's.")] = None,
    as_json: Json = False,
) -> None:
    """Fit linear probes on each modality's embedding, on all together and on their product, for each label.

    An untrained network of the same shape stands beside each run. Results also go to probe.json and probe.png in RUN.

    Examples:

        symile-data probe runs/pid/symile

        symile-data probe runs/pid --data build/pid-probe --label rule_holds
    """
    from symile_data.cli.output.tables import print_wide
    from symile_data.workflows.probe import probe_runs

    found = probe_runs(run, data, labels or (), select)
    if as_json:
        say_json(found)
        return
    seeds = max(len(one["seeds"]) for one in found["runs"].values())
    several = f", mean over {seeds} seeds, 95% interval" if seeds > 1 else ""
    print_wide(_table(found), f"Test accuracy of linear probes{several}")
    rows = ", ".join(f"{count:,} {split}" for split, count in found["rows"].items())
    say(f"rows with every modality: {rows}")
    for column, reason in found["left_out"].items():
        say(f"not probed: {column} ({reason})")


def _table(found: dict[str, Any]) -> list[list[str]]:
    """Make the cells: a line for each label and feature, columns for the references and for both networks of each run.

    The column of Bayes accuracies is there for PID data only, where they are known.
    """
    runs, labels = found["runs"], found["labels"]
    with_bayes = any("bayes" in described for described in labels.values())
    networks = [(name, network) for name in runs for network in ("untrained", "trained")]
    table = [["label", "features", "chance", *(["Bayes"] if with_bayes else []), *map(" ".join, _titles(networks))]]
    for label, described in labels.items():
        told = described.get("information")
        for number, feature in enumerate(next(iter(runs.values()))["trained"][label]):
            bayes = [_share(described.get("bayes", {}).get(feature))] if with_bayes else []
            values = [_mean(runs[name][network][label][feature]) for name, network in networks]
            shown = "" if number else f"{label} ({told})" if told else label
            table.append([shown, feature, _share(described["chance"]), *bayes, *values])
    return table


def _titles(networks: list[tuple[str, str]]) -> list[tuple[str, ...]]:
    """Title the columns: "symile" and "symile untrained"."""
    return [(name,) if network == "trained" else (name, network) for name, network in networks]


def _share(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"


def _mean(value: dict[str, Any]) -> str:
    interval = f" [{value['low']:.3f}, {value['high']:.3f}]" if "low" in value else ""
    return f"{value['mean']:.3f}{interval}"
