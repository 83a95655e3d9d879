"""Whether two splits hold the same pictures, clips or signals under different ids; for `symile-data verify --deep`.

Each medium is remembered as a hash of 64 bits and the place where it comes first, 16 bytes together. Two different ones
of three million have the same hash, and are called shared, about once in four million datasets.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.format.schema import Modality

_KINDS = ("image", "audio", "ecg")  # of which no two sources give the same bytes

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]

_PENDING = 1 << 18  # media that may lie there twice before they are looked through


def media_hashes(table: pa.Table, modalities: Sequence[Modality]) -> dict[str, tuple[Hashes, Rows]]:
    """The different media of a table, by their column.

    Returns:
        For each column (K,) ascending hashes, and the row where each medium comes first.
    """
    found = {}
    for modality in modalities:
        if modality.kind in _KINDS and modality.column in table.column_names:
            data = [(row, _bytes(value)) for row, value in enumerate(table[modality.column])]
            rows = np.array([row for row, medium in data if medium is not None], dtype=np.int32)
            digests = b"".join(hashlib.sha256(medium).digest()[:8] for _, medium in data if medium is not None)
            hashes, first = np.unique(np.frombuffer(digests, dtype="<u8"), return_index=True)
            found[modality.column] = (hashes, rows[first])
    return found


def _bytes(value: Any) -> bytes | None:
    """What a medium consists of; None where there is none. A constant signal is no recording, and may occur often."""
    if not value.is_valid:
        return None
    if isinstance(value, pa.StructScalar):
        data = value["bytes"].as_py() if "bytes" in value else None
        return data if isinstance(data, bytes) else None
    if not isinstance(value, pa.ListScalar | pa.FixedSizeListScalar | pa.LargeListScalar):
        data = value.as_py()
        return data if isinstance(data, bytes) else None
    numbers = value.values.to_numpy(zero_copy_only=False)
    return numbers.tobytes() if len(numbers) and (numbers != numbers[0]).any() else None


class MediaBySplit:
    """The media of each split, gathered file by file."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._found: dict[str, dict[str, list[tuple[Hashes, Rows, Rows]]]] = {}  # column -> split -> by file

    def add(self, split: str, path: str, media: dict[str, tuple[Hashes, Rows]]) -> None:
        """Take in the media of a file."""
        self._files.append(path)
        for column, (hashes, rows) in media.items():
            parts = self._found.setdefault(column, {}).setdefault(split, [])
            parts.append((hashes, np.full(len(rows), len(self._files) - 1, dtype=np.int32), rows))
            if sum(len(part) for part, *_ in parts[1:]) > max(_PENDING, len(parts[0][0])):
                parts[:] = [_distinct(parts)]

    def problems(self) -> Iterator[str]:
        """A sentence for each two splits that share media, with the first of them."""
        for column, by_split in self._found.items():
            whole = {split: _distinct(parts) for split, parts in sorted(by_split.items())}
            for first, second in combinations(whole, 2):
                one, other = whole[first], whole[second]
                _, mine, theirs = np.intersect1d(one[0], other[0], assume_unique=True, return_indices=True)
                if len(mine):
                    at = int(np.lexsort((one[2][mine], one[1][mine]))[0])
                    yield (
                        f"{self._place(one, mine[at])} and {self._place(other, theirs[at])} have the same {column}, "
                        f"and {len(mine) - 1} more occur in both {first} and {second}"
                    )

    def _place(self, media: tuple[Hashes, Rows, Rows], index: int) -> str:
        return f"{self._files[int(media[1][index])]}: row {int(media[2][index])}"


def _distinct(parts: Sequence[tuple[Hashes, Rows, Rows]]) -> tuple[Hashes, Rows, Rows]:
    """Of the media of several files each once, where it comes first."""
    hashes, files, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, first = np.unique(hashes, return_index=True)
    return hashes[first], files[first], rows[first]
