"""Run a stage of a build: every product that is not yet done, on worker processes, with progress and a journal.

A product's function is pure (it depends on its arguments alone), so the bytes do not depend on how many workers there
are, on their order or on interruptions. Nothing here knows a dataset.
Workers are processes of this machine, or those of a cluster (`cluster`).
"""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
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

from .build_dir import Artifact, BuildDir
from .dask_executor import AGAIN, LOCAL, Attempt, ClusterPool, cluster_pool, lost_scheduler, lost_worker, take_over
from .interrupts import ignore_interrupts, started_unreached

# Writes the product to the path (atomically) and returns a JSON-like result.
MakeArtifact = Callable[[Any, Path], dict[str, Any]]


class WorkerPool(ProcessPoolExecutor):
    """Worker processes that end at once when the build is interrupted, whatever they are doing.

    Workers are spawned, not forked: forking a process that runs Arrow's threads can deadlock.
    """

    def __init__(self, workers: int) -> None:
        context = multiprocessing.get_context("spawn")
        # Nothing is ever sent through it. Its end, which comes with this process's end too, is the workers' end.
        lifeline, self._lifeline = context.Pipe(duplex=False)
        super().__init__(max_workers=workers, mp_context=context, initializer=_start_worker, initargs=(lifeline,))

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Hand out a task; this is when workers are started."""
        with started_unreached():
            return super().submit(fn, *args, **kwargs)

    def __exit__(self, kind: type[BaseException] | None, *rest: Any) -> bool | None:
        """Wait for running tasks, but for an interrupt (Ctrl-C): then end the workers in the midst of theirs."""
        if kind is not None and not issubclass(kind, Exception):
            self._lifeline.close()
        return super().__exit__(kind, *rest)


def worker_number() -> int:
    """Tells a pool's workers apart by consecutive numbers; 0 in a process of its own."""
    number = multiprocessing.current_process().name.rpartition("-")[2]  # "SpawnProcess-2"
    return int(number) - 1 if number.isdecimal() else 0


def worker_pool(workers: int) -> Executor | None:
    """A pool of worker processes, or None where the caller's own process does the work."""
    return WorkerPool(workers) if workers > 1 else None


@contextlib.contextmanager
def open_pool(workers: int, executor: str = LOCAL) -> Iterator[Executor | None]:
    """A pool for as long as it is used: of worker processes (None where one would do), or of a cluster's workers.

    Args:
        workers: Worker processes on this machine.
        executor: "local", or a cluster as `cluster_pool` takes it; `workers` is of no meaning then.
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
) -> list[dict[str, Any]]:
    """Make every product that is not already done.

    Returns:
        The products' results, in the order of `artifacts`, whether made now or in an earlier run.
    """
    results = {artifact.path: build_dir.finished(artifact) for artifact in artifacts}
    todo = [artifact for artifact in artifacts if results[artifact.path] is None]
    with stage(title, len(artifacts), _unit(artifacts)) as advance:
        advance(len(artifacts) - len(todo))

        def done(artifact: Artifact, outcome: _Outcome) -> None:
            made, size, sha256, attempt = outcome
            if attempt is not None:
                take_over(attempt, build_dir.directory / artifact.path, size)
            build_dir.record(artifact, made, size, sha256)
            results[artifact.path] = made
            advance()

        if pool is None:
            for artifact in todo:
                done(artifact, _make_and_measure(make, artifact.arguments, build_dir.directory / artifact.path))
        else:
            _run_on(pool, build_dir, todo, make, done)
    return [result for artifact in artifacts if (result := results[artifact.path]) is not None]


_Outcome = tuple[dict[str, Any], int, str, Path | None]  # result, bytes, SHA-256, where it is if not in its place


def _run_on(
    pool: Executor,
    build_dir: BuildDir,
    todo: Sequence[Artifact],
    make: MakeArtifact,
    done: Callable[[Artifact, _Outcome], None],
) -> None:
    """Make products on workers. After an error nothing new is begun, but what is under way is finished and kept.

    Where workers end, by an interrupt or a death, nothing is cancelled: their pool itself ends what has not begun, and
    in some versions of CPython its thread fails at futures that are cancelled already.
    """
    failure: BaseException | None = None
    futures: dict[Future[_Outcome], Artifact] = {}
    try:
        for artifact in todo:
            futures[_submit(pool, build_dir, make, artifact)] = artifact
        for future in as_completed(futures):
            if future.cancelled():  # by us after a failure; else a cluster was lost
                failure = failure or _lost(pool)
                continue
            error = future.exception()
            if error is None:
                done(futures[future], future.result())
            elif failure is None:
                failure = error
                if not isinstance(error, BrokenProcessPool):
                    _cancel(futures)
    except BrokenProcessPool as error:  # while products were still being handed out
        failure = error
    except Exception:
        _cancel(futures)
        raise
    if isinstance(failure, BrokenProcessPool):
        raise SymileDataError(
            "a worker process died, probably for lack of memory",
            do="run the same command again with fewer --workers: finished files are kept",
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
    with write_errors(path):  # a disk that fails may show it only now
        return result, path.stat().st_size, file_sha256(path), None


def _attempt(attempt: Attempt, make: MakeArtifact, artifact: Artifact) -> _Outcome:
    """As `_make_and_measure`, on a worker of a cluster."""
    with attempt.place(artifact.path) as path:
        return (*_make_and_measure(make, artifact.arguments, path)[:3], path)


def _unit(artifacts: Sequence[Artifact]) -> str:
    return "files" if artifacts and artifacts[0].path.startswith(".") else "shards"


def _start_worker(lifeline: Connection) -> None:
    """Leave Ctrl-C to the parent, and end with it even when it is killed."""
    ignore_interrupts()
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    multiprocessing.connection.wait([lifeline])
    os._exit(1)
