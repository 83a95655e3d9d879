"""Pools of media: every picture and clip a build uses, prepared once however many rows use it, and looked up by the
shards.

A pool is a folder of Arrow files ("chunks") under `.build/`, memory-mapped by the shard writers, and an index: the M
media in the order of their keys (picture slots, clip numbers), and for each of the K keys that rows use its medium's
place among them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
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
from symile_data.format.manifest import Dropped

from ..engine.build_dir import INTERNAL, Artifact, BuildDir
from ..engine.executor import run_stage
from ..engine.media_store import forget_chunks, open_chunk, write_chunk
from .audio.sources import SourceAudio, SplitAudio
from .audio.spoken import UnreadableAudioError
from .images.imagenet import ImageCatalogue, SplitImages, UnreadableImageError, read_bytes, read_image

CHUNK = 256  # media in one chunk
_EXAMPLES = 5  # dropped files named for each reason


@dataclass(frozen=True)
class ImageTask:
    """One chunk of pictures to read: ids are paths below `root`."""

    root: Path
    image_ids: tuple[str, ...]
    size: int | None


def prepare_images(
    build_dir: BuildDir,
    executor: Executor | None,
    catalogue: ImageCatalogue,
    pools: dict[str, tuple[SplitImages, npt.NDArray[np.int64]]],
    size: int | None,
    replace: bool = True,
) -> list[Dropped]:
    """Read every picture that is used, and give the place of an unreadable one to the next readable of its class and
    split.

    Args:
        pools: pool name -> (pool, sorted slots that rows use).
        replace: False leaves the place of an unreadable picture empty.

    Returns:
        The unreadable files, by reason.

    Raises:
        SourceError: no picture of a class can be read.
    """
    dropped: dict[str, str] = {}
    for name, (pool, slots) in pools.items():

        def task(group: list[int], pool: SplitImages = pool) -> tuple[Any, list[str]]:
            ids = [pool.image_id(catalogue, slot) for slot in group]
            return ImageTask(catalogue.root, tuple(ids), size), ids

        def exhausted(slot: int, pool: SplitImages = pool) -> SourceError:
            return SourceError(
                "a class has no readable picture for one of its splits",
                where=catalogue.root / catalogue.wnids[pool.class_of(slot)],
                do="replace its files or remove it",
            )

        stage = _Stage(
            "images", "pictures", name, task, make_image_chunk, pool.following if replace else None, exhausted
        )
        dropped |= _prepare(build_dir, executor, stage, slots)
    return _count("image", dropped)


def prepare_audio(
    build_dir: BuildDir,
    executor: Executor | None,
    pools: Mapping[str, tuple[npt.NDArray[np.int64], SplitAudio]],
    replace: bool = True,
) -> list[Dropped]:
    """Speak or read and encode every clip that is used, and give the place of an unusable one to the next usable of
    its language and pool.

    Args:
        pools: pool name -> (sorted clip numbers that rows use, the pool).
        replace: False leaves the place of an unusable clip empty.

    Returns:
        The unusable clips, by reason.

    Raises:
        SourceError: no clip of a language can be used.
    """
    dropped: dict[str, str] = {}
    for name, (numbers, pool) in pools.items():

        def task(group: list[int], pool: SplitAudio = pool) -> tuple[Any, list[str]]:
            clips = tuple(pool.recording(number) for number in group)
            return clips, [clip.clip_id for clip in clips]

        def exhausted(number: int, pool: SplitAudio = pool) -> SourceError:
            return SourceError(
                "a language has no usable clip for one of its splits",
                got=f"{pool.recording(number).clip_id} and the others of its language",
                do="replace the files or leave the language out",
            )

        stage = _Stage("clips", "clips", name, task, make_audio_chunk, pool.following if replace else None, exhausted)
        dropped |= _prepare(build_dir, executor, stage, numbers)
    return _count("audio", dropped)


@dataclass(frozen=True)
class _Stage:
    """How one pool is prepared.

    Args:
        kind: Folder of the pool.
        title: What the progress says.
        name: The pool.
        task: Keys -> the argument of `make`, and the media's ids.
        make: Makes a chunk; returns the unreadable rows with their reasons.
        following: The key that takes an unreadable one's place; None leaves it empty.
        exhausted: The error when there is none.
    """

    kind: str
    title: str
    name: str
    task: Callable[[list[int]], tuple[Any, list[str]]]
    make: Callable[[Any, Path], dict[str, Any]]
    following: Callable[[int], int] | None
    exhausted: Callable[[int], SourceError]

    def substitute(self, key: int, unreadable: set[int]) -> int:
        """The key itself, or the next one of its kind that is not known to be unreadable; -1 where media are not
        replaced.
        """
        candidate = key
        if self.following is None:
            return -1
        while candidate in unreadable:
            candidate = self.following(candidate)
            if candidate == key:
                raise self.exhausted(key)
        return candidate


def _prepare(
    build_dir: BuildDir, executor: Executor | None, stage: _Stage, keys: npt.NDArray[np.int64]
) -> dict[str, str]:
    """Make the chunks of a pool and its index; id -> reason of what cannot be read."""
    dropped: dict[str, str] = {}
    unreadable: set[int] = set()
    made, ids_of = [np.empty((0, 3), dtype=np.int64)], []
    wanted, chunks = keys, 0
    while len(wanted):
        groups = [wanted[start : start + CHUNK] for start in range(0, len(wanted), CHUNK)]
        artifacts = []
        for number, group in enumerate(groups, start=chunks):
            arguments, ids = stage.task(group.tolist())
            ids_of.append(ids)
            artifacts.append(Artifact(path=_chunk_path(stage.kind, stage.name, number), arguments=arguments, key=ids))
        results = run_stage(build_dir, f"{stage.title} ({stage.name})", artifacts, stage.make, executor)
        for number, (group, result) in enumerate(zip(groups, results, strict=True), start=chunks):
            failed = {int(row): reason for row, reason in result["unreadable"]}
            dropped |= {ids_of[number][row]: reason for row, reason in failed.items()}
            unreadable |= {int(group[row]) for row in failed}
            rows = np.setdiff1d(np.arange(len(group)), list(failed))
            made.append(np.column_stack([group[rows], np.full(len(rows), number), rows]))
        chunks += len(groups)
        final = _substituted(stage, keys, unreadable)
        wanted = np.setdiff1d(final, np.concatenate([part[:, 0] for part in made]))
        wanted = wanted[wanted >= 0]
    _write_index(build_dir, stage, keys, _substituted(stage, keys, unreadable), np.concatenate(made), ids_of)
    return dropped


def _substituted(stage: _Stage, keys: npt.NDArray[np.int64], unreadable: set[int]) -> npt.NDArray[np.int64]:
    """(K,) the key whose medium each key gets; its own where it can be read, -1 where it has none."""
    final = keys.copy()
    for place in np.flatnonzero(np.isin(keys, sorted(unreadable))).tolist():
        final[place] = stage.substitute(int(keys[place]), unreadable)
    return final


def make_image_chunk(task: ImageTask, path: Path) -> dict[str, Any]:
    """Read a chunk of pictures. A picture kept as it is gets no copy here: the shard writer reads the source file
    again.
    """
    unreadable: list[tuple[int, str]] = []
    data: list[bytes | None] = []
    kept: list[str | None] = []
    for row, image_id in enumerate(task.image_ids):
        encoded: bytes | None = None
        sha256: str | None = None
        try:
            jpeg, outcome = read_image(task.root / image_id, task.size)
            if outcome == "converted":
                encoded = jpeg
            else:
                sha256 = hashlib.sha256(jpeg).hexdigest()
        except UnreadableImageError as error:
            unreadable.append((row, str(error)))
        data.append(encoded)
        kept.append(sha256)
    write_chunk(path, list(task.image_ids), data, kept)
    return {"unreadable": unreadable}


def make_audio_chunk(clips: tuple[SourceAudio, ...], path: Path) -> dict[str, Any]:
    """Speak or read a chunk of clips."""
    unreadable: list[tuple[int, str]] = []
    data: list[bytes | None] = []
    for row, clip in enumerate(clips):
        encoded: bytes | None = None
        try:
            encoded = clip.encode()
        except UnreadableAudioError as error:
            unreadable.append((row, str(error)))
        data.append(encoded)
    write_chunk(path, [clip.clip_id for clip in clips], data)
    return {"unreadable": unreadable}


@dataclass(frozen=True)
class MediaStore:
    """A prepared pool, as the shard writers see it.

    Args:
        internal: The build's `.build/` folder.
        kind: "images" or "clips".
        name: The pool.
        root: Where media without a copy are read from.
    """

    internal: Path
    kind: str
    name: str
    root: Path | None = None

    def rows_of(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(N,) for each key the row of its medium in the pool; -1 where it has none, and for keys of -1."""
        known, rows = _read_index(self._file(".npy"))
        found = np.full(len(keys), -1, dtype=np.int64)
        found[keys >= 0] = rows[np.searchsorted(known, keys[keys >= 0])]
        return found

    @property
    def ids(self) -> pa.Array:
        """(M,) ids of the pool's media, in the order of their keys."""
        return _open_ids(self._file("-ids.arrow"))

    @property
    def keys(self) -> npt.NDArray[np.int64]:
        """(M,) keys of the pool's media, ascending."""
        return _read_media(self._file("-media.npy"))[:, 0]

    def media(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
        """Ids and encoded bytes of the given rows of the pool, in order."""
        for chunk, row in _read_media(self._file("-media.npy"))[rows, 1:].tolist():
            table = open_chunk(self.internal.parent / _chunk_path(self.kind, self.name, chunk))
            medium_id, data = table["medium_id"][row].as_py(), table["data"][row].as_py()
            if data is None and self.root is not None:
                data = _read_again(self.root / medium_id, table["sha256"][row].as_py())
            yield medium_id, data

    def _file(self, suffix: str) -> Path:
        return self.internal / self.kind / f"{self.name}{suffix}"


def _count(medium: str, dropped: dict[str, str]) -> list[Dropped]:
    reasons = sorted(set(dropped.values()))
    by_reason = {reason: sorted(name for name, why in dropped.items() if why == reason) for reason in reasons}
    return [
        Dropped(reason=f"{medium}: {reason}", count=len(names), examples=names[:_EXAMPLES])
        for reason, names in by_reason.items()
    ]


def _chunk_path(kind: str, name: str, number: int) -> str:
    return f"{INTERNAL}/{kind}/{name}-{number:05d}.arrow"


def _read_again(path: Path, sha256: str) -> bytes:
    data = read_bytes(path)
    if hashlib.sha256(data).hexdigest() != sha256:
        raise SourceError(
            "a picture was changed while the build ran",
            where=path,
            do="put the old file back and run the same command again, or remove the output directory to build anew",
        )
    return data


def _write_index(
    build_dir: BuildDir,
    stage: _Stage,
    keys: npt.NDArray[np.int64],
    final: npt.NDArray[np.int64],
    made: npt.NDArray[np.int64],
    ids_of: Sequence[Sequence[str]],
) -> None:
    """Note which medium each key has, and where the media are.

    Args:
        keys: (K,) that rows use, sorted.
        final: (K,) the key whose medium each gets, or -1.
        made: (M', 3) key, chunk and row of every readable medium.
        ids_of: Ids by chunk and row.
    """
    forget_chunks()
    for cached in (_read_index, _read_media, _open_ids):
        cached.cache_clear()  # a process may build twice; the old files may be gone
    made = made[np.argsort(made[:, 0])]
    used = np.unique(final[final >= 0])
    media = made[np.searchsorted(made[:, 0], used)]
    rows = np.where(final < 0, -1, np.searchsorted(used, final))
    base = build_dir.internal / stage.kind / stage.name
    for suffix, table in ((".npy", np.column_stack([keys, rows])), ("-media.npy", media)):
        with atomic_path(base.with_name(base.name + suffix)) as temporary, temporary.open("wb") as file:
            np.save(file, table)
    ids = pa.record_batch([pa.array([ids_of[chunk][row] for _, chunk, row in media.tolist()], pa.string())], ["id"])
    with (
        atomic_path(base.with_name(f"{base.name}-ids.arrow")) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, ids.schema) as writer,
    ):
        writer.write_batch(ids)


@lru_cache(maxsize=8)
def _read_index(path: Path) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    table = np.load(path, mmap_mode="r")
    return table[:, 0], table[:, 1]


@lru_cache(maxsize=8)
def _read_media(path: Path) -> npt.NDArray[np.int64]:
    table: npt.NDArray[np.int64] = np.load(path, mmap_mode="r")
    return table


@lru_cache(maxsize=8)
def _open_ids(path: Path) -> pa.Array:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"].combine_chunks()
