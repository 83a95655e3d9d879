"""Open one split of a dataset on disk: its shards, row groups, columns, modalities and fingerprint.

With a manifest everything is checked against it. Without one (a download, or shards written by others) `discover` finds
the files of the split and the modalities among their columns. Format and location of the shards make no difference
(`symile_data.format.shards`, `symile_data.format.location`).
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_argument, check_call
from symile_data.errors import DamageError, UsageError, choose_column
from symile_data.files import digest
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets.joined import join, open_feature_sets
from symile_data.format.location import Location
from symile_data.format.manifest import UNFINISHED
from symile_data.format.media import UnfitMediumError, decoded_file
from symile_data.format.remote_cache import RemoteCache
from symile_data.format.schema import Modality
from symile_data.format.shards import Shard, open_listed, open_shard
from symile_data.format.shards.deduplicated import pooled_media, with_media

from .discover import discover_shards, unknown_split
from .discover.columns import as_schema, check_special_columns, common_schema
from .discover.modalities import modalities_of, unused_columns
from .selection import filter_rows
from .selection.expression import Expression
from .shuffle import EpochShuffle, Order

_OPENING_THREADS = 8  # a footer is a few small reads: waiting for disk or network, not work


@dataclass(frozen=True, kw_only=True)
class Split:
    """One split: N rows in G row groups, numbered through all shards in file order.

    Args:
        location: The dataset's directory or URL.
        name: "train", "validation", "test" or any other.
        shards: The shards in file order.
        schema: Arrow schema of the tables that are read, the same for every shard.
        modalities: The modalities in the order of batches and masks.
        fingerprint: Hash that is equal for equal data: of the build's fingerprint where there is a manifest, else of
            the shards' footers.
        spec: The build's settings from the manifest; empty without one.
    """

    location: str
    name: str
    shards: tuple[Shard, ...]
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
    def epoch_rows(self) -> int:
        """The number of rows that an epoch delivers: N, but for a mix."""
        return self.rows

    def order(self, seed: int, epoch: int, window: int, shuffle: bool) -> Order:
        """Return the order of an epoch.

        Args:
            seed: The user's seed.
            epoch: The epoch, from 0.
            window: Number of row groups whose rows are shuffled together.
            shuffle: False gives file order.
        """
        return EpochShuffle(self.group_rows, self.fingerprint, seed, epoch, window, shuffle)

    @property
    def columns(self) -> list[str]:
        """Names of all columns, in the order of the schema."""
        return list(self.schema.names)

    def with_modalities(self, names: Sequence[str]) -> Split:
        """Return the same rows with these modalities only, in the order that they have here; others are plain columns.

        Raises:
            UsageError: a modality is unknown.
        """
        check_argument("names", names, Sequence[str])
        known = [modality.name for modality in self.modalities]
        unknown = [name for name in names if name not in known]
        if unknown:
            raise UsageError(
                "modalities names no modality of this split", got=unknown[0], do=f"choose among {', '.join(known)}"
            )
        return replace(self, modalities=tuple(modality for modality in self.modalities if modality.name in names))

    def read(self, columns: Sequence[str], row_group: int) -> pa.Table:
        """Read the named columns of one row group, and nothing else.

        Raises:
            UsageError: there is no such column or row group.
            DamageError: the shard cannot be read.
        """
        check_argument("columns", columns, Sequence[str])
        check_argument("row_group", row_group, int)
        unknown = [name for name in columns if name not in self.schema.names]
        if unknown:
            raise UsageError(
                "no such column", where=self.location, got=unknown[0], do=choose_column(unknown[0], self.columns)
            )
        shard, group = self.shard_of(row_group)
        return self._plain(shard, shard.read(group, columns), columns)

    def shard_of(self, row_group: int) -> tuple[Shard, int]:
        """Return the shard that holds a row group, and the group's number there.

        Raises:
            UsageError: there is no such row group.
        """
        if not 0 <= row_group < len(self.group_rows):
            raise UsageError("no such row group", where=self.location, got=row_group)
        index = int(np.searchsorted(self._shard_groups, row_group, side="right")) - 1
        return self.shards[index], row_group - int(self._shard_groups[index])

    def row(self, number: int) -> dict[str, Any]:
        """Return one row to look at: column -> value, None where it is missing.

        Images are `PIL.Image.Image`, audio is a pair of (samples,) or (samples, channels) float32 in [-1, 1] and the
        sampling rate in Hz; everything else is as it is stored.

        Raises:
            UsageError: there is no such row.
            DamageError: the shard cannot be read, or an image or audio does not decode.
        """
        where = self.place(number)
        group = int(np.searchsorted(self.group_starts, number, side="right")) - 1
        table = self.read(self.columns, group).slice(number - int(self.group_starts[group]), 1)
        values: dict[str, Any] = table.to_pylist()[0]
        for modality in self.modalities:
            stored = values[modality.column]
            data = stored.get("bytes") if isinstance(stored, dict) else stored
            if modality.kind in ("image", "audio") and isinstance(data, bytes):
                try:
                    values[modality.column] = decoded_file(modality.kind, data)
                except UnfitMediumError as error:
                    raise DamageError(f"{modality.column} does not decode", where=where, got=error) from None
        return values

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of all rows, in file order; meant for small columns.

        Raises:
            DamageError: a shard cannot be read.
        """
        return pa.concat_tables(list(self.tables(columns))).combine_chunks()

    def tables(self, columns: Sequence[str]) -> Iterator[pa.Table]:
        """Yield the named columns of all rows, shard by shard in file order; a few shards are in memory.

        Raises:
            DamageError: a shard cannot be read.
        """
        with ThreadPoolExecutor(_OPENING_THREADS) as pool:
            for start in range(0, len(self.shards), _OPENING_THREADS):
                some = self.shards[start : start + _OPENING_THREADS]
                yield from pool.map(lambda shard: self._plain(shard, shard.read_all(columns), columns), some)

    def _plain(self, shard: Shard, table: pa.Table, columns: Sequence[str]) -> pa.Table:
        return as_schema(table, self.schema, columns, f"{self.location}/{shard.name}")

    def place(self, row: int) -> str:
        """Say where a row is, for messages: the shard's path within the dataset, and the row within the shard.

        Raises:
            UsageError: there is no such row.
        """
        check_argument("number", row, int)
        if not 0 <= row < self.rows:
            raise UsageError("no such row", where=self.location, got=row, do=f"choose from 0 to {self.rows - 1:,}")
        starts = self.group_starts[self._shard_groups]
        index = int(np.searchsorted(starts, row, side="right")) - 1
        shard = self.shards[index]
        return f"{shard.name}, row {shard.stored_row(row - int(starts[index]))}"

    @cached_property
    def _shard_groups(self) -> npt.NDArray[np.int64]:
        """(S + 1,) first row group of each shard, then G."""
        counts = [len(shard.group_rows) for shard in self.shards]
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(counts, dtype=np.int64)])


