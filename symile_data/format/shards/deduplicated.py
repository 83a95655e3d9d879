"""Read shards of the deduplicated layout: rows come from the split's table and media from the media tables, so that the
result has the columns of a self-contained shard.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.deduplicated import MediaTable
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest

from .arrow_numpy import arrow_int64, null_mask, numbers
from .limits import AGAIN, check_footer, check_size
from .parquet import ParquetShard, open_parquet

if TYPE_CHECKING:
    from symile_data.format.shards import Shard

ROWS_PER_GROUP = 50  # a group is what a loader reads and keeps at a time, media included

_METADATA = b"huggingface"


class PoolReader:
    """Reads one media table by row numbers; any number of threads may read at once.

    Args:
        location: The dataset's directory.
        column: The column of images or audio.
        entries: The files of the table, in order.

    Raises:
        DamageError: a file is missing or differs from the manifest.
    """

    def __init__(self, location: Location, column: str, entries: Sequence[FileEntry]) -> None:
        self._location, self._column, self._entries = location, column, entries
        self._starts = np.cumsum([0, *(entry.rows or 0 for entry in entries)], dtype=np.int64)
        self._opened: dict[int, ParquetShard] = {}
        for entry in entries:
            check_size(location, entry.path, entry.bytes)

    @property
    def rows(self) -> int:
        """The number of rows in the table."""
        return int(self._starts[-1])

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the table's files."""
        return self._file(0).schema

    def take(self, rows: pa.Array) -> pa.Array:
        """Read the media of some rows, in the order given; null for null.

        Args:
            rows: (N,) int64 row numbers, repeats allowed.

        Raises:
            DamageError: a row number is outside the table, or a file cannot be read.
        """
        present = ~null_mask(rows)
        wanted, inverse = np.unique(numbers(rows)[present], return_inverse=True)
        if len(wanted) and not (wanted[0] >= 0 and wanted[-1] < self.rows):
            raise DamageError(
                f"a row points outside its pool of the column {self._column}",
                where=self._location.url,
                got=f"rows {wanted[0]} to {wanted[-1]}, the pool has {self.rows}",
                do="build the dataset again",
            )
        of_file = np.searchsorted(self._starts, wanted, side="right") - 1
        pieces = [
            piece
            for file in np.unique(of_file).tolist()
            for piece in self._media(file, wanted[of_file == file] - int(self._starts[file]))
        ]
        indices = np.zeros(len(rows), dtype=np.int64)
        indices[present] = inverse
        media = pa.concat_arrays(pieces) if pieces else pa.nulls(1, self.schema.field(self._column).type)
        return media.take(arrow_int64(indices, ~present))

    def prefetch(self, rows: pa.Array) -> None:
        """Bring the media of some rows into the cache of remote data, given as for `take`.

        Raises:
            DamageError: a file cannot be read.
        """
        wanted = np.unique(numbers(rows)[~null_mask(rows)])
        wanted = wanted[(wanted >= 0) & (wanted < self.rows)]  # `take` names the others
        of_file = np.searchsorted(self._starts, wanted, side="right") - 1
        for file in np.unique(of_file).tolist():
            shard = self._file(file)
            starts = np.cumsum([0, *shard.group_rows], dtype=np.int64)
            inside = wanted[of_file == file] - int(self._starts[file])
            for group in np.unique(np.searchsorted(starts, inside, side="right") - 1).tolist():
                shard.prefetch(group, [self._column])

    def _media(self, file: int, rows: npt.NDArray[np.int64]) -> list[pa.Array]:
        """Read the media of sorted rows of one file. Whole row groups are read, so media tables have small ones."""
        shard = self._file(file)
        starts = np.cumsum([0, *shard.group_rows], dtype=np.int64)
        of_group = np.searchsorted(starts, rows, side="right") - 1
        return [
            shard.read(group, [self._column])[self._column]
            .combine_chunks()
            .take(arrow_int64(rows[of_group == group] - starts[group]))
            for group in np.unique(of_group).tolist()
        ]

    def _file(self, index: int) -> ParquetShard:
        if index not in self._opened:
            entry = self._entries[index]
            opened = open_parquet(self._location, entry.path, size=entry.bytes, rows=entry.rows)
            check_footer(self._location, entry.path, opened.footer_sha256, entry.footer)
            _check_columns(self._location, opened, [self._column])
            self._opened[index] = opened
        return self._opened[index]


