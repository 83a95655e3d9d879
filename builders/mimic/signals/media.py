"""Prepare the X-rays and electrocardiograms of a cohort, each once.

They are prepared in chunks under `.build/`, in rounds: first every admission's first choice, then the next choice where
the previous one was unusable, until each admission has one or none is left. "Media" here means both kinds.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped

from ...engine.build_dir import INTERNAL, Artifact, BuildDir
from ...engine.executor import run_stage
from ...engine.media_store import open_chunk, write_chunk
from .radiograph import UnusablePictureError, convert
from .waveform import UnusableRecordError, read_signal

CHUNK = 64  # media in one chunk

Place = tuple[int, int]  # chunk, row


@dataclass(frozen=True, kw_only=True)
class MediaKind:
    """A kind of media (X-rays or electrocardiograms) and the function that prepares it.

    Args:
        name: Folder of the chunks.
        title: Title of the progress bar.
        noun: First word of the drop reasons.
        make: Function that writes a chunk and returns the unusable rows.
    """

    name: str
    title: str
    noun: str
    make: Callable[[MediaTask, Path], dict[str, Any]]


@dataclass(frozen=True)
class MediaTask:
    """One chunk to prepare from the files `paths` below `root`."""

    root: Path
    paths: tuple[str, ...]
    reference: bool


@dataclass(frozen=True)
class Prepared:
    """The prepared X-rays or electrocardiograms.

    Args:
        places: Path -> chunk and row, for the usable files.
        dropped: Counts of the unusable files by reason.
        unusable: Path -> reason, for the unusable files.
    """

    places: dict[str, Place]
    dropped: list[Dropped] = field(default_factory=list)
    unusable: Mapping[str, str] = field(default_factory=dict)

    def first_usable(self, paths: Sequence[str]) -> str | None:
        """Return the first path that can be used, or None."""
        return next((path for path in paths if path in self.places), None)


def prepare(
    build_dir: BuildDir,
    executor: Executor | None,
    kind: MediaKind,
    root: Path,
    choices: Mapping[int, Sequence[str]],
    reference: bool,
) -> Prepared:
    """Prepare files until each admission has a usable one or none is left.

    Args:
        kind: X-rays or electrocardiograms.
        root: Folder of the release that holds the files.
        choices: Admission -> paths in order of preference.
        reference: Stop at a file at which the public pipeline stops, instead of leaving it out.

    Raises:
        SourceError: with `reference`, the public pipeline stops at one of the files.
    """
    places: dict[str, Place] = {}
    unusable: dict[str, str] = {}
    chunks = 0
    while wanted := _wanted(choices, places, unusable):
        groups = [tuple(wanted[start : start + CHUNK]) for start in range(0, len(wanted), CHUNK)]
        artifacts = [
            Artifact(path=chunk_path(kind.name, number), arguments=MediaTask(root, group, reference), key=list(group))
            for number, group in enumerate(groups, start=chunks)
        ]
        finished = run_stage(build_dir, kind.title, artifacts, kind.make, executor)
        for number, (group, chunk) in enumerate(zip(groups, finished, strict=True), start=chunks):
            failed = {row: (reason, stops) for row, reason, stops in chunk.result["unusable"]}
            for row, path in enumerate(group):
                if row not in failed:
                    places[path] = (number, row)
                    continue
                unusable[path], stops = failed[row]
                if reference and stops:
                    raise _stopped(kind, root / path, unusable[path])
        chunks += len(groups)
    counts = Counter(unusable.values())
    dropped = [Dropped(reason=f"{kind.noun}: {why}", count=counts[why], examples=[]) for why in sorted(counts)]
    return Prepared(places, dropped, unusable)


def read_prepared(internal: Path, kind: MediaKind, place: Place) -> bytes:
    """Return the prepared bytes at a place: a PNG, or little-endian int16."""
    chunk, row = place
    data: bytes = open_chunk(internal.parent / chunk_path(kind.name, chunk))["data"][row].as_py()
    return data


def chunk_path(name: str, number: int) -> str:
    """Return the path of a chunk relative to the dataset."""
    return f"{INTERNAL}/{name}/{number:05d}.arrow"


def make_radiographs(task: MediaTask, path: Path) -> dict[str, Any]:
    """Write a chunk of PNGs; the result lists unusable rows as (row, reason, whether the public pipeline stops)."""
    data: list[bytes | None] = []
    unusable: list[tuple[int, str, bool]] = []
    for row, name in enumerate(task.paths):
        try:
            data.append(convert(task.root / name))
        except UnusablePictureError as error:
            unusable.append((row, str(error), True))
            data.append(None)
    write_chunk(path, list(task.paths), data)
    return {"unusable": unusable}


def make_signals(task: MediaTask, path: Path) -> dict[str, Any]:
    """Write a chunk of lead-major little-endian int16 signals; the result is as in `make_radiographs`."""
    data: list[bytes | None] = []
    unusable: list[tuple[int, str, bool]] = []
    for row, name in enumerate(task.paths):
        try:
            signal = read_signal(task.root / name, allow_constant=task.reference)
            data.append(signal.astype(np.dtype("<i2"), copy=False).tobytes())
        except UnusableRecordError as error:
            unusable.append((row, str(error), not error.filtered))
            data.append(None)
    write_chunk(path, list(task.paths), data)
    return {"unusable": unusable}


CXR = MediaKind(name="cxr", title="X-rays", noun="X-ray", make=make_radiographs)
ECG = MediaKind(name="ecg", title="electrocardiograms", noun="electrocardiogram", make=make_signals)


def _wanted(
    choices: Mapping[int, Sequence[str]], places: Mapping[str, Place], unusable: Mapping[str, str]
) -> list[str]:
    """Return each admission's first choice not known to be unusable, if it is not prepared yet; sorted, each once."""
    first = {next((path for path in paths if path not in unusable), None) for paths in choices.values()}
    return sorted(path for path in first if path is not None and path not in places)


def _stopped(kind: MediaKind, path: Path, reason: str) -> SourceError:
    return SourceError(
        f"{kind.noun} {reason}, where the public pipeline stops",
        where=path,
        do="repair the file, or build without `reference`: it is then left out and counted",
    )
