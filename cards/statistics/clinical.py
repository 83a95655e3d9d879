"""Extra card statistics for clinical datasets: the selection of the cohort, the times of events, and the tests made.
`suppression` removes the counts that must not be published.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema

from ..descriptions import Description
from .collect import Statistics, batches_of, open_listed, used_splits

BIN_HOURS = 3


def clinical_statistics(
    directory: Path, manifest: Manifest, schema: DatasetSchema, description: Description
) -> Statistics:
    """Count the statistics `funnel` (the cohort flow), `hours` and `measured`, where the dataset has the columns.

    Raises:
        DamageError: a shard cannot be read.
    """
    statistics: Statistics = {}
    if manifest.cohort_flow:
        statistics["funnel"] = [{"rule": step.rule, "count": step.count} for step in manifest.cohort_flow]
    hours = [name for name in description.hours if name in schema.features]
    tests = next((modality for modality in schema.modalities if "items" in modality.details), None)
    if not hours and tests is None:
        return statistics
    tested = [tests.column] if tests else []
    columns = list(dict.fromkeys([*hours, *tested]))
    binned = {name: np.zeros(0, dtype=np.int64) for name in hours}
    starts = dict.fromkeys(hours, 0)
    measured: dict[str, npt.NDArray[np.int64]] = {}
    for split, batch in _batches(directory, manifest, columns):
        for name in hours:
            starts[name], binned[name] = _add_bins(starts[name], binned[name], batch[name])
        if tests is not None:
            counts = _present(batch[tests.column])
            measured[split] = measured.get(split, np.zeros(len(counts), dtype=np.int64)) + counts
    statistics["hours"] = {
        name: {"first_bin": starts[name], "bin": BIN_HOURS, "counts": binned[name].tolist()} for name in hours
    }
    if tests is not None:
        names = [item["name"] for item in tests.details["items"]]
        statistics["measured"] = {
            split: dict(zip(names, counts.tolist(), strict=True)) for split, counts in measured.items()
        }
    return statistics


def _batches(directory: Path, manifest: Manifest, columns: list[str]) -> Iterator[tuple[str, pa.RecordBatch]]:
    for split in used_splits(manifest):
        for entry in manifest.shards(split):
            for batch in batches_of(open_listed(directory, entry), columns):
                yield split, batch


def _add_bins(start: int, counts: npt.NDArray[np.int64], column: pa.Array) -> tuple[int, npt.NDArray[np.int64]]:
    """Count hours in bins of `BIN_HOURS` from `start` on, which is lowered as needed. Each bin includes its end that is
    farther from admission, so that the closed ends of a window need no extra bins.
    """
    numbers = column.flatten() if pa.types.is_fixed_size_list(column.type) else column
    values = pc.drop_null(numbers).to_numpy(zero_copy_only=False)
    if not len(values):
        return start, counts
    scaled = values / BIN_HOURS
    bins = np.where(scaled > 0, np.ceil(scaled) - 1, np.floor(scaled)).astype(np.int64)
    first = int(bins.min()) if not len(counts) else min(int(bins.min()), start // BIN_HOURS)
    last = max(int(bins.max()), start // BIN_HOURS + len(counts) - 1 if len(counts) else int(bins.max()))
    merged = np.bincount(bins - first, minlength=last - first + 1)
    if len(counts):
        offset = start // BIN_HOURS - first
        merged[offset : offset + len(counts)] += counts
    return first * BIN_HOURS, merged


def _present(column: pa.Array) -> npt.NDArray[np.int64]:
    """Return the (places,) int64 numbers of rows that have a number in each place of a fixed-size list."""
    width = column.type.list_size
    present = pc.is_valid(pc.drop_null(column).flatten()).to_numpy(zero_copy_only=False)
    counts: npt.NDArray[np.int64] = present.reshape(-1, width).sum(axis=0, dtype=np.int64)
    return counts
