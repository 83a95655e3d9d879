"""Chunks of prepared media: Arrow files of ids and bytes under `.build/`, memory-mapped by the shard writers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from symile_data.files import atomic_path

# Of a medium that is read again from its source there may be a hash in the place of a copy.
_MEDIUM = pa.schema([("medium_id", pa.string()), ("data", pa.binary()), ("sha256", pa.string())])


def write_chunk(
    path: Path, ids: list[str], data: list[bytes | None], sha256: Sequence[str | None] | None = None
) -> None:
    """Write one chunk atomically; a medium without bytes is null."""
    hashes = pa.array([None] * len(ids) if sha256 is None else sha256, pa.string())
    batch = pa.record_batch([pa.array(ids, pa.string()), pa.array(data, pa.binary()), hashes], schema=_MEDIUM)
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, _MEDIUM) as writer,
    ):
        writer.write_batch(batch)


def read_chunk(path: Path) -> pa.Table:
    """A chunk's columns `medium_id`, `data` and `sha256`, mapped into memory."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


@lru_cache(maxsize=64)
def open_chunk(path: Path) -> pa.Table:
    """As `read_chunk`, and kept open."""
    return read_chunk(path)


def forget_chunks() -> None:
    """Close what was opened: a process may build twice, and the old files may be gone."""
    open_chunk.cache_clear()
