"""The pooled layout: every medium once, in tables of their own ("pools"), which the rows of the splits point into.

A pool is a run of Parquet files `<folder>/<name>-00000-of-00003.parquet` with the columns of `Pool`. A split's tables
hold everything but the media: in their place stands `row_column`, the medium's row counted through the pool's files
(null where the medium is missing). `manifest.json` records it as `Pooled`; whoever reads a split attaches the media
with `PoolReader` and sees the same columns as in the other layout.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import DamageError
from symile_data.schema import Modality

if TYPE_CHECKING:
    from symile_data.manifest import FileEntry, Manifest

_METADATA = b"huggingface"


@dataclass(frozen=True, kw_only=True)
class Pool:
    """The media of one modality.

    Args:
        column: The medium, in the pool and in rows with their media attached ("image").
        id_column: Its id, in the pool and in the splits' tables ("image_id").
        row_column: Its row in the pool, in the splits' tables only ("image_row").
        folder: Where its files are ("images").
        names: split -> name of the files that it points into; splits with equal names share a pool.
    """

    column: str
    id_column: str
    row_column: str
    folder: str
    names: Mapping[str, str]

    def key(self, split: str) -> str:
        """The pool of a split as file entries name it ("images/train")."""
        return f"{self.folder}/{self.names[split]}"

    @property
    def keys(self) -> list[str]:
        """Every pool of this modality, each once."""
        return list(dict.fromkeys(self.key(split) for split in self.names))


@dataclass(frozen=True, kw_only=True)
class Pooled:
    """What the manifest of a pooled dataset says.

    Args:
        columns: Columns of a row with its media attached, in order.
        pools: One for each modality that is pooled.
    """

    columns: tuple[str, ...]
    pools: tuple[Pool, ...]

    def stored(self, modalities: tuple[Modality, ...]) -> tuple[Modality, ...]:
        """The modalities as the splits' tables have them: the row in the pool in the medium's place."""
        rows = {pool.column: pool.row_column for pool in self.pools}
        return tuple(
            replace(
                modality,
                column=rows.get(modality.column, modality.column),
                null_columns=tuple(rows.get(column, column) for column in modality.null_columns),
            )
            for modality in modalities
        )

    def to_json(self) -> dict[str, Any]:
        """As stored in the manifest."""
        return {"columns": list(self.columns), "pools": [{**asdict(p), "names": dict(p.names)} for p in self.pools]}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Pooled:
        """The inverse of `to_json`."""
        return cls(columns=tuple(value["columns"]), pools=tuple(Pool(**pool) for pool in value["pools"]))


class PoolReader:
    """The media of one pool by their rows; any number of threads may read at once.

    Args:
        directory: The dataset's.
        column: The medium.
        entries: The pool's files, in order.

    Raises:
        DamageError: a file is missing or other than the manifest says.
    """

    def __init__(self, directory: Path, column: str, entries: Sequence[FileEntry]) -> None:
        self._paths = [directory / entry.path for entry in entries]
        self._column = column
        self._starts = np.cumsum([0, *(entry.rows or 0 for entry in entries)], dtype=np.int64)
        self._footers: dict[int, tuple[pq.FileMetaData, npt.NDArray[np.int64]]] = {}
        for path, entry in zip(self._paths, entries, strict=True):
            actual = path.stat().st_size if path.is_file() else None
            if actual != entry.bytes:
                raise DamageError(
                    "a pool's file is missing, truncated or replaced",
                    where=path,
                    got="no file" if actual is None else f"{actual} bytes, the manifest says {entry.bytes}",
                    do="fetch it again, or build the dataset again",
                )

    @property
    def rows(self) -> int:
        """Media in the pool."""
        return int(self._starts[-1])

    @property
    def field(self) -> pa.Field:
        """The medium's Arrow field."""
        return self._schema().field(self._column)

    @property
    def feature(self) -> Any:
        """What the `huggingface` metadata says of the medium."""
        return features_of(self._schema()).get(self._column)

    def take(self, rows: pa.Array) -> pa.Array:
        """The media of some rows, in that order; null for null.

        Args:
            rows: (N,) int64, repeats allowed.

        Raises:
            DamageError: a row outside the pool, or a file that cannot be read.
        """
        wanted, inverse = np.unique(rows.drop_null().to_numpy(zero_copy_only=False), return_inverse=True)
        if len(wanted) and not (wanted[0] >= 0 and wanted[-1] < self.rows):
            raise DamageError(
                f"a row points outside its pool of {self._column}s",
                where=self._paths[0],
                got=f"rows {wanted[0]} to {wanted[-1]}, the pool has {self.rows}",
                do="build the dataset again",
            )
        of_file = np.searchsorted(self._starts, wanted, side="right") - 1
        pieces = [
            self._media(int(file), wanted[of_file == file] - int(self._starts[file])) for file in np.unique(of_file)
        ]
        indices = np.zeros(len(rows), dtype=np.int64)
        present = rows.is_valid().to_numpy(zero_copy_only=False)
        indices[present] = inverse
        media = pa.concat_arrays(pieces) if pieces else pa.nulls(1, self.field.type)
        return media.take(pa.array(indices, mask=~present))

    def _media(self, file: int, rows: npt.NDArray[np.int64]) -> pa.Array:
        """Media of sorted rows of one file. Whole row groups are read, so those of a pool are small."""
        path = self._paths[file]
        try:
            footer, starts = self._footer(file)
            of_group = np.searchsorted(starts, rows, side="right") - 1
            groups, nth = np.unique(of_group, return_inverse=True)
            # Where each row is among the rows of the groups that are read, one after the other.
            sizes = np.diff(starts)[groups]
            places = (np.cumsum(sizes) - sizes)[nth] + rows - starts[of_group]
            with pq.ParquetFile(path, metadata=footer, memory_map=True) as opened:
                table = opened.read_row_groups(groups.tolist(), columns=[self._column], use_threads=False)
            return table[self._column].combine_chunks().take(pa.array(places))
        except (pa.ArrowException, OSError) as error:
            raise DamageError(
                "a pool's file cannot be read",
                where=path,
                got=" ".join(str(error).split())[:200],
                do="fetch it again, or build the dataset again",
            ) from None

    def _footer(self, file: int) -> tuple[pq.FileMetaData, npt.NDArray[np.int64]]:
        if file not in self._footers:
            footer = pq.read_metadata(self._paths[file])
            sizes = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
            self._footers[file] = footer, np.cumsum([0, *sizes], dtype=np.int64)
        return self._footers[file]

    def _schema(self) -> pa.Schema:
        try:
            return pq.read_schema(self._paths[0])
        except (pa.ArrowException, OSError) as error:
            raise DamageError("a pool's file cannot be read", where=self._paths[0], got=error) from None