def open_split(
    location: str | Path,
    split: str,
    *,
    where: str | Expression | None = None,
    rows: slice | range | None = None,
    features: Sequence[str] = (),
    config: str | None = None,
    manifest: manifests.Manifest | None = None,
    remote_cache: RemoteCache | None = None,
) -> Split:
    """Open one split of a dataset, or some of its rows.

    Args:
        location: A local directory or an fsspec URL (s3://, hf://datasets/..., https://, ...) with manifest.json and
            data/; or, without a manifest, one with shards that its README.md's front matter or their names
            (`<split>-*.parquet`, `<split>.parquet`, the same with .tar) assign to splits, in itself or in data/.
        split: Name of the split.
        where: Which rows are opened: a text such as "lang = 'ja' and not image_missing" with comparisons, `in (...)`,
            `is null`, `and`, `or` and `not`, or an Arrow expression. Only the columns that it names are read.
        rows: Numbers of the rows among which `where` chooses, such as `slice(1000)`; they ascend.
        features: Names of sets of features beside the dataset (`symile-data embed --beside`), whose columns are joined
            to the rows as further modalities, such as "image_clip-l". Each shares the mask of what it encodes.
        config: The configuration, where a directory without a manifest has several: a name in the front matter or a
            folder.
        manifest: The manifest of a local directory, if it was read already (`symile_data.format.manifest.read`); it
            is read and checked otherwise.
        remote_cache: Keeps the bytes of a remote dataset on the local disk (`symile_data.format.remote_cache`).

    Raises:
        UsageError: there is no such split, configuration or set of features, the location is of an unknown kind, or
            `where` or `rows` does not fit the split or leaves nothing of it.
        DamageError: a shard is missing, truncated or differs from the manifest; the split is empty; the build is
            unfinished; shards, masks or ids have types that cannot be read; a set of features is of other rows.

    Warns:
        UserWarning: without a manifest, names the columns that look like a modality and are not used, with the reason.
    """
    check_call(open_split, locals())
    place = Location.of(location).with_cache(remote_cache)
    if not place.is_directory():
        raise UsageError("the dataset's directory does not exist", where=place.url)
    known = manifest or manifests.read_at(place)
    if known is not None and config is not None:
        raise UsageError(
            "a dataset with a manifest has no configurations", where=place.url, got=repr(config), do="leave it out"
        )
    if known is None and features:
        raise UsageError("a dataset without a manifest has no sets of features", where=place.url, got=features[0])
    whole = _open_discovered(place, split, config) if known is None else _open_built(place, split, known, features)
    return whole if where is None and rows is None else filter_rows(whole, where, rows)


