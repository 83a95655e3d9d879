"""Present the rows of a shard with the columns of sets of features, as a shard with more columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pyarrow as pa

from symile_data.errors import DamageError, UsageError
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import Modality
from symile_data.format.shards import open_listed

from . import SAMPLE_ID, FeatureSet, joined_modalities, read_feature_set

if TYPE_CHECKING:
    from symile_data.format.shards import Shard


@dataclass(frozen=True, kw_only=True)
class JoinedShard:
    """A shard together with files of features of the same rows; see `symile_data.format.shards.Shard`.

    Args:
        whole: The dataset's shard.
        features: The file of each set, with its columns of features.
        location: The dataset's directory, for messages.
    """

    whole: Shard
    features: tuple[tuple[Shard, tuple[str, ...]], ...]
    location: Location

    @property
    def name(self) -> str:
        """The path of the dataset's shard."""
        return self.whole.name

    @property
    def group_rows(self) -> tuple[int, ...]:
        """The number of rows in each row group."""
        return self.whole.group_rows

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the dataset's shard, followed by the columns of features."""
        fields = [shard.schema.field(name) for shard, names in self.features for name in names]
        return pa.schema([*self.whole.schema, *fields], metadata=self.whole.schema.metadata)

    @property
    def footer_sha256(self) -> str:
        """SHA-256 (hex) of the footer of the dataset's shard."""
        return self.whole.footer_sha256

    @property
    def rows(self) -> int:
        """The number of rows in the shard."""
        return self.whole.rows

    @property
    def cached(self) -> bool:
        """Whether the bytes of the dataset's file go through a cache of remote data."""
        return self.whole.cached

    def prefetch(self, group: int, columns: Sequence[str]) -> None:
        """Bring the bytes of the named columns of one row group into the cache.

        Raises:
            DamageError: a file is missing or cannot be read.
        """
        for shard, names in ((self.whole, self.whole.schema.names), *self.features):
            asked = [name for name in columns if name in names]
            if asked:
                shard.prefetch(group, [SAMPLE_ID, *asked])

    def stored_row(self, row: int) -> int:
        """Return the number of a row within the dataset's file."""
        return self.whole.stored_row(row)

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of one row group, and no others but the ids by which rows are joined.

        Raises:
            DamageError: a file is missing or cannot be read, or its rows have other ids.
        """
        return self._joined(columns, lambda shard, names: shard.read(group, names))

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of all rows, as `read` does.

        Raises:
            DamageError: a file is missing or cannot be read, or its rows have other ids.
        """
        return self._joined(columns, lambda shard, names: shard.read_all(names))

    def column_bytes(self) -> dict[str, int]:
        """Return the stored bytes of each column, those of features too."""
        sizes = dict(self.whole.column_bytes())
        for shard, names in self.features:
            stored = shard.column_bytes()
            sizes |= {name: stored[name] for name in names}
        return sizes

    def problems(self) -> Sequence[str]:
        """Return clauses about contradictions within the dataset's file."""
        return self.whole.problems()

    def _joined(self, columns: Sequence[str], read: Callable[[Shard, list[str]], pa.Table]) -> pa.Table:
        ours = {name for _, names in self.features for name in names}
        stored = [name for name in columns if name not in ours]
        if len(stored) == len(columns):
            return read(self.whole, stored)
        table = read(self.whole, list(dict.fromkeys([*stored, SAMPLE_ID])))
        arrays = {name: table[name] for name in stored}
        for shard, names in self.features:
            asked = [name for name in columns if name in names]
            if asked:
                found = read(shard, [SAMPLE_ID, *asked])
                if not found[SAMPLE_ID].equals(table[SAMPLE_ID]):
                    raise DamageError(
                        "a file of features has other ids than the rows that it belongs to",
                        where=self.location.where(shard.name),
                        got=f"not those of {self.whole.name}",
                        do="verify the dataset, and encode the features again",
                    )
                arrays |= {name: found[name] for name in asked}
        fields = [self.schema.field(name) for name in columns]
        return pa.table([arrays[name] for name in columns], schema=pa.schema(fields, metadata=table.schema.metadata))


def open_feature_sets(
    location: Location, manifest: Manifest, names: Sequence[str]
) -> tuple[list[FeatureSet], list[Modality]]:
    """Read the manifests of some sets of a dataset.

    Args:
        location: The dataset's directory.
        manifest: Its manifest.
        names: Names of the sets.

    Returns:
        The sets, and their modalities as the joined rows have them.

    Raises:
        UsageError: the dataset has no such set, or a set is named twice or has a column that is there already.
        DamageError: a set is damaged or of other rows.
    """
    asked = [names] if isinstance(names, str) else names
    sets = [read_feature_set(location, name, manifest) for name in asked]
    modalities = [modality for found in sets for modality in joined_modalities(found, manifest.modalities)]
    taken = [modality.name for modality in (*manifest.modalities, *modalities)]
    twice = [name for name in taken if taken.count(name) > 1]
    if twice:
        raise UsageError(
            "two columns of features, or one and a modality, have the same name",
            where=location.url,
            got=twice[0],
            do="name each set of `features` once, and sets whose columns differ",
        )
    return sets, modalities


def join(location: Location, shard: Shard, entries: Sequence[FileEntry], sets: Sequence[FeatureSet]) -> Shard:
    """Open the files of features that belong to a shard, and join them.

    Args:
        location: The dataset's directory.
        shard: The dataset's shard.
        entries: The file of each set that belongs to it, relative to the dataset.
        sets: The sets, in the same order.

    Raises:
        DamageError: a file is missing, damaged or differs from its manifest, its row groups are not those of the shard,
            or the shard has a column of the same name.
    """
    opened = []
    for entry, found in zip(entries, sets, strict=True):
        names = tuple(modality.column for modality in found.manifest.modalities)
        file = open_listed(location, entry)
        taken = [name for name in names if name in shard.schema.names or name not in file.schema.names]
        if taken or SAMPLE_ID not in file.schema.names or SAMPLE_ID not in shard.schema.names:
            wrong = taken[0] if taken else SAMPLE_ID
            raise DamageError(
                "a file of features lacks a column, or has one that the dataset has too",
                where=location.where(entry.path),
                got=wrong,
                do="encode the features again, under another name",
            )
        if file.group_rows != shard.group_rows:
            raise DamageError(
                "a file of features has other row groups than the shard that it belongs to",
                where=location.where(entry.path),
                got=f"{len(file.group_rows)} row groups, {shard.name} has {len(shard.group_rows)}",
                do="encode the features again",
            )
        opened.append((file, names))
    return JoinedShard(whole=shard, features=tuple(opened), location=location) if opened else shard