@dataclass(frozen=True)
class PooledMedia:
    """Attaches media to the rows of one split.

    Args:
        columns: Of a row with its media, in order.
        pools: (pool, reader) of each pooled modality.
    """

    columns: tuple[str, ...]
    pools: tuple[tuple[Pool, PoolReader], ...]

    def stored_columns(self, columns: Sequence[str]) -> list[str]:
        """The columns of the split's tables from which those asked for are made."""
        rows = {pool.column: pool.row_column for pool, _ in self.pools}
        return list(dict.fromkeys(rows.get(column, column) for column in columns))

    def attach(self, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        """The columns asked for, from a table that has their `stored_columns`."""
        readers = {pool.column: (pool.row_column, reader) for pool, reader in self.pools}
        arrays = [
            readers[column][1].take(table[readers[column][0]].combine_chunks())
            if column in readers
            else table[column].combine_chunks()
            for column in columns
        ]
        fields = [readers[column][1].field if column in readers else table.schema.field(column) for column in columns]
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields, metadata=table.schema.metadata))

    def schema(self, stored: pa.Schema) -> pa.Schema:
        """Arrow schema of rows with their media, from that of the split's tables."""
        readers = {pool.column: reader for pool, reader in self.pools}
        fields = [readers[c].field if c in readers else stored.field(c) for c in self.columns]
        known = features_of(stored)
        features = {c: readers[c].feature if c in readers else known.get(c) for c in self.columns}
        metadata = {_METADATA: json.dumps({"info": {"features": features}})} if known else None
        return pa.schema(fields, metadata=metadata)


def pooled_media(directory: Path, manifest: Manifest, split: str) -> PooledMedia | None:
    """The media of one split of a dataset; None where its rows hold them themselves.

    Raises:
        DamageError: a pool's file is missing or other than the manifest says.
    """
    if manifest.pooled is None:
        return None
    pools = tuple(
        (pool, PoolReader(directory, pool.column, manifest.pool_files(pool.key(split))))
        for pool in manifest.pooled.pools
    )
    return PooledMedia(columns=manifest.pooled.columns, pools=pools)


def features_of(schema: pa.Schema) -> dict[str, Any]:
    """What the `huggingface` metadata says of each column; empty without it."""
    try:
        return dict(json.loads((schema.metadata or {})[_METADATA])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}
