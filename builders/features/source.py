"""Read a finished dataset by row: any columns of a range of rows, or one column of scattered rows.

Shards are opened on first use, so that a task on a dataset of thousands of shards opens only those it reads.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.shards import Shard, open_listed
from symile_data.format.shards.deduplicated import DeduplicatedShard, pooled_media, with_media

_OPEN = 16  # shards that stay open
_MANIFESTS = 4

IntArray = npt.NDArray[np.int64]


class SourceRows:
    """The rows of one split, numbered through its shards.

    Args:
        directory: Directory of the dataset.
        split: Name of the split.

    Raises:
        DamageError: the dataset contradicts its manifest.
    """

    def __init__(self, directory: Path, split: str) -> None:
        manifest = manifests.read(directory)
        self._location = Location.of(directory)
        self._entries = manifest.shards(split)
        self._starts = np.cumsum([0, *(entry.rows or 0 for entry in self._entries)], dtype=np.int64)
        self._media = pooled_media(self._location, manifest, split)
        self._shard = lru_cache(maxsize=_OPEN)(self._open)

    @property
    def rows(self) -> int:
        """Number of rows in the split."""
        return int(self._starts[-1])

    @property
    def shard_ranges(self) -> list[tuple[int, int]]:
        """First row of each shard, and the row after its last."""
        return list(itertools.pairwise(self._starts.tolist()))

    def group_rows(self, index: int) -> tuple[int, ...]:
        """Return the number of rows in each row group of a shard."""
        return self._shard(index).group_rows

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the rows, with media attached where the layout is deduplicated."""
        return self._shard(0).schema

    def read(self, columns: Sequence[str], start: int, stop: int) -> pa.Table:
        """Return the named columns of rows `start` to `stop - 1`."""
        pieces = []
        for shard, group, first, last in self._groups(np.array([start, stop - 1])):
            rows = np.clip([start - first, stop - first], 0, last - first)
            pieces.append(shard.read(group, columns).slice(int(rows[0]), int(rows[1] - rows[0])))
        return pa.concat_tables(pieces).combine_chunks()

    def take(self, column: str, rows: IntArray) -> pa.Array:
        """Return one column of the given rows.

        Args:
            column: Name of the column.
            rows: (n,) ascending row numbers, at least one.
        """
        pieces = []
        for shard, group, first, last in self._groups(rows):
            wanted = pa.array(rows[np.searchsorted(rows, first) : np.searchsorted(rows, last)] - first)
            if len(wanted):
                pieces.append(_taken(shard, group, column, wanted))
        return pa.concat_arrays(pieces)

    def shard_columns(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the named columns of each shard in turn; no others are read."""
        for index in range(len(self._entries)):
            yield self._shard(index).read_all(columns)

    def place(self, row: int) -> str:
        """Name the shard of a row and its row there, for messages."""
        index = int(np.searchsorted(self._starts, row, side="right")) - 1
        return f"{self._entries[index].path}, row {row - int(self._starts[index])}"

    def _open(self, index: int) -> Shard:
        entry = self._entries[index]
        return with_media(self._location, open_listed(self._location, entry), self._media)

    def _groups(self, rows: IntArray) -> Iterator[tuple[Shard, int, int, int]]:
        """Yield the row groups that span ascending rows: shard, group in it, first row, row after the last."""
        first, last = np.searchsorted(self._starts, [rows[0], rows[-1]], side="right") - 1
        for index in range(int(first), int(last) + 1):
            shard = self._shard(index)
            start = int(self._starts[index])
            for group, count in enumerate(shard.group_rows):
                if start <= rows[-1] and start + count > rows[0]:
                    yield shard, group, start, start + count
                start += count


def _taken(shard: Shard, group: int, column: str, rows: pa.Array) -> pa.Array:
    """Read one column of the given rows of a group; of deduplicated media only the wanted ones are read."""
    if isinstance(shard, DeduplicatedShard):
        table, first = shard.places[group]
        stored = shard.table.read(table, shard.media.stored_columns([column]))
        found: Any = shard.media.attach(stored.slice(first, shard.group_rows[group]).take(rows), [column], shard.schema)
    else:
        found = shard.read(group, [column]).take(rows)
    return found[column].combine_chunks()


@lru_cache(maxsize=_MANIFESTS)
def source_rows(directory: Path, split: str) -> SourceRows:
    """Open the rows of a split, once in a process."""
    return SourceRows(directory, split)
