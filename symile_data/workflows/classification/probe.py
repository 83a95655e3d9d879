"""Probe runs, or a dataset without one, for labels; write `probe.json`, two tables as CSV and a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.datasets.mimic.labels import LabelPolicy
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS

from .labels import design_in, group_of, read_labels
from .methods import Asked, predict_frozen, predict_runs
from .networks import complete_ids
from .results import Rows, results_of, rows_of_labels
from .runs import baseline_of, check_rows, find_runs, open_dataset
from .tables import write_tables

if TYPE_CHECKING:
    from symile_data.training.run_record import FoldChoice
    from symile_data.workflows.training_data import TrainingData


@dataclass(frozen=True, kw_only=True)
class Probing:
    """The settings of a probing.

    Args:
        labels: Columns to predict, or groups of them; every label column where there is none.
        policy: How CheXpert's findings become classes; None takes that of the baselines, else the default.
        heads: "linear", "mlp" or both. The first one's figures are those of the table.
        features: Embeddings to probe: modalities, "concatenation", "product", "both"; all where there are none.
        bootstrap: Replicates of the intervals; 0 for none.
        group: Column whose equal values are drawn together, such as that of the patient; None takes `subject_id`
            where the dataset has it, else each row is drawn alone.
        against: Name of the run that the others are tested against; None takes symile, else the last run.
        select: Figure that chose the weights of runs, "val_accuracy" or "val_loss"; None takes each config's choice.
        by_feature: Show accuracies by feature rather than the main figure by method; None decides by the data.
        folds: Fold that gives the splits; None takes that of the runs, or the dataset's own splits.
        out: Directory of the results; None takes that of the runs, and `probes/NAME` in the working directory for a
            dataset without a run, since a finished dataset is not changed.
    """

    labels: Sequence[str] = ()
    policy: LabelPolicy | None = None
    heads: Sequence[str] = ("linear",)
    features: Sequence[str] = ()
    bootstrap: int = 1000
    group: str | None = None
    against: str | None = None
    select: str | None = None
    by_feature: bool | None = None
    folds: FoldChoice | None = None
    out: Path | None = None


def probe_runs(
    place: Path, data: Path | None = None, labels: Sequence[str] = (), asked: Probing | None = None
) -> dict[str, Any]:
    """Probe one run, all runs of a directory, or a dataset without a run.

    The rows are those that have every modality. Probes are fitted on the embeddings of the training split; see
    `symile_data.evaluation.probes`. Supervised baselines predict with their own heads. Results go to `probe.json`,
    `probe.csv`, `probe-differences.csv` and `probe.png`.

    Args:
        place: Directory of a run; one of runs of several methods, each with one seed or with several in `seed-*`; or a
            dataset's directory.
        data: Directory of the dataset whose rows are probed, with the modalities of the runs; None takes the dataset
            that the runs were trained on.
        labels: Columns to predict, in place of `asked.labels`.
        asked: The settings.

    Returns:
        The contents of probe.json: "dataset", "fingerprint", "rows" (split -> number), "protocol", "labels" (column ->
        "classes", "chance", "rows", "information" and, for PID data, "bayes": feature -> accuracy;
        for synthetic admissions "ideal": modalities -> the exact AUROC of the best reader), "left_out" (column
        -> reason), "runs" (name -> "seeds", and network -> label -> feature -> the `summary` of its test accuracies
        over seeds, with "penalties", "converged" and "figures"; the MLP's under "mlp"), "table" (label -> method ->
        main figure), "mean" (method -> mean over labels of two classes) and "differences"; see `results`.

    Raises:
        DamageError: there is no finished run, or its dataset has changed.
        UsageError: the dataset has other modalities than a run, no such label, or no complete rows in a split.
    """
    from symile_data.evaluation.method_figure import draw_methods
    from symile_data.evaluation.probe_figure import draw_probes
    from symile_data.files import pretty_json, write_text

    settings = asked or Probing()
    alone = data is None and _is_dataset(place)
    runs = {} if alone else find_runs(place)
    opened = _opened(place, settings.folds) if alone else open_dataset(runs, data, settings.folds)
    if settings.by_feature and (others := _without_features(runs)):
        raise UsageError(
            "accuracies by feature are of trained networks beside untrained ones",
            where=place,
            got=others,
            do="leave out `by_feature`",
        )
    ids = complete_ids(opened)
    read = read_labels(opened, ids, labels or settings.labels, settings.policy or _policy_of(runs))
    rows = rows_of_labels(opened, read, ids["test"], group_of(opened, settings.group), settings.bootstrap)
    fitted = Asked(heads=settings.heads, features=settings.features, select=settings.select)
    told: dict[str, str] = {}
    if alone:
        found, told = predict_frozen(opened, read, fitted)
    else:
        found = predict_runs(runs, opened, read, fitted)
    result = {
        "dataset": opened.manifest.identity.dataset,
        "fingerprint": opened.manifest.identity.fingerprint,
        "rows": {split: len(ids[split]) for split in SPLITS},
        **results_of(opened, read, rows, found, {name: list(seeds) for name, seeds in runs.items()}, settings.against),
    }
    result["protocol"] = {**_protocol(settings, read.policy, rows), "representations": told}
    result["by_feature"] = _by_feature(opened, result, settings.by_feature)
    out = settings.out or (Path("probes") / place.resolve().name if alone else place)
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "probe.json", pretty_json(result))
    write_tables(out, result)
    (draw_probes if result["by_feature"] else draw_methods)(out / "probe.png", result)
    return result


def _is_dataset(place: Path) -> bool:
    from symile_data.format.manifest import FILE_NAME

    return (place / FILE_NAME).is_file()


def _opened(place: Path, folds: FoldChoice | None) -> TrainingData:
    from symile_data.workflows.training_data import TrainingData

    data = TrainingData(place, folds=folds)
    check_rows(data)
    return data


def _policy_of(runs: Mapping[str, Mapping[int, Path]]) -> LabelPolicy | None:
    """Return the policy of the first supervised baseline among the runs; None where there is none."""
    baselines = (baseline_of(run) for seeds in runs.values() for run in seeds.values())
    return next((baseline.policy for baseline in baselines if baseline is not None), None)


def _protocol(settings: Probing, policy: LabelPolicy, rows: Rows) -> dict[str, Any]:
    from symile_data.evaluation.classification import BINS

    return {
        "policy": {"uncertain": policy.uncertain, "unmentioned": policy.unmentioned, "version": policy.version},
        "heads": list(settings.heads),
        "group": rows.group,
        "groups": rows.clusters.present(),
        "bootstrap": settings.bootstrap,
        "calibration_bins": BINS,
    }


def _without_features(runs: Mapping[str, Mapping[int, Path]]) -> str | None:
    """Tell what is probed that has no accuracies by feature: a dataset alone, or a supervised baseline."""
    if not runs:
        return "a dataset without a run"
    return next((name for name, seeds in runs.items() if baseline_of(next(iter(seeds.values()))) is not None), None)


def _by_feature(data: TrainingData, result: Mapping[str, Any], asked: bool | None) -> bool:
    """Decide what the table and the figure show: accuracies by feature, or the main figure by method.

    By method are shown supervised baselines, datasets without a run, and labels that all have two classes, except those
    of PID data, whose Bayes accuracies are those of features.
    """
    if asked is not None:
        return asked
    if any("trained" not in run for run in result["runs"].values()):
        return False
    return design_in(data) is not None or any(label["classes"] > 2 for label in result["labels"].values())
