"""Define what opened Parquet files and tars share: the facts that were read on opening, and the reads of one row group
and of all.
"""

from __future__ import annotations

import contextlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar

import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.progress.amounts import counted

from .limits import ReplacedError, unreadable
from .spans import Spans

Trim = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, kw_only=True)
class OpenedShard(ABC):
    """A file with rows whose description was read and is valid; see `symile_data.format.shards.Shard`.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes.
        group_rows: Rows in each row group.
        footer_sha256: SHA-256 (hex) of the description: the footer of a Parquet file, or the index of a tar.
        schema: Arrow schema of the rows, `huggingface` metadata included.
    """

    kind: ClassVar[str]  # what the file should be, for messages
    location: Location
    name: str
    size: int
    group_rows: tuple[int, ...]
    footer_sha256: str
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """The number of rows in the shard."""
        return sum(self.group_rows)

    @property
    def cached(self) -> bool:
        """Whether the file's bytes go through a cache of remote data."""
        return self.location.cache is not None

    def prefetch(self, group: int, columns: Sequence[str]) -> None:
        """Bring the bytes of the named columns of one row group into the cache, and decode nothing.

        Raises:
            DamageError: the file is missing, was replaced or cannot be reached.
        """
        if self.cached:
            self._spans(range(group, group + 1), columns)

    def stored_row(self, row: int) -> int:
        """Return the number of a row within the file, which is its own number."""
        return row

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of one row group. Any number of threads may read at once.

        Raises:
            DamageError: the file is missing, was replaced, is damaged, or holds far more than a file of its size.
        """
        return self._read(range(group, group + 1), columns)

    def read_all(self, columns: Sequence[str], trim: Trim | None = None) -> pa.Table:
        """Read the named columns of all rows; `read` says what it raises.

        Args:
            columns: Names of the columns.
            trim: Makes smaller rows of the same number of each batch that was read.
        """
        table = self._read(range(len(self.group_rows)), columns)
        return table if trim is None else pa.Table.from_batches([trim(batch) for batch in _batches(table)])

    def unreadable(self, error: Exception) -> DamageError:
        """Return the error for a read that failed: a local file that no longer has its size was written meanwhile."""
        path = self.location.path(self.name)
        with contextlib.suppress(OSError):
            if path is not None and (now := path.stat().st_size) != self.size:
                error = ReplacedError(f"{counted(now, 'byte')}, and {self.size:,} when it was opened")
        return unreadable(self.location, self.name, error, self.kind)

    @abstractmethod
    def _read(self, groups: range, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of consecutive row groups."""

    @abstractmethod
    def _spans(self, groups: range, columns: Sequence[str]) -> Spans:
        """Fetch the bytes of the named columns of consecutive row groups."""


def _batches(table: pa.Table) -> list[pa.RecordBatch]:
    """Divide a table into batches, at least one, which says its schema."""
    return table.to_batches() or [pa.RecordBatch.from_pylist([], schema=table.schema)]
