"""Train and compare several objectives and seeds on the same data, and evaluate one run in full.

Run directories are `<base>/<objective>` for one seed and `<base>/seed-<seed>/<objective>` for several, with
`comparison.json` and `comparison.png` in the base.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.progress.amounts import counted

from .affected import accuracies_apart
from .bounds import ceilings_of, references
from .classification.labels import complete_rows, group_of, read_clusters
from .train import embed_run, train_run
from .training_data import TrainingData

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig
    from symile_data.training.fit import Execution

FIGURES = ("accuracy", "recall_at_5", "recall_at_10", "median_rank")
_RANKS = ("median_rank",)  # of the figures those that are no shares


@dataclass(frozen=True, kw_only=True)
class Experiment:
    """The runs of a comparison: of objectives, or of supervised baselines.

    Args:
        configs: Objective, or directory name of a baseline -> config, with the first seed.
        seeds: Number of consecutive seeds from the first on.
        execution: Devices, loggers and checkpoints of each run.
    """

    configs: Mapping[str, TrainConfig]
    seeds: int = 1
    execution: Execution | None = None


def run_experiment(
    experiment: Experiment, data: TrainingData, base: Path, *, on_start: Callable[[], None] | None = None
) -> dict[str, Any]:
    """Train every objective with every seed, or continue where that was interrupted.

    Args:
        experiment: The runs.
        data: The dataset of all runs; its media are decoded once.
        base: Directory of the runs.
        on_start: Called once, after all runs were checked and before the first is trained.

    Returns:
        "tests" (objective -> figures of its test, for the last seed) and, for several seeds of objectives,
        "comparison": "seeds" and "figures" (figure -> objective -> mean and interval, and "differences" of the first
        from each other one; see `symile_data.evaluation.comparison`). Empty in a process of a distributed run that is
        not the main one.

    Raises:
        OutputError: the directory of a run has another one; then nothing was trained.
    """
    from symile_data.training.fit import check_devices
    from symile_data.training.ranks import is_main_process
    from symile_data.training.run import check_run

    planned = [
        (objective, replace(config, seed=seed), base if experiment.seeds == 1 else base / f"seed-{seed}")
        for offset in range(experiment.seeds)
        for objective, config in experiment.configs.items()
        for seed in [config.seed + offset]
    ]
    for objective, settings, folder in planned:  # all of them before the first is trained
        check_run(folder / objective, settings, data.manifest.identity.fingerprint)
    if experiment.execution is not None:
        check_devices(experiment.execution)
    if on_start is not None:
        on_start()
    runs: dict[int, dict[str, dict[str, Any]]] = {}
    for objective, settings, folder in planned:
        metrics = train_run(settings, data, folder / objective, shared=folder, execution=experiment.execution)
        runs.setdefault(settings.seed, {})[objective] = metrics
    if not is_main_process():
        return {}
    last = runs[max(runs)]
    tests = {objective: metrics["test"] for objective, metrics in last.items()}
    if any(config.supervised is not None for config in experiment.configs.values()):
        return {"tests": tests}  # `classification.probe` compares baselines
    for seed, objectives in runs.items():
        if len(objectives) > 1:
            _draw_curves(base if experiment.seeds == 1 else base / f"seed-{seed}", objectives)
    if experiment.seeds == 1:
        return {"tests": tests}
    return {"tests": tests, "comparison": _compared(runs, base, references(next(iter(tests.values()))))}


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """The settings of an evaluation. None stands for the config's choice.

    Args:
        split: Name of the split.
        target: Modality that is retrieved.
        label: Column by which a candidate is right.
        candidates: Number of candidates of each row; 0 takes all rows.
        bootstrap: Number of bootstrap replicates; 0 for none.
        select: Figure that chose the weights, "val_accuracy" or "val_loss".
        ablate: Also evaluate with each query modality shuffled.
    """

    split: str = "test"
    target: str | None = None
    label: str | None = None
    candidates: int | None = None
    bootstrap: int = 0
    select: str | None = None
    ablate: bool = False


@dataclass(frozen=True, kw_only=True)
class Evaluated:
    """The results of one run.

    Args:
        results: Figure -> value; where rows of the split are misaligned or noisy, also "rows_clean", "accuracy_clean",
            "rows_affected" and "accuracy_affected".
        extra: Where requested, "bootstrap" (figure -> mean and interval) and "group", the column whose rows are drawn
            together, such as those of a patient, or None.
    """

    results: dict[str, float]
    extra: dict[str, Any] = field(default_factory=dict)


def evaluate_in_full(run: Path, data: TrainingData, asked: Evaluation) -> Evaluated:
    """Evaluate a run and write `evaluation-<split>.json` and `.png` into its directory.

    Raises:
        DamageError: the run was trained on another dataset, or is not finished.
        UsageError: the dataset has no such modality, column or split.
    """
    changes = {"target": asked.target, "label": asked.label, "candidates": asked.candidates}
    embedded, retrieval, label = embed_run(run, data, asked.split, select=asked.select, changes=changes)
    from symile_data.evaluation.ablation import ablate
    from symile_data.evaluation.bootstrap import bootstrap
    from symile_data.evaluation.figures import draw_recalls
    from symile_data.evaluation.retrieval import retrieve
    from symile_data.files import pretty_json, write_text
    from symile_data.training.run_record import read_run

    objective = read_run(run).config.objective
    protocol = {
        "target": retrieval.target, "objective": objective, "candidates": retrieval.candidates, "seed": retrieval.seed,
    }  # fmt: skip
    results = {**retrieve(embedded, retrieval), **ceilings_of(data, asked.split, retrieval, label)}
    results |= accuracies_apart(data, asked.split, embedded, retrieval)
    results |= ablate(embedded, retrieval) if asked.ablate else {}
    extra: dict[str, Any] = {}
    if asked.bootstrap:
        clusters = None
        if (group := group_of(data)) is not None:
            clusters = read_clusters(data, asked.split, complete_rows(data, asked.split), group)
        extra = {"bootstrap": bootstrap(embedded, retrieval, asked.bootstrap, clusters=clusters), "group": group}
    write_text(
        run / f"evaluation-{asked.split}.json",
        pretty_json({"asked": asdict(asked), "protocol": protocol, "results": results, **extra}),
    )
    drawn = extra.get("bootstrap") or {name: {"mean": results[name]} for name in FIGURES}
    title = f"Retrieval of {retrieval.target}, {asked.split} split"
    draw_recalls(run / f"evaluation-{asked.split}.png", {objective: drawn}, references(results), title)
    return Evaluated(results=results, extra=extra)


def _draw_curves(folder: Path, objectives: Mapping[str, Mapping[str, Any]]) -> None:
    from symile_data.training.curves import draw_curves

    lines = next(iter(objectives.values()))["ceilings"]["validation"]
    draw_curves(
        folder / "curves.png", {objective: metrics["curves"] for objective, metrics in objectives.items()}, lines
    )


def _compared(
    runs: Mapping[int, Mapping[str, Mapping[str, Any]]], base: Path, lines: Mapping[str, float]
) -> dict[str, Any]:
    from symile_data.evaluation.comparison import compare
    from symile_data.evaluation.figures import draw_recalls
    from symile_data.files import pretty_json, write_text

    objectives = list(next(iter(runs.values())))
    figures = {
        name: compare(
            {objective: [run[objective]["test"][name] for run in runs.values()] for objective in objectives},
            shares=name not in _RANKS,
        )
        for name in FIGURES
    }
    result = {"seeds": list(runs), "figures": figures, "bounds": dict(lines)}
    write_text(base / "comparison.json", pretty_json(result))
    drawn = {objective: {name: figures[name][objective] for name in FIGURES} for objective in objectives}
    draw_recalls(
        base / "comparison.png", drawn, lines, f"Zero-shot retrieval, test split, {counted(len(runs), 'seed')}"
    )
    return result
