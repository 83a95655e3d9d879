"""The options by which `train` and `probe` choose labels, and the table of supervised baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.cli import choices
from symile_data.cli.output import say

if TYPE_CHECKING:
    from symile_data.datasets.mimic.labels import LabelPolicy
    from symile_data.workflows.training_data import TrainingData

LabelNames = Annotated[
    list[str] | None,
    typer.Option(
        "--labels",
        "--label",
        help="Columns to predict, with commas between, or a group of them: chexpert, mortality or icd. Repeatable.",
    ),
]
Uncertain = Annotated[
    choices.Uncertain | None,
    typer.Option(help="What CheXpert's uncertain findings (-1) become; ignore leaves them out."),
]
Unmentioned = Annotated[
    choices.Unmentioned | None,
    typer.Option(help="What findings that a report does not mention become; ignore leaves them out."),
]


def split_labels(given: Sequence[str] | None) -> list[str]:
    """Split the values of --labels at commas, each name once."""
    names = [name.strip() for text in given or () for name in text.split(",")]
    if not all(names):
        raise typer.BadParameter("it takes columns with commas between", param_hint="--labels")
    return list(dict.fromkeys(names))


def label_policy(uncertain: str | None, unmentioned: str | None) -> LabelPolicy | None:
    """Return the policy that the options name; None where neither is given."""
    from symile_data.datasets.mimic.labels import LabelPolicy

    if uncertain is None and unmentioned is None:
        return None
    default = LabelPolicy()
    return LabelPolicy(uncertain=uncertain or default.uncertain, unmentioned=unmentioned or default.unmentioned)


def baseline_settings(
    text: str, data: TrainingData, labels: Sequence[str], policy: LabelPolicy | None
) -> dict[str, dict[str, Any]]:
    """Return the settings of the baselines that --supervised names: directory name -> what differs from the config."""
    from symile_data.datasets.mimic.labels import LabelPolicy
    from symile_data.training.supervised.config import ALL, SupervisedConfig, all_fusions
    from symile_data.workflows.classification.supervised import usable_labels

    if not labels:
        raise typer.BadParameter("name the columns that a baseline predicts", param_hint="--labels")
    modalities = [modality.name for modality in data.manifest.modalities]
    fusions = all_fusions(modalities) if text == ALL else [name.strip() for name in text.split(",")]
    for fusion in fusions:  # before any row is read
        SupervisedConfig(fusion=fusion, labels=tuple(labels), policy=policy or LabelPolicy()).modalities(modalities)
    read = usable_labels(data, labels, policy)
    for column, reason in read.left_out.items():
        say(f"not predicted: {column} ({reason})", error=True)
    baselines = [SupervisedConfig(fusion=one, labels=tuple(read.values), policy=read.policy) for one in fusions]
    return {one.run_name: {"supervised": asdict(one)} for one in baselines}


def print_baselines(tests: Mapping[str, Mapping[str, Mapping[str, float | None]]]) -> None:
    """Print the main figure of each label for each baseline.

    Args:
        tests: Baseline -> label -> figure -> value on the test rows.
    """
    from symile_data.cli.output.tables import print_wide

    labels = list(next(iter(tests.values())))
    table = [["label", "figure", *tests]]
    for label in labels:
        figure = "auroc" if "auprc" in tests[next(iter(tests))][label] else "accuracy"
        values = [test[label][figure] for test in tests.values()]
        table.append(
            [label, figure.replace("auroc", "AUROC"), *("" if one is None else f"{one:.3f}" for one in values)]
        )
    print_wide(table, "Test figures of supervised baselines")
