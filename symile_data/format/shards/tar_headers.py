"""Compare a tar's own headers, which WebDataset readers follow, with its index, which this package follows."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence

from symile_data.format.location import Range

from .tar_layout import BLOCK_BYTES, END_BYTES, INDEX_NAME, Index

_Header = tuple[str, int, int, bool]  # name, first byte of the contents, their size, whether a plain file


def header_ranges(index: Index) -> list[Range]:
    """Return the byte range of every header that `header_problem` reads."""
    starts = [*index.starts[index.sizes >= 0].tolist(), index.end + BLOCK_BYTES]
    return [(start - BLOCK_BYTES, start) for start in starts]


def header_problem(data: io.RawIOBase, index: Index) -> str | None:
    """Return a clause about the first difference, or None.

    Each header is read where the index has it, and the archive is not walked. So a forged size, extension or link in a
    header changes nothing here.

    Args:
        data: The archive; only its `header_ranges` are read.
        index: What the archive should hold.
    """
    keys: set[str] = set()
    for row, expected in enumerate(_rows(index)):
        found = [_header_before(data, start) for _, start, *_ in expected]
        problem = _row_problem(expected, found, keys)
        if problem:
            return f"row {row}: {problem}"
    start = index.end + BLOCK_BYTES
    last = (INDEX_NAME, start, data.seek(0, io.SEEK_END) - END_BYTES - start, True)
    return None if _header_before(data, start) == last else "other members follow after its rows than its index"


def _header_before(data: io.RawIOBase, start: int) -> _Header | None:
    """Return the header of the member whose contents start there, or None if there is none."""
    data.seek(start - BLOCK_BYTES)
    try:
        header = tarfile.TarInfo.frombuf(data.read(BLOCK_BYTES) or b"", "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return None
    return header.name, start, header.size, header.type == tarfile.REGTYPE


def _rows(index: Index) -> Iterator[list[_Header]]:
    """Yield the expected headers of each row, without the key with which their names begin."""
    for starts, sizes in zip(index.starts.tolist(), index.sizes.tolist(), strict=True):
        members = zip(index.members, starts, sizes, strict=True)
        yield [(f".{member.suffix}", start, size, True) for member, start, size in members if size >= 0]


def _row_problem(expected: Sequence[_Header], found: Sequence[_Header | None], keys: set[str]) -> str | None:
    whole = [header for header in found if header is not None]
    if len(whole) < len(expected):
        return "the archive's headers end before it, or are damaged there"
    key = whole[0][0].partition(".")[0]
    if not key or "/" in key or "\\" in key or key in keys:
        return f"its key {key!r} is no plain name, or is used twice"
    keys.add(key)
    for wanted, header in zip(expected, whole, strict=True):
        if header != (key + wanted[0], *wanted[1:]):
            return f"member {header[0]!r} lies where the index has {key + wanted[0]!r}"
    return None
