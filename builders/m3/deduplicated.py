"""The deduplicated layout of Symile-M3 (`--layout pooled`): tables of rows without media for each split, and
tables that store every image and recording once.

    data/<split>-00000-of-00002.parquet     every column but `image` and `audio`, and `image_row`, `clip_row`
    images/<split>-00000-of-00009.parquet   image_id, image, wnid, cls_id
    clips/<split>-00000-of-00003.parquet     clip_id, audio, lang

and for each key that is stored as files a table such as

    symbols/<split>-00000-of-00001.parquet   symbol_media_id, symbol, symbol_id

The media tables belong to a split, or are named `shared` where all splits use them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.m3.keys import KEYS
from symile_data.datasets.m3.schema import m3_modalities, m3_schema
from symile_data.files import canonical_json
from symile_data.format.deduplicated import Deduplicated, MediaTable
from symile_data.format.manifest import FileEntry
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import shard_ranges, write_shard
from symile_data.reliability import Reliability

from ..engine.build_dir import Artifact, BuildDir
from ..engine.executor import run_stage
from ..engine.stages import listed, run_shards
from .build_state import BuildState, read_build_state
from .keys.draw import VARIANTS
from .keys.media import store_of
from .media_store import MediaStore
from .rows.masked import masked_rows
from .rows.shard import ShardTask, audio_values, image_values, key_media, schema_of, stores_of
from .rows.sources import row_source

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_TABLE = 100_000
ROWS_PER_TABLE_GROUP = 1000
MEDIA_PER_FILE = 1000
MEDIA_PER_GROUP = 8  # a reader of one image or recording reads its whole row group

_ROWS = {"image": "image_row", "audio": "clip_row"}
_FOLDERS = {"image": "images", "audio": "clips"}


@dataclass(frozen=True)
class MediaFileTask:
    """Media `start` to `stop - 1` of the store from which `split` takes a modality."""

    internal: Path
    column: str
    split: str
    start: int
    stop: int


def write_deduplicated(
    build_dir: BuildDir, executor: Executor | None, state: BuildState
) -> tuple[list[FileEntry], Deduplicated]:
    """Write the tables of rows and the tables of media.

    Returns:
        The entries of all files, and the description of the layout for the manifest.
    """
    stores = {"image": state.image_stores, "audio": state.audio_stores}
    layout = Deduplicated(
        columns=tuple(schema_of(state).arrow.names),
        pools=tuple(
            MediaTable(
                column=column,
                id_column=id_column,
                row_column=row_column(column),
                folder=folder_of(column),
                names=stores.get(column, state.image_stores),
            )
            for column, id_column in _stored(state).items()
        ),
    )
    task = partial(ShardTask, build_dir.internal)
    tables, _ = run_shards(build_dir, executor, state.rows, ROWS_PER_TABLE, task, make_table, title="pairs")
    return [*tables, *_media_files(build_dir, executor, state, layout)], layout


def make_table(task: ShardTask, path: Path) -> dict[str, Any]:
    """Write one table of rows without media.

    Returns:
        The number of rows.
    """
    return {"rows": write_shard(path, schemas_of(task.internal)["pairs"], _pairs(task))}


def make_media_file(task: MediaFileTask, path: Path) -> dict[str, Any]:
    """Write one file of a media table.

    Returns:
        The number of rows, one for each image or recording.
    """
    return {"rows": write_shard(path, schemas_of(task.internal)[folder_of(task.column)], _media(task))}


def row_column(column: str) -> str:
    """Return the column of row numbers that stands in place of a column of media."""
    return _ROWS.get(column, f"{column}_row")


def folder_of(column: str) -> str:
    """Return the folder of the tables of a column of media."""
    return _FOLDERS.get(column, f"{column}s")


def _stored(state: BuildState) -> dict[str, str]:
    """Return column of media -> column of their ids, for the media that a build stores in tables."""
    return {
        modality.column: modality.id_column for modality in m3_modalities(state.keys) if modality.id_column is not None
    }


def _features(keys: Sequence[str], values: int, reliability: Reliability) -> dict[str, Features]:
    """Typed columns of each kind of table."""
    from datasets import Features, Value

    features = m3_schema(keys, values, reliability).features
    stored = [key for key in (KEYS[name] for name in keys) if key.media_id is not None]
    columns = {
        "images": ("image_id", "image", "wnid", "cls_id"),
        "clips": ("clip_id", "audio", "lang"),
        **{folder_of(key.name): (str(key.media_id), key.name, key.label) for key in stored},
    }
    media = ["image", "audio", *(key.name for key in stored)]
    pairs = {name: feature for name, feature in features.items() if name not in media}
    return {
        "pairs": Features({**pairs, **{row_column(name): Value("int64") for name in media}}),
        **{folder: Features({name: features[name] for name in names}) for folder, names in columns.items()},
    }


def _media_files(
    build_dir: BuildDir, executor: Executor | None, state: BuildState, layout: Deduplicated
) -> list[FileEntry]:
    artifacts, keys = [], []
    for pool in layout.pools:
        for key in pool.keys:
            split = next(split for split in pool.names if pool.key(split) == key)
            media = len(_store(state, build_dir.internal, pool.column, split).keys)
            ranges = shard_ranges(media, MEDIA_PER_FILE)
            for index, (start, stop) in enumerate(ranges):
                task = MediaFileTask(build_dir.internal, pool.column, split, start, stop)
                path = f"{key}-{index:05d}-of-{len(ranges):05d}.parquet"
                artifacts.append(Artifact(path=path, arguments=task, key=[key, start, stop]))
                keys.append(key)
    finished = run_stage(build_dir, "media tables", artifacts, make_media_file, executor)
    return [listed(artifact, made, pool=key) for artifact, key, made in zip(artifacts, keys, finished, strict=True)]


def _pairs(task: ShardTask) -> Iterator[pa.RecordBatch]:
    state, schema = read_build_state(task.internal), schemas_of(task.internal)["pairs"].arrow
    source = row_source(task.internal, task.split)
    for start in range(task.start, task.stop, ROWS_PER_TABLE_GROUP):
        stop = min(start + ROWS_PER_TABLE_GROUP, task.stop)
        rows = masked_rows(state, task.internal, source, task.split, start, stop)
        places = {"image_row": rows.images, "clip_row": rows.audio}
        places |= {row_column(name): place for name, place in rows.keys.items()}
        columns = rows.columns | {name: pa.array(place, mask=place < 0) for name, place in places.items()}
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _media(task: MediaFileTask) -> Iterator[pa.RecordBatch]:
    state, schema = read_build_state(task.internal), schemas_of(task.internal)[folder_of(task.column)].arrow
    store = _store(state, task.internal, task.column, task.split)
    for start in range(task.start, task.stop, MEDIA_PER_GROUP):
        rows = np.arange(start, min(start + MEDIA_PER_GROUP, task.stop))
        if task.column == "image":
            owner = np.searchsorted(state.image_offsets[task.split], store.keys[rows], side="right") - 1
            columns = {
                "image_id": store.ids.take(pa.array(rows)),
                "image": list(image_values(store, rows)),
                "wnid": [state.wnids[cls] for cls in owner],
                "cls_id": [state.class_ids[cls] for cls in owner],
            }
        elif task.column in KEYS:
            key = KEYS[task.column]
            columns = {
                str(key.media_id): store.ids.take(pa.array(rows)),
                key.name: list(key_media(store, key.name, rows)),
                key.label: (store.keys[rows] // VARIANTS).tolist(),
            }
        else:
            offsets = np.cumsum([0, *state.recordings_per_language[task.split]])
            owner = np.searchsorted(offsets, store.keys[rows], side="right") - 1
            columns = {
                "clip_id": store.ids.take(pa.array(rows)),
                "audio": list(audio_values(store, rows)),
                "lang": [state.languages[language] for language in owner],
            }
        arrays = [pa.array(columns[name], schema.field(name).type) for name in schema.names]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


def _store(state: BuildState, internal: Path, column: str, split: str) -> MediaStore:
    """Return the store from which a split takes the media of a column."""
    if column in KEYS:
        return store_of(state, internal, column, split)
    images, audio = stores_of(state, internal, split)
    return images if column == "image" else audio


def schemas_of(internal: Path) -> dict[str, DatasetSchema]:
    """Columns of the tables of the build whose `.build/` folder is `internal`; see `table_schemas`."""
    state = read_build_state(internal)
    return table_schemas(tuple(state.keys), state.key_values, canonical_json(state.reliability))


@lru_cache(maxsize=2)
def table_schemas(keys: tuple[str, ...] = (), values: int = 0, reliability: str = "{}") -> dict[str, DatasetSchema]:
    """Columns of each kind of table: "pairs", "images", "clips" and one for each key that is stored as files.

    Args:
        keys: Names of the keys beside the language of the audio.
        values: Number of values of a key.
        reliability: Rates of misaligned modalities, as JSON of what the manifest stores.
    """
    modalities = m3_modalities(keys)
    return {
        name: DatasetSchema(features=columns, modalities=modalities)
        for name, columns in _features(keys, values, Reliability.of(json.loads(reliability))).items()
    }
