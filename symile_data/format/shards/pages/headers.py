"""Parse the header of a Parquet page, a struct in Thrift's compact protocol (parquet.thrift, `PageHeader`)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

DATA_PAGE: Final = 0  # PageType of pages with levels and values, version 1
PLAIN, RLE = 0, 3  # Encoding

_TRUE, _FALSE, _BYTE, _BINARY, _STRUCT = 1, 2, 3, 8, 12  # types of the compact protocol
_INTEGERS = (4, 5, 6)
_MOST_DEPTH = 4  # a page's header has structs within structs within itself
_MOST_BITS = 70  # of an integer of 64 bits in groups of seven


@dataclass(frozen=True)
class PageHeader:
    """What is needed of a page's header.

    Args:
        kind: The type of the page.
        stored: Bytes of the page in the file, after its header.
        inflated: Bytes of the page once it is decompressed.
        checksum: CRC-32 of the stored bytes; None if the writer gave none.
        values: Number of values, nulls included.
        encoding: Encoding of the values.
        levels: Encoding of the definition levels.
    """

    kind: int
    stored: int
    inflated: int
    checksum: int | None
    values: int
    encoding: int
    levels: int


def page_header(data: memoryview, at: int) -> tuple[PageHeader, int]:
    """Parse the header that begins at `at`.

    Returns:
        The header, and where the page begins.

    Raises:
        ValueError: this is no header of a page, or one with other fields.
        IndexError: the data end within the header.
    """
    fields, end = _struct(data, at, 0)
    page = fields.get(5)
    if not isinstance(page, dict):
        raise ValueError("no page with data")
    needed = [fields.get(1), fields.get(3), fields.get(2), page.get(1), page.get(2), page.get(3)]
    kind, stored, inflated, values, encoding, levels = (_natural(value) for value in needed)
    checksum = fields.get(4)
    header = PageHeader(
        kind=kind,
        stored=stored,
        inflated=inflated,
        checksum=checksum & 0xFFFFFFFF if isinstance(checksum, int) else None,
        values=values,
        encoding=encoding,
        levels=levels,
    )
    return header, end


def varint(data: memoryview, at: int) -> tuple[int, int]:
    """Read an unsigned integer in groups of seven bits, and return it and the place after it.

    Raises:
        ValueError: it is longer than 64 bits.
        IndexError: the data end within it.
    """
    value = shift = 0
    while True:
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
        if shift >= _MOST_BITS:
            raise ValueError("an integer of too many bytes")


def _natural(value: Any) -> int:
    if not isinstance(value, int) or value < 0:
        raise ValueError("a field of a page's header is missing or negative")
    return value


def _struct(data: memoryview, at: int, depth: int) -> tuple[dict[int, Any], int]:
    """Parse a struct into its integers and structs by field number; other fields are passed over."""
    if depth > _MOST_DEPTH:
        raise ValueError("structs nested too deeply")
    fields: dict[int, Any] = {}
    number = 0
    while (head := data[at]) != 0:
        at += 1
        kind, step = head & 0x0F, head >> 4
        if step:
            number += step
        else:
            raw, at = varint(data, at)
            number = _signed(raw)
        if kind in (_TRUE, _FALSE):
            continue
        if kind == _BYTE:
            at += 1
        elif kind in _INTEGERS:
            raw, at = varint(data, at)
            fields[number] = _signed(raw)
        elif kind == _BINARY:
            length, at = varint(data, at)
            at += length
        elif kind == _STRUCT:
            fields[number], at = _struct(data, at, depth + 1)
        else:
            raise ValueError("a field of a type that page headers do not have")
    return fields, at + 1


def _signed(raw: int) -> int:
    """Undo zigzag coding, which makes small integers of both signs short."""
    return (raw >> 1) ^ -(raw & 1)
