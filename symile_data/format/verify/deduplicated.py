"""Check that the media tables of the deduplicated layout agree with the rows that refer to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.deduplicated import MediaTable
from symile_data.format.manifest import FileEntry, Manifest


class MediaTables:
    """Gathers the media tables of a dataset file by file, without their media, and compares the rows with them.

    Args:
        manifest: The manifest of the dataset; without media tables there is nothing to check.
    """

    def __init__(self, manifest: Manifest) -> None:
        self._tables = () if manifest.pooled is None else manifest.pooled.pools
        self._awaited = Counter(entry.pool for entry in manifest.pool_files())
        self._parts: dict[str, list[pa.Table]] = {}
        # A table of whose files one is damaged or contradictory never gets here, and its rows are not compared.
        self._known = {key: pa.table({}) for table in self._tables for key in table.keys if not self._awaited[key]}

    def add(self, entry: FileEntry, contents: pa.Table) -> Iterator[str]:
        """Take in the next file of a media table, and yield sentences about it.

        Args:
            entry: Any file of the dataset; one that belongs to no media table is passed over.
            contents: Its rows.
        """
        table = next((table for table in self._tables if entry.pool in table.keys), None)
        if table is None or entry.pool is None:
            return
        absent = _absent(entry, contents, table.id_column, table.column)
        if absent:
            yield absent
            return
        if contents[table.column].null_count or contents[table.id_column].null_count:
            yield f"{entry.path}: a pool's {table.column} or {table.id_column} is null"
        parts = self._parts.setdefault(entry.pool, [])
        parts.append(contents.drop_columns([table.column]))
        if len(parts) == self._awaited[entry.pool]:
            yield from self._join(table, entry.pool)

    def compare(self, entry: FileEntry, rows: pa.Table) -> Iterator[str]:
        """Yield sentences about rows that refer to a wrong row of a media table, or contradict it.

        Args:
            entry: A shard of a split, after all files of the media tables were added.
            rows: Its rows.
        """
        for table in self._tables:
            if entry.split is None or entry.split not in table.names:
                continue
            key = table.key(entry.split)
            if key in self._known:
                try:
                    yield from _pointer_problems(entry, rows, table, self._known[key])
                except (pa.ArrowException, TypeError) as error:
                    del self._known[key]  # the sentence once
                    yield _unfit(key, error)

    def _join(self, table: MediaTable, key: str) -> Iterator[str]:
        try:
            known = pa.concat_tables(self._parts.pop(key)).combine_chunks()
            if len(pc.unique(known[table.id_column])) != len(known):
                yield f"{key}: a {table.id_column} occurs twice in the pool"
            self._known[key] = known
        except (pa.ArrowException, TypeError) as error:
            yield _unfit(key, error)


def _pointer_problems(entry: FileEntry, rows: pa.Table, table: MediaTable, known: pa.Table) -> Iterator[str]:
    absent = _absent(entry, rows, table.row_column, table.id_column)
    if absent:
        yield absent
        return
    places = rows[table.row_column].combine_chunks()
    inside = pc.and_(pc.greater_equal(places, 0), pc.less(places, len(known)))
    if pc.any(pc.invert(inside)).as_py():
        yield f"{entry.path}: {table.row_column} points outside the pool of {len(known)}"
        return
    swapped = f"{table.column}_misaligned"  # these rows keep their labels and show another row's image or audio
    own = pc.invert(rows[swapped].combine_chunks()) if swapped in rows.column_names else None
    for column in (name for name in known.column_names if name in rows.column_names):
        named, found = rows[column].combine_chunks(), known[column].combine_chunks().take(places)
        differs = pc.fill_null(pc.not_equal(found, named), False)
        if own is not None and column != table.id_column:
            differs = pc.and_(differs, own)
        wrong = pc.indices_nonzero(differs)
        if len(wrong):
            row = wrong[0].as_py()
            yield (
                f"{entry.path}: row {row}: {column} is {named[row].as_py()!r}, the pool has "
                f"{found[row].as_py()!r} there"
            )
            return


def _absent(entry: FileEntry, rows: pa.Table, *columns: str) -> str | None:
    """Return a sentence about the columns that a file lacks, or None."""
    absent = [column for column in columns if column not in rows.column_names]
    return f"{entry.path}: no column {', '.join(absent)}" if absent else None


def _unfit(key: str, error: Exception) -> str:
    said = " ".join(str(error).split())[:200]
    return f"{key}: columns of the pool and of its rows have types that do not fit ({said})"
