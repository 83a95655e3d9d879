"""Safe file operations that know nothing of datasets: atomic writes, hashes, canonical JSON, sorted listings."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import io
import json
import os
import re
import stat
from collections.abc import Collection, Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from .errors import OutputError, UsageError

_READ_SIZE = 1 << 20
_KEPT = "finished shards are kept"


class RefusedError(OSError):
    """A file, folder or server offers something that is refused, so that another attempt would not help.

    Args:
        reason: A clause that says why; it is also `strerror`, which other libraries quote.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EACCES, reason)

    def __str__(self) -> str:
        return str(self.strerror)


@contextlib.contextmanager
def atomic_path(path: Path, kept: str = _KEPT) -> Iterator[Path]:
    """Yield a temporary path beside `path`; on success it is fsynced and renamed to `path`, on failure it is removed.

    A reader never sees a half-written file, and a killed process leaves at most a `*.partial` that the next run
    replaces.

    Args:
        path: The file to write.
        kept: What an interrupted command keeps, as in `write_errors`.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    temporary = temporary_path(path)
    check_replaceable(path)
    try:
        with write_errors(path, kept):
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
        with contextlib.suppress(OSError):  # the first error matters more
            temporary.unlink()
        raise


def check_replaceable(path: Path) -> None:
    """Refuse to put a file in the place of a directory, a pipe or a device: renaming over /dev/null would remove it.

    Raises:
        OutputError: the path exists and is not a regular file.
    """
    with write_errors(path):
        try:
            mode = path.stat().st_mode
        except (FileNotFoundError, NotADirectoryError):
            return
    if not stat.S_ISREG(mode):
        kind = "a directory" if stat.S_ISDIR(mode) else "a device or a pipe"
        raise OutputError(f"cannot write: {kind} is there", where=path, do="choose the path of a file")


def check_vacant(directory: Path, own: Collection[str] = ()) -> None:
    """Refuse a place for new files that is taken.

    Args:
        directory: Where they are to be written; it may not exist yet.
        own: Names of entries that are replaced or continued, and therefore may be there.

    Raises:
        UsageError: it is no directory, or holds anything else.
    """
    if directory.exists() and not directory.is_dir():
        raise UsageError("this is not a directory", where=directory, do="choose a new or empty directory")
    others = sorted(entry.name for entry in directory.iterdir() if entry.name not in own) if directory.exists() else []
    if others:
        more = f" and {len(others) - 1:,} more" if len(others) > 1 else ""
        raise UsageError(
            "the directory holds other files",
            where=directory,
            got=f"{others[0]}{more}",
            do="choose a new or empty directory",
        )


def write_files(files: Iterable[tuple[Path, bytes]]) -> None:
    """Write many small files, each atomically. One wait for the disk serves all of them, which is much faster than one
    wait for each.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    written: list[tuple[Path, Path]] = []
    try:
        for path, data in files:
            temporary = temporary_path(path)
            check_replaceable(path)
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
            with write_errors(directory):
                _sync_directory(directory)
    except BaseException:
        for temporary, _ in written:
            with contextlib.suppress(OSError):  # the first error matters more
                temporary.unlink()
        raise


def write_unsynced(path: Path, data: bytes) -> None:
    """Write a file in place without fsync, for files that an interrupted run writes again.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    check_replaceable(path)
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def move_file(source: Path, path: Path) -> None:
    """Move a complete file to `path` atomically and durably.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    check_replaceable(path)
    with write_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        source.replace(path)
        _sync_directory(path.parent)


def temporary_path(path: Path) -> Path:
    """Return the path at which `atomic_path` writes a file before it is renamed."""
    return path.with_name(f".{path.name}.partial")


