"""Examine the files of a dataset one by one: size, hash, rows and, where asked, the images and audio in them."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Generator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.files import file_sha256
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.shards import is_shard, open_shard
from symile_data.progress.amounts import counted

from .decoded import medium_problems
from .file_copy import file_copy
from .shared_media import Hashes, Rows, media_hashes
from .unlisted import kind_of


def to_read(manifest: Manifest, sample: int | None) -> set[str]:
    """Choose the files that a verification reads completely.

    Args:
        sample: None for all; else every file without rows, and of each split (or other kind of table) this many
            files, evenly spaced.
    """
    if sample is None:
        return {entry.path for entry in manifest.files}
    chosen = {entry.path for entry in manifest.files if entry.rows is None}
    kinds: dict[str, list[str]] = {}
    for entry in manifest.files:
        if entry.rows is not None:
            kinds.setdefault(entry.split or entry.path.rpartition("-of-")[0].rpartition("-")[0], []).append(entry.path)
    for paths in kinds.values():
        count = min(sample, len(paths))
        chosen.update(paths[index * len(paths) // count] for index in range(count))
    return chosen


@dataclass
class Examined:
    """The findings about one file, its table if its rows are checked, and the schema that the file has."""

    problems: list[str] = field(default_factory=list)
    table: pa.Table | None = None
    media: dict[str, tuple[Hashes, Rows]] = field(default_factory=dict)
    schema: str = ""


def in_order(
    task: Callable[[FileEntry], Examined], entries: Sequence[FileEntry], workers: int
) -> Generator[Examined, None, None]:
    """Examine files on threads, a few ahead of the consumer, so that memory holds a few tables only."""
    waiting: deque[Future[Examined]] = deque()
    with ThreadPoolExecutor(max(workers, 1), thread_name_prefix="verify") as pool:
        try:
            for entry in entries:
                waiting.append(pool.submit(task, entry))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def examine_file(
    directory: Path,
    manifest: Manifest,
    chosen: Collection[str],
    entry: FileEntry,
    *,
    deep: bool,
    compared: bool,
    trimmed: bool = False,
) -> Examined:
    """Examine one file. Its bytes are read once: a shard is opened from the copy in memory that was hashed.

    Where the tables are trimmed, they have images and audio without their bytes, so that memory holds few of them.
    """
    path = directory / entry.path
    try:
        problem = _size_problem(path, entry)
        if problem or entry.path not in chosen:
            return Examined([problem] if problem else [])
        if entry.rows is None or not is_shard(entry.path):
            return Examined() if file_sha256(path) == entry.sha256 else Examined([_OTHER_CONTENTS])
        with file_copy(directory, entry.path) as (location, sha256):
            if sha256 != entry.sha256:
                return Examined([_OTHER_CONTENTS])
            shard = open_shard(location, entry.path)
            table = shard.read_all(shard.schema.names, without_bytes if trimmed else None)
            problems = list(shard.problems())
    except OSError as error:
        return Examined([f"cannot be read ({error.strerror})"])
    except DamageError as error:
        return Examined([f"{error.what} ({error.got})"])
    if table.num_rows != entry.rows:
        problems.append(f"{counted(table.num_rows, 'row')}, the manifest says {entry.rows:,}")
    if deep:
        problems += medium_problems(table, manifest.modalities)
    media = media_hashes(table, manifest.modalities) if compared else {}
    return Examined(
        problems, table if entry.split is not None or entry.pool is not None else None, media, str(shard.schema)
    )


def without_bytes(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows whose images and audio have a path and no bytes; what is null stays null."""
    for index, field_ in enumerate(rows.schema):
        if pa.types.is_struct(field_.type) and {part.name for part in field_.type} == {"bytes", "path"}:
            media: Any = rows.column(index)
            path = field_.type.field("path")
            trimmed = pa.StructArray.from_arrays([media.field("path")], fields=[path], mask=media.is_null())
            rows = rows.set_column(index, field_.with_type(trimmed.type), trimmed)
    return rows


_OTHER_CONTENTS = "its SHA-256 differs from the manifest: the contents changed after the build"


def _size_problem(path: Path, entry: FileEntry) -> str | None:
    kind = kind_of(path)
    if kind != "a file":
        return "missing" if kind == "nothing" else f"{kind}, the manifest says a file"
    size = path.stat().st_size
    if size != entry.bytes:
        return f"{counted(size, 'byte')}, the manifest says {entry.bytes:,}: it was truncated or replaced"
    return None
