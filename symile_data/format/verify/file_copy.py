"""Read a file of a dataset once, into memory, and present it as a location of which shards are opened."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from symile_data.files import RefusedError, open_regular
from symile_data.format.location import Location


class FileCopy:
    """The file system of a `Location` that holds a single file, with the three calls that reads of shards make.

    Args:
        data: The contents of the file.
    """

    def __init__(self, data: bytes) -> None:
        self.data = data

    def size(self, _path: str) -> int:
        """Return the size of the file in bytes."""
        return len(self.data)

    def cat_file(self, _path: str, start: int, end: int) -> memoryview:
        """Return the bytes [start, end) without copying.

        Raises:
            RefusedError: the file ends before; another attempt would not help.
        """
        if end > len(self.data):
            raise RefusedError(f"bytes {start} to {end} of a file that has {len(self.data)}")
        return memoryview(self.data)[start:end]

    def cat_ranges(
        self, paths: Sequence[str], starts: Sequence[int], ends: Sequence[int], on_error: str
    ) -> list[memoryview]:
        """Return several byte ranges without copying; `cat_file` says what it raises."""
        return [self.cat_file(*wanted) for wanted in zip(paths, starts, ends, strict=True)]


@contextmanager
def file_copy(directory: Path, name: str) -> Iterator[tuple[Location, str]]:
    """Read one file of a dataset, and forget its bytes after the block.

    Yields:
        The location whose file `name` is the copy, and the SHA-256 (hex) of the bytes.

    Raises:
        OSError: there is no such file, it is no regular one, or the disk fails.
    """
    with open_regular(directory / name) as file:
        copy = FileCopy(file.read())
    try:
        yield Location(str(directory), str(directory), copy), hashlib.sha256(copy.data).hexdigest()
    finally:
        copy.data = b""  # footers and indices that are kept for later calls refer to this location
