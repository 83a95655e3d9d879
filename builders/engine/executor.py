"""Run a stage of a build: make every artifact that is not yet done, with progress and a journal.

The function that makes an artifact is pure: it depends on its arguments alone. So the bytes do not depend on the number
of workers, on their order or on interruptions. This module knows no dataset. Workers are processes of this machine or
of a dask cluster (`dask_executor`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from symile_data.errors import SymileDataError
from symile_data.files import file_sha256, write_errors
from symile_data.progress import stage

from .build_dir import Artifact, BuildDir, FinishedArtifact
from .dask_executor import AGAIN, LOCAL, Attempt, ClusterPool, cluster_pool, lost_scheduler, lost_worker, take_over
from .interrupts import ignore_interrupts, started_unreached

# Writes the artifact to the path (atomically) and returns a JSON-like result.
MakeArtifact = Callable[[Any, Path], dict[str, Any]]


class WorkerPool(ProcessPoolExecutor):
    """Worker processes that exit at once when the build is interrupted, even in the middle of a task.

    Workers are spawned, not forked: forking a process that runs Arrow's threads can deadlock. They import what their
    tasks need, and run the caller's script again only where it defines the task: a script that calls a build needs no
    `if __name__ == "__main__":`.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is sent through this pipe. Workers exit when the parent closes it or dies.
        lifeline, self._lifeline = context.Pipe(duplex=False)
        super().__init__(max_workers=workers, mp_context=context, initializer=_start_worker, initargs=(lifeline,))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Submit a task; the executor starts its workers at this moment."""
        of_script = any(getattr(one, "__module__", None) == "__main__" for one in (fn, *args))
        with started_unreached(), contextlib.nullcontext() if of_script else _script_not_repeated():
            return super().submit(fn, *args, **kwargs)

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> bool | None:
        """Wait for running tasks; on Ctrl-C, kill the workers."""
        if kind is not None and not issubclass(kind, Exception):
            self._lifeline.close()
        return super().__exit__(kind, *rest)


@contextlib.contextmanager
def _script_not_repeated() -> Iterator[None]:
    """Hide from processes that start within the block which script this one runs; multiprocessing would run it anew."""
    main = sys.modules["__main__"].__dict__
    hidden: dict[str, Any] = {name: main[name] for name in ("__file__", "__spec__") if name in main}
    main.update(dict.fromkeys(hidden))
    try:
        yield
    finally:
        main.update(hidden)


def worker_number() -> int:
    """Return the number of this worker, counted from 0 within its executor; 0 in a process that is no worker."""
    number = multiprocessing.current_process().name.rpartition("-")[2]  # "SpawnProcess-2"
    return int(number) - 1 if number.isdecimal() else 0


def worker_pool(workers: int) -> Executor | None:
    """Start `workers` processes, or return None for one worker: the caller then works in its own process."""
    return WorkerPool(workers) if workers > 1 else None


@contextlib.contextmanager
def open_pool(workers: int, executor: str = LOCAL) -> Iterator[Executor | None]:
    """Open worker processes (None for one worker) or a cluster, and close it after the block.

    Args:
        workers: Worker processes on this machine; ignored for a cluster.
        executor: "local", or a cluster as `cluster_pool` accepts it.
    """
    if executor != LOCAL:
        with cluster_pool(executor) as cluster:
            yield cluster
        return
    pool = worker_pool(workers)
    with pool if pool is not None else contextlib.nullcontext():
        yield pool


def run_stage(
    build_dir: BuildDir, title: str, artifacts: Sequence[Artifact], make: MakeArtifact, pool: Executor | None
) -> list[FinishedArtifact]:
    """Make every artifact that is not already done.

    Returns:
        The records in the order of `artifacts`, whether an artifact was made now or in an earlier run.

    Raises:
        SymileDataError: a worker or the connection to the cluster was lost; also whatever `make` raises. Finished
            artifacts are kept.
    """
    finished = {artifact.path: build_dir.finished(artifact) for artifact in artifacts}
    todo = [artifact for artifact in artifacts if finished[artifact.path] is None]
    with stage(title, len(artifacts), _unit(artifacts), done=len(artifacts) - len(todo)) as advance:

        def done(artifact: Artifact, outcome: _Outcome) -> None:
            made, attempt = outcome
            if attempt is not None:
                take_over(attempt, build_dir.directory / artifact.path, made.bytes)
            build_dir.record(artifact, made)
            finished[artifact.path] = made
            advance()

        if pool is None:
            for artifact in todo:
                done(artifact, _make_and_measure(make, artifact.arguments, build_dir.directory / artifact.path))
        else:
            _run_on(pool, build_dir, todo, make, done)
    return [made for artifact in artifacts if (made := finished[artifact.path]) is not None]


_Outcome = tuple[FinishedArtifact, Path | None]  # with the path of a cluster's attempt


def _run_on(
    pool: Executor,
    build_dir: BuildDir,
    todo: Sequence[Artifact],
    make: MakeArtifact,
    done: Callable[[Artifact, _Outcome], None],
) -> None:
    """Make artifacts on workers. After an error no new task starts; running tasks finish and their results are kept.

    When workers exit, by an interrupt or a crash, no future is cancelled here: the executor cancels waiting tasks
    itself, and in some versions of CPython its thread fails on futures that are already cancelled.
    """
    failure: BaseException | None = None
    futures: dict[Future[_Outcome], Artifact] = {}
    try:
        for artifact in todo:
            futures[_submit(pool, build_dir, make, artifact)] = artifact
        for future in as_completed(futures):
            if future.cancelled():  # cancelled here after a failure, or by a cluster that was lost
                failure = failure or _lost(pool)
                continue
            error = future.exception()
            if error is None:
                done(futures[future], future.result())
            elif failure is None:
                failure = error
                if not isinstance(error, BrokenProcessPool):
                    _cancel(futures)
    except BrokenProcessPool as error:  # a worker died while tasks were still being submitted
        failure = error
    except Exception:
        _cancel(futures)
        raise
    if isinstance(failure, BrokenProcessPool):
        raise SymileDataError(
            "a worker process died, probably for lack of memory",
            do="run the same command again with fewer `workers`: finished files are kept",
        ) from None
    if failure is not None and lost_worker(failure):
        raise SymileDataError(
            "the workers that took a task died one after the other, probably for lack of memory", got=failure, do=AGAIN
        ) from None
    if failure is not None:
        raise failure


def _submit(pool: Executor, build_dir: BuildDir, make: MakeArtifact, artifact: Artifact) -> Future[_Outcome]:
    if isinstance(pool, ClusterPool):
        attempt = Attempt(
            folder=pool.attempts(build_dir.directory), here=Path.cwd(), versions=build_dir.identity.versions
        )
        return pool.submit(_attempt, attempt, make, artifact)
    return pool.submit(_make_and_measure, make, artifact.arguments, build_dir.directory / artifact.path)


def _lost(pool: Executor) -> SymileDataError:
    return lost_scheduler(pool.address if isinstance(pool, ClusterPool) else "this machine")


def _cancel(futures: Iterable[Future[_Outcome]]) -> None:
    for future in futures:
        future.cancel()


def _make_and_measure(make: MakeArtifact, arguments: Any, path: Path) -> _Outcome:
    result = make(arguments, path)
    with write_errors(path):  # a failing disk may report its error only here
        return FinishedArtifact(result, path.stat().st_size, file_sha256(path)), None


def _attempt(attempt: Attempt, make: MakeArtifact, artifact: Artifact) -> _Outcome:
    """Do the same as `_make_and_measure` on a worker of a cluster, which writes into its own folder."""
    with attempt.place(artifact.path) as path:
        made, _ = _make_and_measure(make, artifact.arguments, path)
        return made, path


def _unit(artifacts: Sequence[Artifact]) -> str:
    return "files" if artifacts and artifacts[0].path.startswith(".") else "shards"


def _start_worker(lifeline: Connection) -> None:
    """Ignore Ctrl-C, which the parent handles, and exit when the parent exits, even if it was killed."""
    ignore_interrupts()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    multiprocessing.connection.wait([lifeline])
    os._exit(1)
