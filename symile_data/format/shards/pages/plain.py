"""Find where the values are in a column chunk whose pages hold lengths and bytes (encoding PLAIN of BYTE_ARRAY).

A page is read piece by piece into one buffer, and each piece is in the processor's cache when its checksum is computed.
Where checksums are not verified, only the lengths of values are read.
"""

from __future__ import annotations

from dataclasses import dataclass
from struct import Struct
from typing import Final

import numpy as np
import numpy.typing as npt

from ..limits import ChecksumError
from .files import OpenFile
from .headers import DATA_PAGE, PLAIN, RLE, page_header, varint

try:
    from isal.isal_zlib import crc32  # of the extra `train`; four times as fast on processors with instructions for it
except ImportError:
    from zlib import crc32

_LENGTH: Final = Struct("<I")  # before each value, and before the definition levels of a page
_HEAD_BYTES: Final = 1 << 15  # for a page's header and levels; a page with longer ones is of another kind
_PIECE_BYTES: Final = 1 << 17


@dataclass(frozen=True)
class Places:
    """Where the values of a column chunk are.

    Args:
        levels: (rows,) definition levels.
        starts: (rows,) first byte of each value in the file; -1 where there is no value.
        stops: (rows,) the byte after each value; -1 where there is no value.
    """

    levels: npt.NDArray[np.uint8]
    starts: list[int]
    stops: list[int]


def find_values(file: OpenFile, chunk: range, rows: int, most_level: int, *, checksums: bool) -> Places:
    """Read the headers, levels and lengths of a whole column chunk.

    Args:
        file: The file.
        chunk: The chunk's bytes in the file.
        rows: The number of values that the chunk must have.
        most_level: Definition level of a value that is present; 0 if the column and its parents are required.
        checksums: Whether pages are compared with their checksums, where they have any.

    Raises:
        ValueError: the pages are not of this kind, are damaged or hold another number of values.
        IndexError: the chunk ends too early.
        OSError: the file cannot be read.
    """
    starts: list[int] = []
    stops: list[int] = []
    levels = []
    buffer = np.empty(_PIECE_BYTES, dtype=np.uint8).data  # not set to zero first
    at = chunk.start
    while at < chunk.stop:
        head = buffer[: min(_HEAD_BYTES, chunk.stop - at)]
        file.read_into(head, at)
        header, begin = page_header(head, 0)
        page = range(at + begin, at + begin + header.stored)
        at = page.stop
        plain = (header.kind, header.encoding, header.levels) == (DATA_PAGE, PLAIN, RLE)
        if not plain or header.stored != header.inflated or at > chunk.stop or header.values > rows - len(starts):
            raise ValueError("a page of another kind")
        of_page, size = definition_levels(head[begin : begin + header.stored], header.values, most_level)
        levels.append(of_page)
        present = of_page == most_level
        of_values = _values(
            file, buffer, page, page.start + size, int(present.sum()), header.checksum if checksums else None
        )
        for places, found in zip((starts, stops), of_values, strict=True):
            spread = np.full(len(of_page), -1, dtype=np.int64)
            spread[present] = found
            places += spread.tolist()
    if len(starts) != rows:
        raise ValueError(f"{len(starts)} values in place of {rows}")
    return Places(np.concatenate(levels) if levels else np.zeros(0, dtype=np.uint8), starts, stops)


def _values(
    file: OpenFile, buffer: memoryview, page: range, first: int, count: int, checksum: int | None
) -> tuple[list[int], list[int]]:
    """Find the values of a page by their lengths.

    Args:
        file: The file.
        buffer: Memory for the pieces that are read.
        page: The page's bytes in the file.
        first: Where its values begin.
        count: How many there are.
        checksum: CRC-32 of the whole page; None if it is not verified.

    Returns:
        (count,) first byte of each value in the file, and (count,) the byte after each.

    Raises:
        ValueError: the values do not fill the page.
        OSError: the file cannot be read, or the page does not match its checksum.
    """
    starts: list[int] = []
    stops: list[int] = []
    value = first
    if checksum is None:
        while len(starts) < count and value < page.stop:
            start = value + _LENGTH.size
            value = start + _LENGTH.unpack(file.read(value, start))[0]
            starts.append(start)
            stops.append(value)
    else:
        at, crc = page.start, 0
        while at < page.stop:
            piece = buffer[: page.stop - at]
            file.read_into(piece, at)
            end = at + len(piece)
            while len(starts) < count and value + _LENGTH.size <= end:
                start = value + _LENGTH.size
                value = start + _LENGTH.unpack_from(piece, value - at)[0]
                starts.append(start)
                stops.append(value)
            end = min(end, value)  # a length that lies across the end of a piece begins the next one
            if end == at:
                break
            crc = crc32(piece[: end - at], crc)
            at = end
        if at == page.stop and crc != checksum:
            raise ChecksumError("a page of it does not match its checksum")
    if value != page.stop or len(starts) != count:
        raise ValueError("values that do not fill their page")
    return starts, stops


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
    end = _LENGTH.size + int.from_bytes(page[: _LENGTH.size], "little")
    at, width, found = _LENGTH.size, most_level.bit_length(), 0
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
