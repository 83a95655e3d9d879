"""Make the images and sounds of a build: every one that rows use once, into the media stores under `.build/`.

Medium `key` of a modality in a split shows value `key // variants` in variant `key % variants`, and is a function of
the design, the seed, the split, the value and the variant. Splits share no image and no sound.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.datasets.pid.alphabets import texts
from symile_data.datasets.pid.design import MEDIA
from symile_data.datasets.pid.relations import symbols_of, value_numbers
from symile_data.rng import Stream

from ..engine.build_dir import Artifact, BuildDir
from ..engine.executor import run_stage
from ..engine.media_store import write_chunk
from ..m3.media_store import MediaStore, chunk_path, write_index
from .draw import draw_rows, draw_variants
from .drawings import draw_grid, drawings_of, play, speak, tones_of
from .spec import PidSpec

CHUNK = 256  # media in one chunk

_DRAWN_AT_ONCE = 100_000  # rows
_TITLES = {"image": "images", "audio": "sounds"}

Keys = npt.NDArray[np.int64]


@dataclass(frozen=True)
class MediaTask:
    """A chunk of media: these keys of a modality in a split."""

    spec: PidSpec
    split: str
    modality: str
    keys: tuple[int, ...]


def media_keys(spec: PidSpec, split: str, modality: str, start: int, stop: int) -> Keys:
    """(stop - start,) int64: the image or recording of each row."""
    rows = draw_rows(spec, split, start, stop)
    return keys_of(spec, split, modality, rows.symbols[modality], np.arange(start, stop))


def keys_of(
    spec: PidSpec, split: str, modality: str, symbols: dict[str, npt.NDArray[np.int64]], rows: npt.NDArray[np.int64]
) -> Keys:
    """(N,) int64: the image or recording of each of some rows, whose symbols are given."""
    values = value_numbers(modality, spec.design, symbols)
    return values * spec.variants(split, modality) + draw_variants(spec, split, modality, rows)


def store_of(spec: PidSpec, internal: Path, split: str, modality: str) -> MediaStore:
    """The store of a modality's media in a split."""
    return MediaStore(internal, _kind(modality), split)


def prepare_media(build_dir: BuildDir, executor: Executor | None, spec: PidSpec) -> None:
    """Make all media that rows use, and write the index of each store."""
    for modality, kind in spec.design.modalities.items():
        for split, rows in spec.rows.items():
            if kind in MEDIA and rows:
                _fill(build_dir, executor, spec, split, modality, rows)


def _fill(build_dir: BuildDir, executor: Executor | None, spec: PidSpec, split: str, modality: str, rows: int) -> None:
    used: Keys = np.empty(0, dtype=np.int64)
    for start in range(0, rows, _DRAWN_AT_ONCE):
        stop = min(start + _DRAWN_AT_ONCE, rows)
        used = np.union1d(used, media_keys(spec, split, modality, start, stop))
    groups = [used[start : start + CHUNK] for start in range(0, len(used), CHUNK)]
    artifacts = [
        Artifact(
            path=chunk_path(_kind(modality), split, number),
            arguments=MediaTask(spec, split, modality, tuple(group.tolist())),
            key=group.tolist(),
        )
        for number, group in enumerate(groups)
    ]
    title = f"{_TITLES[spec.design.modalities[modality]]} of {modality} ({split})"
    run_stage(build_dir, title, artifacts, make_chunk, executor)
    made = np.column_stack([used, np.arange(len(used)) // CHUNK, np.arange(len(used)) % CHUNK])
    ids = [[medium_id(spec, split, modality, key) for key in group.tolist()] for group in groups]
    write_index(build_dir.internal / _kind(modality) / split, used, used, made, ids)


def make_chunk(task: MediaTask, path: Path) -> dict[str, Any]:
    """Draw, speak or play a chunk of media.

    Returns:
        The number of media.
    """
    encoded: list[bytes | None] = [make_medium(task.spec, task.split, task.modality, key) for key in task.keys]
    ids = [medium_id(task.spec, task.split, task.modality, key) for key in task.keys]
    write_chunk(path, ids, encoded)
    return {"media": len(ids)}


def make_medium(spec: PidSpec, split: str, modality: str, key: int) -> bytes:
    """One image (JPEG) or sound (FLAC)."""
    value, variant = divmod(key, spec.variants(split, modality))
    symbols = symbols_of(modality, spec.design, np.array([value]))
    stream = Stream(spec.seed, f"pid/{split}/{modality}/medium/{value}")
    if spec.design.modalities[modality] == "audio" and spec.sounds == "tones":
        played = zip(spec.design.scoped(modality), tones_of(modality, spec.design), strict=True)
        return play([tones[int(symbols[block.name][0])] for block, tones in played], stream.generator(variant))
    if spec.design.modalities[modality] == "audio":
        return speak(texts(modality, spec.design, symbols, ". ")[0] + ".", stream, variant)
    blocks, alphabets = spec.design.scoped(modality), drawings_of(modality, spec.design)
    stems = [stems[int(symbols[block.name][0])] for block, stems in zip(blocks, alphabets, strict=True)]
    return draw_grid(stems, stream.generator(variant))


def medium_id(spec: PidSpec, split: str, modality: str, key: int) -> str:
    """Return the name of an image or recording, which tells its symbol.

    >>> from symile_data.datasets.pid import PRESETS
    >>> medium_id(PidSpec(design=PRESETS["mixed"]), "train", "image", 51)
    'image-train-2-1'
    """
    value, variant = divmod(key, spec.variants(split, modality))
    return f"{modality}-{split}-{value}-{variant}"


def _kind(modality: str) -> str:
    return f"media-{modality}"
