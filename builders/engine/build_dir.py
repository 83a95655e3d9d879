"""The output directory of a running build: its lock, its journal and its commit.

While a build runs, `<out>/.build/` holds its fingerprint, a lock and one journal entry for each finished artifact (a
chunk of media or a shard). A rerun with the same fingerprint keeps every artifact whose journal entry and bytes agree;
a run with another fingerprint is refused. `finish` removes `.build/` after it has written the manifest, so a directory
without manifest.json is an unfinished build.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TextIO

from symile_data.errors import OutputError
from symile_data.files import file_sha256, pretty_json, write_errors, write_text
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets import DATASET as BESIDE
from symile_data.format.manifest import BuildFingerprint, Manifest
from symile_data.format.typed_json import differences

INTERNAL = manifests.UNFINISHED
IDENTITY = "identity.json"  # the fingerprint of an unfinished build, in `.build/`
WRITTEN = "shards"  # key in the sources of a dataset whose shards are part of its fingerprint once they are written

_REMOVALS = 100  # attempts to remove the folder while other processes add files to it


@dataclass(frozen=True, kw_only=True)
class Artifact:
    """One file that a task makes, as a pure function of the build's fingerprint and `arguments`.

    Args:
        path: Path relative to the output directory.
        arguments: Picklable argument of the function that makes the file.
        key: JSON-like value that determines the contents within this build.
    """

    path: str
    arguments: Any
    key: Any


@dataclass(frozen=True)
class FinishedArtifact:
    """The journal's record of an artifact that is whole on disk. Its file was hashed once; whoever lists it uses this.

    Args:
        result: JSON-like value that the task returned.
        bytes: Size of the file.
        sha256: SHA-256 (hex) of the file.
    """

    result: dict[str, Any]
    bytes: int
    sha256: str


@dataclass(frozen=True)
class BuildDir:
    """A locked output directory, made by `open_build_dir`."""

    directory: Path
    identity: BuildFingerprint

    @property
    def internal(self) -> Path:
        """The `.build/` folder, which also holds chunks of media and other intermediate files."""
        return self.directory / INTERNAL

    def finished(self, artifact: Artifact) -> FinishedArtifact | None:
        """Return the record of an artifact whose bytes on disk agree with the journal, else None."""
        path = self.directory / artifact.path
        try:
            entry = json.loads(self._journal(artifact).read_text(encoding="utf-8"))
            if entry["key"] != json.loads(json.dumps(artifact.key)):
                return None
            found = FinishedArtifact(dict(entry["result"]), path.stat().st_size, entry["sha256"])
            return found if found.bytes == entry["bytes"] and file_sha256(path) == found.sha256 else None
        except (OSError, ValueError, KeyError, TypeError):
            return None  # an unreadable artifact is made again

    def record(self, artifact: Artifact, made: FinishedArtifact) -> None:
        """Write the journal entry of a finished artifact."""
        write_text(self._journal(artifact), pretty_json({"key": artifact.key, **asdict(made)}))

    def finish(self, manifest: Manifest) -> None:
        """Commit the dataset: write the manifest, then remove `.build/`."""
        manifests.write(self.directory, manifest)
        _remove_bookkeeping(self.directory)

    def _journal(self, artifact: Artifact) -> Path:
        return self.internal / "journal" / (artifact.path.replace("/", "--") + ".json")


@contextlib.contextmanager
def open_build_dir(directory: Path, identity: BuildFingerprint) -> Iterator[BuildDir | Manifest]:
    """Lock the output directory for one build.

    Yields:
        A `BuildDir`, or the manifest where the same build is already finished.

    Raises:
        UsageError: it would lie inside another dataset.
        OutputError: the directory holds another dataset, an unfinished build with another fingerprint, unrelated files
            or a running build.
    """
    if directory.exists() and not directory.is_dir():
        raise OutputError("the output path is a file", where=directory, do="choose a directory with `out`")
    if directory.is_symlink() and not directory.exists():
        raise OutputError("the output path is a link to nothing", where=directory, do="choose a directory with `out`")
    if identity.dataset != BESIDE:
        manifests.check_outside(directory, "the output directory")
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
            do="choose an empty or new directory with `out`",
        )
    with _lock(directory / INTERNAL):
        if (directory / manifests.FILE_NAME).is_file():  # another build has finished since the check above
            _remove_bookkeeping(directory)  # the lock file that was just created
            yield _finished(directory, identity)
        else:
            _begin(directory / INTERNAL, identity)
            yield BuildDir(directory, identity)


def _finished(directory: Path, identity: BuildFingerprint) -> Manifest:
    """Return the manifest of a finished dataset; refuse one with another fingerprint."""
    manifest = manifests.read(directory)
    there = asdict(manifest.identity)
    if WRITTEN not in identity.sources:
        there["sources"].pop(WRITTEN, None)
    _refuse_other(directory, identity, there, "a finished dataset")
    _remove_bookkeeping(directory)
    return manifest


def _begin(internal: Path, identity: BuildFingerprint) -> None:
    """Write the fingerprint of a new build, or compare it with that of the interrupted one."""
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
    found = differences(mine, there)
    if mine["dataset"] != there.get("dataset"):
        found = [f"dataset: {mine['dataset']!r}, not {there.get('dataset')!r}"]  # whose settings are other ones
    if found:
        shown = "; ".join(found[:4]) + (f"; and {len(found) - 4} more" if len(found) > 4 else "")
        raise OutputError(
            f"the output directory holds {what} {_other_than(mine, there)}",
            where=directory,
            got=f"{shown} (yours, not what is there)",
            do="choose another `out`, or remove the directory",
        )


def _other_than(mine: dict[str, Any], there: dict[str, Any]) -> str:
    """Say how the existing build differs: another version of the package differs even under equal settings."""
    versions = there.get("versions")
    writer = versions.get(manifests.WRITER_KEY) if isinstance(versions, dict) else None
    if mine["versions"].get(manifests.WRITER_KEY) == writer:
        return "with other settings"
    return "of another version of symile-data, which writes other bytes"


@contextlib.contextmanager
def _lock(internal: Path) -> Iterator[None]:
    """Hold an advisory lock, which the operating system releases when the process exits or is killed."""
    path = internal / "lock"
    while True:
        with write_errors(internal):
            internal.mkdir(parents=True, exist_ok=True)
            try:
                file = path.open("w")
            except FileNotFoundError:  # a build that just finished removed the folder
                continue
        with file:
            _take(file, internal.parent)
            if _is_same(file, path):
                yield
                return
        # The build that held the lock removed the file, so locking it excludes nobody.


def _take(file: TextIO, directory: Path) -> None:
    try:
        _lock_soon(file)
    except BlockingIOError:
        raise OutputError(
            "another build is running in this directory",
            where=directory,
            do="wait for it to end, or choose another `out`",
        ) from None
    except OSError as error:
        raise OutputError(
            "the output directory cannot be locked", where=directory, got=error.strerror, do="choose another disk"
        ) from error


def _lock_soon(file: TextIO) -> None:
    """Lock, or raise BlockingIOError: a process between fork and exec can hold a lock that was let go for a moment."""
    for _ in range(20):
        with contextlib.suppress(BlockingIOError):
            return fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        time.sleep(0.02)
    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)


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
                # Another process removes the folder too, or a worker that was presumed dead still writes into it.
                if error.errno not in (errno.ENOENT, errno.ENOTEMPTY):
                    raise
    raise OutputError(
        "the dataset is finished, but its bookkeeping cannot be removed", where=internal, do="remove that folder"
    )
