"""Estimate what a build of PID data needs: a few images, sounds and rows are made, timed and multiplied.

Times are CPU seconds of this machine; the card is not counted. Drawing donors is part of writing rows, and noise of
images and sounds is counted apart. The sampled files go to the system's temporary directory
and are removed.
"""

from __future__ import annotations

import math
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.pid.design import MEDIA
from symile_data.datasets.pid.schema import pid_schema
from symile_data.files import file_sha256
from symile_data.format.shards import FORMATS
from symile_data.format.shards.writer import shard_ranges, write_shard
from symile_data.reliability import AffectedRows

from ..engine.noise_cost import measure_noise
from ..m3.estimate.cost import Estimate, StageCost
from .media import Keys, make_medium
from .shard import MEDIA_ROWS_PER_SHARD, ROWS_PER_SHARD, SUFFIXES, row_columns, rows_per_group
from .spec import PidSpec

SAMPLED = 16  # images or sounds of a modality

_GROUPS = 4
_PROCESS_BYTES = 190 << 20  # a process with its libraries and one row group, measured
_MEDIUM_BYTES = 400  # that the main process keeps of each medium

_Media = dict[str, list[bytes]]


def estimate_pid(spec: PidSpec, out: Path, *, workers: int) -> Estimate:
    """Estimate a build.

    Args:
        spec: Settings of the build.
        out: Output directory, for the room on its disk; it is not touched.
        workers: Worker processes.

    Raises:
        MissingPackageError: what makes images or sounds is not installed.
    """
    rows = {split: count for split, count in spec.rows.items() if count}
    stages, media = [], {}
    for name, kind in spec.design.modalities.items():
        if kind in MEDIA:
            seconds, media[name] = _sampled(spec, name)
            units = sum(_used(spec, split, name) for split in rows)
            size = float(np.mean([len(data) for data in media[name]]))
            stages.append(StageCost(stage=name, units=units, cpu_seconds_each=seconds, working_bytes_each=size))
    seconds, size = _measured(spec, media)
    made = sum(stage.units for stage in stages)
    stages.append(StageCost(stage="shards", units=sum(rows.values()), cpu_seconds_each=seconds, bytes_each=size))
    stages += [_noise(spec, name, some, rows) for name, some in media.items() if name in spec.reliability.noisy]
    rows_per_shard = MEDIA_ROWS_PER_SHARD if spec.has_media else ROWS_PER_SHARD
    resolved = out.resolve()
    place = next(place for place in (resolved, *resolved.parents) if place.exists())
    return Estimate(
        rows=rows,
        stages=tuple(stages),
        files=sum(len(shard_ranges(count, rows_per_shard)) for count in rows.values()),
        workers=workers,
        memory_bytes=(workers + 1) * _PROCESS_BYTES + made * _MEDIUM_BYTES,
        free_bytes=shutil.disk_usage(place).free,
    )


def _noise(spec: PidSpec, modality: str, media: list[bytes], rows: dict[str, int]) -> StageCost:
    """The cost of noisy images or sounds beyond that of clean ones."""
    present = {split: count * (1 - spec.missing_rate(split, modality)) for split, count in rows.items()}
    cost = measure_noise(spec.reliability, modality, spec.design.modalities[modality], media, present)
    return StageCost(
        stage=f"noise of {modality}",
        units=cost.values,
        cpu_seconds_each=cost.cpu_seconds,
        bytes_each=cost.more_bytes,
    )


def _used(spec: PidSpec, split: str, modality: str) -> int:
    """Expected number of different media that the rows of a split show."""
    known = spec.design.values_of(modality) * spec.variants(split, modality)
    never = math.exp(spec.rows[split] * math.log1p(-1 / known)) if known > 1 else 0.0
    return min(round(known * (1 - never)), spec.rows[split])


def _sampled(spec: PidSpec, modality: str) -> tuple[float, list[bytes]]:
    """Make some media of a modality: CPU seconds of one, and their bytes."""
    known = spec.design.values_of(modality) * spec.variants("train", modality)
    keys = [number * known // SAMPLED for number in range(SAMPLED)]
    made = [make_medium(spec, "train", modality, key) for key in keys]  # renders the artwork, loads the speech library
    start = time.process_time()
    for key in keys:
        make_medium(spec, "train", modality, key)
    return (time.process_time() - start) / SAMPLED, made


def _measured(spec: PidSpec, media: _Media) -> tuple[float, float]:
    """CPU seconds and bytes of a row, from writing some groups of rows to a file and hashing it."""
    schema, step = pid_schema(spec.design, spec.reliability), rows_per_group(spec)

    def columns(modality: str, keys: Keys, _: AffectedRows) -> dict[str, list[Any]]:
        made, suffix = media[modality], SUFFIXES[spec.design.modalities[modality]]
        values = [None if key < 0 else {"bytes": made[key % len(made)], "path": f"{key}.{suffix}"} for key in keys]
        return {modality: values, f"{modality}_id": [None if key < 0 else str(key) for key in keys]}

    def batches() -> Iterator[pa.RecordBatch]:
        for start in range(0, _GROUPS * step, step):
            made = row_columns(spec, "train", start, start + step, columns)
            arrays = [pa.array(made[name], schema.arrow.field(name).type) for name in schema.arrow.names]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema.arrow)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{FORMATS[spec.shard_format]}"
        start = time.process_time()
        written = write_shard(path, schema, batches())
        file_sha256(path)
        return (time.process_time() - start) / written, path.stat().st_size / written
