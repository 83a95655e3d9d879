"""Compare a tar's own headers, by which WebDataset readers go, with its index, by which this package goes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator, Sequence
from typing import BinaryIO

from .tar_layout import BLOCK_BYTES, END_BYTES, INDEX_NAME, Index

_Header = tuple[str, int, int, bool]  # name, first byte of the contents, their size, whether a plain file


def header_problem(data: BinaryIO, index: Index) -> str | None:
    """A clause about the first difference, or None.

    Each header is read where the index has it and the archive is not walked: what a forged header says of sizes,
    extensions or what follows moves nothing here.

    Args:
        data: The whole archive.
        index: What it should hold.
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


def _header_before(data: BinaryIO, start: int) -> _Header | None:
    """The header of the member whose contents start there; None where there is none."""
    data.seek(start - BLOCK_BYTES)
    try:
        header = tarfile.TarInfo.frombuf(data.read(BLOCK_BYTES), "utf-8", "surrogateescape")
    except (tarfile.TarError, ValueError):
        return None
    return header.name, start, header.size, header.type == tarfile.REGTYPE


def _rows(index: Index) -> Iterator[list[_Header]]:
    """The headers of each row, but for the key that begins their names."""
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
