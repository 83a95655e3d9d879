"""Make one shard of Symile-M3: draw its rows, fetch their media from the pools, apply the masks, write Parquet."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.missingness import missing
from symile_data.schema import DatasetSchema

from ..shards import ROWS_PER_GROUP, write_shard
from .names import SEPARATOR, imagenet_classes
from .plan import Rows
from .pools import MediaPool
from .recipe import Recipe, read_recipe
from .schema import MODALITIES, m3_schema

ROWS_PER_SHARD = 1000


@dataclass(frozen=True)
class ShardJob:
    """Rows `start` to `stop - 1` of a split, in the build whose `.build/` folder is `hidden`."""

    hidden: Path
    split: str
    start: int
    stop: int


def make_shard(job: ShardJob, path: Path) -> dict[str, Any]:
    """Write one shard.

    Returns:
        The number of rows.
    """
    recipe = read_recipe(job.hidden)
    schema = _schema()
    batches = (
        pa.RecordBatch.from_pylist(
            list(_rows(recipe, job.hidden, job.split, start, min(start + ROWS_PER_GROUP, job.stop))),
            schema=schema.arrow,
        )
        for start in range(job.start, job.stop, ROWS_PER_GROUP)
    )
    return {"rows": write_shard(path, schema, batches)}


def _rows(recipe: Recipe, hidden: Path, split: str, start: int, stop: int) -> Iterator[dict[str, Any]]:
    """The rows of one row group, as Python values."""
    plan = recipe.plan(split)
    drawn = plan.draw(start, stop)
    sample_ids = recipe.first_sample_id(split) + np.arange(start, stop)
    absent = {
        modality.name: missing(recipe.seed, sample_ids, modality.name, _rate(recipe, split, modality.name))
        for modality in MODALITIES
    }
    images = MediaPool(hidden, "images", recipe.image_pools[split], Path(recipe.image_root)).get(drawn.slot)
    clip_numbers = plan.clip_offsets[drawn.language] + drawn.clip
    clips = MediaPool(hidden, "clips", recipe.clip_pools[split]).get(clip_numbers)
    _, english = imagenet_classes()
    for i, ((image_id, jpeg), (clip_id, flac)) in enumerate(zip(images, clips, strict=True)):
        cls = int(drawn.cls[i])
        language = int(drawn.language[i])
        words = _words(recipe, drawn, i)
        row = {
            "lang": recipe.languages[language],
            "audio": {"bytes": flac, "path": f"{clip_id}.flac"},
            "image": {"bytes": jpeg, "path": PurePosixPath(image_id).name},
            "text": SEPARATOR.join(word["text"] for word in words),
            "cls": english[recipe.class_ids[cls]],
            "cls_id": recipe.class_ids[cls],
            "target_text": recipe.names[cls][language],
            "sample_id": int(sample_ids[i]),
            "wnid": recipe.wnids[cls],
            "words": words,
            "image_id": image_id,
            "clip_id": clip_id,
        }
        for modality in MODALITIES:
            row[modality.mask] = bool(absent[modality.name][i])
            if absent[modality.name][i]:
                row.update(dict.fromkeys(modality.null_columns))
        yield row


def _words(recipe: Recipe, drawn: Rows, i: int) -> list[dict[str, Any]]:
    return [
        {
            "text": recipe.names[cls][language],
            "lang": recipe.languages[language],
            "cls_id": recipe.class_ids[cls],
        }
        for cls, language in zip(drawn.word_classes[i].tolist(), drawn.word_languages[i].tolist(), strict=True)
    ]


def _rate(recipe: Recipe, split: str, modality: str) -> float:
    return recipe.missing.get(modality, 0.0) if split in recipe.masked_splits else 0.0


@lru_cache(maxsize=1)
def _schema() -> DatasetSchema:
    return m3_schema()
