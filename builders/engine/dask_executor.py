"""Workers on other machines: a `concurrent.futures` pool on a dask.distributed cluster, for the same tasks.

Machines share the output directory's disk. There an attempt at a task writes into a folder of its own, and only the
build's own process moves a file to its place: a worker that was given up for lost, or that still serves a build that
ended, changes nothing. Workers live longer than a build, so each forgets what it remembers of files when it first
works for a build, and has to have the same versions of the libraries that make bytes.
"""

from __future__ import annotations

import contextlib
import functools
import gc
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
from symile_data.format.manifest import OWN_VERSIONS, UNFINISHED, differences

from .build_dir import IDENTITY
from .interrupts import started_unreached

LOCAL = "local"
AGAIN = "run the same command again: finished files are kept"

_ADDRESS, _HERE = "dask:", "dask-local:"
_CONNECT_S = 30
_ATTEMPTS = "attempts"

T = TypeVar("T")


class ClusterPool(Executor):
    """Tasks for the workers of a cluster.

    Args:
        client: Of dask.distributed.
        address: Of its scheduler, for messages.
    """

    def __init__(self, client: Any, address: str) -> None:
        self._executor = client.get_executor(pure=False)
        self.address = address
        self._build = uuid.uuid4().hex

    def submit(self, task: Callable[..., T], /, *arguments: Any, **named: Any) -> Future[T]:
        """Let some worker run a task, by itself on that worker."""
        future: Future[T] = self._executor.submit(_alone, self._build, task, *arguments, **named)
        return future

    def attempts(self, directory: Path) -> Path:
        """The folder in which this build's workers leave what they made."""
        return directory.resolve() / UNFINISHED / _ATTEMPTS / self._build

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Forget the tasks that have not ended."""
        self._executor.shutdown(wait=wait and not cancel_futures)


@contextlib.contextmanager
def cluster_pool(executor: str) -> Iterator[ClusterPool]:
    """A pool on the cluster that `--executor` names, for as long as it is used.

    Raises:
        UsageError: it names none.
        MissingPackageError: dask.distributed is not installed.
        SymileDataError: no scheduler answers.
    """
    address, workers = parse_executor(executor)
    try:
        import distributed
    except ModuleNotFoundError as error:
        if error.name != "distributed":
            raise
        raise MissingPackageError("distributed", "dask", "--executor") from None
    with contextlib.ExitStack() as stack:
        place: Any = address
        if workers:
            with started_unreached():
                place = stack.enter_context(
                    distributed.LocalCluster(
                        n_workers=workers,
                        threads_per_worker=1,
                        dashboard_address="127.0.0.1:0",
                        silence_logs="CRITICAL",
                    )
                )
        try:
            client = stack.enter_context(distributed.Client(place, timeout=_CONNECT_S, set_as_default=False))
        except (OSError, ValueError) as error:  # a timeout is one of the first
            raise SymileDataError(
                "no scheduler of a cluster answers",
                where=address,
                got=" ".join(str(error).split())[:200],
                do="start one with dask scheduler, and give its address as --executor dask:HOST:8786",
            ) from None
        yield ClusterPool(client, address or client.scheduler.address)


def parse_executor(text: str) -> tuple[str, int]:
    """Address of a scheduler, or how many workers a cluster on this machine has.

    >>> parse_executor("dask:10.0.0.7:8786"), parse_executor("dask-local:4")
    (('10.0.0.7:8786', 0), ('', 4))

    Raises:
        UsageError: neither.
    """
    address, workers = text.removeprefix(_ADDRESS), text.removeprefix(_HERE)
    if workers != text and workers.isdecimal() and int(workers):
        return "", int(workers)
    if address not in (text, ""):
        return address, 0
    raise UsageError("unknown --executor", got=repr(text), do="choose local, dask:ADDRESS or dask-local:WORKERS")


@dataclass(frozen=True, kw_only=True)
class Attempt:
    """What a worker needs to know beside the task.

    Args:
        folder: Of the build's attempts.
        here: The build's working directory, which relative paths of sources are meant from.
        versions: Of the libraries that make bytes, as the build's identity has them.
    """

    folder: Path
    here: Path
    versions: Mapping[str, str]

    @contextlib.contextmanager
    def place(self, artifact: str) -> Iterator[Path]:
        """Where this attempt writes a product, in the build's working directory where this machine has it.

        Raises:
            SymileDataError: this machine has other libraries, or not the build's disk.
            OutputError: what the attempt raised, with the name of this machine: its disk may be the only one that is
                full.
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
            if not (internal / IDENTITY).exists():  # the build ended without this attempt
                _withdraw(own, internal)


def _withdraw(own: Path, internal: Path) -> None:
    """Leave nothing of an attempt in a finished dataset, nor folders that it made anew."""
    shutil.rmtree(own, ignore_errors=True)
    for folder in (own.parent, own.parent.parent, internal):
        with contextlib.suppress(OSError):  # it is gone, or holds files of others
            folder.rmdir()


def take_over(made: Path, path: Path, size: int) -> None:
    """Move what an attempt made to its place.

    Raises:
        OutputError: it is not there, or not whole; or the disk refuses.
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
    """Whether an error says that the workers of a task died, again and again."""
    return any(kind.__name__ == "KilledWorker" for kind in type(error).__mro__)


def lost_scheduler(address: str) -> SymileDataError:
    """The error for tasks that ended without an outcome."""
    return SymileDataError("the connection to the cluster's scheduler was lost", where=address, do=AGAIN)


_one_at_a_time = threading.Lock()
_builds: set[str] = set()  # for which this worker has worked


def _alone(build: str, task: Callable[..., T], *arguments: Any) -> T:
    """Run a task while no other runs in this process, whatever its number of threads: not all libraries allow it."""
    with _one_at_a_time:
        if build not in _builds:
            _forget()
            _builds.add(build)
        return task(*arguments)


def _forget() -> None:
    """Empty the package's caches: files of an earlier build may have had the same names and other contents."""
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
