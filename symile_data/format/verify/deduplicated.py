"""Check that the media tables of the deduplicated layout agree with the rows that refer to them."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import DamageError
from symile_data.format.deduplicated import MediaTable
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.shards import Shard, open_shard


def pool_problems(directory: Path, manifest: Manifest, damaged: Collection[str] = ()) -> Iterator[str]:
    """Yield sentences about media tables that contradict the rows of the splits.

    Args:
        directory: Directory of the dataset.
        manifest: Its manifest.
        damaged: Paths of files in which earlier checks found problems; they are not read again.
    """
    if manifest.pooled is None:
        return
    location = Location.of(directory)
    for pool in manifest.pooled.pools:
        for key in pool.keys:
            tables: list[pa.Table] = []
            for entry in manifest.pool_files(key):
                shard = None if entry.path in damaged else _opened(location, entry)
                if shard is None:
                    break
                absent = _absent(shard, pool.id_column, pool.column)
                if absent:
                    yield absent
                    break
                table = shard.read_all(shard.schema.names)
                if table[pool.column].null_count or table[pool.id_column].null_count:
                    yield f"{entry.path}: a pool's {pool.column} or {pool.id_column} is null"
                tables.append(table.drop_columns([pool.column]))
            else:
                yield from _key_problems(location, manifest, pool, key, tables, damaged)


def _key_problems(
    location: Location, manifest: Manifest, pool: MediaTable, key: str, tables: list[pa.Table], damaged: Collection[str]
) -> Iterator[str]:
    """Yield the problems of one media table whose files are intact, and of the rows that refer to it."""
    try:
        known = pa.concat_tables(tables).combine_chunks()
        if len(pc.unique(known[pool.id_column])) != len(known):
            yield f"{key}: a {pool.id_column} occurs twice in the pool"
        for split in (split for split in pool.names if pool.key(split) == key):
            for entry in manifest.shards(split):
                if entry.path not in damaged:
                    yield from _pointer_problems(location, entry, pool, known)
    except (pa.ArrowException, TypeError) as error:
        said = " ".join(str(error).split())[:200]
        yield f"{key}: columns of the pool and of its rows have types that do not fit ({said})"


def _pointer_problems(location: Location, entry: FileEntry, pool: MediaTable, known: pa.Table) -> Iterator[str]:
    """Yield a problem for rows that refer to a wrong row of the media table or contradict it."""
    shard = _opened(location, entry)
    if shard is None:
        return
    absent = _absent(shard, pool.row_column, pool.id_column)
    if absent:
        yield absent
        return
    told = [name for name in known.column_names if name in shard.schema.names]
    table = shard.read_all([pool.row_column, *told])
    rows = table[pool.row_column].combine_chunks()
    inside = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, len(known)))
    if pc.any(pc.invert(inside)).as_py():
        yield f"{entry.path}: {pool.row_column} points outside the pool of {len(known)}"
        return
    for column in told:
        named, found = table[column].combine_chunks(), known[column].combine_chunks().take(rows)
        wrong = pc.indices_nonzero(pc.fill_null(pc.not_equal(found, named), False))
        if len(wrong):
            row = wrong[0].as_py()
            yield (
                f"{entry.path}: row {row}: {column} is {named[row].as_py()!r}, the pool has "
                f"{found[row].as_py()!r} there"
            )
            return


def _opened(location: Location, entry: FileEntry) -> Shard | None:
    """Open a shard; return None if it is damaged, which the checks of single files report."""
    try:
        return open_shard(location, entry.path)
    except DamageError:
        return None


def _absent(shard: Shard, *columns: str) -> str | None:
    """Return a sentence about the columns that a file lacks, or None."""
    absent = [column for column in columns if column not in shard.schema.names]
    return f"{shard.name}: no column {', '.join(absent)}" if absent else None
