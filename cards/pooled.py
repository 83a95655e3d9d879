"""What a card needs to know of a pooled dataset: its kinds of tables, and rows with their media attached."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import DamageError
from symile_data.manifest import FileEntry, Manifest
from symile_data.pooled import PooledMedia
from symile_data.schema import DatasetSchema

if TYPE_CHECKING:
    from datasets import Features

PAIRS = "pairs"

_MOST_ROWS = 50  # of a row group, where each row's media are fetched one by one


@dataclass(frozen=True, kw_only=True)
class Table:
    """One kind of tables, a configuration of the card.

    Args:
        name: "pairs", or the folder of a pool.
        features: Typed columns.
        files: split (or pool) -> its files.
        pattern: Glob of all its files.
    """

    name: str
    features: Features
    files: dict[str, list[FileEntry]]
    pattern: str

    @property
    def rows(self) -> dict[str, int]:
        """Rows by split or pool."""
        return {split: sum(entry.rows or 0 for entry in entries) for split, entries in self.files.items()}

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes by split or pool."""
        return {split: sum(entry.bytes for entry in entries) for split, entries in self.files.items()}


def tables_of(directory: Path, manifest: Manifest, schema: DatasetSchema) -> list[Table]:
    """The tables of a pooled dataset, the pairs first; none for another.

    Raises:
        DamageError: a pool's file cannot be read.
    """
    from datasets import Features, Value

    if manifest.pooled is None:
        return []
    pools = manifest.pooled.pools
    media = {pool.column for pool in pools}
    pairs: dict[str, Any] = {name: feature for name, feature in schema.features.items() if name not in media}
    pairs |= {pool.row_column: Value("int64") for pool in pools}
    splits = {split: manifest.shards(split) for split, rows in manifest.splits.items() if rows}
    tables = [Table(name=PAIRS, features=Features(pairs), files=splits, pattern="data/*.parquet")]
    for pool in pools:
        files = {key.partition("/")[2]: manifest.pool_files(key) for key in pool.keys}
        path = directory / next(iter(files.values()))[0].path
        try:
            features = Features.from_arrow_schema(pq.read_schema(path))
        except (pa.ArrowException, OSError) as error:
            raise DamageError("a pool's file cannot be read for the card", where=path, got=error) from error
        tables.append(Table(name=pool.folder, features=features, files=files, pattern=f"{pool.folder}/*.parquet"))
    return tables


def read_group(file: pq.ParquetFile, group: int, columns: Sequence[str], media: PooledMedia | None) -> pa.Table:
    """Some columns of a row group, or of its first rows where their media lie in pools."""
    if media is None:
        return file.read_row_group(group, columns=list(columns), use_threads=False)
    stored = file.read_row_group(group, columns=media.stored_columns(columns), use_threads=False)
    return media.attach(stored.slice(0, _MOST_ROWS), columns)
