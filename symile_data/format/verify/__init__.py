"""Re-read a whole dataset and name every kind of damage with its file: sizes, hashes, rows, schema, masks, invariants.

The rules of one dataset (an M3 text contains its target once, ...) are passed in as `Invariants`, so this module knows
no dataset by name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Protocol

import numpy as np
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets import DATASET, FOLDER
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import mask_problems
from symile_data.format.shards.arrow_numpy import null_mask, numbers, one_chunk
from symile_data.format.typed_json import read_text
from symile_data.progress import stage
from symile_data.progress.amounts import counted

from .deduplicated import MediaTables
from .examine import Examined, examine_file, in_order, to_read
from .feature_sets import feature_folders, feature_problems
from .misaligned import UnreliableRows
from .shared_media import MediaBySplit
from .unlisted import unlisted_problems

__all__ = ["Invariants", "feature_folders", "to_read", "verify"]

SAMPLE_ID = "sample_id"  # a row's number, from which tars make their keys


class Invariants(Protocol):
    """The rules of one dataset, checked table by table."""

    @property
    def disjoint_media(self) -> bool:
        """Whether the dataset promises that no image, audio or signal is in two splits."""
        ...

    @property
    def reads_media(self) -> bool:
        """Whether a rule looks into the bytes of images and audio, without which tables are checked otherwise."""
        ...

    def check(self, split: str, table: pa.Table) -> Iterable[str]:
        """Return the problems of one shard, each a clause that names the row."""
        ...

    def check_media(self, table: pa.Table) -> Iterable[str]:
        """Return the problems of media columns in a shard or media table, each a clause that names the row."""
        ...

    def finish(self) -> Iterable[str]:
        """Return the problems that only a comparison of several shards shows."""
        ...


def verify(
    directory: Path,
    invariants: Invariants | None = None,
    *,
    workers: int = 1,
    sample: int | None = None,
    deep: bool = False,
) -> Iterator[str]:
    """Yield one sentence for each problem; nothing when the dataset is exactly what its manifest says.

    Args:
        directory: Directory of the dataset.
        invariants: The rules of this dataset.
        workers: Threads that read, hash and decode; the sentences and their order do not depend on it.
        sample: Read only what `to_read` chooses; of the other files only the size is checked, and rules across shards
            are not.
        deep: Decode every image and audio too, and compare the media's bytes across splits that must not share any.

    Raises:
        DamageError: there is no readable manifest to check against.
        UsageError: the directory is that of a set of features.
    """
    manifest = manifests.read(directory)
    if manifest.identity.dataset == DATASET:
        raise UsageError(
            "this is a set of features beside a dataset",
            where=directory,
            do="verify the dataset, which checks its sets of features too",
        )
    if not manifests.is_as_written(read_text(directory / manifests.FILE_NAME)):
        yield f"{manifests.FILE_NAME}: its blanks or line ends are not those that the build wrote"
    chosen = to_read(manifest, sample)
    schemas: dict[str, str] = {}
    media, tables, unreliable = MediaBySplit(), MediaTables(manifest), UnreliableRows(manifest)
    compared = deep and sample is None and invariants is not None and invariants.disjoint_media
    trimmed = not (deep or unreliable.reads_media or (invariants is not None and invariants.reads_media))
    examine = partial(examine_file, directory, manifest, chosen, deep=deep, compared=compared, trimmed=trimmed)
    files = sorted(manifest.files, key=lambda entry: entry.pool is None)  # media tables before the rows that need them
    with (
        stage("verifying", len(files), "files") as advance,
        closing(in_order(examine, files, workers)) as results,
    ):
        for entry, found in zip(files, results, strict=True):
            for clause in (*found.problems, *_table_problems(found, entry, manifest, schemas, invariants)):
                yield f"{entry.path}: {clause}"
            if sample is None and found.table is not None and not found.problems:
                yield from tables.add(entry, found.table)
                yield from tables.compare(entry, found.table)
                for clause in _ruled(partial(unreliable.add, entry, found.table)):
                    yield f"{entry.path}: {clause}"
            for split in _splits_of(entry, manifest):
                media.add(split, entry.path, found.media)
            pa.default_memory_pool().release_unused()  # freed pages of one file are kept for the next otherwise
            advance()
    if sample is None:
        if invariants is not None:
            yield from invariants.finish()
        yield from unreliable.problems()
        yield from media.problems()
    yield from _count_problems(manifest)
    found_sets = feature_folders(directory)
    for name in found_sets:
        yield from feature_problems(directory, name, manifest, workers=workers, sample=sample)
    folders = {f"{FOLDER}/{name}" for name in found_sets}
    yield from unlisted_problems(directory, {entry.path for entry in manifest.files}, known=folders)


def _splits_of(entry: FileEntry, manifest: Manifest) -> list[str]:
    """Return the splits whose rows use the media of a file."""
    if entry.pool is None or manifest.pooled is None:
        return [] if entry.split is None else [entry.split]
    return [split for pool in manifest.pooled.pools for split in pool.names if pool.key(split) == entry.pool]


def _table_problems(
    found: Examined,
    entry: FileEntry,
    manifest: Manifest,
    schemas: dict[str, str],
    invariants: Invariants | None,
) -> Iterator[str]:
    table = found.table
    if table is None:
        return
    if entry.split is None:
        yield from _ruled(lambda: () if invariants is None else invariants.check_media(table))
        return
    if schemas.setdefault("first", found.schema) != found.schema:
        yield "its schema differs from the first shard's"
        return
    modalities = manifest.modalities if manifest.pooled is None else manifest.pooled.stored(manifest.modalities)
    needed = [column for modality in modalities for column in (modality.mask, *modality.null_columns)]
    absent = [column for column in needed if column not in table.column_names]
    if absent:
        yield f"no column {', '.join(absent)}"
        return
    yield from _ruled(lambda: mask_problems(table, modalities))
    yield from _ruled(lambda: _sample_id_problems(table))
    if invariants is not None:
        yield from _ruled(lambda: invariants.check(str(entry.split), table))
        yield from _ruled(lambda: invariants.check_media(table))


def _sample_id_problems(table: pa.Table) -> Iterator[str]:
    if SAMPLE_ID in table.column_names:
        ids = one_chunk(table[SAMPLE_ID])
        wrong = np.flatnonzero((numbers(ids) < 0) & ~null_mask(ids))
        if len(wrong):
            row = int(wrong[0])
            yield f"row {row}: {SAMPLE_ID} {table[SAMPLE_ID][row].as_py()} is negative"


def _ruled(check: Callable[[], Iterable[str]]) -> Iterator[str]:
    """Yield the problems that `check` finds; wrong column types become a problem instead of an exception."""
    try:
        yield from check()
    except (pa.ArrowException, ValueError, OverflowError, KeyError, TypeError, AttributeError) as error:
        yield f"its columns are not of the types that the rules expect ({' '.join(str(error).split())[:200]})"


def _count_problems(manifest: Manifest) -> Iterator[str]:
    for split, rows in manifest.splits.items():
        listed = sum(entry.rows or 0 for entry in manifest.shards(split))
        if listed != rows:
            yield f"{manifests.FILE_NAME}: split {split} has {counted(rows, 'row')} but its shards have {listed:,}"
