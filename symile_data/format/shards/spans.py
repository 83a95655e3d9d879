"""Byte ranges of a shard that are fetched together and then taken one by one, without copying."""

from __future__ import annotations

import io
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from symile_data.format.location import Location, Range

MERGE_GAP_BYTES = 1 << 16  # remote ranges this near to one another are fetched together: a request costs more


class NotFetchedError(OSError):
    """Bytes were asked for that no one had fetched."""


@dataclass(frozen=True)
class Spans:
    """Parts of a file that were fetched together, from which single ranges are taken.

    Args:
        starts: Ascending.
        parts: As many.
    """

    starts: tuple[int, ...]
    parts: tuple[bytes, ...]

    def get(self, start: int, stop: int) -> memoryview:
        """One of the ranges that the spans were made for, without copying.

        Raises:
            NotFetchedError: it is not within them.
        """
        index = bisect_right(self.starts, start) - 1
        if index < 0 or stop > self.starts[index] + len(self.parts[index]):
            raise NotFetchedError(f"bytes {start} to {stop} were not fetched")
        first = self.starts[index]
        return memoryview(self.parts[index])[start - first : stop - first]


def fetch_spans(location: Location, name: str, ranges: Iterable[Range]) -> Spans:
    """Read some ranges of a file, near ones together.

    Raises:
        OSError: the file is gone, too short, or cannot be reached.
    """
    gap = 0 if location.system is None else MERGE_GAP_BYTES
    merged = merge_ranges(ranges, gap)
    return Spans(tuple(start for start, _ in merged), tuple(location.read_ranges(name, merged)))


def merge_ranges(ranges: Iterable[Range], gap: int) -> list[Range]:
    """Sorted ranges, joined where at most `gap` bytes lie between them.

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
    """Fetched parts of a file, as a file for readers that seek.

    Args:
        spans: All that will be read.
        size: Of the whole file, bytes.
    """

    def __init__(self, spans: Spans, size: int) -> None:
        self._spans, self._size, self._at = spans, size, 0

    def readable(self) -> bool:
        """Yes."""
        return True

    def seekable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a byte."""
        self._at = offset + {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        return self._at

    def tell(self) -> int:
        """The byte it is at."""
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer.

        Raises:
            NotFetchedError: some of these bytes were not fetched.
        """
        count = min(len(buffer), self._size - self._at)
        buffer[:count] = self._spans.get(self._at, self._at + count)
        self._at += count
        return count
