"""Fetch byte ranges of a shard together, and return single ranges without copying."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from symile_data.format.location import Location, Piece, Range

MERGE_GAP_BYTES = 1 << 16  # remote ranges closer than this are fetched together, as a request costs more


class NotFetchedError(OSError):
    """A read asks for bytes that were not fetched."""


@dataclass(frozen=True)
class Spans:
    """Parts of a file that were fetched together, from which single ranges are taken.

    Args:
        starts: First byte of each part, ascending.
        parts: The bytes of each part.
    """

    starts: tuple[int, ...]
    parts: tuple[Piece, ...]

    def get(self, start: int, stop: int) -> memoryview:
        """Return the bytes [start, stop) without copying.

        Raises:
            NotFetchedError: the range was not fetched.
        """
        index = bisect_right(self.starts, start) - 1
        if index < 0 or stop > self.starts[index] + len(self.parts[index]):
            raise NotFetchedError(f"bytes {start} to {stop} were not fetched")
        first = self.starts[index]
        return memoryview(self.parts[index])[start - first : stop - first]


def fetch_spans(location: Location, name: str, ranges: Iterable[Range]) -> Spans:
    """Read ranges of a file; ranges close to one another are read together.

    Raises:
        OSError: the file does not exist, is too short, or cannot be reached.
    """
    gap = 0 if location.system is None else MERGE_GAP_BYTES
    merged = merge_ranges(ranges, gap)
    return Spans(tuple(start for start, _ in merged), tuple(location.read_ranges(name, merged)))


def merge_ranges(ranges: Iterable[Range], gap: int) -> list[Range]:
    """Sort ranges, and join those with at most `gap` bytes between them.

    >>> merge_ranges([(10, 20), (0, 5), (20, 30)], 0)
    [(0, 5), (10, 30)]
    """
    merged: list[Range] = []
    for start, stop in sorted(ranges):
        if merged and start <= merged[-1][1] + gap:
            merged[-1] = (merged[-1][0], max(merged[-1][1], stop))
        else:
            merged.append((start, stop))
    return merged


class SpanFile(io.RawIOBase):
    """Presents fetched parts of a file as a seekable file.

    Args:
        spans: All parts that will be read.
        size: Size of the whole file in bytes.
    """

    def __init__(self, spans: Spans, size: int) -> None:
        self._spans, self._size, self._at = spans, size, 0

    def readable(self) -> bool:
        """Tell readers that the file is readable."""
        return True

    def seekable(self) -> bool:
        """Tell readers that the file is seekable."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to an offset and return it."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """Return the current offset."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Read into a buffer and return the number of bytes.

        Raises:
            NotFetchedError: some of these bytes were not fetched.
        """
        count = min(len(buffer), self._size - self._at)
        buffer[:count] = self._spans.get(self._at, self._at + count)
        self._at += count
        return count
