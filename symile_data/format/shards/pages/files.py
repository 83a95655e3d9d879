"""Files that stay open while values are read from them one at a time."""

from __future__ import annotations

import os
import threading
import weakref
from collections import OrderedDict
from pathlib import Path
from typing import Final

from symile_data.files import open_regular

_MOST_OPEN: Final = 64  # of the 1,024 files that a process may usually have open


class OpenFile:
    """A local file, open for reading at any place by any number of threads, and closed when nothing refers to it.

    Args:
        path: Its path.

    Raises:
        OSError: there is no such file, or it is not a regular one.
    """

    def __init__(self, path: Path) -> None:
        with open_regular(path) as file:
            self._descriptor = os.dup(file.fileno())
        weakref.finalize(self, os.close, self._descriptor).atexit = False

    @property
    def version(self) -> tuple[int, int]:
        """Size and time of the file as it is now, which change when it is written, or opened after a replacement."""
        status = os.fstat(self._descriptor)
        return status.st_size, status.st_mtime_ns

    def is_at(self, path: Path) -> bool:
        """Whether this path still names the file, and no other one that took its place.

        Raises:
            OSError: there is no such file.
        """
        return os.path.samestat(os.fstat(self._descriptor), path.stat())

    def read(self, start: int, stop: int) -> bytes:
        """Read the bytes [start, stop).

        Raises:
            OSError: the file ends before, or the disk fails.
        """
        data = os.pread(self._descriptor, stop - start, start)
        if len(data) == stop - start:
            return data
        whole = bytearray(stop - start)
        self.read_into(memoryview(whole), start)
        return bytes(whole)

    def read_into(self, data: memoryview, start: int) -> None:
        """Fill `data` with the bytes from `start` on; one system call stops at 2 GiB or at a signal.

        Raises:
            OSError: the file ends before, or the disk fails.
        """
        while data:
            count = os.preadv(self._descriptor, [data], start)
            if not count:
                raise OSError("the file is shorter than it was")
            data, start = data[count:], start + count


class OpenFiles:
    """Keeps the files open that were used last; any number of threads may ask for them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._files: OrderedDict[Path, OpenFile] = OrderedDict()

    def get(self, path: Path) -> OpenFile:
        """Return a file, opened if it is not open yet or was replaced by another one.

        Raises:
            OSError: there is no such file, or it is not a regular one.
        """
        with self._lock:
            file = self._files.pop(path, None)
            if file is None or not file.is_at(path):
                file = OpenFile(path)
            self._files[path] = file
            if len(self._files) > _MOST_OPEN:
                self._files.popitem(last=False)
        return file

    def close(self) -> None:
        """Close the files that are not in use."""
        with self._lock:
            self._files.clear()
