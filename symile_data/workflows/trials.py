"""Trials: small trainings of which an experiment has many, on worker processes, each only once.

A trial is small, so a worker starts once and runs many, with one thread each. What a trial found stands in its
directory, under a key of all that decides it; running again takes it from there, and a trial that was cut off goes on
from its last checkpoint.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from symile_data.errors import SymileDataError
from symile_data.progress import hidden, stage

RESULT = "result.json"

Accuracies = dict[str, float]

Item = TypeVar("Item")
Result = TypeVar("Result")


class Trial(Protocol):
    """One point of an experiment with one seed: each loss trained and tested on one dataset. It can be pickled."""

    @property
    def directory(self) -> Path:
        """Holds a run directory for each loss, and `result.json`."""
        ...

    def identity(self) -> Any:
        """All that decides what is found, JSON-like."""
        ...

    def measure(self) -> Accuracies:
        """Train and test: the test accuracy by loss, and perhaps what it is compared with."""
        ...


def run_trials(title: str, trials: Sequence[Trial], workers: int) -> list[Accuracies]:
    """What each trial finds, in order.

    Raises:
        SymileDataError: a worker died.
    """
    return on_workers(title, "trials", run_trial, trials, workers)


def run_trial(trial: Trial) -> Accuracies:
    """Measure, or read what an earlier call found."""
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
    """A function of each item, in order, with progress; on worker processes of one thread each where there are several.

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
    """The place of each item with its result, as it is done."""
    from symile_data.builders.engine.executor import worker_pool

    pool = worker_pool(min(workers, len(items)))
    if pool is None:
        for place, item in enumerate(items):
            with hidden():
                result = function(item)
            yield place, result
        return
    with pool:
        try:
            futures = {pool.submit(partial(_on_one_thread, function), item): place for place, item in enumerate(items)}
            for future in as_completed(futures):
                yield futures[future], future.result()
        except BrokenProcessPool:
            raise SymileDataError(
                "a worker process died, probably for lack of memory",
                do="run the same command again with fewer `workers`: finished trials are kept",
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _on_one_thread(function: Callable[[Item], Result], item: Item) -> Result:
    """In a worker: as many processes as cores leave one thread to each."""
    import torch

    torch.set_num_threads(1)
    with hidden():
        return function(item)


def _read(path: Path, key: str) -> Accuracies | None:
    """What a finished trial found, or None where there is none of this key."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
        return dict(value["accuracy"]) if value["key"] == key else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
