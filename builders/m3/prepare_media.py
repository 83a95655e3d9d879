"""Prepare the media of a build: read or speak everything that rows use once, and write it to the media stores.

An image or a recording that cannot be used gives its place to the next usable one of the same class or language, and is
counted under its reason.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped

from ..engine.build_dir import Artifact, BuildDir
from ..engine.executor import run_stage
from ..engine.media_store import write_chunk
from .audio.sources import SourceAudio, SplitAudio
from .audio.spoken import UnreadableAudioError
from .images.imagenet import ImageCatalogue, SplitImages, UnreadableImageError, read_image
from .media_store import chunk_path, write_index

CHUNK = 256  # media in one chunk
_EXAMPLES = 5  # dropped files that the manifest names for each reason


@dataclass(frozen=True)
class ImageTask:
    """One chunk of images to read. Ids are paths below `root`; `size` limits the shorter side in pixels."""

    root: Path
    image_ids: tuple[str, ...]
    size: int | None


def prepare_images(
    build_dir: BuildDir,
    executor: Executor | None,
    catalogue: ImageCatalogue,
    stores: dict[str, tuple[SplitImages, npt.NDArray[np.int64]]],
    size: int | None,
    replace: bool = True,
) -> list[Dropped]:
    """Read every image that rows use. The next readable image of its class and split takes the place of an unreadable
    one.

    Args:
        build_dir: The build's directory.
        executor: Runs the tasks; None runs them in this process.
        catalogue: The files of the image folder.
        stores: Store name -> (images, sorted slots that rows use).
        size: Largest shorter side in pixels; None keeps the originals.
        replace: False leaves the place of an unreadable image empty.

    Returns:
        The unreadable files, counted by reason.

    Raises:
        SourceError: no image of a class can be read.
    """
    dropped: dict[str, str] = {}
    for name, (available, slots) in stores.items():

        def task(group: list[int], available: SplitImages = available) -> tuple[Any, list[str]]:
            ids = [available.image_id(catalogue, slot) for slot in group]
            return ImageTask(catalogue.root, tuple(ids), size), ids

        def exhausted(slot: int, available: SplitImages = available) -> SourceError:
            return SourceError(
                "a class has no readable image for one of its splits",
                where=catalogue.root / catalogue.wnids[available.class_of(slot)],
                do="replace its files or remove it",
            )

        stage = _Stage(
            "images", "images", name, task, make_image_chunk, available.following if replace else None, exhausted
        )
        dropped |= _prepare(build_dir, executor, stage, slots)
    return _count("image", dropped)


def prepare_audio(
    build_dir: BuildDir,
    executor: Executor | None,
    stores: Mapping[str, tuple[npt.NDArray[np.int64], SplitAudio]],
    replace: bool = True,
) -> list[Dropped]:
    """Speak or read every recording that rows use, and encode it. The next usable recording of its language and store
    takes the place of an unusable one.

    Args:
        build_dir: The build's directory.
        executor: Runs the tasks; None runs them in this process.
        stores: Store name -> (sorted recording numbers that rows use, audio).
        replace: False leaves the place of an unusable recording empty.

    Returns:
        The unusable recordings, counted by reason.

    Raises:
        SourceError: no recording of a language can be used.
    """
    dropped: dict[str, str] = {}
    for name, (numbers, available) in stores.items():

        def task(group: list[int], available: SplitAudio = available) -> tuple[Any, list[str]]:
            recordings = tuple(available.recording(number) for number in group)
            return recordings, [recording.clip_id for recording in recordings]

        def exhausted(number: int, available: SplitAudio = available) -> SourceError:
            return SourceError(
                "a language has no usable recording for one of its splits",
                got=f"{available.recording(number).clip_id} and the others of its language",
                do="replace the files or leave the language out",
            )

        stage = _Stage(
            "clips", "audio", name, task, make_audio_chunk, available.following if replace else None, exhausted
        )
        dropped |= _prepare(build_dir, executor, stage, numbers)
    return _count("audio", dropped)


@dataclass(frozen=True)
class _Stage:
    """The functions and names that fill one media store.

    Args:
        kind: Folder of the store: "images" or "clips".
        title: Label of the stage in the progress display.
        name: Name of the store: a split, or "shared".
        task: Keys -> the argument of `make`, and the ids of the media.
        make: Writes a chunk; returns the unreadable rows with their reasons.
        following: Returns the key that takes the place of an unreadable one; None leaves the place empty.
        exhausted: Returns the error for a key that nothing can replace.
    """

    kind: str
    title: str
    name: str
    task: Callable[[list[int]], tuple[Any, list[str]]]
    make: Callable[[Any, Path], dict[str, Any]]
    following: Callable[[int], int] | None
    exhausted: Callable[[int], SourceError]

    def substitute(self, key: int, unreadable: set[int]) -> int:
        """Return the key, or the next one of its class or language that is not known to be unreadable; -1 where
        unreadable media are not replaced.
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
    """Write the chunks of a store and its index; return id -> reason for all media that cannot be used."""
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
            artifacts.append(Artifact(path=chunk_path(stage.kind, stage.name, number), arguments=arguments, key=ids))
        finished = run_stage(build_dir, f"{stage.title} ({stage.name})", artifacts, stage.make, executor)
        for number, (group, chunk) in enumerate(zip(groups, finished, strict=True), start=chunks):
            failed = {int(row): reason for row, reason in chunk.result["unreadable"]}
            dropped |= {ids_of[number][row]: reason for row, reason in failed.items()}
            unreadable |= {int(group[row]) for row in failed}
            rows = np.setdiff1d(np.arange(len(group)), list(failed))
            made.append(np.column_stack([group[rows], np.full(len(rows), number), rows]))
        chunks += len(groups)
        final = _substituted(stage, keys, unreadable)
        wanted = np.setdiff1d(final, np.concatenate([part[:, 0] for part in made]))
        wanted = wanted[wanted >= 0]
    base = build_dir.internal / stage.kind / stage.name
    write_index(base, keys, _substituted(stage, keys, unreadable), np.concatenate(made), ids_of)
    return dropped


