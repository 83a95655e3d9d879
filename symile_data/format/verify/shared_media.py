"""Find images, audio and signals that two splits share under different ids; for deep verifications.

Each is remembered by a hash of 64 bits and the place of its first occurrence, together 16 bytes. Among three million
different images, two have the same hash, and are wrongly called shared, about once in four million datasets.
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

_KINDS = ("image", "audio", "ecg")  # kinds for which two sources never give the same bytes

Hashes = npt.NDArray[np.uint64]
Rows = npt.NDArray[np.int32]

_PENDING = 1 << 18  # media that may be stored twice before duplicates are removed


def media_hashes(table: pa.Table, modalities: Sequence[Modality]) -> dict[str, tuple[Hashes, Rows]]:
    """Hash the media of a table.

    Returns:
        Column -> (K,) ascending uint64 hashes of its different values, and (K,) int32 rows of their first occurrence.
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
    """Return the bytes of a value, or None. A constant signal counts as none: it is no recording and occurs often."""
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
    """The hashes of each split's media, gathered file by file."""

    def __init__(self) -> None:
        self._files: list[str] = []
        self._found: dict[str, dict[str, list[tuple[Hashes, Rows, Rows]]]] = {}  # column -> split -> by file

    def add(self, split: str, path: str, media: dict[str, tuple[Hashes, Rows]]) -> None:
        """Add the media of one file."""
        self._files.append(path)
        for column, (hashes, rows) in media.items():
            parts = self._found.setdefault(column, {}).setdefault(split, [])
            parts.append((hashes, np.full(len(rows), len(self._files) - 1, dtype=np.int32), rows))
            if sum(len(part) for part, *_ in parts[1:]) > max(_PENDING, len(parts[0][0])):
                parts[:] = [_distinct(parts)]

    def problems(self) -> Iterator[str]:
        """Yield a sentence for each two splits that share media, with the first shared one."""
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
    """Merge the media of several files, and keep the first occurrence of each."""
    hashes, files, rows = (np.concatenate(column) for column in zip(*parts, strict=True))
    _, first = np.unique(hashes, return_index=True)
    return hashes[first], files[first], rows[first]
