"""Write and read the decoded values of one modality in a folder of a cache directory.

Each value has a checksum, so that no bit that flips on disk reaches a batch.

    values.npy      (U, ...) the unique values
    where.npy       (N,) number of each row's value
    checksums.npy   (U + 1,) CRC-32 of the bytes of each value, then of `where`
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
    """Memory-mapped decoded values. Each is compared with its checksum when it is first used, so that a folder larger
    than the memory is not read for the comparison alone.

    Args:
        folder: Folder that holds them.
        values: (U, ...) decoded values.
        checksums: (U,) uint32, CRC-32 of the bytes of each.
    """

    def __init__(self, folder: Path, values: Array, checksums: npt.NDArray[np.uint32]) -> None:
        self.values = values
        self._folder, self._checksums = folder, checksums
        self._compared = np.zeros(len(values), dtype=bool)

    def compare(self, numbers: IntArray) -> None:
        """Compare the checksums of some values, unless they were compared before.

        Raises:
            DamageError: a value has other bytes than were written.
        """
        for number in np.unique(numbers[~self._compared[numbers]]).tolist():
            if zlib.crc32(self.values[number].data) != self._checksums[number]:
                raise _damaged(self._folder, f"value {number} of {VALUES} does not match its checksum")
            self._compared[number] = True


def write_cached(folder: Path, where: IntArray, values: Array) -> None:
    """Write the index and checksums of the values that the folder's `VALUES` holds already."""
    np.save(folder / _WHERE, where)
    checksums = [zlib.crc32(value.data) for value in (*values, where)]
    np.save(folder / _CHECKSUMS, np.array(checksums, dtype=np.uint32))


def read_cached(folder: Path, rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> tuple[IntArray, CachedMedia]:
    """Open a folder that `write_cached` completed.

    Args:
        folder: The folder.
        rows: N, the number of rows of the split.
        shape: Shape of one value.
        dtype: Dtype of the values.

    Returns:
        (N,) number of each row's value, and the values.

    Raises:
        DamageError: the folder has other contents than were written.
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
