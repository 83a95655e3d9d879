"""The deduplicated layout of Symile-M3 (`--layout pooled`): tables of rows without media for each split, and
tables that store every image and recording once.

    data/<split>-00000-of-00002.parquet     every column but `image` and `audio`, and `image_row`, `clip_row`
    images/<split>-00000-of-00009.parquet   image_id, image, wnid, cls_id
    clips/<split>-00000-of-00003.parquet     clip_id, audio, lang

The media tables belong to a split, or are named `shared` where all splits use them.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.m3.schema import MODALITIES, m3_schema
from symile_data.format.deduplicated import Deduplicated, MediaTable
from symile_data.format.manifest import FileEntry
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import shard_ranges, write_shard

from ..engine.build_dir import Artifact, BuildDir
from ..engine.executor import run_stage
from ..engine.stages import listed, run_shards
from .build_state import BuildState, read_build_state
from .rows.columns import masked_rows
from .rows.shard import ShardTask, audio_values, image_values, stores_of
from .rows.sources import row_source

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_TABLE = 100_000
ROWS_PER_TABLE_GROUP = 1000
MEDIA_PER_FILE = 1000
MEDIA_PER_GROUP = 8  # a reader of one image or recording reads its whole row group

_ROWS = {"image": "image_row", "audio": "clip_row"}
_FOLDERS = {"image": "images", "audio": "clips"}
_IDS = {modality.column: modality.id_column for modality in MODALITIES if modality.id_column}


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
    layout = Deduplicated(
        columns=tuple(m3_schema().arrow.names),
        pools=tuple(
            MediaTable(
                column=column, id_column=_IDS[column], row_column=_ROWS[column], folder=_FOLDERS[column], names=names
            )
            for column, names in (("image", state.image_stores), ("audio", state.audio_stores))
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
    return {"rows": write_shard(path, table_schemas()["pairs"], _pairs(task))}


def make_media_file(task: MediaFileTask, path: Path) -> dict[str, Any]:
    """Write one file of a media table.

    Returns:
        The number of rows, one for each image or recording.
    """
    return {"rows": write_shard(path, table_schemas()[_FOLDERS[task.column]], _media(task))}


def _features() -> dict[str, Features]:
    """Typed columns of the three kinds of tables."""
    from datasets import Features, Value

    features = m3_schema().features

    pairs = {name: feature for name, feature in features.items() if name not in _ROWS}
    return {
        "pairs": Features({**pairs, **{name: Value("int64") for name in _ROWS.values()}}),
        "images": Features({name: features[name] for name in ("image_id", "image", "wnid", "cls_id")}),
        "clips": Features({name: features[name] for name in ("clip_id", "audio", "lang")}),
    }


def _media_files(
    build_dir: BuildDir, executor: Executor | None, state: BuildState, layout: Deduplicated
) -> list[FileEntry]:
    artifacts, keys = [], []
    for pool in layout.pools:
        for key in pool.keys:
            split = next(split for split in pool.names if pool.key(split) == key)
            images, audio = stores_of(state, build_dir.internal, split)
            media = len((images if pool.column == "image" else audio).keys)
            ranges = shard_ranges(media, MEDIA_PER_FILE)
            for index, (start, stop) in enumerate(ranges):
                task = MediaFileTask(build_dir.internal, pool.column, split, start, stop)
                path = f"{key}-{index:05d}-of-{len(ranges):05d}.parquet"
                artifacts.append(Artifact(path=path, arguments=task, key=[key, start, stop]))
                keys.append(key)
    finished = run_stage(build_dir, "media tables", artifacts, make_media_file, executor)
    return [listed(artifact, made, pool=key) for artifact, key, made in zip(artifacts, keys, finished, strict=True)]


def _pairs(task: ShardTask) -> Iterator[pa.RecordBatch]:
    state, schema = read_build_state(task.internal), table_schemas()["pairs"].arrow
    source = row_source(task.internal, task.split)
    for start in range(task.start, task.stop, ROWS_PER_TABLE_GROUP):
        stop = min(start + ROWS_PER_TABLE_GROUP, task.stop)
        rows = masked_rows(state, task.internal, source, task.split, start, stop)
        places = {"image_row": rows.images, "clip_row": rows.audio}
        columns = rows.columns | {name: pa.array(place, mask=place < 0) for name, place in places.items()}
        yield pa.RecordBatch.from_arrays([columns[name] for name in schema.names], schema=schema)


def _media(task: MediaFileTask) -> Iterator[pa.RecordBatch]:
    state, schema = read_build_state(task.internal), table_schemas()[_FOLDERS[task.column]].arrow
    images, audio = stores_of(state, task.internal, task.split)
    for start in range(task.start, task.stop, MEDIA_PER_GROUP):
        rows = np.arange(start, min(start + MEDIA_PER_GROUP, task.stop))
        if task.column == "image":
            owner = np.searchsorted(state.image_offsets[task.split], images.keys[rows], side="right") - 1
            columns = {
                "image_id": images.ids.take(pa.array(rows)),
                "image": list(image_values(images, rows)),
                "wnid": [state.wnids[cls] for cls in owner],
                "cls_id": [state.class_ids[cls] for cls in owner],
            }
        else:
            offsets = np.cumsum([0, *state.recordings_per_language[task.split]])
            owner = np.searchsorted(offsets, audio.keys[rows], side="right") - 1
            columns = {
                "clip_id": audio.ids.take(pa.array(rows)),
                "audio": list(audio_values(audio, rows)),
                "lang": [state.languages[language] for language in owner],
            }
        arrays = [pa.array(columns[name], schema.field(name).type) for name in schema.names]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)


@lru_cache(maxsize=1)
def table_schemas() -> dict[str, DatasetSchema]:
    """Columns of the three kinds of tables: "pairs", "images" and "clips"."""
    return {name: DatasetSchema(features=columns, modalities=MODALITIES) for name, columns in _features().items()}
