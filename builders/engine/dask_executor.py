"""Run the tasks of a build on a dask.distributed cluster, through the interface of `concurrent.futures`.

All machines share the disk of the output directory. Each attempt at a task writes into its own folder, and only the
process of the build moves a file into place. So a worker that was presumed dead, or that still works for a build that
ended, changes nothing. Workers outlive a build: each empties its caches when it first works for a build, and must have
the same versions of the libraries that decide the bytes.
"""

from __future__ import annotations

import contextlib
import functools
import gc
import logging
import platform
import shutil
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor, Future
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, TypeVar

from symile_data.errors import MissingPackageError, OutputError, SymileDataError, UsageError
from symile_data.files import move_file, write_errors
from symile_data.format.manifest import OWN_VERSIONS, UNFINISHED
from symile_data.format.typed_json import differences

from .build_dir import IDENTITY
from .interrupts import started_unreached

LOCAL = "local"
AGAIN = "run the same command again: finished files are kept"

_ADDRESS, _HERE = "dask:", "dask-local:"
_CONNECT_S = 30
_ATTEMPTS = "attempts"

T = TypeVar("T")


class ClusterPool(Executor):
    """Submits the tasks of one build to the workers of a cluster.

    Args:
        client: A `distributed.Client`.
        address: The address of its scheduler, for error messages.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._executor = client.get_executor(pure=False)
        self.address = address
        self._build = uuid.uuid4().hex

    def submit(self, task: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Submit a task. A worker runs one task at a time, whatever its number of threads."""
        future: Future[T] = self._executor.submit(_alone, self._build, task, *arguments, **named)
        return future

    def attempts(self, directory: Path) -> Path:
        """Return the folder in which the workers of this build write their files."""
        return directory.resolve() / UNFINISHED / _ATTEMPTS / self._build

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Release the executor and forget unfinished tasks."""
        self._executor.shutdown(wait=wait and not cancel_futures)


@contextlib.contextmanager
def cluster_pool(executor: str) -> Iterator[ClusterPool]:
    """Connect to the cluster that `executor` names ("dask:ADDRESS" or "dask-local:WORKERS") for the time of the block.

    Raises:
        UsageError: `executor` names no cluster.
        MissingPackageError: dask.distributed is not installed.
        SymileDataError: no scheduler answers.
    """
    address, workers = parse_executor(executor)
    try:
        import distributed
    except ModuleNotFoundError as error:
        if error.name != "distributed":
            raise
        raise MissingPackageError("distributed", "dask", "`executor`") from None
    with contextlib.ExitStack() as stack:
        place: Any = address
        if workers:
            with started_unreached():
                place = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        dashboard_address="127.0.0.1:0",
                        silence_logs=logging.CRITICAL,
                    )
                )
        try:
            client = stack.enter_context(distributed.Client(place, timeout=_CONNECT_S, set_as_default=False))
        except (OSError, ValueError) as error:  # a timeout is an OSError
            raise SymileDataError(
                "no scheduler of a cluster answers",
                where=address,
                got=" ".join(str(error).split())[:200],
                do="start one with dask scheduler, and give its address as `executor='dask:HOST:8786'`",
            ) from None
        yield ClusterPool(client, address or place.scheduler_address)


def parse_executor(text: str) -> tuple[str, int]:
    """Split the name of a cluster into the address of its scheduler and its number of workers on this machine.

    >>> parse_executor("dask:10.0.0.7:8786"), parse_executor("dask-local:4")
    (('10.0.0.7:8786', 0), ('', 4))

    Raises:
        UsageError: the text is of neither form.
    """
    address, workers = text.removeprefix(_ADDRESS), text.removeprefix(_HERE)
    if workers != text and workers.isdecimal() and int(workers):
        return "", int(workers)
    if address not in (text, ""):
        return address, 0
    raise UsageError("unknown `executor`", got=repr(text), do="choose local, dask:ADDRESS or dask-local:WORKERS")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a worker of a cluster must know beyond the task.

    Args:
        folder: The folder of the build's attempts.
        here: The working directory of the build; relative paths of sources start there.
        versions: Package -> version of the libraries that decide the bytes, from the build's fingerprint.
    """

    folder: Path
    here: Path
    versions: Mapping[str, str]

    @contextlib.contextmanager
    def place(self, artifact: str) -> Iterator[Path]:
        """Yield the path to which this attempt writes an artifact, with the build's working directory where it exists.

        Raises:
            SymileDataError: this machine has other library versions or does not see the build's disk.
            OutputError: the attempt raised it; the name of this machine is added, as only its disk may be full.
        """
        _check_versions(self.versions)
        internal, own = self.folder.parent.parent, self.folder / uuid.uuid4().hex
        try:
            if not internal.is_dir():
                raise OutputError(
                    "a worker does not see the output directory",
                    where=internal.parent,
                    do="build into a directory on a disk that all machines share, under the same path",
                )
            with contextlib.chdir(self.here) if self.here.is_dir() else contextlib.nullcontext():
                yield own / artifact
        except OutputError as error:
            where = f"{error.where} on {platform.node()}"
            raise OutputError(error.what, where=where, got=error.got, do=error.do) from error
        finally:
            if not (internal / IDENTITY).exists():  # the build has ended without this attempt
                _withdraw(own, internal)


def _withdraw(own: Path, internal: Path) -> None:
    """Remove the files of an attempt from a finished dataset, and the folders that it created."""
    shutil.rmtree(own, ignore_errors=True)
    for folder in (own.parent, own.parent.parent, internal):
        with contextlib.suppress(OSError):  # it is already gone, or other attempts use it
            folder.rmdir()


def take_over(made: Path, path: Path, size: int) -> None:
    """Move the file of an attempt into its place.

    Raises:
        OutputError: the file is missing or incomplete, or the disk fails.
    """
    with write_errors(path):
        try:
            whole = made.stat().st_size == size
        except FileNotFoundError:
            whole = False
    if not whole:
        raise OutputError(
            "a file that a worker wrote does not arrive here",
            where=path,
            do="build into a directory on a disk that all machines share, under the same path",
        )
    move_file(made, path)


def lost_worker(error: BaseException) -> bool:
    """Tell whether dask gave up a task because its workers died repeatedly."""
    return any(kind.__name__ == "KilledWorker" for kind in type(error).__mro__)


def lost_scheduler(address: str) -> SymileDataError:
    """Return the error for tasks that ended without a result because the scheduler is gone."""
    return SymileDataError("the connection to the cluster's scheduler was lost", where=address, do=AGAIN)


_one_at_a_time = threading.Lock()
_builds: set[str] = set()  # builds that this worker has served


def _alone(build: str, task: Callable[..., T], *arguments: Any) -> T:
    """Run a task while no other one runs in this process: not all libraries are safe to use from several threads."""
    with _one_at_a_time:
        if build not in _builds:
            _forget()
            _builds.add(build)
        return task(*arguments)


def _forget() -> None:
    """Empty the package's caches: an earlier build may have had other files under the same names."""
    for found in gc.get_objects():
        if isinstance(found, functools._lru_cache_wrapper) and str(found.__module__).startswith("symile_data"):
            found.cache_clear()


def _check_versions(expected: Mapping[str, str]) -> None:
    here = {}
    for package in expected:
        with contextlib.suppress(metadata.PackageNotFoundError):
            here[package] = OWN_VERSIONS.get(package) or metadata.version(package)
    found = differences(here, expected)
    if found:
        raise SymileDataError(
            "a worker has other libraries than the build, which could make other bytes",
            got="; ".join(found),
            do="install the same versions on all machines",
        )
