"""Tar shards whose index somebody made anew, with the right checksums for what lies there."""

import tarfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.format.location import Location
from symile_data.format.shards import open_shard
from symile_data.format.shards import tar as tar_shards
from symile_data.format.shards.tar_layout import END_BYTES, INDEX_NAME, Index, pack_index, unpack_index


def with_checksums(archive: bytes, groups: Sequence[npt.NDArray[np.int64]]) -> list[tuple[Any, Any]]:
    """The sizes of row groups of a tar's index, with the CRC-32 of what lies where they say."""
    at, found = 0, []
    for sizes in groups:
        checksums = np.zeros(sizes.shape, dtype=np.uint32)
        for place, size in np.ndenumerate(sizes):
            if size >= 0:
                checksums[place] = zlib.crc32(archive[at + 512 : at + 512 + int(size)])
                at += 512 + -(-int(size) // 512) * 512
        found.append((sizes, checksums))
    return found


def grouped(index: Index) -> list[npt.NDArray[np.int64]]:
    """The sizes of each row group."""
    return [index.sizes[index.rows_of(range(group, group + 1))] for group in range(len(index.group_rows))]


def unchanged(index: Index) -> tuple[pa.Schema, Any, list[Any]]:
    """What `reindex` writes again where only the members changed."""
    return index.schema, index.members, grouped(index)


def reindex(path: Path, change: Callable[[Index], tuple[pa.Schema, Any, list[Any]]] = unchanged) -> None:
    """Give a shard another index: schema, members and the sizes of each row group."""
    data = path.read_bytes()
    opened: Any = open_shard(Location.of(path.parent), path.name)
    contents, checksum, start = tar_shards._read_index(opened.location, path.name, len(data))
    schema, members, groups = change(unpack_index(contents, checksum))
    packed = pack_index(schema, members, with_checksums(data, groups))
    header = tarfile.TarInfo(INDEX_NAME)
    header.size = len(packed)
    path.write_bytes(data[: start - 512] + header.tobuf(tarfile.USTAR_FORMAT) + packed + bytes(END_BYTES))
