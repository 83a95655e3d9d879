"""Train a supervised baseline, and predict a split with one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from symile_data.datasets.mimic.labels import LabelPolicy
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS

from .labels import NULL, Labels, all_ids, check_labels, read_labels

if TYPE_CHECKING:
    from symile_data.evaluation.probes import FloatArray, IntArray
    from symile_data.training.config import TrainConfig
    from symile_data.training.fit import Execution
    from symile_data.workflows.training_data import TrainingData


def usable_labels(data: TrainingData, asked: Sequence[str], policy: LabelPolicy | None = None) -> Labels:
    """Read the labels of all rows; see `read_labels`. A supervised baseline predicts its columns.

    Raises:
        UsageError: there is no such column, a named one has one value, or none is left.
    """
    check_labels(data, asked)
    return read_labels(data, all_ids(data), asked, policy)


def train_supervised(
    config: TrainConfig,
    data: TrainingData,
    run: Path,
    shared: Path | None = None,
    execution: Execution | None = None,
) -> dict[str, Any]:
    """Train the supervised baseline of a config, or continue where that was interrupted, and test the best weights.

    Arguments and files are those of `train_run`.

    Returns:
        The contents of metrics.json: those of `fit`, and "test": label -> figure -> value on the complete test rows;
        see `symile_data.evaluation.scores`. In a process of a distributed run that is not the main one there is no
        "test".

    Raises:
        OutputError: `run` has another run.
        UsageError: the data do not fit the config, or a label has one value in the training rows.
    """
    import torch

    from symile_data.files import pretty_json, write_text
    from symile_data.training.checkpoints import KEPT
    from symile_data.training.curves import draw_curves
    from symile_data.training.fit import fit
    from symile_data.training.ranks import is_main_process, main_process_first
    from symile_data.training.run import pretrained_weights
    from symile_data.training.supervised.targets import Targets

    if config.supervised is None:
        raise UsageError("the config names no supervised baseline")
    ids = all_ids(data)
    labels = read_labels(data, ids, config.supervised.labels, config.supervised.policy)
    info = replace(data.run_info(config), classes=labels.classes)
    weights = pretrained_weights(info, shared or run, partial(data.pretrained, config))
    module = info.make_baseline(weights)
    module.fill_means(data.means(module))
    known = [np.stack([values[split] for values in labels.values.values()], axis=1) for split in SPLITS[:2]]
    module.targets = Targets.of(
        torch.from_numpy(np.concatenate([ids[split] for split in SPLITS[:2]])), torch.from_numpy(np.concatenate(known))
    )
    metrics = fit(info, module, data.fitting(module), run, execution)
    with main_process_first():
        if not is_main_process():
            return metrics
        metrics = {**metrics, "test": _tested(run, data, labels.policy)}
        write_text(run / "metrics.json", pretty_json(metrics), KEPT)
        draw_curves(run / "curves.png", {config.method: metrics["curves"]}, {}, "Mean over labels, validation")
    return metrics


def predict_run(
    run: Path, data: TrainingData, split: str = "test", select: str | None = None
) -> tuple[IntArray, dict[str, FloatArray]]:
    """Predict the complete rows of a split with a trained supervised baseline.

    Args:
        run: Directory of the run.
        data: The dataset, of the same modalities as that of the run.
        split: Name of the split.
        select: Figure that chose the weights, "val_accuracy" or "val_loss"; None takes the config's choice.

    Returns:
        (N,) sample ids, and label -> (N, C) probabilities of its classes in the order of the run's record.

    Raises:
        DamageError: the run is not finished.
        UsageError: the run is of no supervised baseline.
    """
    from symile_data.training.features import best_device
    from symile_data.training.fit import predict_split
    from symile_data.training.run import load_module
    from symile_data.training.supervised.module import SupervisedModule

    module = load_module(run, select)
    if not isinstance(module, SupervisedModule):
        raise UsageError("the run is of no supervised baseline", where=run)
    ids, probabilities = predict_split(module.to(best_device()), data.encoded(module, split))
    named = zip(module.baseline.labels, probabilities, strict=True)
    return ids.numpy(), {label: values.numpy() for label, values in named}


def to_classes(probabilities: FloatArray, there: Sequence[str], wanted: Sequence[str]) -> FloatArray:
    """Put the columns of probabilities (N, C) into the order of other classes; one that the run lacks gets 0.

    >>> to_classes(np.array([[0.2, 0.8]]), ["b", "a"], ["a", "b", "c"]).tolist()
    [[0.8, 0.2, 0.0]]
    """
    result = np.zeros((len(probabilities), len(wanted)))
    for place, name in enumerate(wanted):
        if name in there:
            result[:, place] = probabilities[:, there.index(name)]
    return result


def _tested(run: Path, data: TrainingData, policy: LabelPolicy) -> Mapping[str, Any]:
    """Compute the figures of the test rows: label -> figure -> value."""
    from symile_data.evaluation.clusters import Clusters
    from symile_data.evaluation.scores import LabelRows, score
    from symile_data.training.run_record import read_run

    classes = read_run(run).classes
    ids, probabilities = predict_run(run, data)
    every = all_ids(data)
    labels = read_labels(data, {**every, "test": ids}, list(classes), policy)
    figures = {}
    for label, values in probabilities.items():
        known = labels.values[label]["test"] != NULL
        if known.any():
            rows = LabelRows(
                labels=labels.values[label]["test"][known],
                classes=len(labels.classes[label]),
                clusters=Clusters.of(np.flatnonzero(known)),
            )
            scored = score(rows, [to_classes(values[known], classes[label], labels.classes[label])])
            figures[label] = {name: one.value for name, one in scored.items()}
    return figures
