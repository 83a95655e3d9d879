"""Trials: one XOR dataset, each loss trained and tested on it; many of them on worker processes, each only once.

A trial is small, so a worker starts once and runs many, with one thread each. What a trial found stands in its
directory, under a key of all that decides it; running again takes it from there, and a trial that was cut off goes on
from its last checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.errors import SymileDataError, UsageError
from symile_data.progress import hidden, stage

if TYPE_CHECKING:
    from symile_data.builders.xor.spec import XorSpec
    from symile_data.training.config import TrainConfig

RESULT = "result.json"

Accuracies = dict[str, float]


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One dataset and the configs that are trained on it.

    Args:
        directory: Holds `data/`, a run directory for each loss, and `result.json`.
        spec: Of the dataset.
        configs: By loss.
    """

    directory: Path
    spec: XorSpec
    configs: Mapping[str, TrainConfig]


def run_trials(title: str, trials: Sequence[Trial], workers: int) -> list[Accuracies]:
    """Test accuracies by loss of each trial, in order.

    Raises:
        UsageError: a test split lacks some of the values among which the target is retrieved.
        SymileDataError: a worker died.
    """
    for trial in trials:
        _check_candidates(trial)
    found: dict[Path, Accuracies] = {}
    with stage(title, len(trials), "trials") as advance:
        for trial, accuracies in _completed(trials, workers):
            found[trial.directory] = accuracies
            advance()
    return [found[trial.directory] for trial in trials]


def run_trial(trial: Trial) -> Accuracies:
    """Build, train and test, or read what an earlier call found."""
    from symile_data.builders.document import no_documents
    from symile_data.builders.xor.build import build_xor
    from symile_data.cli.baseline import TrainingData, train_run
    from symile_data.files import digest, pretty_json, write_text

    path = trial.directory / RESULT
    key = digest([trial.spec.to_json(), {loss: config.to_json() for loss, config in trial.configs.items()}])
    known = _read(path, key)
    if known is not None:
        return known
    with hidden():
        build_xor(trial.spec, trial.directory / "data", workers=1, document=no_documents)
        data = TrainingData(trial.directory / "data")
        accuracies = {
            loss: float(train_run(config, data, trial.directory / loss)["test"]["accuracy"])
            for loss, config in trial.configs.items()
        }
    write_text(path, pretty_json({"key": key, "accuracy": accuracies}))
    return accuracies


def _completed(trials: Sequence[Trial], workers: int) -> Iterator[tuple[Trial, Accuracies]]:
    """Each trial with its result, as it is done."""
    from symile_data.builders.execution import worker_pool

    pool = worker_pool(min(workers, len(trials)))
    if pool is None:
        yield from ((trial, run_trial(trial)) for trial in trials)
        return
    with pool:
        try:
            futures = {pool.submit(_run_on_one_thread, trial): trial for trial in trials}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise SymileDataError(
                "a worker process died, probably for lack of memory",
                do="run the same command again with fewer --workers: finished trials are kept",
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_on_one_thread(trial: Trial) -> Accuracies:
    """In a worker: as many processes as cores leave one thread to each."""
    import torch

    torch.set_num_threads(1)
    return run_trial(trial)


def _read(path: Path, key: str) -> Accuracies | None:
    """What a finished trial found, or None where there is none of this key."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return dict(value["accuracy"]) if value["key"] == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def _check_candidates(trial: Trial) -> None:
    """The paper retrieves among all 2^d values, so each must occur in the test split."""
    import numpy as np

    from symile_data.builders.xor.build import draw_bits

    spec = trial.spec
    values = draw_bits(spec, "test", 0, spec.rows["test"])[1]
    found = len(np.unique(values, axis=0))
    if found < 2**spec.dims:
        raise UsageError(
            f"the test split lacks some of the {2**spec.dims} values among which one is retrieved",
            got=f"{found} in {spec.rows['test']} rows",
            do="lower --dims",
        )
