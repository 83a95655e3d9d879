"""Open one split of a dataset on disk: its shards, its row groups, its columns, its modalities and its fingerprint.

With a manifest everything is checked against it. Without one (a download, shards written by somebody else) any
Parquet files named after the split are taken and the modalities are guessed from the column types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data import manifest as manifests
from symile_data.errors import DamageError, UsageError
from symile_data.files import digest
from symile_data.pooled import pooled_media
from symile_data.schema import Modality

from .parquet import ParquetShard, open_parquet
from .pooled import PooledShard

_OPENING_THREADS = 8  # a footer is a few small reads: waiting for the disk, not work
_TEXT_COMPANIONS = ("words", "target_text")


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split: N rows in G row groups, numbered through all shards in file order.

    Args:
        location: The dataset's directory.
        name: "train", "validation", "test" or any other.
        shards: In file order.
        schema: Arrow schema of every shard.
        modalities: In the order in which batches and masks list them.
        fingerprint: Equal for equal data: of the build where there is a manifest, else of the shards' footers.
        spec: The build's settings from the manifest; empty without one.
    """

    location: Path
    name: str
    shards: tuple[ParquetShard, ...]
    schema: pa.Schema
    modalities: tuple[Modality, ...]
    fingerprint: str
    spec: dict[str, Any]

    @cached_property
    def group_rows(self) -> npt.NDArray[np.int64]:
        """(G,) rows of each row group."""
        return np.array([rows for shard in self.shards for rows in shard.group_rows], dtype=np.int64)

    @cached_property
    def group_starts(self) -> npt.NDArray[np.int64]:
        """(G + 1,) first row of each row group, then N."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.group_rows)])

    @property
    def rows(self) -> int:
        """N, the number of rows."""
        return int(self.group_starts[-1])

    @property
    def columns(self) -> list[str]:
        """Names of all columns."""
        return list(self.schema.names)

    def read(self, columns: Sequence[str], row_group: int) -> pa.Table:
        """The named columns of one row group; nothing else is read.

        Raises:
            UsageError: an unknown column or row group.
            DamageError: the shard cannot be read.
        """
        unknown = [name for name in columns if name not in self.schema.names]
        if unknown:
            raise UsageError(
                "no such column", where=self.location, got=unknown[0], do=f"choose among {', '.join(self.columns)}"
            )
        if not 0 <= row_group < len(self.group_rows):
            raise UsageError("no such row group", where=self.location, got=row_group)
        index = int(np.searchsorted(self._shard_groups, row_group, side="right")) - 1
        return self.shards[index].read(row_group - int(self._shard_groups[index]), columns)

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows, in file order; for small columns.

        Raises:
            DamageError: a shard cannot be read.
        """
        with ThreadPoolExecutor(_OPENING_THREADS) as pool:
            tables = list(pool.map(lambda shard: shard.read_all(columns), self.shards))
        return pa.concat_tables(tables).combine_chunks()

    def place(self, row: int) -> str:
        """Where a row is, for messages: shard path relative to the dataset and row within the shard.

        Raises:
            UsageError: no such row.
        """
        if not 0 <= row < self.rows:
            raise UsageError("no such row", where=self.location, got=row)
        starts = self.group_starts[self._shard_groups]
        index = int(np.searchsorted(starts, row, side="right")) - 1
        path = self.shards[index].path.relative_to(self.location).as_posix()
        return f"{path}, row {row - int(starts[index])}"

    @cached_property
    def _shard_groups(self) -> npt.NDArray[np.int64]:
        """(S + 1,) first row group of each shard, then G."""
        counts = [len(shard.group_rows) for shard in self.shards]
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])


def open_split(location: str | Path, split: str) -> Split:
    """Open one split of the dataset in a directory.

    Args:
        location: A directory with manifest.json and data/, or with Parquet files named `<split>-*.parquet` (or
            `<split>.parquet`), in itself or in data/.
        split: Its name.

    Raises:
        UsageError: there is no such split.
        DamageError: a shard is missing, truncated or other than the manifest says; the split is empty; the build is
            unfinished.
    """
    directory = Path(location)
    if not directory.is_dir():
        raise UsageError("the dataset's directory does not exist", where=directory)
    if (directory / manifests.FILE_NAME).is_file():
        return _open_built(directory, split)
    return _open_found(directory, split)


def _open_built(directory: Path, split: str) -> Split:
    manifest = manifests.read(directory)
    if split not in manifest.splits:
        raise _unknown_split(directory, split, manifest.splits)
    entries = manifest.shards(split)
    other = [entry.path for entry in entries if not entry.path.endswith(".parquet")]
    if other:
        raise UsageError(
            "only Parquet shards can be opened", where=directory / other[0], do="build with --format parquet"
        )
    with ThreadPoolExecutor(_OPENING_THREADS) as pool:
        opened = pool.map(lambda e: open_parquet(directory / e.path, size=e.bytes, rows=e.rows), entries)
        shards = tuple(opened)
    media = pooled_media(directory, manifest, split)
    if media is not None:
        shards = tuple(PooledShard.of(shard, media) for shard in shards)
    if sum(shard.rows for shard in shards) != manifest.splits[split]:
        raise DamageError(
            f"the shards of split {split} have other rows than the manifest says",
            where=directory / manifests.FILE_NAME,
            got=f"{sum(shard.rows for shard in shards)} rows, the manifest says {manifest.splits[split]}",
            do="build the dataset again",
        )
    return _split(
        directory,
        split,
        shards,
        modalities=manifest.modalities,
        fingerprint=digest([manifest.identity.fingerprint, split]),
        spec=manifest.identity.spec,
    )


