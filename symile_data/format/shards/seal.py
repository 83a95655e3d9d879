"""A checksum for the footer of a Parquet file.

Parquet has a checksum for each page but none for the footer, where one flipped bit can rename a column or a class. The
16 bytes before the footer hold its CRC-32 as 8 bytes (little-endian) and a mark. No column chunk covers them, so other
readers skip them. Files of other writers, and those of symile-data 0.1, have none.
"""

from __future__ import annotations

import io
import zlib
from pathlib import Path

from .limits import ChecksumError

# A footer that is looked for in a wrong place begins in the mark: at its end, which ends a Thrift structure, or at its
# start, which begins none.
_MARK = b"\xffSYMCRC\x00"

SEAL_BYTES = 8 + len(_MARK)
TAIL_BYTES = 8  # a Parquet file ends with the footer's length (4 bytes) and "PAR1"


def seal_footer(path: Path) -> None:
    """Insert the checksum of the footer into a Parquet file that has none."""
    with path.open("r+b") as file:
        file.seek(-TAIL_BYTES, io.SEEK_END)
        length = int.from_bytes(file.read(4), "little")
        start = file.seek(-TAIL_BYTES - length, io.SEEK_END)
        tail = file.read()
        file.seek(start)
        file.write(_seal(tail[:length]) + tail)


def check_seal(before: bytes, footer: bytes) -> None:
    """Compare a footer with its checksum, if the file has one.

    Args:
        before: The `SEAL_BYTES` before the footer, or fewer where the file begins.
        footer: The footer without its length and the closing mark.

    Raises:
        ChecksumError: they do not match.
    """
    if before.endswith(_MARK) and before != _seal(footer):
        raise ChecksumError("its footer does not match its checksum")


def _seal(footer: bytes) -> bytes:
    return zlib.crc32(footer).to_bytes(8, "little") + _MARK
