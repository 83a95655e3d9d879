"""Describe the tables of a dataset in the deduplicated layout; each kind of tables is a configuration of the card."""

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
        name: "pairs" for the rows, or the folder of the images or the audio.
        features: Typed columns.
        files: split (or name of the store of media) -> its files.
        pattern: Glob of all files of this kind.
    """

    name: str
    features: Features
    files: dict[str, list[FileEntry]]
    pattern: str

    @property
    def rows(self) -> dict[str, int]:
        """Rows by split, or by store of media."""
        return {split: sum(entry.rows or 0 for entry in entries) for split, entries in self.files.items()}

    @property
    def bytes(self) -> dict[str, int]:
        """Bytes by split, or by store of media."""
        return {split: sum(entry.bytes for entry in entries) for split, entries in self.files.items()}


def tables_of(directory: Path, manifest: Manifest, schema: DatasetSchema) -> list[Table]:
    """Return the kinds of tables of a deduplicated dataset, the rows first; an empty list for another layout.

    Raises:
        DamageError: a file of media cannot be read.
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
