"""The output directory of a running build: who may write there, what is already done, and how it ends.

While a build runs, `<out>/.build/` holds its identity, a lock and one journal entry for each finished product (a pool
chunk or a shard). A rerun with the same identity keeps every product whose journal entry and bytes agree; a run with
another identity is refused. `finish` removes `.build/` after the manifest is written, so a directory without
manifest.json is an unfinished build.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from symile_data.errors import OutputError
from symile_data.files import file_sha256, pretty_json, write_errors, write_text
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Manifest

INTERNAL = manifests.UNFINISHED
IDENTITY = "identity.json"  # in it, as long as the build is unfinished

_REMOVALS = 100  # times that the bookkeeping is removed while others add to it


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file that a task makes: a pure function of the build's identity and `arguments`.

    Args:
        path: Relative to the output directory.
        arguments: Picklable; handed to the function that makes it.
        key: JSON-like, what distinguishes this product's contents within the build.
    """

    path: str
    arguments: Any
    key: Any


@dataclass(frozen=True)
class BuildDir:
    """An output directory under its lock. Made by `open_build_dir`."""

    directory: Path
    identity: BuildFingerprint

    @property
    def internal(self) -> Path:
        """The bookkeeping folder, for pools and other intermediate files."""
        return self.directory / INTERNAL

    def finished(self, artifact: Artifact) -> dict[str, Any] | None:
        """The recorded result of a product that is done and intact on disk, else None."""
        path = self.directory / artifact.path
        try:
            entry = json.loads(self._journal(artifact).read_text(encoding="utf-8"))
            if entry["key"] != json.loads(json.dumps(artifact.key)):
                return None
            if path.stat().st_size != entry["bytes"] or file_sha256(path) != entry["sha256"]:
                return None
            return dict(entry["result"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # whatever cannot be read is made again

    def record(self, artifact: Artifact, result: dict[str, Any], size: int, sha256: str) -> None:
        """Note that a product is done."""
        entry = {"key": artifact.key, "bytes": size, "sha256": sha256, "result": result}
        write_text(self._journal(artifact), pretty_json(entry))

    def finish(self, manifest: Manifest) -> None:
        """Commit the dataset: manifest last, then the bookkeeping goes."""
        manifests.write(self.directory, manifest)
        _remove_bookkeeping(self.directory)

    def _journal(self, artifact: Artifact) -> Path:
        return self.internal / "journal" / (artifact.path.replace("/", "--") + ".json")


@contextlib.contextmanager
def open_build_dir(directory: Path, identity: BuildFingerprint) -> Iterator[BuildDir | Manifest]:
    """Take the output directory for one build.

    Yields:
        A `BuildDir` to build in, or the manifest when this very build is already finished there.

    Raises:
        OutputError: the directory holds another dataset, another build's beginnings, unrelated files, or a running
            build.
    """
    if directory.exists() and not directory.is_dir():
        raise OutputError("the output path is a file", where=directory, do="choose a directory with --out")
    with write_errors(directory):
        names = {entry.name for entry in directory.iterdir()} if directory.exists() else set()
    if manifests.FILE_NAME in names:
        yield _finished(directory, identity)
        return
    if names and INTERNAL not in names:
        raise OutputError(
            "the output directory holds files that no build of ours left there",
            where=directory,
            got=min(names),
            do="choose an empty or new directory with --out",
        )
    with _lock(directory / INTERNAL):
        if (directory / manifests.FILE_NAME).is_file():  # of a build that ended since the first look
            _remove_bookkeeping(directory)  # this one's
            yield _finished(directory, identity)
        else:
            _begin(directory / INTERNAL, identity)
            yield BuildDir(directory, identity)


def _finished(directory: Path, identity: BuildFingerprint) -> Manifest:
    """The manifest of the dataset that is there, if it is this very build's."""
    manifest = manifests.read(directory)
    _refuse_other(directory, identity, asdict(manifest.identity), "a finished dataset")
    _remove_bookkeeping(directory)
    return manifest


def _begin(internal: Path, identity: BuildFingerprint) -> None:
    """Note whose build this is, or check that it is the same as before."""
    path = internal / IDENTITY
    if not path.is_file():
        write_text(path, pretty_json(asdict(identity)))
        return
    try:
        there = json.loads(path.read_text(encoding="utf-8"))
        found = dict(there)
    except (OSError, ValueError, TypeError) as error:
        raise OutputError(
            "the record of an unfinished build cannot be read", where=path, got=error, do="remove the output directory"
        ) from None
    _refuse_other(internal.parent, identity, found, "an unfinished build")


def _refuse_other(directory: Path, identity: BuildFingerprint, there: dict[str, Any], what: str) -> None:
    mine = json.loads(json.dumps(asdict(identity)))
    found = manifests.differences(mine, there)
    if found:
        shown = "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")
        raise OutputError(
            f"the output directory holds {what} {_other_than(mine, there)}",
            where=directory,
            got=f"{shown} (yours, not what is there)",
            do="choose another --out, or remove the directory",
        )


def _other_than(mine: dict[str, Any], there: dict[str, Any]) -> str:
    """How what is there differs, in words: settings that are equal do not help where another version wrote it."""
    versions = there.get("versions")
    writer = versions.get(manifests.WRITER_KEY) if isinstance(versions, dict) else None
    if mine["versions"].get(manifests.WRITER_KEY) == writer:
        return "with other settings"
    return "of another version of symile-data, which writes other bytes"


@contextlib.contextmanager
def _lock(internal: Path) -> Iterator[None]:
    """An advisory lock that the operating system releases with the process, however it ends."""
    path = internal / "lock"
    while True:
        with write_errors(internal):
            internal.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("w")
            except FileNotFoundError:  # a build that just ended removed the folder
                continue
        with file:
            _take(file, internal.parent)
            if _is_same(file, path):
                yield
                return
        # The file was removed by the build that held it; a lock on it keeps nobody out.


def _take(file: TextIO, directory: Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise OutputError(
            "another build is running in this directory",
            where=directory,
            do="wait for it to end, or choose another --out",
        ) from None
    except OSError as error:
        raise OutputError(
            "the output directory cannot be locked", where=directory, got=error.strerror, do="choose another disk"
        ) from error


def _is_same(file: TextIO, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False


def _remove_bookkeeping(directory: Path) -> None:
    internal = directory / INTERNAL
    for _ in range(_REMOVALS):
        if not internal.exists():
            return
        with write_errors(internal):
            try:
                shutil.rmtree(internal)
            except OSError as error:
                # Another process removes it too; or a worker that was given up for lost still adds to it.
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                    raise
    raise OutputError(
        "the dataset is finished, but its bookkeeping cannot be removed", where=internal, do="remove that folder"
    )
