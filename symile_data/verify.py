"""Re-read a whole dataset and name every kind of damage with its file: sizes, hashes, rows, schema, masks, invariants.

The invariants of one dataset (an M3 text contains its target once, ...) are the builder's knowledge; it hands them in
as `Invariants`, so this module knows no dataset by name.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.compute as pc

from symile_data import manifest as manifests
from symile_data.errors import DamageError
from symile_data.files import file_sha256
from symile_data.location import Location
from symile_data.pooled import Pool
from symile_data.schema import mask_problems
from symile_data.shards import is_shard, open_shard

# Nothing else may lie beside the listed files; the last two come with a download from the Hugging Face Hub.
_UNLISTED_ALLOWED = (manifests.FILE_NAME, ".gitattributes")
_UNLISTED_FOLDER = ".cache/huggingface/"


class Invariants(Protocol):
    """A dataset's own rules, fed table by table."""

    def check(self, split: str, table: pa.Table) -> Iterable[str]:
        """Problems of one shard, each a clause that names the row."""

    def finish(self) -> Iterable[str]:
        """Problems seen only across shards."""


def verify(directory: Path, invariants: Invariants | None = None) -> Iterator[str]:
    """Yield one sentence for each problem; nothing when the dataset is exactly what its manifest says.

    Raises:
        DamageError: there is no readable manifest to check against.
    """
    manifest = manifests.read(directory)
    schemas: dict[str, str] = {}
    for entry in manifest.files:
        path = directory / entry.path
        problem = _file_problem(path, entry)
        if problem:
            yield f"{entry.path}: {problem}"
        elif entry.split is not None and is_shard(entry.path):
            for clause in _shard_problems(directory, entry, manifest, schemas, invariants):
                yield f"{entry.path}: {clause}"
    yield from pool_problems(directory, manifest)
    if invariants is not None:
        yield from invariants.finish()
    yield from _count_problems(manifest)
    listed = {entry.path for entry in manifest.files}
    for path in sorted(directory.rglob("*")):
        name = path.relative_to(directory).as_posix()
        if path.is_file() and name not in listed and not _may_be_unlisted(name):
            yield f"{name}: not in the manifest; remove it or build the dataset again"


def _may_be_unlisted(name: str) -> bool:
    return name in _UNLISTED_ALLOWED or name.startswith(_UNLISTED_FOLDER)


def _file_problem(path: Path, entry: manifests.FileEntry) -> str | None:
    if not path.is_file():
        return "missing"
    size = path.stat().st_size
    if size != entry.bytes:
        return f"{size} bytes, the manifest says {entry.bytes}: it was truncated or replaced"
    if file_sha256(path) != entry.sha256:
        return "its SHA-256 differs from the manifest: the contents changed after the build"
    return None


def _shard_problems(
    directory: Path,
    entry: manifests.FileEntry,
    manifest: manifests.Manifest,
    schemas: dict[str, str],
    invariants: Invariants | None,
) -> Iterator[str]:
    try:
        shard = open_shard(Location.of(directory), entry.path)
        table = shard.read_all(shard.schema.names)
        yield from shard.problems()
    except DamageError as error:
        yield f"{error.what} ({error.got})"
        return
    if table.num_rows != entry.rows:
        yield f"{table.num_rows} rows, the manifest says {entry.rows}"
    schema = str(table.schema)
    if schemas.setdefault("first", schema) != schema:
        yield "its schema differs from the first shard's"
        return
    modalities = manifest.modalities if manifest.pooled is None else manifest.pooled.stored(manifest.modalities)
    needed = [column for modality in modalities for column in (modality.mask, *modality.null_columns)]
    absent = [column for column in needed if column not in table.column_names]
    if absent:
        yield f"no column {', '.join(absent)}"
        return
    yield from mask_problems(table, modalities)
    if invariants is not None:
        yield from invariants.check(str(entry.split), table)


def pool_problems(directory: Path, manifest: manifests.Manifest) -> Iterator[str]:
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
                except DamageError as error:
                    yield f"{entry.path}: {error.what} ({error.got})"
                    break
                if table.num_rows != entry.rows:
                    yield f"{entry.path}: {table.num_rows} rows, the manifest says {entry.rows}"
                if table[pool.column].null_count or table[pool.id_column].null_count:
                    yield f"{entry.path}: a pool's {pool.column} or {pool.id_column} is null"
                ids.extend(table[pool.id_column].chunks)
            else:
                known = pa.chunked_array(ids, pa.string()).combine_chunks()
                if len(pc.unique(known)) != len(known):
                    yield f"{key}: a {pool.id_column} occurs twice in the pool"
                for split in (split for split in pool.names if pool.key(split) == key):
                    yield from _pointer_problems(location, manifest, pool, split, known)


def _pointer_problems(
    location: Location, manifest: manifests.Manifest, pool: Pool, split: str, known: pa.Array
) -> Iterator[str]:
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


def _count_problems(manifest: manifests.Manifest) -> Iterator[str]:
    for split, rows in manifest.splits.items():
        listed = sum(entry.rows or 0 for entry in manifest.shards(split))
        if listed != rows:
            yield f"{manifests.FILE_NAME}: split {split} has {rows} rows but its shards have {listed}"
