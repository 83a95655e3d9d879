"""Read one Parquet shard: its footer, and chosen columns of some row groups. Splits and modalities are unknown here."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.format.location import Location, Range

from .arrow_numpy import is_number
from .limits import ChecksumError, ReplacedError, check_rows, check_size, most_bytes, unreadable
from .opened import OpenedShard, Trim
from .seal import SEAL_BYTES, TAIL_BYTES, check_seal
from .spans import NotFetchedError, SpanFile, Spans, fetch_spans

if TYPE_CHECKING:
    import pyarrow.compute as pc

KIND = "Parquet file"
_FIRST_READ_BYTES = 1 << 16  # the footer of most shards is within that of the end
_FOOTERS_KEPT = 64

# What pyarrow raises for damaged files; names that are no UTF-8 and counts that do not fit come as ValueError and
# OverflowError.
PARQUET_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)

_PYARROWS_PAGE_DAMAGE = "CRC checksum verification failed"
_PAGE_DAMAGE = "a page of it does not match its checksum"

_BATCH_ROWS = 64  # between two looks at the size; a row group with media is one batch, so nothing is copied
_BATCH_BYTES = 1 << 22  # of rows whose size the schema alone decides, of which a batch may have more


class ParquetShard(OpenedShard):
    """An opened Parquet file. Its footer is read again where it is needed, and the last few footers are kept."""

    kind = KIND

    def column_bytes(self) -> dict[str, int]:
        """Return the compressed bytes of each column.

        Raises:
            DamageError: the file is missing or no longer a Parquet file.
        """
        counts: Counter[str] = Counter()
        try:
            footer = self.footer()
            for column, (start, stop) in _chunks(footer, range(len(self.group_rows)), self.schema.names):
                counts[column] += stop - start
        except PARQUET_ERRORS as error:
            raise self.unreadable(error) from None
        return dict(counts)

    def groups_without(self, expression: pc.Expression) -> list[int]:
        """Return the numbers of the row groups of which the statistics say that no row fulfils an expression.

        Without statistics, and for a file that is not on a local disk, none are returned.
        """
        path = self.location.path(self.name)
        if path is None:
            return []
        from pyarrow import dataset, fs  # here, as few readers have a filter

        fragment = dataset.ParquetFileFormat().make_fragment(str(path), fs.LocalFileSystem())
        kept = {group.id for group in fragment.subset(expression, schema=self.schema).row_groups}
        return [group for group in range(len(self.group_rows)) if group not in kept]

    def footer(self) -> pq.FileMetaData:
        """Return the file's footer.

        Raises:
            OSError: the file is missing or was replaced.
            ArrowException: the file is no Parquet file.
        """
        path = self.location.path(self.name)
        status = None if path is None else path.stat()
        version = None if status is None else (status.st_ino, status.st_mtime_ns)
        return _footer(self.location, self.name, self.size, self.footer_sha256, version)

    def problems(self) -> Sequence[str]:
        """Return nothing, as pyarrow reports contradictions when it reads."""
        return ()

    def _spans(self, groups: range, columns: Sequence[str]) -> Spans:
        try:
            wanted = [span for _, span in _chunks(self.footer(), groups, columns)]
            return fetch_spans(self.location, self.name, wanted)
        except PARQUET_ERRORS as error:
            raise self.unreadable(error) from None

    def read_all(self, columns: Sequence[str], trim: Trim | None = None) -> pa.Table:
        """Read the named columns of all rows, and trim each batch before the next one is read."""
        return self._read(range(len(self.group_rows)), columns, trim)

    def _read(self, groups: range, columns: Sequence[str], trim: Trim | None = None) -> pa.Table:
        try:
            footer = self.footer()
            path = self.location.path(self.name)
            source: Any = path
            if path is None:
                source = SpanFile(self._spans(groups, columns), self.size)
            # A file object of its own: pyarrow's readers are not made for concurrent use, and threads run above this
            # call. Not memory-mapped: a file that is cut short while it is read would end the process by a signal.
            with pq.ParquetFile(source, metadata=footer, pre_buffer=False, page_checksum_verification=True) as file:
                batches = self._bounded(
                    file.iter_batches(
                        self._batch_rows(columns), row_groups=groups, columns=list(columns), use_threads=False
                    ),
                    trim,
                )
                empty = None if batches else file.read_row_groups([], columns=list(columns))
            found, expected = sum(map(len, batches)), sum(self.group_rows[group] for group in groups)
            if found != expected:
                raise OSError(f"{found} rows, its footer says {expected}")
            return pa.Table.from_batches(batches) if empty is None else empty
        except PARQUET_ERRORS as error:
            met = ChecksumError(_PAGE_DAMAGE) if _PYARROWS_PAGE_DAMAGE in str(error) else error
            raise self.unreadable(met) from None

    def _batch_rows(self, columns: Sequence[str]) -> int:
        """Return how many rows are inflated before the next look at their size."""
        sizes = [_row_bytes(self.schema.field(name).type) for name in columns]
        fixed = [size for size in sizes if size is not None]
        return max(_BATCH_ROWS, _BATCH_BYTES // max(sum(fixed), 1)) if len(fixed) == len(sizes) else _BATCH_ROWS

    def _bounded(self, batches: Iterable[pa.RecordBatch], trim: Trim | None) -> list[pa.RecordBatch]:
        """Validate batches and trim them; stop at the decompression limit."""
        most = most_bytes(self.size)
        kept, size = [], 0
        for batch in batches:
            batch.validate(full=True)
            size += batch.nbytes
            if size > most:
                raise ValueError(f"it inflates beyond {most} bytes")
            kept.append(batch if trim is None else trim(batch))
        return kept


def open_parquet(location: Location, name: str, *, size: int | None = None, rows: int | None = None) -> ParquetShard:
    """Read a shard's footer.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes according to the manifest.
        rows: Number of rows according to the manifest.

    Raises:
        DamageError: the file is missing, truncated or no Parquet file, or differs from the manifest.
    """
    actual = check_size(location, name, size)
    try:
        tail = _read_tail(location, name, actual)
        sha256 = hashlib.sha256(tail[:-TAIL_BYTES]).hexdigest()
        metadata = _parsed(tail)
        _check_chunks(metadata, actual)
        schema = pq.read_schema(_footer_file(tail))
        groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
        if any(count < 0 for count in groups) or sum(groups) > most_bytes(actual):
            raise ValueError(f"its footer claims {sum(groups)} rows")
    except PARQUET_ERRORS as error:
        raise unreadable(location, name, error, KIND) from None
    check_rows(location, name, sum(groups), rows)
    return ParquetShard(
        location=location, name=name, size=actual, group_rows=groups, footer_sha256=sha256, schema=schema
    )


@lru_cache(maxsize=_FOOTERS_KEPT)
def _footer(location: Location, name: str, size: int, sha256: str, version: tuple[int, int] | None) -> pq.FileMetaData:
    """Read the footer of an open shard again.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes.
        sha256: Hash of the footer when the shard was opened.
        version: Number and time of a local file, so that the footer of a file that took its place is not one kept.

    Raises:
        OSError: the file is missing or was replaced.
        ArrowException: the file is no Parquet file.
    """
    tail = _read_tail(location, name, size)
    if hashlib.sha256(tail[:-TAIL_BYTES]).hexdigest() != sha256:
        raise ReplacedError("another file than the one that was opened")
    return _parsed(tail)


def _read_tail(location: Location, name: str, size: int) -> bytes:
    """Read the footer, its length and the closing mark.

    Raises:
        OSError: no such file, no Parquet file, or a footer that does not match its checksum.
    """
    tail = location.read(name, max(size - _FIRST_READ_BYTES, 0), size)
    wanted = int.from_bytes(tail[-TAIL_BYTES:-4], "little") + TAIL_BYTES
    if tail[-4:] != b"PAR1" or wanted > size:
        raise OSError("Parquet magic bytes not found in footer")
    start = max(size - wanted - SEAL_BYTES, 0)
    tail = tail[start - size :] if size - start <= len(tail) else location.read(name, start, size)
    check_seal(tail[:-wanted], tail[-wanted:-TAIL_BYTES])
    return tail[-wanted:]


def _parsed(tail: bytes) -> pq.FileMetaData:
    return pq.read_metadata(_footer_file(tail))


def _footer_file(tail: bytes) -> pa.BufferReader:
    """Return a file that holds this footer and no data."""
    return pa.BufferReader(b"PAR1" + tail)


def _check_chunks(footer: pq.FileMetaData, size: int) -> None:
    """Let pyarrow's reader compute where every column chunk lies; it gets no byte of them.

    The reader raises where a chunk is described wrongly. The getters that `_chunks` asks would end the process there.

    Raises:
        ArrowException, OSError: a chunk contradicts the schema, or lies outside the file.
    """
    nothing = SpanFile(Spans((), ()), size)
    with (
        pq.ParquetFile(nothing, metadata=footer, pre_buffer=True) as file,
        contextlib.suppress(NotFetchedError),
    ):
        next(file.iter_batches(use_threads=False), None)


def _chunks(footer: pq.FileMetaData, groups: Sequence[int], columns: Sequence[str]) -> Iterator[tuple[str, Range]]:
    """Yield the column and byte range of each column chunk of the given columns."""
    owners = [_column_of(footer.schema.column(leaf).path, columns) for leaf in range(footer.num_columns)]
    for group in groups:
        row_group = footer.row_group(group)
        for leaf, column in enumerate(owners):
            if column is not None:
                chunk = row_group.column(leaf)
                start, dictionary = chunk.data_page_offset, chunk.dictionary_page_offset
                if dictionary is not None and dictionary > 0:  # as pyarrow's reader has it
                    start = min(start, dictionary)
                yield column, (start, start + chunk.total_compressed_size)


def _row_bytes(kind: pa.DataType) -> int | None:
    """Return the bytes of a value where all values of a type have equally many, else None; a bit counts as a byte.

    >>> _row_bytes(pa.list_(pa.float16(), 3)), _row_bytes(pa.bool_()), _row_bytes(pa.string())
    (6, 1, None)
    """
    if pa.types.is_fixed_size_list(kind):
        inner = _row_bytes(kind.value_type)
        return None if inner is None else inner * int(kind.list_size)
    return -(-int(kind.bit_width) // 8) if is_number(kind) else None


def _column_of(path: str, columns: Sequence[str]) -> str | None:
    """Return the column that holds a leaf of the schema, or None.

    >>> _column_of("words.list.element.text", ["word", "words"]), _column_of("a.b", ["a", "a.b"]), _column_of("x", [])
    ('words', 'a.b', None)
    """
    return max((name for name in columns if f"{path}.".startswith(f"{name}.")), key=len, default=None)
