"""Run trials, the many small trainings of an experiment, on worker processes.

A worker starts once and runs many trials, with one thread. A trial stores its result in its directory under a key of
everything that affects the result. A later run reads it from there, and an interrupted trial continues from its last
checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from symile_data.errors import SymileDataError
from symile_data.progress import hidden, stage

if TYPE_CHECKING:
    from symile_data.training.config import TrainConfig

RESULT = "result.json"

Accuracies = dict[str, float]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Trial(Protocol):
    """One point of an experiment with one seed: objectives are trained and tested on one dataset. It can be pickled."""

    @property
    def directory(self) -> Path:
        """Folder of a run directory for each objective, and of `result.json`."""
        ...

    def identity(self) -> Any:
        """Return a JSON-like value of everything that affects the result."""
        ...

    def measure(self) -> Accuracies:
        """Train and test; return the test accuracy by objective, and possibly references by name."""
        ...


class TrainingTrial(Trial, Protocol):
    """A trial that trains whole runs, in a directory for each objective."""

    @property
    def configs(self) -> Mapping[str, TrainConfig]:
        """Objective -> config of its run."""
        ...


def check_runs(trials: Iterable[TrainingTrial]) -> None:
    """Check that the directories of trials are free for their runs, before anything is built or trained.

    Raises:
        OutputError: a directory has a run with another config.
    """
    from symile_data.training.run import check_run

    for trial in trials:
        for objective, config in trial.configs.items():
            check_run(trial.directory / objective, config)


def run_trials(title: str, trials: Sequence[Trial], workers: int) -> list[Accuracies]:
    """Run trials, and return their results in order.

    Raises:
        SymileDataError: a worker died.
    """
    return on_workers(title, "trials", run_trial, trials, workers)


def run_trial(trial: Trial) -> Accuracies:
    """Measure a trial, or read the result of an earlier call."""
    from symile_data.files import digest, pretty_json, write_text

    path = trial.directory / RESULT
    key = digest(trial.identity())
    known = _read(path, key)
    if known is not None:
        return known
    accuracies = trial.measure()
    write_text(path, pretty_json({"key": key, "accuracy": accuracies}))
    return accuracies


def on_workers(
    title: str, unit: str, function: Callable[[Item], Result], items: Sequence[Item], workers: int
) -> list[Result]:
    """Apply a function to each item and show progress; several workers are processes with one thread each.

    Returns:
        The results in the order of the items.

    Raises:
        SymileDataError: a worker died.
    """
    found: dict[int, Result] = {}
    with stage(title, len(items), unit) as advance:
        for place, result in _completed(function, items, workers):
            found[place] = result
            advance()
    return [found[place] for place in range(len(items))]


def _completed(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[tuple[int, Result]]:
    """Yield the position and the result of each item as soon as it is done."""
    from symile_data.builders.engine.executor import worker_pool

    executor = worker_pool(min(workers, len(items)))
    if executor is None:
        for place, item in enumerate(items):
            with hidden():
                result = function(item)
            yield place, result
        return
    with executor:
        try:
            futures = {
                executor.submit(partial(_on_one_thread, function), item): place for place, item in enumerate(items)
            }
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise SymileDataError(
                "a worker process died, probably for lack of memory",
                do="run the same command again with fewer `workers`: finished trials are kept",
            ) from None
        except BaseException:
            executor.shutdown(wait=False, cancel_futures=True)
            raise


def _on_one_thread(function: Callable[[Item], Result], item: Item) -> Result:
    """Call a function in a worker with one thread, since there are as many workers as cores."""
    import torch

    torch.set_num_threads(1)
    with hidden():
        return function(item)


def _read(path: Path, key: str) -> Accuracies | None:
    """Read the result of a finished trial; None where there is none with this key."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return dict(value["accuracy"]) if value["key"] == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
