"""Whether the pools of a pooled dataset are what the rows of its splits say of them; for `symile_data.verify`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import DamageError
from symile_data.location import Location
from symile_data.manifest import Manifest
from symile_data.pooled import Pool
from symile_data.shards import open_shard


def pool_problems(directory: Path, manifest: Manifest) -> Iterator[str]:
    """Sentences about pools that are not what the rows of the splits say of them.

    A file that is missing or damaged is left to the checks of single files.
    """
    if manifest.pooled is None:
        return
    location = Location.of(directory)
    for pool in manifest.pooled.pools:
        for key in pool.keys:
            ids: list[pa.Array] = []
            for entry in manifest.pool_files(key):
                try:
                    table = open_shard(location, entry.path).read_all([pool.id_column, pool.column])
                except DamageError:
                    break  # told already
                if table[pool.column].null_count or table[pool.id_column].null_count:
                    yield f"{entry.path}: a pool's {pool.column} or {pool.id_column} is null"
                ids.extend(table[pool.id_column].chunks)
            else:
                known = pa.chunked_array(ids, pa.string()).combine_chunks()
                if len(pc.unique(known)) != len(known):
                    yield f"{key}: a {pool.id_column} occurs twice in the pool"
                for split in (split for split in pool.names if pool.key(split) == key):
                    yield from _pointer_problems(location, manifest, pool, split, known)


def _pointer_problems(location: Location, manifest: Manifest, pool: Pool, split: str, known: pa.Array) -> Iterator[str]:
    """Rows that do not lead to the medium they name."""
    for entry in manifest.shards(split):
        try:
            table = open_shard(location, entry.path).read_all([pool.row_column, pool.id_column])
        except DamageError:
            continue  # told already
        rows, named = (table[column].combine_chunks() for column in (pool.row_column, pool.id_column))
        inside = pc.and_(pc.greater_equal(rows, 0), pc.less(rows, len(known)))
        if pc.any(pc.invert(inside)).as_py():
            yield f"{entry.path}: {pool.row_column} points outside the pool of {len(known)}"
            continue
        found = known.take(rows)
        wrong = pc.indices_nonzero(pc.fill_null(pc.not_equal(found, named), False))
        if len(wrong):
            row = wrong[0].as_py()
            yield (
                f"{entry.path}: row {row}: {pool.id_column} is {named[row].as_py()!r}, the pool has "
                f"{found[row].as_py()!r} there"
            )