@contextlib.contextmanager
def write_errors(path: Path, kept: str = _KEPT) -> Iterator[None]:
    """Turn write errors of the operating system into one sentence with advice. Errors that name another file, such as a
    source that is read within the block, pass unchanged.

    Args:
        path: The file or directory that is written.
        kept: A clause about what the same command keeps when it runs again.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    try:
        yield
    except OSError as error:
        code = _error_code(error)
        if code not in _ADVICE or not _concerns(error, code, path):
            raise
        message = f"cannot write: {os.strerror(code).lower()}"
        raise OutputError(message, where=path, do=_ADVICE[code].format(again=f"{_AGAIN}: {kept}")) from error


def _concerns(error: OSError, code: int, path: Path) -> bool:
    """Tell whether an error concerns the path, its temporary file, or a path above or below it. A disk error may name
    no path; an error about a wrong path must name it.
    """
    names = [Path(os.fsdecode(name)) for name in (error.filename, error.filename2) if isinstance(name, str | bytes)]
    if not names:
        return code not in _OF_PATHS
    return any(name == temporary_path(path) or path.is_relative_to(name) or name.is_relative_to(path) for name in names)


_AGAIN = "run the same command again"
_ADVICE = {
    errno.ENOSPC: "free some space and {again}",
    errno.EDQUOT: "free some quota and {again}",
    errno.EFBIG: "raise the limit on the size of files (ulimit -f) and {again}",
    errno.EROFS: "make it writable, or choose another directory",
    errno.EACCES: "make it writable, or choose another directory",
    errno.EPERM: "make it writable, or choose another directory",
    errno.EIO: "check the disk, then {again}",
    errno.ESTALE: "check the network disk, then {again}",
    errno.ETIMEDOUT: "check the network disk, then {again}",
    errno.ENOENT: "choose a place where directories can be made",
    errno.ENOTDIR: "choose a path that leads through directories only",
    errno.EISDIR: "choose the path of a file",
    errno.EEXIST: "choose another path",
    errno.ENOTEMPTY: "choose another path",
    errno.ELOOP: "choose a path without circular links",
    errno.ENAMETOOLONG: "choose a shorter path",
}
_OF_PATHS = frozenset(
    {errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY, errno.ELOOP, errno.ENAMETOOLONG}
)
# Errors without an errno: polars names it in the text; numpy and Pillow report a short write.
_TOLD_CODE = re.compile(r"\(os error (\d+)\)")
_SHORT_WRITE = re.compile(r"\d+ requested and \d+ written|encoder error")


def _error_code(error: OSError) -> int:
    if error.errno is not None:
        return error.errno
    told = _TOLD_CODE.search(str(error))
    if told:
        return int(told[1])
    return errno.ENOSPC if _SHORT_WRITE.search(str(error)) else 0


def write_text(path: Path, text: str, kept: str = _KEPT) -> None:
    """Write a UTF-8 text file atomically with its newlines unchanged; `kept` is as in `write_errors`."""
    with atomic_path(path, kept) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def open_regular(path: Path) -> BinaryIO:
    """Open a file of unknown origin for reading. A FIFO, socket or device is refused, and never waited for.

    Raises:
        OSError: there is no such file, or it is not a regular one.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    mode = os.fstat(descriptor).st_mode
    if not stat.S_ISREG(mode):
        os.close(descriptor)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, "a directory, not a file", str(path))
        raise OSError(errno.EINVAL, "a pipe, socket or device, not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def open_text(path: Path) -> TextIO:
    """Open a UTF-8 text of unknown origin for reading, as `open_regular` does. A byte order mark is skipped, and every
    kind of line end is read as a newline.

    Raises:
        OSError: there is no such file, or it is not a regular one.
    """
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig")


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no blanks, so that equal values give equal text.

    >>> canonical_json({"b": 1, "a": [1, 2]})
    '{"a":[1,2],"b":1}'
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def pretty_json(value: Any) -> str:
    """Return indented JSON in the given order of keys, with a final newline."""
    return json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def digest(value: Any) -> str:
    """Return the SHA-256 (hex) of a JSON-like value or of text.

    >>> digest({"a": 1}) == digest({"a": 1.5})
    False
    """
    text = value if isinstance(value, str) else canonical_json(value)
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def file_sha256(path: Path) -> str:
    """Return the SHA-256 (hex) of a file, read in pieces.

    Raises:
        OSError: there is no such file, or it is not a regular one.
    """
    sha = hashlib.sha256()
    with open_regular(path) as file:
        while piece := file.read(_READ_SIZE):
            sha.update(piece)
    return sha.hexdigest()


def sorted_entries(directory: Path) -> list[os.DirEntry[str]]:
    """Return directory entries sorted by name, so that their order never depends on the file system."""
    with os.scandir(directory) as entries:
        return sorted(entries, key=lambda entry: entry.name)


def _sync_directory(directory: Path) -> None:
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
