"""Make one self-contained shard of Symile-M3: take its rows, look their media up in the media stores, write it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.m3.keys import KEYS
from symile_data.datasets.m3.schema import m3_modalities, m3_schema
from symile_data.files import canonical_json
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import ROWS_PER_GROUP, write_shard
from symile_data.noise import noise_generator
from symile_data.reliability import Reliability

from ...engine.noise import NOISES, noisy_id
from ..build_state import BuildState, read_build_state
from ..keys.media import store_of
from ..media_store import MediaStore
from .masked import MaskedRows, masked_rows
from .sources import row_source

ROWS_PER_SHARD = 1000

Medium = dict[str, Any]


@dataclass(frozen=True)
class ShardTask:
    """Rows `start` to `stop - 1` of a split, in the build whose `.build/` folder is `internal`."""

    internal: Path
    split: str
    start: int
    stop: int


def make_shard(task: ShardTask, path: Path) -> dict[str, Any]:
    """Write one shard.

    Returns:
        The number of rows.
    """
    return {"rows": write_shard(path, schema_of(read_build_state(task.internal)), _batches(task))}


def _batches(task: ShardTask) -> Iterator[pa.RecordBatch]:
    state = read_build_state(task.internal)
    schema = schema_of(state).arrow
    source = row_source(task.internal, task.split)
    images, audio = stores_of(state, task.internal, task.split)
    for start in range(task.start, task.stop, ROWS_PER_GROUP):
        rows = masked_rows(state, task.internal, source, task.split, start, min(start + ROWS_PER_GROUP, task.stop))
        found = {
            "image": _present(rows.images, image_values(images, rows.images)),
            "audio": _present(rows.audio, audio_values(audio, rows.audio)),
        }
        for name, places in rows.keys.items():
            values = key_media(store_of(state, task.internal, name, task.split), name, places)
            found[name] = _present(places, values)
        _add_noise(state, rows, found)
        columns = rows.columns | {name: pa.array(media, schema.field(name).type) for name, media in found.items()}
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def stores_of(state: BuildState, internal: Path, split: str) -> tuple[MediaStore, MediaStore]:
    """Return the store of images and the store of audio from which a split takes its media."""
    return (
        MediaStore(internal, "images", state.image_stores[split], Path(state.image_root)),
        MediaStore(internal, "clips", state.audio_stores[split]),
    )


def image_values(store: MediaStore, rows: npt.NDArray[np.int64]) -> Iterator[Medium]:
    """Yield the values of the column `image`, for the rows that are not -1."""
    for image_id, jpeg in store.media(rows[rows >= 0]):
        yield {"bytes": jpeg, "path": PurePosixPath(image_id).name}


def audio_values(store: MediaStore, rows: npt.NDArray[np.int64]) -> Iterator[Medium]:
    """Yield the values of the column `audio`, for the rows that are not -1."""
    for clip_id, flac in store.media(rows[rows >= 0]):
        yield {"bytes": flac, "path": f"{clip_id}.flac"}


def key_media(store: MediaStore, name: str, rows: npt.NDArray[np.int64]) -> Iterator[Medium]:
    """Yield the values of the column of a key, for the rows that are not -1."""
    for media_id, data in store.media(rows[rows >= 0]):
        yield {"bytes": data, "path": f"{media_id}.{KEYS[name].modality.suffix}"}


def _add_noise(state: BuildState, rows: MaskedRows, found: Mapping[str, list[Medium | None]]) -> None:
    """Replace the images and recordings of noisy rows by their own, which have names of their own."""
    settings, sample_ids = Reliability.of(state.reliability), rows.columns["sample_id"].to_pylist()
    for modality in m3_modalities(state.keys):
        if modality.name not in found or modality.name not in rows.noisy:
            continue
        media, level = found[modality.name], settings.noise_level(modality.name, modality.kind)
        for row in np.flatnonzero(rows.noisy[modality.name]).tolist():
            if (clean := media[row]) is not None:
                rng = noise_generator(state.seed, sample_ids[row], modality.name)
                data = NOISES[modality.kind](clean["bytes"], level, rng)
                media[row] = {"bytes": data, "path": noisy_id(clean["path"], sample_ids[row])}


def schema_of(state: BuildState) -> DatasetSchema:
    """Return the columns and modalities of a build."""
    return _schema(tuple(state.keys), state.key_values, canonical_json(state.reliability))


def _present(rows: npt.NDArray[np.int64], values: Iterator[Medium]) -> list[Medium | None]:
    return [None if row < 0 else next(values) for row in rows.tolist()]


@lru_cache(maxsize=1)
def _schema(keys: tuple[str, ...], values: int, reliability: str) -> DatasetSchema:
    return m3_schema(keys, values, Reliability.of(json.loads(reliability)))
