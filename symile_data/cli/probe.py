"""`symile-data probe`: predict label columns from frozen embeddings, beside supervised baselines."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from .choices import Selection, several_of
from .classification.labels import LabelNames, Uncertain, Unmentioned, label_policy, split_labels
from .classification.tables import print_features, print_methods, print_notes
from .common import Json
from .folds import Fold, FoldsFile, Repeat, chosen_fold
from .output import say_json


def probe(
    run: Annotated[
        Path,
        typer.Argument(
            help="A run's directory, or one of several runs: runs/pid or, trained with --seeds, its base; or a"
            " dataset's directory, whose own values are probed."
        ),
    ],
    data: Annotated[
        Path | None, typer.Option(help="The dataset to probe; default: the one that the run was trained on.")
    ] = None,
    labels: LabelNames = None,
    uncertain: Uncertain = None,
    unmentioned: Unmentioned = None,
    heads: Annotated[
        str,
        typer.Option(
            help="linear, mlp or both with a comma between; the first one is shown.",
            autocompletion=several_of("linear", "mlp"),
        ),
    ] = "linear",
    features: Annotated[
        str | None,
        typer.Option(
            help="Embeddings to probe, with commas between: modalities, concatenation, product, both. Default: all."
        ),
    ] = None,
    bootstrap: Annotated[int, typer.Option(min=0, help="Bootstrap samples of the intervals; 0 for none.")] = 1000,
    group: Annotated[
        str | None,
        typer.Option(help="Column whose rows are drawn together; default: subject_id, else each row alone."),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Method that all others are tested against; default: symile.")
    ] = None,
    by_feature: Annotated[
        bool | None,
        typer.Option("--by-feature/--by-method", help="Show accuracies by feature, or one figure of each method."),
    ] = None,
    select: Annotated[
        Selection | None, typer.Option(help="Figure by which the weights were chosen; default: the config's.")
    ] = None,
    folds: FoldsFile = None,
    fold: Fold = None,
    repeat: Repeat = 0,
    out: Annotated[
        Path | None, typer.Option(help="Directory of the results; default: RUN, and probes/NAME for a dataset.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Predict labels from the frozen embeddings of each modality, of all together and of their product.

    An untrained network of the same shape stands beside each run, and so do supervised baselines in the same directory.
    Results also go to probe.json, probe.csv, probe-differences.csv and probe.png.

    Examples:

        symile-data probe runs/pid/symile

        symile-data probe runs/pid --data build/pid-probe --label rule_holds

        symile-data probe runs/symile-mimic --labels chexpert --heads linear,mlp

        symile-data probe build/symile-mimic --labels chexpert --uncertain zeros
    """
    from symile_data.workflows.classification.probe import Probing, probe_runs

    asked = Probing(
        labels=split_labels(labels),
        policy=label_policy(uncertain, unmentioned),
        heads=_names(heads, "--heads"),
        features=_names(features, "--features") if features else (),
        bootstrap=bootstrap,
        group=group,
        against=against,
        select=select,
        by_feature=by_feature,
        folds=chosen_fold(folds, fold, repeat),
        out=out,
    )
    found = probe_runs(run, data, asked=asked)
    if as_json:
        say_json(found)
    elif found["by_feature"]:
        print_features(found)
    else:
        print_methods(found)
    if not as_json:
        print_notes(found)


def _names(text: str, option: str) -> list[str]:
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise typer.BadParameter("it takes different names with commas between", param_hint=option)
    return names
