"""One Parquet shard: what its footer says, and reading one row group of some columns. Knows nothing of splits or
modalities.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.location import Location, Range

from .opening import check_rows, check_size, unreadable
from .spans import SpanFile, fetch_spans

_KIND = "Parquet file"
_TAIL_BYTES = 8  # a Parquet file ends with the footer's length (4 bytes) and "PAR1"
_FIRST_READ_BYTES = 1 << 16  # the footer of most shards is within that of the end
_FOOTERS_KEPT = 64

# What pyarrow raises for damaged files; names that are no UTF-8 and counts that do not fit come as ValueError and
# OverflowError.
PARQUET_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)

MOST_INFLATION = 1000  # bytes in memory for each byte of the file ...
ALWAYS_ALLOWED_BYTES = 1 << 28  # ... beyond this
_BATCH_ROWS = 1024


@dataclass(frozen=True, kw_only=True)
class ParquetShard:
    """A Parquet file; see `symile_data.shards.Shard`.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Bytes.
        group_rows: Rows in each of its row groups.
        footer_sha256: Of the footer's bytes: schema, page offsets, sizes and statistics of everything in the file.
        schema: Arrow schema, `huggingface` metadata included.
    """

    location: Location
    name: str
    size: int
    group_rows: tuple[int, ...]
    footer_sha256: str
    schema: pa.Schema

    @property
    def rows(self) -> int:
        """Rows in the shard."""
        return sum(self.group_rows)

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """The named columns of one row group. Any number of threads may read at once.

        Raises:
            DamageError: the file is gone or its pages cannot be read.
        """
        return self._read(
            [group], columns, lambda file: file.read_row_group(group, columns=list(columns), use_threads=False)
        )

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows.

        Raises:
            DamageError: the file is gone or its pages cannot be read.
        """
        groups = range(len(self.group_rows))
        return self._read(groups, columns, lambda file: self._bounded(file, columns))

    def _bounded(self, file: pq.ParquetFile, columns: Sequence[str]) -> pa.Table:
        """All rows, read piece by piece, so that a file that inflates without end is left in time."""
        most = max(ALWAYS_ALLOWED_BYTES, MOST_INFLATION * self.size)
        batches, size = [], 0
        for batch in file.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False):
            batch.validate(full=True)
            batches.append(batch)
            size += batch.nbytes
            if size > most:
                raise ValueError(f"it inflates beyond {most} bytes")
        return pa.Table.from_batches(batches) if batches else file.read(columns=list(columns), use_threads=False)

    def column_bytes(self) -> dict[str, int]:
        """Compressed bytes of each column.

        Raises:
            DamageError: the file is gone or no Parquet file any more.
        """
        try:
            footer = _footer(self.location, self.name, self.size, self.footer_sha256)
        except PARQUET_ERRORS as error:
            raise unreadable(self.location, self.name, error, _KIND) from None
        counts: Counter[str] = Counter()
        for column, (start, stop) in _chunks(footer, range(len(self.group_rows))):
            counts[column] += stop - start
        return dict(counts)

    def problems(self) -> Sequence[str]:
        """None: pyarrow reports what contradicts itself when it reads."""
        return ()

    def _read(
        self, groups: Sequence[int], columns: Sequence[str], what: Callable[[pq.ParquetFile], pa.Table]
    ) -> pa.Table:
        try:
            footer = _footer(self.location, self.name, self.size, self.footer_sha256)
            path = self.location.path(self.name)
            source: Any = path
            if path is None:
                wanted = [span for column, span in _chunks(footer, groups) if column in columns]
                source = SpanFile(fetch_spans(self.location, self.name, wanted), self.size)
            # A file object of its own: pyarrow's readers are not made for concurrent use, and threads run above this
            # call. Not memory-mapped: a file that is cut short while it is read would end the process by a signal.
            with pq.ParquetFile(source, metadata=footer, pre_buffer=False, page_checksum_verification=True) as file:
                return what(file)
        except PARQUET_ERRORS as error:
            raise unreadable(self.location, self.name, error, _KIND) from None


def open_parquet(location: Location, name: str, *, size: int | None = None, rows: int | None = None) -> ParquetShard:
    """Read a shard's footer.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Bytes that the manifest says the file has.
        rows: Rows that the manifest says it has.

    Raises:
        DamageError: missing, truncated, not Parquet, or other than the manifest says.
    """
    actual = check_size(location, name, size)
    try:
        tail = _read_tail(location, name, actual)
        sha256 = hashlib.sha256(tail[:-_TAIL_BYTES]).hexdigest()
        metadata = _parsed(tail)
        schema = pq.read_schema(_footer_file(tail))
    except PARQUET_ERRORS as error:
        raise unreadable(location, name, error, _KIND) from None
    groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    check_rows(location, name, sum(groups), rows)
    return ParquetShard(
        location=location, name=name, size=actual, group_rows=groups, footer_sha256=sha256, schema=schema
    )


@lru_cache(maxsize=_FOOTERS_KEPT)
def _footer(location: Location, name: str, size: int, sha256: str) -> pq.FileMetaData:
    """The footer of an open shard.

    Raises:
        OSError: the file is gone or is another by now.
        ArrowException: it is no Parquet file.
    """
    tail = _read_tail(location, name, size)
    if hashlib.sha256(tail[:-_TAIL_BYTES]).hexdigest() != sha256:
        raise OSError("it was replaced by another file since it was opened")
    return _parsed(tail)


def _read_tail(location: Location, name: str, size: int) -> bytes:
    """Footer, its length and the closing mark.

    Raises:
        OSError: no such file, or no Parquet file.
    """
    tail = location.read(name, max(size - _FIRST_READ_BYTES, 0), size)
    wanted = int.from_bytes(tail[-_TAIL_BYTES:-4], "little") + _TAIL_BYTES
    if tail[-4:] != b"PAR1" or wanted > size:
        raise OSError("Parquet magic bytes not found in footer")
    return tail[-wanted:] if wanted <= len(tail) else location.read(name, size - wanted, size)


def _parsed(tail: bytes) -> pq.FileMetaData:
    return pq.read_metadata(_footer_file(tail))


def _footer_file(tail: bytes) -> pa.BufferReader:
    """A file of this footer and no data."""
    return pa.BufferReader(b"PAR1" + tail)


def _chunks(footer: pq.FileMetaData, groups: Sequence[int]) -> Iterator[tuple[str, Range]]:
    """Name of the column and byte range of every column chunk."""
    for group in groups:
        row_group = footer.row_group(group)
        for leaf in range(row_group.num_columns):
            chunk = row_group.column(leaf)
            start = chunk.data_page_offset
            if chunk.has_dictionary_page and chunk.dictionary_page_offset is not None:
                start = min(start, chunk.dictionary_page_offset)
            yield chunk.path_in_schema.split(".")[0], (start, start + chunk.total_compressed_size)
