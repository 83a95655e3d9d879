"""Build an XOR dataset: draw bits from named streams indexed by row, and write shards, card and manifest."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets import XOR
from symile_data.datasets.xor.schema import VECTOR, xor_schema
from symile_data.format.manifest import BuildFingerprint, Manifest, library_versions
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import write_shard
from symile_data.missingness import missing
from symile_data.noise import with_flips
from symile_data.reliability import SplitRows
from symile_data.rng import Stream

from ..engine.build_dir import BuildDir
from ..engine.card_hook import CardWriter
from ..engine.dask_executor import LOCAL
from ..engine.stages import run_build, run_shards
from .spec import XorSpec

ROWS_PER_SHARD = 50_000
ROWS_PER_GROUP = 1_000

_PACKAGES = ("numpy", "pyarrow")

Bits = npt.NDArray[np.float32]


def draw_bits(spec: XorSpec, split: str, start: int, stop: int) -> list[Bits]:
    """Draw the variables of rows `start` to `stop - 1`.

    All variables but the last are independent fair bits. The last is their XOR with probability `p_hat`, else a copy of
    the first (Symile, section 5.1).

    Returns:
        V arrays (stop - start, dims) of float32, each 0 or 1.

    >>> a, b, c = draw_bits(XorSpec(), "train", 0, 4)
    >>> bool((c == (a != b)).all())
    True
    """
    return _variables(spec, Stream(spec.seed, f"xor/{split}").rows(start, stop, _draws(spec)))


def draw_bits_at(spec: XorSpec, split: str, rows: npt.NDArray[np.int64]) -> list[Bits]:
    """Draw the variables of (N,) scattered rows, equal to those of `draw_bits`."""
    return _variables(spec, Stream(spec.seed, f"xor/{split}").at(rows, _draws(spec)))


def _draws(spec: XorSpec) -> int:
    return (spec.variables - 1) * spec.dims + 1


def _variables(spec: XorSpec, uniform: npt.NDArray[np.float64]) -> list[Bits]:
    bits = (uniform[:, :-1] < 0.5).reshape(len(uniform), spec.variables - 1, spec.dims)
    exclusive = np.logical_xor.reduce(bits, axis=1)
    last = np.where(uniform[:, -1:] < spec.p_hat, exclusive, bits[:, 0])
    return [variable.astype(np.float32) for variable in (*bits.transpose(1, 0, 2), last)]


def build_xor(
    spec: XorSpec, out: Path, *, workers: int, executor: str = LOCAL, write_card: CardWriter, command: str = ""
) -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: Settings of the build.
        out: Output directory.
        workers: Worker processes; the bytes do not depend on their number.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        OutputError: the output directory is unsuitable, or the disk fails.
    """
    schema = schema_of(spec)
    identity = BuildFingerprint(dataset=XOR, spec=spec.to_json(), sources={}, versions=library_versions(_PACKAGES))

    def stages(build_dir: BuildDir, executor: Executor | None) -> Manifest:
        shards, _ = run_shards(
            build_dir,
            executor,
            spec.rows,
            ROWS_PER_SHARD,
            partial(_ShardTask, spec),
            _make_shard,
            shard_format=spec.shard_format,
        )
        splits = {split: rows for split, rows in spec.rows.items() if rows}
        return Manifest(identity=identity, modalities=schema.modalities, splits=splits, files=shards)

    return run_build(
        out, identity, schema, stages, workers=workers, executor=executor, write_card=write_card, command=command
    )


@dataclass(frozen=True)
class _ShardTask:
    spec: XorSpec
    split: str
    start: int
    stop: int


def _make_shard(task: _ShardTask, path: Path) -> dict[str, Any]:
    return {"rows": write_shard(path, schema_of(task.spec), _batches(task))}


def schema_of(spec: XorSpec) -> DatasetSchema:
    """Return the typed columns of a build."""
    return xor_schema(spec.names, spec.dims, spec.reliability)


def _batches(task: _ShardTask) -> Iterator[pa.RecordBatch]:
    schema = schema_of(task.spec).arrow
    for start in range(task.start, task.stop, ROWS_PER_GROUP):
        columns = row_columns(task.spec, task.split, start, min(start + ROWS_PER_GROUP, task.stop))
        yield pa.RecordBatch.from_arrays(
            [pa.array(columns[name], schema.field(name).type) for name in schema.names], schema=schema
        )


def row_columns(spec: XorSpec, split: str, start: int, stop: int) -> dict[str, Any]:
    """All columns of rows `start` to `stop - 1`, by name; variables as Arrow arrays of lists, with missing ones."""
    within = SplitRows.of(spec.rows, split)
    masked = split != "test" or spec.missing_test
    ids = within.sample_ids(np.arange(start, stop))
    rates = {name: spec.missing.get(name, 0.0) if masked else 0.0 for name in spec.names}
    absent = {name: missing(spec.seed, ids, name, rate) for name, rate in rates.items()}
    variables = dict(zip(spec.names, draw_bits(spec, split, start, stop), strict=True))
    affected = {name: _affect(spec, within, start, name, variables, absent[name]) for name in spec.names}
    columns: dict[str, Any] = {"sample_id": ids}
    for name, bits in variables.items():
        columns[name] = pa.FixedSizeListArray.from_arrays(
            pa.array(bits.ravel()), spec.dims, mask=pa.array(absent[name])
        )
        columns |= {f"{name}_missing": absent[name], **affected[name]}
    return columns


def _affect(
    spec: XorSpec, split: SplitRows, start: int, name: str, variables: dict[str, Bits], absent: npt.NDArray[np.bool_]
) -> dict[str, npt.NDArray[Any]]:
    """Put the values of donors, and noise, into a variable of consecutive rows; return the columns that say so."""
    if not spec.reliability.columns_of(name):
        return {}
    places = np.arange(start, start + len(absent))
    rows = spec.reliability.draw(spec.seed, split, places, name, absent)
    values, swapped = variables[name].copy(), rows.shown.misaligned
    donors = draw_bits_at(spec, split.name, rows.shown.places[swapped])
    values[swapped] = donors[spec.names.index(name)]
    level = spec.reliability.noise_level(name, VECTOR)
    values[rows.noisy] = with_flips(values[rows.noisy], spec.seed, rows.ids[rows.noisy], name, level)
    variables[name] = values
    return rows.columns(name)
