"""Write one shard of Symile-MIMIC from the rows of the build state and the prepared media."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.mimic.schema import LEADS, SAMPLES, mimic_schema
from symile_data.files import canonical_json
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import ROWS_PER_GROUP, write_shard
from symile_data.reliability import Reliability

from .build_state import PLACES, read_build_state, stay_columns_of
from .signals.media import CXR, ECG, MediaKind, read_prepared
from .unreliable import Shown, UnreliableSettings, add_noise, shown_in

ROWS_PER_SHARD = 1000


@dataclass(frozen=True)
class ShardTask:
    """Rows `start` to `stop - 1` of a split, in the build whose `.build/` folder is `internal`.

    `settings` say which rows show another row's value or a noisy one.
    """

    internal: Path
    settings: UnreliableSettings
    split: str
    start: int
    stop: int


def make_shard(task: ShardTask, path: Path) -> dict[str, Any]:
    """Write the shard of a task to `path`.

    Returns:
        {"rows": the number of rows}, for the journal.
    """
    state = read_build_state(task.internal)
    shown = shown_in(state, task.split, task.start, task.stop, task.settings)
    schema = _schema(stay_columns_of(state.column_names), canonical_json(task.settings.reliability.to_json()))
    batches = (_batch(shown, start, task, schema) for start in range(0, len(shown.rows), ROWS_PER_GROUP))
    return {"rows": write_shard(path, schema, batches)}


def _batch(shown: Shown, start: int, task: ShardTask, schema: DatasetSchema) -> pa.RecordBatch:
    """Make one row group: the columns of the rows as they are shown, with their X-rays and ECGs."""
    rows = shown.rows.slice(start, ROWS_PER_GROUP)
    columns = {name: rows[name].combine_chunks() for name in rows.column_names if name in schema.features}
    media = {kind.name: list(_media(rows, task.internal, kind)) for kind in (CXR, ECG)}
    add_noise(task.internal, columns, media, shown, start, task.settings)
    xrays = [
        None if data is None else {"bytes": data, "path": f"{dicom_id}.png"}
        for data, dicom_id in zip(media[CXR.name], columns["cxr_dicom_id"].to_pylist(), strict=True)
    ]
    columns["cxr"] = pa.array(xrays, schema.arrow.field("cxr").type)
    columns["ecg"] = _signals(media[ECG.name])
    return pa.RecordBatch.from_pydict(columns, schema=schema.arrow)


def _media(rows: pa.Table, internal: Path, kind: MediaKind) -> Iterator[bytes | None]:
    for place in rows[PLACES[kind.name]].to_pylist():
        yield None if place is None else read_prepared(internal, kind, (place[0], place[1]))


def _signals(data: list[bytes | None]) -> pa.Array:
    """Turn little-endian int16 bytes into fixed-size lists of 12 x 5000 int16; None becomes null."""
    length = len(LEADS) * SAMPLES
    numbers = np.zeros((len(data), length), dtype=np.int16)
    for row, signal in enumerate(data):
        if signal is not None:
            numbers[row] = np.frombuffer(signal, dtype="<i2")
    absent = pa.array([signal is None for signal in data], pa.bool_())
    return pa.FixedSizeListArray.from_arrays(pa.array(numbers.ravel()), length, mask=absent)


@lru_cache(maxsize=1)
def _schema(stay_columns: tuple[str, ...], reliability: str) -> DatasetSchema:
    return mimic_schema(stay_columns, Reliability.of(json.loads(reliability)))
