"""Images and audio of one row group of a local Parquet shard, read one value at a time."""

from __future__ import annotations

import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from symile_data.format.feature_sets.joined import JoinedShard

from ..limits import ReplacedError
from ..parquet import PARQUET_ERRORS, ParquetShard
from ..selected import SelectedShard
from .files import OpenFile, OpenFiles
from .plain import find_values

if TYPE_CHECKING:
    from symile_data.format.shards import Shard

_ENCODINGS = {"PLAIN", "RLE"}


@dataclass(frozen=True, kw_only=True)
class StoredValues:
    """Where the values of a column are in one row group; they are read when they are asked for.

    Args:
        shard: The shard.
        path: Its file.
        files: Opens the file again.
        file: The file while it is open.
        version: Size and time of the file before the values were found.
        null: (rows,) True where the column is null. A struct that holds no bytes is not null itself.
        starts: (rows,) first byte of each value in the file; -1 where there is no value.
        stops: (rows,) the byte after each value; -1 where there is no value.
    """

    shard: ParquetShard
    path: Path
    files: OpenFiles
    file: weakref.ref[OpenFile]
    version: tuple[int, int]
    null: npt.NDArray[np.bool_]
    starts: list[int]
    stops: list[int]

    @property
    def size(self) -> int:
        """The bytes of all values together."""
        return sum(self.stops) - sum(self.starts)

    def read(self, rows: Sequence[int]) -> list[bytes | None]:
        """Read the values of some rows; None where there is none.

        Raises:
            DamageError: the file cannot be read, or was written since its checksums were verified.
        """
        try:
            file = self.file() or self._unchanged(self.files.get(self.path))  # it may have been closed for others
            starts, stops, read = self.starts, self.stops, file.read
            found = [read(starts[row], stops[row]) if starts[row] >= 0 else None for row in rows]
            self._unchanged(file)  # after the reads, as it may be written until then
        except OSError as error:
            raise self.shard.unreadable(error) from None
        return found

    def _unchanged(self, file: OpenFile) -> OpenFile:
        if file.version != self.version:
            raise ReplacedError("another file than the one that was opened")
        return file

    def selected(self, places: npt.NDArray[np.int64]) -> StoredValues:
        """Return the values of some rows."""
        rows = places.tolist()
        starts, stops = ([values[row] for row in rows] for values in (self.starts, self.stops))
        return replace(self, null=self.null[places], starts=starts, stops=stops)


def find_media(
    shard: Shard, group: int, columns: Sequence[str], files: OpenFiles, *, checksums: bool = True
) -> Mapping[str, StoredValues]:
    """Find those of the columns that are stored plainly: uncompressed binary, alone or in a struct as `bytes`.

    The caller reads the others by `Shard.read`, which also says what is wrong with a file that is damaged.

    Args:
        shard: The shard; only local Parquet files have such columns, also where a filter selects rows of them or
            features are joined to them.
        group: The row group.
        columns: Names of columns that hold media.
        files: Keeps files open.
        checksums: Whether the checksums of the pages are verified.
    """
    if isinstance(shard, SelectedShard):
        number, places = shard.groups[group]
        stored = [column for column in columns if column not in shard.columns]
        found = find_media(shard.whole, number, stored, files, checksums=checksums)
        return {column: values.selected(places) for column, values in found.items()}
    if isinstance(shard, JoinedShard):
        return find_media(shard.whole, group, columns, files, checksums=checksums)
    path = shard.location.path(shard.name) if isinstance(shard, ParquetShard) else None
    if not isinstance(shard, ParquetShard) or path is None:
        return {}
    try:
        chunks = _plain_chunks(shard.footer(), group, columns)
        return {chunk.column: _find(shard, group, chunk, path, files, checksums=checksums) for chunk in chunks}
    except (*PARQUET_ERRORS, IndexError):
        return {}


@dataclass(frozen=True)
class _Chunk:
    """Which bytes of the file hold a column's values, and the level of a value that is present."""

    column: str
    place: range
    most_level: int


def _plain_chunks(footer: pq.FileMetaData, group: int, columns: Sequence[str]) -> Iterator[_Chunk]:
    """Yield the column chunks that, as far as their footer says, are stored plainly."""
    owner = {name: column for column in columns for name in (column, f"{column}.bytes")}
    row_group = footer.row_group(group)
    for leaf in range(footer.num_columns):
        described = footer.schema.column(leaf)
        if described.path not in owner or described.physical_type != "BYTE_ARRAY" or described.max_repetition_level:
            continue
        chunk = row_group.column(leaf)
        plain = chunk.compression == "UNCOMPRESSED" and set(chunk.encodings) <= _ENCODINGS
        if plain and chunk.dictionary_page_offset is None:
            start = chunk.data_page_offset
            place = range(start, start + chunk.total_compressed_size)
            yield _Chunk(owner[described.path], place, described.max_definition_level)


def _find(
    shard: ParquetShard, group: int, chunk: _Chunk, path: Path, files: OpenFiles, *, checksums: bool
) -> StoredValues:
    """Find the values of one column chunk.

    Raises:
        ValueError, IndexError: they are stored in another way, or damaged.
        OSError: the file cannot be read.
    """
    rows, file = shard.group_rows[group], files.get(path)
    version = file.version
    places = find_values(file, chunk.place, rows, chunk.most_level, checksums=checksums)
    nullable = shard.schema.field(chunk.column).nullable
    return StoredValues(
        shard=shard,
        path=path,
        files=files,
        file=weakref.ref(file),
        version=version,
        null=places.levels == 0 if nullable else np.zeros(rows, dtype=bool),
        starts=places.starts,
        stops=places.stops,
    )
