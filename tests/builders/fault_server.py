"""Build small datasets in processes that are killed, or whose disk fails, at a chosen step.

Run as a script it is a fork server: modules are loaded once, and each request (a JSON line on stdin) is a build in a
process of its own, about which a JSON line comes back. A step is anything that a build does to its output directory:
open for writing or syncing, make a folder, write a batch, sync, rename, remove. Faults strike before the step.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

TESTS = Path(__file__).resolve().parents[1]


def small(name: str, value: int) -> None:
    """Set a number of a builder's module, for the life of this process."""
    module, _, constant = name.rpartition(".")
    setattr(import_module(f"symile_data.builders.{module}"), constant, value)


def build_m3(source: Path, out: Path) -> None:
    """Eight rows of Symile-M3 with many small products."""
    import factories

    small("m3.build.ROWS_PER_SHARD", 2)
    small("m3.prepare_media.CHUNK", 2)
    small("m3.rows.shard.ROWS_PER_GROUP", 1)
    factories.build(source, out, write_card=documents, rows={"train": 4, "validation": 2, "test": 2})


def build_xor(_source: Path, out: Path) -> None:
    """Twelve rows of XOR in seven shards."""
    from symile_data.builders.xor import build, spec

    build.ROWS_PER_SHARD, build.ROWS_PER_GROUP = 2, 1
    settings = spec.XorSpec(rows={"train": 7, "validation": 3, "test": 2})
    build.build_xor(settings, out, workers=1, write_card=documents)


def build_mimic(source: Path, out: Path) -> None:
    """Eight admissions of Symile-MIMIC; the releases lie beside the other source."""
    from mimic_tree import Tree

    from symile_data.builders.mimic import build, spec

    small("mimic.build.ROWS_PER_SHARD", 2)
    small("mimic.signals.media.CHUNK", 2)
    small("mimic.shard.ROWS_PER_GROUP", 1)
    small("mimic.signals.radiograph.SHORTER_SIDE", 32)
    tree = Tree(source.with_name("mimic"))
    for number in range(8):
        tree.complete(10_000_000 + number, 20_000_000 + number)
    if not tree.roots.mimic_iv.exists():
        tree.write()
    settings = spec.MimicSpec(roots=tree.roots, train=4, validation=2, candidates=2)
    build.build_mimic(settings, out, workers=1, write_card=documents)


def documents(directory: Path, _manifest: object, _schema: object) -> list[Path]:
    """What stands for the card."""
    from symile_data.files import write_text

    paths = [directory / "README.md", directory / "figures" / "rows.png"]
    for path in paths:
        write_text(path, f"{path.name}\n" * 9)
    return paths


# Their versions are part of the builds' fingerprints; finding them reads their metadata.
PACKAGES = ("datasets", "espeakng-loader", "numpy", "pillow", "polars", "pyarrow", "soundfile", "soxr", "wfdb")

# One line for each dataset that can be built.
BUILDERS: dict[str, Callable[[Path, Path], None]] = {"m3": build_m3, "mimic": build_mimic, "xor": build_xor}


@dataclass(frozen=True)
class Outcome:
    """How a build ended.

    Args:
        how: "done", "killed", "error" (one of ours) or "bug" (anything else).
        said: The error.
        steps: That it did, the one that failed included.
    """

    how: str
    said: str
    steps: int