@dataclass(frozen=True)
class DeduplicatedMedia:
    """Attaches media to the rows of one split.

    Args:
        columns: The columns of a row with its media, in order.
        pools: (media table, reader) of each modality that is stored so.
    """

    columns: tuple[str, ...]
    pools: tuple[tuple[MediaTable, PoolReader], ...]

    def stored_columns(self, columns: Sequence[str]) -> list[str]:
        """Return the columns of the split's table that are needed for the given columns."""
        rows = {pool.column: pool.row_column for pool, _ in self.pools}
        return list(dict.fromkeys(rows.get(column, column) for column in columns))

    def attach(self, table: pa.Table, columns: Sequence[str], schema: pa.Schema) -> pa.Table:
        """Return the given columns, with media attached.

        Args:
            table: Rows with the `stored_columns` of these columns.
            columns: Names of the wanted columns.
            schema: Arrow schema of rows with their media, from `schema`.
        """
        readers = {pool.column: (pool.row_column, reader) for pool, reader in self.pools}
        arrays = []
        for column in columns:
            if column in readers:
                row_column, reader = readers[column]
                arrays.append(reader.take(table[row_column].combine_chunks()))
            else:
                arrays.append(table[column].combine_chunks())
        fields = [schema.field(column) for column in columns]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=schema.metadata))

    def prefetch(self, table: pa.Table, columns: Sequence[str]) -> None:
        """Bring the media of some rows into the cache of remote data; arguments as for `attach`."""
        for pool, reader in self.pools:
            if pool.column in columns:
                reader.prefetch(table[pool.row_column].combine_chunks())

    def schema(self, stored: pa.Schema) -> pa.Schema:
        """Return the Arrow schema of rows with their media, given that of the split's table."""
        sources: dict[str, pa.Schema] = dict.fromkeys(self.columns, stored)
        sources |= {pool.column: reader.schema for pool, reader in self.pools}
        fields = [sources[column].field(column) for column in self.columns]
        features = {column: _features(sources[column]).get(column) for column in self.columns}
        metadata = {_METADATA: json.dumps({"info": {"features": features}})} if all(features.values()) else None
        return pa.schema(fields, metadata=metadata)


@dataclass(frozen=True, kw_only=True)
class DeduplicatedShard:
    """A split's table together with the media tables that its rows refer to; see `symile_data.format.shards.Shard`.

    The row groups of the table are large, since it holds no media. Each is presented as several groups of at most
    `ROWS_PER_GROUP` rows.

    Args:
        table: The opened table.
        group_rows: Rows in each group.
        schema: Arrow schema of rows with their media.
        places: For each group the row group of the table that holds it, and its first row there.
        media: The media tables.
    """

    table: Shard
    group_rows: tuple[int, ...]
    schema: pa.Schema
    places: tuple[tuple[int, int], ...]
    media: DeduplicatedMedia

    @property
    def name(self) -> str:
        """The path of the table relative to the dataset."""
        return self.table.name

    @property
    def footer_sha256(self) -> str:
        """SHA-256 (hex) of the table's footer."""
        return self.table.footer_sha256

    @property
    def rows(self) -> int:
        """The number of rows in the shard."""
        return self.table.rows

    @property
    def cached(self) -> bool:
        """Whether the bytes of the table and of the media go through a cache of remote data."""
        return self.table.cached

    def prefetch(self, group: int, columns: Sequence[str]) -> None:
        """Bring the bytes of the named columns of one group, media included, into the cache.

        Raises:
            DamageError: a file is missing or cannot be read.
        """
        if self.cached:
            stored, first = self.places[group]
            table = self.table.read(stored, self.media.stored_columns(columns))
            self.media.prefetch(table.slice(first, self.group_rows[group]), columns)

    def stored_row(self, row: int) -> int:
        """Return the number of a row within the table, which is its own number."""
        return self.table.stored_row(row)

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of one group.

        Raises:
            DamageError: a file is missing or cannot be read.
        """
        stored, first = self.places[group]
        table = self.table.read(stored, self.media.stored_columns(columns))
        return self.media.attach(table.slice(first, self.group_rows[group]), columns, self.schema)

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of all rows.

        Raises:
            DamageError: a file is missing or cannot be read.
        """
        return self.media.attach(self.table.read_all(self.media.stored_columns(columns)), columns, self.schema)

    def column_bytes(self) -> dict[str, int]:
        """Return the stored bytes of the table's columns; shards share the media tables, which are left out."""
        return self.table.column_bytes()

    def problems(self) -> Sequence[str]:
        """Return clauses about contradictions within the table."""
        return self.table.problems()


def pooled_media(location: Location, manifest: Manifest, split: str) -> DeduplicatedMedia | None:
    """Open the media tables of one split; None if its rows hold their media.

    Raises:
        DamageError: a file of a media table is missing or differs from the manifest.
    """
    if manifest.pooled is None:
        return None
    pools = tuple(
        (pool, PoolReader(location, pool.column, manifest.pool_files(pool.key(split))))
        for pool in manifest.pooled.pools
    )
    return DeduplicatedMedia(columns=manifest.pooled.columns, pools=pools)


def with_media(location: Location, table: Shard, media: DeduplicatedMedia | None) -> Shard:
    """Return a shard whose rows have their media: `table` itself if it holds them.

    Raises:
        DamageError: a file lacks a column that the manifest says it has.
    """
    if media is None:
        return table
    _check_columns(location, table, media.stored_columns(media.columns))
    places = [(group, first) for group, rows in enumerate(table.group_rows) for first in range(0, rows, ROWS_PER_GROUP)]
    return DeduplicatedShard(
        table=table,
        group_rows=tuple(min(ROWS_PER_GROUP, table.group_rows[group] - first) for group, first in places),
        schema=media.schema(table.schema),
        places=tuple(places),
        media=media,
    )


def _check_columns(location: Location, shard: Shard, columns: Sequence[str]) -> None:
    absent = [column for column in columns if column not in shard.schema.names]
    if absent:
        raise DamageError(
            "a file of a pooled dataset lacks a column that the manifest says it has",
            where=location.where(shard.name),
            got=f"no column {', '.join(absent)}",
            do=AGAIN,
        )


def _features(schema: pa.Schema) -> dict[str, Any]:
    """Return the entry of each column in the `huggingface` metadata; empty without it."""
    try:
        return dict(json.loads((schema.metadata or {})[_METADATA])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}
