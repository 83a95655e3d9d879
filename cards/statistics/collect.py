"""Count the statistics of a card, stats.json, from the shards in bounded memory.

Small columns (labels, masks, ids, short vectors) are read in full, a shard at a time. Images and audio are measured by
their headers in an evenly spaced sample of row groups, so that eleven million rows take minutes. The result depends
only on the shards.

Legend: a split's counts are always keyed by split first, then by value.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import Shard, open_shard
from symile_data.format.shards.deduplicated import DeduplicatedMedia, pooled_media, with_media
from symile_data.progress import stage

from ..descriptions import Description
from .ceilings import ceiling_counter, symbol_reader
from .column_counts import ColumnCounts, SmallColumns, shared_identifiers
from .media_sizes import MediaSizes

Statistics = dict[str, Any]

TRAIN = "train"  # the only split without retrieval

MEDIA_GROUPS = 40  # row groups of a split whose images and audio are measured


def compute_statistics(
    directory: Path, manifest: Manifest, schema: DatasetSchema, description: Description
) -> Statistics:
    """Count everything in stats.json.

    Raises:
        DamageError: a shard cannot be read or lacks a column.
    """
    splits = used_splits(manifest)
    statistics: Statistics = {
        "dataset": manifest.identity.dataset,
        "fingerprint": manifest.identity.fingerprint,
        "rows": {split: manifest.splits[split] for split in splits},
        "bytes": {split: sum(entry.bytes for entry in manifest.shards(split)) for split in splits},
    }
    if manifest.pooled is not None:
        statistics["pools"] = {
            key: {
                "media": sum(entry.rows or 0 for entry in manifest.pool_files(key)),
                "bytes": sum(entry.bytes for entry in manifest.pool_files(key)),
            }
            for pool in manifest.pooled.pools
            for key in pool.keys
        }
    columns = SmallColumns.of(schema, description)
    column_counts = {split: ColumnCounts(columns, schema) for split in splits}
    swapped = [f"{modality.name}{ending}" for modality in schema.modalities for ending in ("_misaligned", "_noisy")]
    apart = (*columns.masks, *(name for name in swapped if name in columns.categories))  # rows without ceilings
    counters = {split: ceiling_counter(manifest, apart, columns.words) for split in splits if split != TRAIN}
    ceilings = {split: counter for split, counter in counters.items() if counter is not None}
    symbols = symbol_reader(manifest) if ceilings and not columns.words else None
    read = columns.names if symbols is None else list(dict.fromkeys([*columns.names, *symbols.columns]))
    column_bytes: Counter[str] = Counter()
    media = MediaSizes.of(schema.features, description)
    with stage("card", len(manifest.shards()), "shards") as advance:
        for split in splits:
            attached = pooled_media(Location.of(directory), manifest, split)
            groups = _spread(directory, manifest.shards(split), attached) if media.columns else {}
            for entry in manifest.shards(split):
                shard = open_listed(directory, entry, attached)
                with _complete(directory, entry):
                    column_bytes.update(shard.column_bytes())
                    for batch in batches_of(shard, read):
                        column_counts[split].add(batch)
                        if split in ceilings:
                            ceilings[split].add(batch)
                    for group in groups.get(entry.path, ()):
                        media.add(shard.read(group, media.columns))
                advance()
    for entry in manifest.pool_files():
        column_bytes.update(open_listed(directory, entry).column_bytes())
    statistics["column_bytes"] = dict(column_bytes)
    statistics["missing"] = {split: counts.missing() for split, counts in column_counts.items()}
    statistics["categories"] = {
        name: {split: counts.categories(name) for split, counts in column_counts.items()} for name in columns.categories
    }
    statistics["identifiers"] = {
        name: shared_identifiers({split: counts.ids[name].values() for split, counts in column_counts.items()})
        for name in columns.identifiers
    }
    statistics["vectors"] = {
        name: {split: counts.vectors[name].summary() for split, counts in column_counts.items()}
        for name in columns.vectors
    }
    if columns.words:
        statistics["words"] = {split: counts.words.summary() for split, counts in column_counts.items()}
    if ceilings:
        counted = {split: counter.summary() for split, counter in ceilings.items()}
        statistics["ceilings"] = {split: found for split, found in counted.items() if found}
    statistics["media"] = media.summary()
    return statistics


def used_splits(manifest: Manifest) -> list[str]:
    """Return the splits that have rows, in the manifest's order."""
    return [split for split, rows in manifest.splits.items() if rows]


def open_listed(directory: Path, entry: FileEntry, media: DeduplicatedMedia | None = None) -> Shard:
    """Open one shard that the manifest lists. In the deduplicated layout `media` attaches the media of its rows.

    Raises:
        DamageError: the shard is missing or damaged.
    """
    location = Location.of(directory)
    return with_media(location, open_shard(location, entry.path), media)


def batches_of(shard: Shard, columns: Sequence[str]) -> list[pa.RecordBatch]:
    """Read small columns of a whole shard, in as few batches as possible.

    Raises:
        DamageError: the shard cannot be read.
    """
    return shard.read_all(columns).combine_chunks().to_batches()  # type: ignore[no-any-return]


@contextlib.contextmanager
def _complete(directory: Path, entry: FileEntry) -> Iterator[None]:
    """Turn a missing column into an error that names the shard."""
    try:
        yield
    except KeyError as error:
        raise DamageError(
            "a shard lacks a column", where=directory / entry.path, got=error, do="build the dataset again"
        ) from error


def _spread(directory: Path, entries: list[FileEntry], media: DeduplicatedMedia | None) -> dict[str, list[int]]:
    """Choose the row groups to measure, evenly spaced through the shards of a split.

    At most `MEDIA_GROUPS` shards are opened for it; where a split has more, one group of each of these.

    Returns:
        Path -> numbers of row groups.
    """
    if not entries:
        return {}
    some = [entries[index] for index in evenly_spaced(len(entries), MEDIA_GROUPS)]
    share = -(-MEDIA_GROUPS // len(some))
    chosen: dict[str, list[int]] = {}
    for entry in some:
        chosen[entry.path] = evenly_spaced(len(open_listed(directory, entry, media).group_rows), share)
    return chosen


def evenly_spaced(count: int, most: int) -> list[int]:
    """Choose at most `most` of the positions 0 to count - 1, evenly spaced from the first.

    >>> evenly_spaced(5, 2), evenly_spaced(2, 5)
    ([0, 2], [0, 1])
    """
    taken = min(count, most)
    return [index * count // taken for index in range(taken)]