class FaultServer:
    """The server, from the outside. Close it when done."""

    def __init__(self, source: Path) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(source)],
            cwd=TESTS.parent,
            # Each build starts the threads of polars anew.
            env={**os.environ, "PYTHONPATH": f"{TESTS.parent}{os.pathsep}{TESTS}", "POLARS_MAX_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def build(self, dataset: str, out: Path, **fault: Any) -> Outcome:
        """Build, with a fault: `step` and `how` ("kill" or the name of an errno, with `lasting` from then on),
        `file_bytes` (no file may be larger), `full` (that temporary file, counted from 0, takes no byte), `batch`
        (kill before that batch of rows is written) or `clock` (seconds by which it is wrong).
        """
        (outcome,) = self.race(dataset, out, 1, **fault)
        return outcome

    def race(self, dataset: str, out: Path, count: int, **fault: Any) -> list[Outcome]:
        """Several builds at once."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([dataset, str(out), count, fault]), file=self._process.stdin, flush=True)
        return [Outcome(*json.loads(self._process.stdout.readline())) for _ in range(count)]

    def close(self) -> None:
        """End the server."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        assert self._process.wait(60) == 0
        self._process.stdout.close()


class _Steps:
    """Counts the steps of a build through Python's audit events, and strikes at one of them."""

    def __init__(self, out: Path, fault: dict[str, Any]) -> None:
        self.count, self._out, self._fault = 0, str(out), fault

    def install(self) -> None:
        """Watch this process from now on."""
        import pyarrow.parquet as pq

        from symile_data import files

        sys.addaudithook(self._audit)
        write_batch, fsync, temporary = pq.ParquetWriter.write_batch, os.fsync, files.temporary_path

        written = iter(range(1 << 30))

        def counted_write(*arguments: Any, **named: Any) -> None:
            self.step()
            if next(written) == self._fault.get("batch"):
                os.kill(os.getpid(), signal.SIGKILL)
            write_batch(*arguments, **named)

        def counted_sync(descriptor: int) -> None:
            self.step()
            fsync(descriptor)

        made = iter(range(1 << 30))

        def full_path(path: Path) -> Path:
            found: Path = temporary(path)
            if next(made) == self._fault.get("full"):
                found.parent.mkdir(parents=True, exist_ok=True)
                found.symlink_to("/dev/full")  # takes no byte
            return found

        for owner, name, function in (
            (pq.ParquetWriter, "write_batch", counted_write),
            (os, "fsync", counted_sync),
            (files, "temporary_path", full_path),
        ):
            setattr(owner, name, function)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            path, _, flags = arguments
            writes = bool(flags & (os.O_WRONLY | os.O_RDWR)) or str(path).endswith(".partial")
            if writes and self._is_ours(path):
                self.step()
        elif event == "os.mkdir" and Path(arguments[0]).is_dir():
            pass  # nothing is made
        elif event in ("os.rename", "os.mkdir", "os.remove", "os.rmdir") and self._is_ours(arguments[0]):
            self.step()

    def _is_ours(self, path: Any) -> bool:
        # Within shutil.rmtree paths are relative to a folder that is being removed.
        return isinstance(path, str | os.PathLike) and (
            str(path).startswith(self._out) or not str(path).startswith("/")
        )

    def step(self) -> None:
        """One more; it fails where the fault says so."""
        self.count += 1
        at, how = self._fault.get("step"), self._fault.get("how")
        if at is None or self.count < at or (self.count > at and not self._fault.get("lasting")):
            return
        if how == "kill":
            os.kill(os.getpid(), signal.SIGKILL)
        code = getattr(errno, str(how))
        raise OSError(code, os.strerror(code))


def _child(source: Path, dataset: str, out: Path, fault: dict[str, Any]) -> tuple[str, str, int]:
    from symile_data.errors import SymileDataError

    if "clock" in fault:
        real = time.time
        time.time = lambda: real() + fault["clock"]
        time.time_ns = lambda: int(time.time() * 1e9)
    if "file_bytes" in fault:
        resource.setrlimit(resource.RLIMIT_FSIZE, (fault["file_bytes"],) * 2)
    steps = _Steps(out, fault)
    steps.install()
    try:
        BUILDERS[dataset](source, out)
        return "done", "", steps.count
    except SymileDataError as error:
        return "error", str(error), steps.count
    except BaseException as error:
        return "bug", repr(error), steps.count


@contextlib.contextmanager
def _silent() -> Iterator[None]:
    with Path(os.devnull).open("w", encoding="utf-8") as nowhere, contextlib.redirect_stderr(nowhere):
        yield


def _serve(source: Path) -> None:
    # Everything that builds import, once; none of it starts threads, which a fork would lose.
    import datasets  # noqa: F401
    import factories  # noqa: F401
    import mimic_tree  # noqa: F401
    import polars  # noqa: F401
    import soundfile  # noqa: F401
    import soxr  # noqa: F401

    from symile_data.builders.xor import build  # noqa: F401
    from symile_data.datasets.m3.names import imagenet_classes
    from symile_data.format.manifest import library_versions

    imagenet_classes()
    library_versions(PACKAGES)

    for line in sys.stdin:
        dataset, out, count, fault = json.loads(line)
        children = []
        for _ in range(count):
            reading, writing = os.pipe()
            child = os.fork()
            if not child:
                with _silent():
                    told = json.dumps(_child(source, dataset, Path(out), fault))
                os.write(writing, told.encode())
                os._exit(0)
            os.close(writing)
            children.append((child, reading))
        for child, reading in children:
            with os.fdopen(reading) as pipe:
                told = pipe.read()
            os.waitpid(child, 0)
            sys.stdout.write((told or json.dumps(["killed", "", 0])) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    _serve(Path(sys.argv[1]))
