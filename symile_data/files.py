"""Small, safe file operations: atomic writes, hashes, canonical JSON, sorted listings. Knows nothing of datasets."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from symile_data.errors import OutputError

_READ_SIZE = 1 << 20


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, on failure it is removed.

    A reader never sees a half-written file, and a killed process leaves at most a `*.partial` that the next run
    replaces.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    temporary = path.with_name(f".{path.name}.partial")
    try:
        with write_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            yield temporary
            descriptor = os.open(temporary, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)
            temporary.replace(path)
            _sync_directory(path.parent)
    except BaseException:
        with contextlib.suppress(OSError):  # what went wrong before matters more
            temporary.unlink()
        raise


def write_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write many small files of one directory. Each appears whole or not at all; waiting for the disk once for all of
    them is much faster than once for each.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, data in files:
            temporary = path.with_name(f".{path.name}.partial")
            with write_errors(path):
                path.parent.mkdir(parents=True, exist_ok=True)
                written.append((temporary, path))
                temporary.write_bytes(data)
        for temporary, path in written:
            with write_errors(path), temporary.open("rb") as file:
                os.fsync(file.fileno())
        for temporary, path in written:
            with write_errors(path):
                temporary.replace(path)
        for directory in {path.parent for _, path in written}:
            _sync_directory(directory)
    except BaseException:
        for temporary, _ in written:
            with contextlib.suppress(OSError):  # what went wrong before matters more
                temporary.unlink()
        raise


@contextlib.contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn the operating system's write errors into one sentence that says what can be done."""
    advice = {
        errno.ENOSPC: "free some space and run the same command again: finished shards are kept",
        errno.EDQUOT: "free some quota and run the same command again: finished shards are kept",
        errno.EROFS: "choose a writable directory with --out",
        errno.EACCES: "choose a writable directory with --out",
        errno.EIO: "check the disk, then run the same command again: finished shards are kept",
    }
    try:
        yield
    except OSError as error:
        if error.errno not in advice:
            raise
        message = f"cannot write: {os.strerror(error.errno).lower()}"
        raise OutputError(message, where=path, do=advice[error.errno]) from error


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, with newlines as given."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no blanks: equal values give equal text.

    >>> canonical_json({"b": 1, "a": [1, 2]})
    '{"a":[1,2],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pretty_json(value: Any) -> str:
    """JSON for people to read: indented, key order kept, a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(value: Any) -> str:
    """SHA-256 (hex) of a JSON-like value or of text.

    >>> digest({"a": 1}) == digest({"a": 1.5})
    False
    """
    text = value if isinstance(value, str) else canonical_json(value)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes, read in pieces."""
    sha = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(_READ_SIZE):
            sha.update(piece)
    return sha.hexdigest()


def sorted_entries(directory: Path) -> list[os.DirEntry[str]]:
    """Directory entries by name: the order never depends on the file system."""
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
