"""A folder of small files within a limit of bytes, which drops those that were not used for longest.

Any number of threads and processes may share it. A file gets its name when it is whole, and has a checksum, so readers
need no lock. Writers hold the lock of the folder: they count what they add, and make room first, so that the limit is
never passed. The count is kept in a file; it is taken anew from the folder whenever room is made.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path

from symile_data.files import write_errors

_LOCK, _COUNT, _TEMPORARY = "lock", "bytes", ".new"
_KEEP = 0.9  # share of the limit that is left full when room is made, so that not every block has to make some
_DISK_BLOCK = 4096  # files take whole blocks of the disk
_CHECKSUM_BYTES = 4


class BlockStore:
    """Files by name, at most `limit` bytes of them.

    Args:
        directory: The folder, made if it does not exist, for its owner alone.
        limit: Most bytes.

    Raises:
        OutputError: the folder cannot be made or written.
    """

    def __init__(self, directory: Path, limit: int) -> None:
        self.directory, self.limit = directory, limit
        with write_errors(directory):
            directory.mkdir(parents=True, exist_ok=True, mode=0o700)
            with (directory / _LOCK).open("a"):
                pass
        self._warned = False

    def get(self, name: str, size: int) -> bytes | None:
        """Return the contents of a file and mark it as used; None where it is not there or damaged.

        Args:
            name: Name of the file.
            size: The number of bytes that it must have.
        """
        path = self._path(name)
        try:
            data = path.read_bytes()
        except OSError:
            return None
        contents = data[:-_CHECKSUM_BYTES]
        if len(contents) != size or zlib.crc32(contents).to_bytes(_CHECKSUM_BYTES, "little") != data[-_CHECKSUM_BYTES:]:
            with contextlib.suppress(OSError):
                path.unlink()
            return None
        with contextlib.suppress(OSError):  # another process has just removed it
            os.utime(path)
        return contents

    def put(self, name: str, contents: bytes) -> None:
        """Keep a file, and drop others where there is no room. What is larger than the whole cache is not kept.

        Warns:
            UserWarning: the disk refuses; the caller goes on without keeping.
        """
        try:
            self._put(self._path(name), contents)
        except OSError as error:
            if not self._warned:
                self._warned = True
                warnings.warn(f"{self.directory}: the cache cannot be written ({error}); reading goes on", stacklevel=2)

    def _put(self, path: Path, contents: bytes) -> None:
        size = _room_of(len(contents) + _CHECKSUM_BYTES)
        if size > self.limit:
            return
        with self._locked():
            if path.exists():  # another process was first
                return
            used = self._count()
            if used is None or used + size > self.limit:
                used = self._make_room(size)
            self._write_count(used + size)
            path.parent.mkdir(exist_ok=True)
            temporary = self.directory / _TEMPORARY  # one writer at a time; what a killed one left is overwritten
            temporary.write_bytes(contents + zlib.crc32(contents).to_bytes(_CHECKSUM_BYTES, "little"))
            temporary.replace(path)

    def _path(self, name: str) -> Path:
        return self.directory / name[:2] / name

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the lock of the folder; the system lets it go with the process."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)  # somebody may have removed it
        with (self.directory / _LOCK).open("a") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            yield

    def _count(self) -> int | None:
        """Return the bytes in the folder as they were counted; None where the count is lost."""
        try:
            return int((self.directory / _COUNT).read_text())
        except (OSError, ValueError):
            return None

    def _write_count(self, used: int) -> None:
        (self.directory / _COUNT).write_text(str(used))

    def _make_room(self, size: int) -> int:
        """Remove the files that were not used for longest until there is room; returns the bytes that are left."""
        files = sorted(self._files())
        used = sum(room for _, room, _ in files)
        for _, room, path in files:
            if used <= max(self.limit * _KEEP - size, 0):
                break
            with contextlib.suppress(OSError):
                path.unlink()
            used -= room
        return used

    def _files(self) -> Iterator[tuple[int, int, Path]]:
        """Yield when each file was last used, the room that it takes, and its path."""
        for folder in self.directory.iterdir():
            if len(folder.name) == 2 and folder.is_dir():
                with os.scandir(folder) as entries:
                    for entry in entries:
                        with contextlib.suppress(OSError):
                            status = entry.stat(follow_symlinks=False)
                            yield status.st_mtime_ns, _room_of(status.st_size), Path(entry.path)


def _room_of(size: int) -> int:
    """Return the bytes of disk that a file takes.

    >>> _room_of(1), _room_of(4097)
    (4096, 8192)
    """
    return -(-size // _DISK_BLOCK) * _DISK_BLOCK
