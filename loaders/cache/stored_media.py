"""Decoded media of one modality in a folder of a cache directory, with a checksum of each: a bit that flips on the disk
reaches no batch.

    values.npy      (U, ...) the media
    where.npy       (N,) which medium each row has
    checksums.npy   (U + 1,) CRC-32 of each medium's bytes, and last of those of `where`
"""

from __future__ import annotations

import tokenize
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import DamageError

from ..batches import Array

VALUES = "values.npy"
_WHERE, _CHECKSUMS = "where.npy", "checksums.npy"

# What numpy raises for damaged .npy files.
_ARRAY_ERRORS = (OSError, ValueError, EOFError, OverflowError, TypeError, MemoryError, SyntaxError, tokenize.TokenError)

IntArray = npt.NDArray[np.int64]


class CachedMedia:
    """Media that are mapped into memory. Each is compared with its checksum when it is first used, so that a folder
    that is larger than the memory is not read for that alone.

    Args:
        folder: That holds them.
        values: (U, ...).
        checksums: (U,).
    """

    def __init__(self, folder: Path, values: Array, checksums: npt.NDArray[np.uint32]) -> None:
        self.values = values
        self._folder, self._checksums = folder, checksums
        self._compared = np.zeros(len(values), dtype=bool)

    def compare(self, numbers: IntArray) -> None:
        """Compare those of some media that were not compared yet.

        Raises:
            DamageError: one is not as it was written.
        """
        for number in np.unique(numbers[~self._compared[numbers]]).tolist():
            if zlib.crc32(self.values[number]) != self._checksums[number]:
                raise _damaged(self._folder, f"medium {number} of {VALUES} does not match its checksum")
            self._compared[number] = True


def write_cached(folder: Path, where: IntArray, values: Array) -> None:
    """Write what belongs to the media, which are in the folder's `VALUES` already."""
    np.save(folder / _WHERE, where)
    checksums = [zlib.crc32(value) for value in (*values, where)]
    np.save(folder / _CHECKSUMS, np.array(checksums, dtype=np.uint32))


def read_cached(folder: Path, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[IntArray, CachedMedia]:
    """Open what `write_cached` left.

    Args:
        folder: That holds it.
        rows: N.
        shape: Of one medium.
        dtype: Of the media.

    Raises:
        DamageError: it is not as it was written.
    """
    try:
        where, checksums = (np.load(folder / name, allow_pickle=False) for name in (_WHERE, _CHECKSUMS))
        # Copy on write: torch wants writable memory, the file must stay as it is.
        values = np.load(folder / VALUES, mmap_mode="c", allow_pickle=False)
    except _ARRAY_ERRORS as error:
        raise _damaged(folder, error) from None
    media = checksums.size - 1
    whole = (
        _is(where, (rows,), np.dtype(np.int64))
        and _is(checksums, (max(media, 0) + 1,), np.dtype(np.uint32))
        and _is(values, (media, *shape), dtype)
    )
    if not whole:
        raise _damaged(folder, "arrays of other shapes or types than this loader's")
    if zlib.crc32(where) != checksums[-1]:
        raise _damaged(folder, f"{_WHERE} does not match its checksum")
    return where, CachedMedia(folder, values, checksums[:-1])


def _is(array: Array, shape: tuple[int, ...], dtype: np.dtype[Any]) -> bool:
    return array.shape == shape and array.dtype == dtype and bool(array.flags.c_contiguous)


def _damaged(folder: Path, got: object) -> DamageError:
    return DamageError(
        "a folder of decoded media was damaged or changed",
        where=folder,
        got=got,
        do="remove the folder: the next run makes it again",
    )
