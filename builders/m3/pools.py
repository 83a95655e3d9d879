"""Pools of media: every picture and clip a build uses, prepared once however many rows use it, and looked up by the
shards.

A pool is a folder of Arrow files ("chunks") under `.build/`, memory-mapped by the shard writers, and an index that maps
a key (a picture slot, a clip number) to its chunk and row.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import SourceError
from symile_data.files import atomic_path
from symile_data.manifest import Dropped

from ..execution import run_stage
from ..workspace import HIDDEN, Product, Workspace
from .clips import Clip
from .imagenet import ImageCatalogue, ImagePool, UnreadableImageError, read_bytes, read_image

CHUNK = 256  # media in one chunk
_EXAMPLES = 5  # dropped files named for each reason

_MEDIUM = pa.schema([("medium_id", pa.string()), ("data", pa.binary())])

# Where a key's medium is: (N, 2) chunk number and row.
Places = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ImageJob:
    """One chunk of pictures to read: ids are paths below `root`."""

    root: Path
    image_ids: tuple[str, ...]
    size: int | None


def prepare_images(
    workspace: Workspace,
    executor: Executor | None,
    catalogue: ImageCatalogue,
    pools: dict[str, tuple[ImagePool, npt.NDArray[np.int64]]],
    size: int | None,
) -> list[Dropped]:
    """Read every picture that is used, and give the place of an unreadable one to the next readable of its class and
    split.

    Args:
        pools: pool name -> (pool, sorted slots that rows use).

    Returns:
        The unreadable files, by reason.

    Raises:
        SourceError: no picture of a class can be read.
    """
    dropped: dict[str, str] = {}
    for name, (pool, slots) in pools.items():
        places: dict[int, tuple[int, int]] = {}
        unreadable: set[int] = set()
        wanted, chunks = slots.tolist(), 0
        while wanted:
            groups = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
            products = []
            for number, group in enumerate(groups, start=chunks):
                ids = tuple(pool.image_id(catalogue, slot) for slot in group)
                products.append(
                    Product(
                        path=_chunk_path("images", name, number),
                        arguments=ImageJob(catalogue.root, ids, size),
                        key=list(ids),
                    )
                )
            results = run_stage(workspace, f"pictures ({name})", products, make_image_chunk, executor)
            for number, (group, result) in enumerate(zip(groups, results, strict=True), start=chunks):
                failed = {int(row): reason for row, reason in result["unreadable"]}
                for row, slot in enumerate(group):
                    if row in failed:
                        unreadable.add(slot)
                        dropped[pool.image_id(catalogue, slot)] = failed[row]
                    else:
                        places[slot] = (number, row)
            chunks += len(groups)
            wanted = sorted({_substitute(catalogue, pool, slot, unreadable) for slot in slots.tolist()} - set(places))
        final = [places[_substitute(catalogue, pool, slot, unreadable)] for slot in slots.tolist()]
        _write_index(workspace, "images", name, slots, final)
    return _count(dropped)


def prepare_clips(
    workspace: Workspace, executor: Executor | None, pools: Mapping[str, tuple[npt.NDArray[np.int64], Sequence[Clip]]]
) -> None:
    """Speak and encode every clip that is used.

    Args:
        pools: pool name -> (sorted clip numbers, their clips).
    """
    for name, (numbers, clips) in pools.items():
        groups = [tuple(clips[start : start + CHUNK]) for start in range(0, len(clips), CHUNK)]
        products = [
            Product(path=_chunk_path("clips", name, number), arguments=group, key=[clip.clip_id for clip in group])
            for number, group in enumerate(groups)
        ]
        run_stage(workspace, f"clips ({name})", products, make_clip_chunk, executor)
        places = [divmod(position, CHUNK) for position in range(len(clips))]
        _write_index(workspace, "clips", name, numbers, places)


def make_image_chunk(job: ImageJob, path: Path) -> dict[str, Any]:
    """Read a chunk of pictures. A picture kept as it is gets no copy here: the shard writer reads the source file
    again.
    """
    unreadable: list[tuple[int, str]] = []
    data: list[bytes | None] = []
    for row, image_id in enumerate(job.image_ids):
        encoded: bytes | None = None
        try:
            jpeg, outcome = read_image(job.root / image_id, job.size)
            encoded = jpeg if outcome == "converted" else None
        except UnreadableImageError as error:
            unreadable.append((row, str(error)))
        data.append(encoded)
    _write_chunk(path, list(job.image_ids), data)
    return {"unreadable": unreadable}


def make_clip_chunk(clips: tuple[Clip, ...], path: Path) -> dict[str, Any]:
    """Speak a chunk of clips."""
    _write_chunk(path, [clip.clip_id for clip in clips], [clip.encode() for clip in clips])
    return {}


@dataclass(frozen=True)
class MediaPool:
    """A prepared pool, as the shard writers see it.

    Args:
        hidden: The build's `.build/` folder.
        kind: "images" or "clips".
        name: The pool.
        root: Where media without a copy are read from.
    """

    hidden: Path
    kind: str
    name: str
    root: Path | None = None

    def get(self, keys: npt.NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
        """Ids and encoded bytes of the given keys, in order."""
        known, places = _read_index(self.hidden, self.kind, self.name)
        for chunk, row in places[np.searchsorted(known, keys)].tolist():
            table = _open_chunk(self.hidden.parent / _chunk_path(self.kind, self.name, chunk))
            medium_id, data = table["medium_id"][row].as_py(), table["data"][row].as_py()
            if data is None and self.root is not None:
                data = read_bytes(self.root / medium_id)
            yield medium_id, data


def _substitute(catalogue: ImageCatalogue, pool: ImagePool, slot: int, unreadable: set[int]) -> int:
    """The slot itself, or the next one of its class that is not known to be unreadable."""
    candidate = slot
    while candidate in unreadable:
        candidate = pool.following(candidate)
        if candidate == slot:
            folder = catalogue.root / catalogue.wnids[pool.class_of(slot)]
            raise SourceError(
                "a class has no readable picture for one of its splits",
                where=folder,
                do="replace its files or remove it",
            )
    return candidate


def _count(dropped: dict[str, str]) -> list[Dropped]:
    reasons = sorted(set(dropped.values()))
    by_reason = {reason: sorted(name for name, why in dropped.items() if why == reason) for reason in reasons}
    return [
        Dropped(reason=f"image: {reason}", count=len(names), examples=names[:_EXAMPLES])
        for reason, names in by_reason.items()
    ]


def _chunk_path(kind: str, name: str, number: int) -> str:
    return f"{HIDDEN}/{kind}/{name}-{number:05d}.arrow"


def _write_chunk(path: Path, ids: list[str], data: list[bytes | None]) -> None:
    batch = pa.record_batch([pa.array(ids, pa.string()), pa.array(data, pa.binary())], schema=_MEDIUM)
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, _MEDIUM) as writer,
    ):
        writer.write_batch(batch)


@lru_cache(maxsize=64)
def _open_chunk(path: Path) -> pa.Table:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()


def _write_index(
    workspace: Workspace, kind: str, name: str, keys: npt.NDArray[np.int64], places: Sequence[tuple[int, int]]
) -> None:
    _open_chunk.cache_clear()  # a process may build twice; the old files may be gone
    _read_index.cache_clear()
    table = np.column_stack([keys, np.array(places, dtype=np.int64).reshape(-1, 2)])
    with atomic_path(workspace.hidden / kind / f"{name}.npy") as temporary, temporary.open("wb") as file:
        np.save(file, table)


@lru_cache(maxsize=8)
def _read_index(hidden: Path, kind: str, name: str) -> tuple[npt.NDArray[np.int64], Places]:
    table = np.load(hidden / kind / f"{name}.npy", mmap_mode="r")
    return table[:, 0], table[:, 1:]