def _open_found(directory: Path, split: str) -> Split:
    if (directory / ".build").is_dir():
        raise DamageError(
            "this directory holds an unfinished build", where=directory, do="run the build command again to finish it"
        )
    folder = directory / "data" if any((directory / "data").glob("*.parquet")) else directory
    found = sorted({*folder.glob(f"{split}-*.parquet"), *folder.glob(f"{split}.parquet")})
    if not found:
        names = sorted({path.stem.split("-")[0] for path in folder.glob("*.parquet")})
        if not names:
            raise DamageError("there is neither a manifest.json nor any Parquet file", where=directory)
        raise _unknown_split(directory, split, names)
    with ThreadPoolExecutor(_OPENING_THREADS) as pool:
        shards = tuple(pool.map(open_parquet, found))
    return _split(
        directory,
        split,
        shards,
        modalities=tuple(guess_modalities(shards[0].schema)),
        fingerprint=digest([[shard.path.name, shard.footer_sha256] for shard in shards]),
        spec={},
    )


def _split(
    directory: Path,
    name: str,
    shards: tuple[ParquetShard, ...],
    *,
    modalities: tuple[Modality, ...],
    fingerprint: str,
    spec: dict[str, Any],
) -> Split:
    if not sum(shard.rows for shard in shards):
        raise DamageError(f"split {name} has no rows", where=directory)
    schema = shards[0].schema
    for shard in shards[1:]:
        if not shard.schema.equals(schema):
            raise DamageError(
                "a shard has other columns or types than the first one",
                where=shard.path,
                do="fetch it again, or build the dataset again",
            )
    if not modalities:
        raise DamageError(
            "no column is of a kind that can be decoded", where=shards[0].path, got=", ".join(schema.names)
        )
    lacking = [modality.column for modality in modalities if modality.column not in schema.names]
    if lacking:
        raise DamageError("a modality's column is not in the shards", where=shards[0].path, got=lacking[0])
    return Split(
        location=directory,
        name=name,
        shards=shards,
        schema=schema,
        modalities=modalities,
        fingerprint=fingerprint,
        spec=spec,
    )


def guess_modalities(schema: pa.Schema) -> Iterator[Modality]:
    """Modalities of Parquet files that come without a manifest, from their column types.

    Image and Audio by the `huggingface` metadata (or by being a struct of bytes and path under that name),
    fixed-size lists of floats as vectors, `text` as text. Where some of these have a mask column `<name>_missing`,
    only those with one count: the others describe the sample and are no modality of it.

    >>> fields = [("a", pa.list_(pa.float32(), 5)), ("note", pa.string()), ("text", pa.string())]
    >>> [(modality.name, modality.kind) for modality in guess_modalities(pa.schema(fields))]
    [('a', 'vector'), ('text', 'text')]
    """
    features = _features(schema)
    kinds = {field.name: kind for field in schema if (kind := _kind(field, features.get(field.name, "")))}
    masked = {name for name in kinds if _is_mask(schema, f"{name}_missing")}
    for name, kind in kinds.items():
        if masked and name not in masked:
            continue
        extra = (
            _TEXT_COMPANIONS if kind == "text" else ("clip_id", f"{name}_id") if kind == "audio" else (f"{name}_id",)
        )
        companions = tuple(column for column in extra if column in schema.names)
        yield Modality(name=name, kind=kind, column=name, null_columns=(name, *companions))


def _kind(field: pa.Field, feature: str) -> str | None:
    if feature in ("Image", "Audio"):
        return feature.lower()
    if pa.types.is_struct(field.type) and field.name in ("image", "audio"):
        return str(field.name)
    if pa.types.is_fixed_size_list(field.type) and pa.types.is_floating(field.type.value_type):
        return "vector"
    if field.name == "text" and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
        return "text"
    return None


def _is_mask(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_boolean(schema.field(name).type)


def _features(schema: pa.Schema) -> dict[str, str]:
    """Feature type of each column that the `huggingface` metadata describes ("Image", "Audio", "ClassLabel", ...)."""
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: str(value.get("_type", "")) for name, value in described.items() if isinstance(value, dict)}


def _unknown_split(directory: Path, split: str, names: Sequence[str] | dict[str, int]) -> UsageError:
    return UsageError("no such split", where=directory, got=repr(split), do=f"choose among {', '.join(names)}")
