"""Make the images and tones of keys: each one that rows use once, into the media stores under `.build/`."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.keys import KEYS, Key

from ...engine.build_dir import Artifact, BuildDir
from ...engine.executor import run_stage
from ...engine.media_store import write_chunk
from ..build_state import BuildState
from ..media_store import MediaStore, chunk_path, write_index
from .draw import VARIANTS, draw_key
from .render import RENDERERS

CHUNK = 256  # media in one chunk

_DRAWN_AT_ONCE = 100_000  # rows


@dataclass(frozen=True)
class KeyMediaTask:
    """A chunk of images or tones: these numbers of a key in a media store."""

    seed: int
    name: str
    store: str
    numbers: tuple[int, ...]


def stored_keys(state: BuildState) -> list[Key]:
    """List the keys of a build that are stored as files, which a vector is not."""
    return [KEYS[name] for name in state.keys if name in RENDERERS]


def kind_of(name: str) -> str:
    """Return the folder of a key's media stores under `.build/`."""
    return f"key-{name}"


def store_of(state: BuildState, internal: Path, name: str, split: str) -> MediaStore:
    """Return the store from which a split takes the images or tones of a key."""
    return MediaStore(internal, kind_of(name), state.image_stores[split])


def media_id(name: str, store: str, number: int) -> str:
    """Return the name of an image or tone, which tells its value.

    >>> media_id("symbol", "train", 3 * VARIANTS + 7)
    'symbol-train-3-7'
    """
    value, variant = divmod(number, VARIANTS)
    return f"{name}-{store}-{value}-{variant}"


def used_numbers(state: BuildState, name: str, store: str) -> npt.NDArray[np.int64]:
    """Return the numbers of the images or tones that rows use of a store: (U,) int64, sorted."""
    used = np.zeros(state.key_values * VARIANTS, dtype=bool)
    for split, rows in state.rows.items():
        if state.image_stores[split] != store:
            continue
        for start in range(0, rows, _DRAWN_AT_ONCE):
            stop = min(start + _DRAWN_AT_ONCE, rows)
            used[draw_key(state.seed, name, split, state.key_values, start, stop).numbers] = True
    return np.flatnonzero(used)


def prepare_keys(build_dir: BuildDir, executor: Executor | None, state: BuildState) -> None:
    """Draw or play all images and tones of keys that rows use, and write the index of each store."""
    for key in stored_keys(state):
        for store in dict.fromkeys(state.image_stores.values()):
            _fill(build_dir, executor, state, key.name, store)


def make_key_chunk(task: KeyMediaTask, path: Path) -> dict[str, Any]:
    """Draw or play a chunk of images or tones.

    Returns:
        The number of media.
    """
    render = RENDERERS[task.name]
    data: list[bytes | None] = [render(task.seed, task.store, *divmod(number, VARIANTS)) for number in task.numbers]
    write_chunk(path, [media_id(task.name, task.store, number) for number in task.numbers], data)
    return {"media": len(data)}


def _fill(build_dir: BuildDir, executor: Executor | None, state: BuildState, name: str, store: str) -> None:
    kind, used = kind_of(name), used_numbers(state, name, store)
    groups = [used[start : start + CHUNK] for start in range(0, len(used), CHUNK)]
    artifacts = [
        Artifact(
            path=chunk_path(kind, store, number),
            arguments=KeyMediaTask(state.seed, name, store, tuple(group.tolist())),
            key=[state.seed, *group.tolist()],
        )
        for number, group in enumerate(groups)
    ]
    run_stage(build_dir, f"{name}s ({store})", artifacts, make_key_chunk, executor)
    places = np.arange(len(used))
    ids = [[media_id(name, store, number) for number in group.tolist()] for group in groups]
    write_index(
        build_dir.internal / kind / store, used, used, np.column_stack([used, places // CHUNK, places % CHUNK]), ids
    )
