"""The media store of a build: every image and every audio recording that rows use, looked up by the shard writers.

A store is a folder of Arrow files ("chunks") under `.build/`, which the shard writers map into memory, and an index.
The index lists the M media in the order of their keys (image slots or recording numbers) and says for each of the K
keys that rows use which of the M media it has. `prepare_media` fills the store.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import SourceError
from symile_data.files import atomic_path

from ..engine.build_dir import INTERNAL
from ..engine.media_store import forget_chunks, open_chunk
from .images.imagenet import read_bytes


@dataclass(frozen=True)
class MediaStore:
    """A prepared store, as the shard writers read it.

    Args:
        internal: The build's `.build/` folder.
        kind: "images" or "clips".
        name: Name of the store: a split, or "shared".
        root: Folder from which images without a copy in the store are read.
    """

    internal: Path
    kind: str
    name: str
    root: Path | None = None

    def rows_of(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(N,) int64: the store's row of each key; -1 for a key without a usable image or recording, and for -1."""
        known, rows = _read_index(self._file(".npy"))
        found = np.full(len(keys), -1, dtype=np.int64)
        found[keys >= 0] = rows[np.searchsorted(known, keys[keys >= 0])]
        return found

    @property
    def ids(self) -> pa.Array:
        """(M,) ids of the media, in the order of their keys."""
        return read_ids(self._file("-ids.arrow"))

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """(M,) int64 keys of the media, ascending."""
        return _read_media(self._file("-media.npy"))[:, 0]

    def media(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
        """Ids and encoded bytes of the given rows of the store, in their order."""
        for chunk, row in _read_media(self._file("-media.npy"))[rows, 1:].tolist():
            table = open_chunk(self.internal.parent / chunk_path(self.kind, self.name, chunk))
            medium_id, data = table["medium_id"][row].as_py(), table["data"][row]
            if data.is_valid or self.root is None:
                yield medium_id, data.as_py()
            else:
                yield medium_id, _read_again(self.root / medium_id, table["sha256"][row].as_py())

    def _file(self, suffix: str) -> Path:
        return self.internal / self.kind / f"{self.name}{suffix}"


def chunk_path(kind: str, name: str, number: int) -> str:
    """Path of one chunk below the output directory."""
    return f"{INTERNAL}/{kind}/{name}-{number:05d}.arrow"


def _read_again(path: Path, sha256: str) -> bytes:
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SourceError(
            "an image file changed while the build ran",
            where=path,
            do="put the old file back and run the same command again, or remove the output directory to build anew",
        )
    return data


def write_index(
    base: Path,
    keys: npt.NDArray[np.int64],
    final: npt.NDArray[np.int64],
    made: npt.NDArray[np.int64],
    ids_of: Sequence[Sequence[str]],
) -> None:
    """Write which image or recording each key has, and in which chunk and row it stands.

    Args:
        base: Path of the store's files without their endings: `<internal>/<kind>/<name>`.
        keys: (K,) int64, sorted: the keys that rows use.
        final: (K,) int64: the key whose image or recording each of them gets, or -1.
        made: (M', 3) int64: key, chunk and row of every usable image or recording.
        ids_of: The ids of each chunk, in the order of its rows.
    """
    forget_chunks()
    for cached in (_read_index, _read_media):
        cached.cache_clear()  # a process may build twice; the old files may be gone
    made = made[np.argsort(made[:, 0])]
    used = np.unique(final[final >= 0])
    media = made[np.searchsorted(made[:, 0], used)]
    rows = np.where(final < 0, -1, np.searchsorted(used, final))
    for suffix, table in ((".npy", np.column_stack([keys, rows])), ("-media.npy", media)):
        with atomic_path(base.with_name(base.name + suffix)) as temporary, temporary.open("wb") as file:
            np.save(file, table)
    ids = [ids_of[int(chunk)][int(row)] for chunk, row in media[:, 1:]]
    write_ids(base.with_name(f"{base.name}-ids.arrow"), ids)


def write_ids(path: Path, ids: Sequence[str]) -> None:
    """Write the ids of images or recordings to a file that `read_ids` maps into memory."""
    read_ids.cache_clear()  # a process may build twice; the old file may be gone
    batch = pa.record_batch([pa.array(ids, pa.string())], ["id"])
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, batch.schema) as writer,
    ):
        writer.write_batch(batch)


@lru_cache(maxsize=8)
def read_ids(path: Path) -> pa.Array:
    """Return the ids that `write_ids` wrote, an array of strings. The result is cached in the process."""
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"].combine_chunks()


@lru_cache(maxsize=8)
def _read_index(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    table = np.load(path, mmap_mode="r")
    return table[:, 0], table[:, 1]


@lru_cache(maxsize=8)
def _read_media(path: Path) -> npt.NDArray[np.int64]:
    table: npt.NDArray[np.int64] = np.load(path, mmap_mode="r")
    return table
