"""Chunks of prepared media: Arrow files of ids and bytes under `.build/`, memory-mapped by the shard writers."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import pyarrow as pa

from symile_data.files import atomic_path

# An image that is read again from its source is stored as a hash instead of a copy.
_MEDIUM = pa.schema([("medium_id", pa.string()), ("data", pa.binary()), ("sha256", pa.string())])


def write_chunk(
    path: Path, ids: list[str], data: list[bytes | None], sha256: Sequence[str | None] | None = None
) -> None:
    """Write one chunk atomically; an image or audio without bytes is null."""
    hashes = pa.array([None] * len(ids) if sha256 is None else sha256, pa.string())
    batch = pa.record_batch([pa.array(ids, pa.string()), pa.array(data, pa.binary()), hashes], schema=_MEDIUM)
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, _MEDIUM) as writer,
    ):
        writer.write_batch(batch)


def read_chunk(path: Path) -> pa.Table:
    """Map a chunk into memory: columns `medium_id`, `data` and `sha256`."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


@lru_cache(maxsize=64)
def open_chunk(path: Path) -> pa.Table:
    """Read a chunk as `read_chunk` does, and keep it open for later calls."""
    return read_chunk(path)


def forget_chunks() -> None:
    """Close all chunks: a second build in the same process may have other files under the same names."""
    open_chunk.cache_clear()
