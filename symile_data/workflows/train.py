"""Train one config on one dataset directory and test it.

`train_run` does both, given a config and a directory; `symile-data train` and `reproduce` use it.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.errors import DamageError, UsageError, choose_column

from .affected import accuracies_apart
from .bounds import ceilings_of, references, subsets_of, validation_references
from .checks import check_candidates

if TYPE_CHECKING:
    from symile_data.evaluation.embeddings import Embeddings
    from symile_data.evaluation.retrieval import Retrieval
    from symile_data.training.config import TrainConfig
    from symile_data.training.fit import Execution
    from symile_data.training.run_record import FoldChoice, RunInfo

    from .training_data import TrainingData


def train_run(
    config: TrainConfig,
    data: TrainingData,
    run: Path,
    shared: Path | None = None,
    execution: Execution | None = None,
    pretrained_on: TrainingData | None = None,
) -> dict[str, Any]:
    """Train a config, or continue where an interrupted training stopped, and test the best weights.

    Args:
        config: Config with the objective and the seed of this run, or with a supervised baseline
            (`classification.supervised`).
        data: The dataset.
        run: Directory of the run; `symile_data.training.run` describes its files.
        shared: Directory of pretrained encoders that several runs share; None keeps them in `run`.
        execution: Devices, loggers and checkpoints.
        pretrained_on: Dataset on whose training split encoders are pretrained; None takes `data`. It has the modalities
            of `data`, and possibly more.

    Returns:
        The contents of metrics.json: "objective", "seed", "epochs", "best_epoch", "val_accuracy", "val_loss", "curves"
        (one entry for each validated epoch), "test" (see `evaluate_run`) with the weights that the config selects,
        "test_by" with the figures of either selection, "ceilings" with the references for the accuracies of
        "validation" and "test", and "test_subsets" (target -> set of modalities -> best accuracy, for Symile-M3). In a
        process of a distributed run that is not the main one there is no "test".

    Raises:
        OutputError: `run` has another run.
        UsageError: the data do not fit the config.
    """
    from symile_data.training.fit import fit
    from symile_data.training.ranks import is_main_process, main_process_first
    from symile_data.training.run import check_run, pretrained_weights

    source = pretrained_on or data
    general = config.fitted([modality.name for modality in source.manifest.modalities])
    config = config.fitted([modality.name for modality in data.manifest.modalities])
    data.check(config)
    check_run(run, config, data.manifest.identity.fingerprint)
    if config.supervised is not None:
        from .classification.supervised import train_supervised

        return train_supervised(config, data, run, shared, execution)
    info = data.run_info(config)
    weights = pretrained_weights(source.run_info(general), shared or run, partial(source.pretrained, general))
    wanted = () if config.pretrain is None else config.pretrain.labels
    module = info.make_module({name: weights[name] for name in wanted})
    module.fill_means(data.means(module))
    metrics = fit(info, module, data.fitting(module), run, execution)
    with main_process_first():
        return _tested(config, data, run, metrics) if is_main_process() else metrics


def _tested(config: TrainConfig, data: TrainingData, run: Path, metrics: dict[str, Any]) -> dict[str, Any]:
    """Test the best weights of a finished run, and write metrics.json and the curves."""
    from symile_data.files import pretty_json, write_text
    from symile_data.training.checkpoints import KEPT
    from symile_data.training.curves import draw_curves
    from symile_data.training.run import BEST

    tests = {select: evaluate_run(run, data, select=select, ablated=select == config.select) for select in BEST}
    lines = validation_references(data, config)
    ceilings = {"validation": lines, "test": references(tests[config.select]), "test_subsets": subsets_of(data, "test")}
    metrics = {**metrics, "test": tests[config.select], "test_by": tests, "ceilings": ceilings}
    write_text(run / "metrics.json", pretty_json(metrics), KEPT)
    draw_curves(run / "curves.png", {config.objective: metrics["curves"]}, lines)
    return metrics


def evaluate_run(
    run: Path, data: TrainingData, split: str = "test", *, select: str | None = None, ablated: bool = True
) -> dict[str, float]:
    """Measure retrieval on a split with a trained run, by the protocol of its config.

    Args:
        run: Directory of the run.
        data: The dataset of the run.
        split: Name of the split.
        select: Figure that chose the weights, "val_accuracy" or "val_loss"; None takes the config's choice.
        ablated: Also measure with each query modality shuffled among rows.

    Returns:
        "rows", "candidates", "accuracy", "recall_at_5", "recall_at_10", "median_rank", "random_candidate", the
        ceilings of Symile-M3 ("text_alone", "all_words_alike", "counting"; see `datasets.m3.ceilings`) and, where
        ablated, "shuffled_<modality>".

    Raises:
        DamageError: the run was trained on another dataset, or is not finished.
    """
    from symile_data.evaluation.ablation import ablate
    from symile_data.evaluation.retrieval import retrieve

    embedded, retrieval, label = embed_run(run, data, split, select=select)
    found = {**retrieve(embedded, retrieval), **ceilings_of(data, split, retrieval, label)}
    found |= accuracies_apart(data, split, embedded, retrieval)
    return {**found, **(ablate(embedded, retrieval) if ablated else {})}


def check_fingerprint(run: Path, info: RunInfo, data: TrainingData) -> None:
    """Check that a run was trained on these data and this fold of them.

    Raises:
        UsageError: it was trained on another dataset than the one that was named, or on another fold.
        DamageError: its dataset has changed.
    """
    if data.manifest.identity.fingerprint == info.fingerprint:
        return
    if data.folds != info.folds:
        raise UsageError(
            "the run was trained on other splits, so rows that it is tested on may have been its training rows",
            where=run,
            got=f"{_told(info.folds)} of the run, and {_told(data.folds)}",
            do="give the run's file with `folds` and its `fold` and `repeat`, or none where it has none",
        )
    # Another directory was named by the caller; the run's own has changed since.
    kind = DamageError if data.directory.resolve() == Path(info.location).resolve() else UsageError
    raise kind(
        "the run was trained on another dataset",
        where=data.directory,
        do="give the run's dataset with `data`, or train on this one",
    )


def _told(folds: FoldChoice | None) -> str:
    return "the dataset's own splits" if folds is None else f"fold {folds.fold} of repetition {folds.repeat}"


def embed_run(
    run: Path, data: TrainingData, split: str, *, select: str | None = None, changes: Mapping[str, Any] | None = None
) -> tuple[Embeddings, Retrieval, str]:
    """Embed the rows of a split with a trained run.

    Args:
        run: Directory of the run.
        data: The dataset of the run.
        split: Name of the split.
        select: Figure that chose the weights, as in `evaluate_run`.
        changes: "target", "label" or "candidates" in place of the config's. Without a label, only the row itself is
            right for another target; where the dataset has sets of candidates, it is the config's label, which they
            name.

    Returns:
        The embeddings, the protocol, and the column of the labels.

    Raises:
        DamageError: the run was trained on another dataset, or is not finished.
        UsageError: the dataset has no such modality or column.
    """
    from symile_data.training.run_record import read_run

    info = read_run(run)
    config = info.config
    check_fingerprint(run, info, data)
    given = {name: value for name, value in (changes or {}).items() if value is not None}
    target, candidates = given.get("target", config.target), given.get("candidates", config.candidates)
    modalities = [modality.name for modality in data.manifest.modalities]
    if target not in modalities:
        raise UsageError(
            "there is no such modality to retrieve", got=target, do=f"choose among {', '.join(modalities)}"
        )
    own = target == config.target or data.candidate_columns(candidates, split, target)
    label = given.get("label", config.label if own else "sample_id")
    columns = data.split(split).columns
    if label not in (*modalities, *columns, "sample_id"):
        raise UsageError(
            "the dataset has no such column", where=data.directory, got=label, do=choose_column(label, columns)
        )
    check_candidates(data, split, target, label, candidates)
    # Only now, because torch takes seconds to import: what is refused above is refused at once.
    from symile_data.evaluation.retrieval import Retrieval
    from symile_data.training.module import SymileModule
    from symile_data.training.run import load_module

    module = load_module(run, select)
    if not isinstance(module, SymileModule):
        raise UsageError(
            "a supervised baseline retrieves nothing",
            where=run,
            do="read its figures beside others with symile-data probe",
        )
    embedded = data.embedded(module, split, label, candidates, target)
    return embedded, Retrieval(target=target, objective=module.loss, candidates=candidates), label
