"""Find where the values are in a column chunk whose pages hold lengths and bytes (encoding PLAIN of BYTE_ARRAY)."""

from __future__ import annotations

import zlib
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ..limits import ChecksumError
from .headers import DATA_PAGE, PLAIN, RLE, page_header, varint

_LENGTH_BYTES = 4  # before each value, and before the definition levels of a page


@dataclass(frozen=True)
class Places:
    """Where the values of a column chunk are.

    Args:
        levels: (rows,) definition levels.
        starts: (rows,) first byte of each value within the chunk; -1 where there is no value.
        stops: (rows,) the byte after each value; -1 where there is no value.
    """

    levels: npt.NDArray[np.uint8]
    starts: list[int]
    stops: list[int]


def find_values(chunk: memoryview, rows: int, most_level: int, *, checksums: bool) -> Places:
    """Read the headers, levels and lengths of a whole column chunk.

    Args:
        chunk: Its bytes.
        rows: The number of values that it must have.
        most_level: Definition level of a value that is present; 0 if the column and its parents are required.
        checksums: Whether pages are compared with their checksums, where they have any.

    Raises:
        ValueError: the pages are not of this kind, are damaged or hold another number of values.
        IndexError: the chunk ends too early.
    """
    starts: list[int] = []
    stops: list[int] = []
    levels = []
    at = 0
    while at < len(chunk):
        header, start = page_header(chunk, at)
        at = start + header.stored
        plain = (header.kind, header.encoding, header.levels) == (DATA_PAGE, PLAIN, RLE)
        if not plain or header.stored != header.inflated or at > len(chunk) or header.values > rows - len(starts):
            raise ValueError("a page of another kind")
        page = chunk[start:at]
        if checksums and header.checksum is not None and zlib.crc32(page) != header.checksum:
            raise ChecksumError("a page of it does not match its checksum")
        of_page, begin = definition_levels(page, header.values, most_level)
        levels.append(of_page)
        value = start + begin
        for present in (of_page == most_level).tolist():
            if present:
                begin = value + _LENGTH_BYTES
                value = begin + int.from_bytes(chunk[value:begin], "little")
            starts.append(begin if present else -1)
            stops.append(value if present else -1)
        if value != at:
            raise ValueError("values that do not fill their page")
    if len(starts) != rows:
        raise ValueError(f"{len(starts)} values in place of {rows}")
    return Places(np.concatenate(levels) if levels else np.zeros(0, dtype=np.uint8), starts, stops)


def definition_levels(page: memoryview, count: int, most_level: int) -> tuple[npt.NDArray[np.uint8], int]:
    """Read the levels at the start of a page: runs of one level, and levels packed into bits, eight at a time.

    Returns:
        (count,) levels, and the place after them.

    Raises:
        ValueError: these are no levels of so many values, or a level is larger than `most_level`.
        IndexError: the page ends too early.
    """
    if most_level == 0:
        return np.zeros(count, dtype=np.uint8), 0
    end = _LENGTH_BYTES + int.from_bytes(page[:_LENGTH_BYTES], "little")
    at, width, found = _LENGTH_BYTES, most_level.bit_length(), 0
    levels = np.empty(count, dtype=np.uint8)
    while found < count:
        head, at = varint(page, at)
        if head & 1:
            size = (head >> 1) * width
            if at + size > min(end, len(page)):
                raise ValueError("levels longer than they say")
            bits = np.unpackbits(np.frombuffer(page[at : at + size], dtype=np.uint8), bitorder="little")
            run = bits.reshape(-1, width) @ (1 << np.arange(width, dtype=np.uint8))
            at, some = at + size, min(len(run), count - found)
            levels[found : found + some] = run[:some]
        else:
            some = min(head >> 1, count - found)
            levels[found : found + some] = page[at]
            at += 1
        if not some:
            raise ValueError("a run of no levels")
        found += some
    if at != end or levels.max(initial=0) > most_level:
        raise ValueError("levels of another column")
    return levels, end
