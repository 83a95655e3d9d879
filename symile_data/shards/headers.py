"""Compare a tar's own headers, by which WebDataset readers go, with its index, by which this package goes."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterator

from .layout import INDEX_NAME, Index

_Header = tuple[str, int, int, bool]  # name, first byte of the contents, their size, whether a plain file


def header_problem(data: io.BufferedIOBase, index: Index) -> str | None:
    """A clause about the first difference, or None.

    Args:
        data: The whole archive.
        index: What it should hold.
    """
    keys: set[str] = set()
    try:
        with tarfile.open(fileobj=data, mode="r:") as archive:
            headers = ((header.name, header.offset_data, header.size, header.isreg()) for header in archive)
            for row, expected in enumerate(_rows(index)):
                found = [header for _, header in zip(expected, headers, strict=False)]
                problem = _row_problem(expected, found, keys)
                if problem:
                    return f"row {row}: {problem}"
            rest = [name for name, *_ in headers]
    except (tarfile.TarError, OSError, ValueError) as error:
        return f"its headers cannot be followed ({error})"
    return None if rest == [INDEX_NAME] else "other members follow after its rows than its index"


def _rows(index: Index) -> Iterator[list[_Header]]:
    """The headers of each row, but for the key that begins their names."""
    for starts, sizes in zip(index.starts.tolist(), index.sizes.tolist(), strict=True):
        members = zip(index.members, starts, sizes, strict=True)
        yield [(f".{member.suffix}", start, size, True) for member, start, size in members if size >= 0]


def _row_problem(expected: list[_Header], found: list[_Header], keys: set[str]) -> str | None:
    if len(found) < len(expected):
        return "the archive's headers end before it, or are damaged there"
    key = found[0][0].partition(".")[0]
    if not key or "/" in key or "\\" in key or key in keys:
        return f"its key {key!r} is no plain name, or is used twice"
    keys.add(key)
    for wanted, header in zip(expected, found, strict=True):
        if header != (key + wanted[0], *wanted[1:]):
            return f"member {header[0]!r} lies where the index has {key + wanted[0]!r}"
    return None