def _open_built(location: Location, split: str, manifest: manifests.Manifest, features: Sequence[str]) -> Split:
    if split not in manifest.splits:
        raise unknown_split(location, split, list(manifest.splits))
    entries = manifest.shards(split)
    sets, encoded = open_feature_sets(location, manifest, features)
    with ThreadPoolExecutor(_OPENING_THREADS) as pool:
        opened = pool.map(lambda e: open_listed(location, e), entries)
        media = pooled_media(location, manifest, split)
        stored = [with_media(location, shard, media) for shard in opened]
        beside = zip(*(found.shards(split) for found in sets), strict=True) if sets else [()] * len(stored)
        shards = tuple(pool.map(lambda shard, files: join(location, shard, files, sets), stored, beside))
    if sum(shard.rows for shard in shards) != manifest.splits[split]:
        raise DamageError(
            f"the shards of split {split} have other rows than the manifest says",
            where=location.where(manifests.FILE_NAME),
            got=f"{sum(shard.rows for shard in shards)} rows, the manifest says {manifest.splits[split]}",
            do="build the dataset again",
        )
    return _split(
        location,
        split,
        shards,
        modalities=(*manifest.modalities, *encoded),
        fingerprint=digest([manifest.identity.fingerprint, split, *(s.manifest.identity.fingerprint for s in sets)]),
        spec=manifest.identity.spec,
    )


def _open_discovered(location: Location, split: str, config: str | None) -> Split:
    if UNFINISHED in location.folders():
        raise DamageError(
            "this directory holds an unfinished build",
            where=location.url,
            do="run the build command again to finish it",
        )
    found = discover_shards(location, split, config)
    with ThreadPoolExecutor(_OPENING_THREADS) as pool:
        shards = tuple(pool.map(lambda name: open_shard(location, name), found))
    return _split(
        location,
        split,
        shards,
        modalities=None,
        fingerprint=digest([[PurePosixPath(shard.name).name, shard.footer_sha256] for shard in shards]),
        spec={},
    )


def _split(
    location: Location,
    name: str,
    shards: tuple[Shard, ...],
    *,
    modalities: tuple[Modality, ...] | None,
    fingerprint: str,
    spec: dict[str, Any],
) -> Split:
    """Check the shards against one another; modalities that no manifest names are found among the columns."""
    if not sum(shard.rows for shard in shards):
        raise DamageError(f"split {name} has no rows", where=location.url)
    schema = common_schema(location, shards)
    first = location.where(shards[0].name)
    if modalities is None:
        modalities = modalities_of(schema)
        unused = list(unused_columns(schema, modalities))
        if unused and modalities:
            warnings.warn(f"{first}: {'; '.join(unused)}", stacklevel=4)
        if not modalities:
            got = "; ".join(unused) or ", ".join(schema.names)
            raise DamageError("no column is of a kind that can be decoded", where=first, got=got)
    needed = [column for modality in modalities for column in (modality.column, modality.id_column) if column]
    lacking = [column for column in needed if column not in schema.names]
    if lacking:
        raise DamageError("a modality's column is not in the shards", where=first, got=lacking[0])
    check_special_columns(schema, modalities, first)
    return Split(
        location=location.url,
        name=name,
        shards=shards,
        schema=schema,
        modalities=modalities,
        fingerprint=fingerprint,
        spec=spec,
    )
