"""Make one shard of PID data: draw its rows, write their symbols by kind, look their media up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.pid.alphabets import texts, vectors
from symile_data.datasets.pid.blocks import Symbols
from symile_data.datasets.pid.design import symbol_column
from symile_data.datasets.pid.relations import holds, value_numbers
from symile_data.datasets.pid.schema import pid_schema
from symile_data.format.shards.writer import ROWS_PER_GROUP, write_shard
from symile_data.missingness import missing
from symile_data.noise import noise_generator, with_flips
from symile_data.reliability import AffectedRows, SplitRows

from ..engine.noise import NOISES
from .draw import draw_rows, draw_rows_at
from .media import Keys, keys_of, store_of
from .spec import PidSpec

ROWS_PER_SHARD = 50_000
MEDIA_ROWS_PER_SHARD = 1_000
VECTOR_ROWS_PER_GROUP = 5_000

SUFFIXES = {"image": "jpg", "audio": "flac"}

BoolArray = npt.NDArray[np.bool_]
MediaColumns = Callable[[str, Keys, AffectedRows], dict[str, list[Any]]]


@dataclass(frozen=True)
class ShardTask:
    """Rows `start` to `stop - 1` of a split, in the build whose `.build/` folder is `internal`."""

    spec: PidSpec
    internal: Path
    split: str
    start: int
    stop: int


def make_shard(task: ShardTask, path: Path) -> dict[str, Any]:
    """Write one shard.

    Returns:
        The number of rows.
    """
    return {"rows": write_shard(path, pid_schema(task.spec.design, task.spec.reliability), _batches(task))}


def _batches(task: ShardTask) -> Iterator[pa.RecordBatch]:
    schema = pid_schema(task.spec.design, task.spec.reliability).arrow
    step = rows_per_group(task.spec)
    for start in range(task.start, task.stop, step):
        columns = row_columns(task.spec, task.split, start, min(start + step, task.stop), partial(_stored, task))
        yield pa.RecordBatch.from_arrays(
            [pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema
        )


def rows_per_group(spec: PidSpec) -> int:
    """Rows of a row group: few where they hold media."""
    return ROWS_PER_GROUP if spec.has_media else VECTOR_ROWS_PER_GROUP


def row_columns(spec: PidSpec, split: str, start: int, stop: int, media: MediaColumns) -> dict[str, Any]:
    """All columns of rows `start` to `stop - 1`, by name.

    Args:
        spec: Settings of the build.
        split: A split.
        start: The first row.
        stop: The row after the last.
        media: (modality, keys, what the rows show) -> the columns of media and of their ids; a key of -1 is a missing
            value.
    """
    rows, design = draw_rows(spec, split, start, stop), spec.design
    places, within = np.arange(start, stop), SplitRows.of(spec.rows, split)
    ids = within.sample_ids(places)
    columns: dict[str, Any] = {"sample_id": ids}
    for name, kind in design.modalities.items():
        symbols = rows.symbols[name]
        absent = missing(spec.seed, ids, name, spec.missing_rate(split, name))
        columns |= {symbol_column(name, block): symbols[block.name] for block in design.scoped(name)}
        columns |= {f"{name}_value": value_numbers(name, design, symbols), f"{name}_missing": absent}
        affected = spec.reliability.draw(spec.seed, within, places, name, absent)
        columns |= affected.columns(name)
        shown = _shown(spec, split, name, symbols, affected)
        if kind in SUFFIXES:
            keys = keys_of(spec, split, name, shown, affected.shown.places)
            columns |= media(name, np.where(absent, -1, keys), affected)
        else:
            columns[name] = _values(spec, name, shown, absent, affected)
    for block in design.blocks:
        columns[f"{block.name}_drawn"] = rows.drawn[block.name]
        columns[f"{block.name}_holds"] = holds(block, {name: rows.symbols[name][block.name] for name in block.scope})
    return columns


def _shown(
    spec: PidSpec, split: str, modality: str, symbols: dict[str, Symbols], affected: AffectedRows
) -> dict[str, Symbols]:
    """The symbols that rows show: their own, or those of their donors."""
    swapped = affected.shown.misaligned
    if not swapped.any():
        return symbols
    donors = draw_rows_at(spec, split, affected.shown.places[swapped]).symbols[modality]
    shown = {block: own.copy() for block, own in symbols.items()}
    for block, values in donors.items():
        shown[block][swapped] = values
    return shown


def _values(
    spec: PidSpec, modality: str, symbols: dict[str, Symbols], absent: BoolArray, affected: AffectedRows
) -> pa.Array:
    """The column of a modality that is a vector or a text."""
    kind, noisy = spec.design.modalities[modality], affected.noisy
    if kind == "text":
        return pa.array(texts(modality, spec.design, symbols), pa.string(), mask=absent)
    values = vectors(modality, spec.design, symbols)
    level = spec.reliability.noise_level(modality, kind)
    values[noisy] = with_flips(values[noisy], spec.seed, affected.ids[noisy], modality, level)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1], mask=pa.array(absent))


def _stored(task: ShardTask, modality: str, keys: Keys, affected: AffectedRows) -> dict[str, list[Any]]:
    """The columns of a modality that is stored as files, from its store."""
    spec = task.spec
    store = store_of(spec, task.internal, task.split, modality)
    rows = store.rows_of(keys)
    found = store.media(rows[rows >= 0])
    present = [None if row < 0 else next(found) for row in rows.tolist()]
    kind = spec.design.modalities[modality]
    for row in np.flatnonzero(affected.noisy).tolist():
        clean, sample_id = present[row], int(affected.ids[row])
        if clean is not None:  # noise makes a file of its own, so it gets an id of its own
            rng = noise_generator(spec.seed, sample_id, modality)
            noisy = NOISES[kind](clean[1], spec.reliability.noise_level(modality, kind), rng)
            present[row] = (f"{clean[0]}-noisy-{sample_id}", noisy)
    suffix = SUFFIXES[kind]
    return {
        modality: [None if one is None else {"bytes": one[1], "path": f"{one[0]}.{suffix}"} for one in present],
        f"{modality}_id": [None if one is None else one[0] for one in present],
    }