def _substituted(stage: _Stage, keys: npt.NDArray[np.int64], unreadable: set[int]) -> npt.NDArray[np.int64]:
    """(K,) int64: the key whose image or recording each key gets: the key itself where it is readable, -1 for none."""
    final = keys.copy()
    for place in np.flatnonzero(np.isin(keys, sorted(unreadable))).tolist():
        final[place] = stage.substitute(int(keys[place]), unreadable)
    return final


def make_image_chunk(task: ImageTask, path: Path) -> dict[str, Any]:
    """Read a chunk of images and write the converted ones. Of an image that is kept byte for byte the chunk holds only
    the hash; the shard writer reads the source file again.
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


def make_audio_chunk(recordings: tuple[SourceAudio, ...], path: Path) -> dict[str, Any]:
    """Speak or read a chunk of recordings, and write them encoded."""
    unreadable: list[tuple[int, str]] = []
    data: list[bytes | None] = []
    for row, recording in enumerate(recordings):
        encoded: bytes | None = None
        try:
            encoded = recording.encode()
        except UnreadableAudioError as error:
            unreadable.append((row, str(error)))
        data.append(encoded)
    write_chunk(path, [recording.clip_id for recording in recordings], data)
    return {"unreadable": unreadable}


def _count(modality: str, dropped: dict[str, str]) -> list[Dropped]:
    reasons = sorted(set(dropped.values()))
    by_reason = {reason: sorted(name for name, why in dropped.items() if why == reason) for reason in reasons}
    return [
        Dropped(reason=f"{modality}: {reason}", count=len(names), examples=names[:_EXAMPLES])
        for reason, names in by_reason.items()
    ]
