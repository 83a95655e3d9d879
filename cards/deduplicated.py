"""What a card says of a pooled dataset: its kinds of tables, each a configuration."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import DatasetSchema

from .statistics.collect import open_listed

if TYPE_CHECKING:
    from datasets import Features

PAIRS = "pairs"


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
        first = next(iter(files.values()))[0]
        features = Features.from_arrow_schema(open_listed(directory, first).schema)
        tables.append(Table(name=pool.folder, features=features, files=files, pattern=f"{pool.folder}/*.parquet"))
    return tables
