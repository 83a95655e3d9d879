"""One Parquet shard: what its footer says, and reading one row group of some columns. Knows nothing of splits or
modalities.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import DamageError
from symile_data.parquet import PARQUET_ERRORS, unreadable

_TAIL_BYTES = 8  # a Parquet file ends with the footer's length (4 bytes) and "PAR1"


@dataclass(frozen=True, kw_only=True)
class ParquetShard:
    """A shard that was opened once, so that its footer is known to be whole.

    Args:
        path: The file.
        group_rows: Rows in each of its row groups.
        footer_sha256: Of the footer's bytes: schema, page offsets, sizes and statistics of everything in the file.
        schema: Arrow schema, `huggingface` metadata included.
    """

    path: Path
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
        return self._read(lambda file: file.read_row_group(group, columns=list(columns), use_threads=False))

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows.

        Raises:
            DamageError: the file is gone or its pages cannot be read.
        """
        return self._read(lambda file: file.read(columns=list(columns), use_threads=False))

    def _read(self, what: Callable[[pq.ParquetFile], pa.Table]) -> pa.Table:
        try:
            # A file object of its own: pyarrow's readers are not made for concurrent use, and threads run above this
            # call.
            with pq.ParquetFile(self.path, memory_map=True) as file:
                return what(file)
        except PARQUET_ERRORS as error:
            raise _unreadable(self.path, error) from None


def open_parquet(path: Path, *, size: int | None = None, rows: int | None = None) -> ParquetShard:
    """Read a shard's footer.

    Args:
        path: The file.
        size: Bytes that the manifest says the file has.
        rows: Rows that the manifest says it has.

    Raises:
        DamageError: missing, truncated, not Parquet, or other than the manifest says.
    """
    try:
        actual = path.stat().st_size
    except FileNotFoundError:
        raise DamageError("a shard is missing", where=path, do="fetch it again, or build the dataset again") from None
    if size is not None and actual != size:
        raise DamageError(
            "a shard was truncated or replaced",
            where=path,
            got=f"{actual} bytes, the manifest says {size}",
            do="fetch it again, or build the dataset again",
        )
    try:
        with pq.ParquetFile(path, memory_map=True) as file:
            metadata, schema = file.metadata, file.schema_arrow
            groups = tuple(metadata.row_group(index).num_rows for index in range(metadata.num_row_groups))
    except PARQUET_ERRORS as error:
        raise _unreadable(path, error) from None
    if rows is not None and sum(groups) != rows:
        raise DamageError(
            "a shard has another number of rows than the manifest says",
            where=path,
            got=f"{sum(groups)} rows, the manifest says {rows}",
            do="fetch it again, or build the dataset again",
        )
    return ParquetShard(path=path, group_rows=groups, footer_sha256=_footer_sha256(path, actual), schema=schema)


def _footer_sha256(path: Path, size: int) -> str:
    with path.open("rb") as file:
        file.seek(size - _TAIL_BYTES)
        length = int.from_bytes(file.read(4), "little")
        file.seek(size - _TAIL_BYTES - length)
        return hashlib.sha256(file.read(length)).hexdigest()


def _unreadable(path: Path, error: Exception) -> DamageError:
    if isinstance(error, FileNotFoundError):
        return DamageError("a shard is missing", where=path, do="fetch it again, or build the dataset again")
    return unreadable(path, error)
