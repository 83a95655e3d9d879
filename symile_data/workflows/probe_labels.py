"""The labels that `symile-data probe` predicts: which columns of a dataset are labels, and their values as numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.pid import design_of
from symile_data.datasets.pid.design import Design, symbol_column
from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.reliability import Reliability

if TYPE_CHECKING:
    from .training_data import TrainingData

NULL = -1  # the number of a row without a label
MOST_CLASSES = 1_000  # of a column that is probed without being asked for
FEWEST_ROWS = 5  # training rows for each class of such a column, on average

_LONGEST_VECTOR = 64  # numbers of a vector whose value may be a label, as XOR's bits

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Labels:
    """The labels of the rows that have every modality.

    Args:
        values: Column -> split -> (N,) int64 class numbers, `NULL` for a row without a label.
        left_out: Column that could be a label and is not probed -> the reason.
    """

    values: Mapping[str, Mapping[str, IntArray]]
    left_out: Mapping[str, str]


def design_in(data: TrainingData) -> Design | None:
    """Return the design of PID data whose rows follow it exactly; None for other data and for unreliable modalities."""
    spec = data.manifest.identity.spec
    if not isinstance(spec.get("design"), dict) or Reliability.of(spec).to_json():
        return None
    return design_of(spec["design"])


def read_labels(data: TrainingData, ids: Mapping[str, IntArray], asked: Sequence[str] = ()) -> Labels:
    """Read the labels of some rows.

    Without `asked`, these columns are labels: of PID data every symbol and whether each relation holds; of other data
    every column of integers, booleans or texts that belongs to no modality, and the value of a short vector (XOR's
    bits). Left out are columns with one value, with more values than can be learned (`MOST_CLASSES`, `FEWEST_ROWS`),
    and those that say the same as an earlier one.

    Args:
        data: The dataset.
        ids: Split -> (N,) sample ids of the rows.
        asked: Columns to probe, in place of all.

    Raises:
        UsageError: a column of `asked` does not exist or has one value, or there is no label at all.
    """
    there = data.split("train").columns
    for column in asked:
        if column not in there:
            raise UsageError("the dataset has no such column", got=column, do=f"it has {', '.join(there)}")
    found: dict[str, dict[str, IntArray]] = {}
    left_out: dict[str, str] = {}
    same: dict[bytes, str] = {}
    for column in dict.fromkeys(asked or _label_columns(data)):
        values = _numbers(data, column, ids)
        known = values["train"][values["train"] != NULL]
        classes = len(np.unique(known))
        key = np.concatenate([values[split] for split in SPLITS]).tobytes()
        reason = ""
        if classes < 2:
            reason = f"{classes} values in the training rows"
        elif not asked and (classes > MOST_CLASSES or classes * FEWEST_ROWS > len(known)):
            reason = f"{classes:,} values in {len(known):,} training rows"
        elif not asked and key in same:
            reason = f"the same as {same[key]}"
        if reason and asked:
            raise UsageError("a label to probe needs two values at least", got=f"{column} with {reason}")
        if reason:
            left_out[column] = reason
            continue
        same[key] = column
        found[column] = values
    if not found:
        raise UsageError("the dataset has no label to probe", where=data.directory, do="name a column with `labels`")
    return Labels(values=found, left_out=left_out)


def _label_columns(data: TrainingData) -> list[str]:
    manifest, schema = data.manifest, data.split("train").schema
    spec = manifest.identity.spec
    if isinstance(spec.get("design"), dict):
        design = design_of(spec["design"])
        symbols = [symbol_column(name, block) for name in design.names for block in design.scoped(name)]
        return [*symbols, *(f"{block.name}_holds" for block in design.blocks)]
    reliability = Reliability.of(spec)
    taken = {"sample_id"}
    for modality in manifest.modalities:
        taken |= {modality.column, modality.mask, *modality.null_columns, *([modality.id_column or modality.column])}
        taken |= set(reliability.columns_of(modality.name))
    columns = [field.name for field in schema if field.name not in taken and _is_scalar(field.type)]
    vectors = [modality.column for modality in manifest.modalities if modality.kind == "vector"]
    return [*columns, *(name for name in vectors if _is_short(schema.field(name).type))]


def _is_scalar(kind: Any) -> bool:
    tests = (pa.types.is_integer, pa.types.is_boolean, pa.types.is_string, pa.types.is_large_string)
    return any(test(kind) for test in tests)


def _is_short(kind: Any) -> bool:
    return bool(pa.types.is_fixed_size_list(kind) and kind.list_size <= _LONGEST_VECTOR)


def _numbers(data: TrainingData, column: str, ids: Mapping[str, IntArray]) -> dict[str, IntArray]:
    """Number the values of a column in the order of their first rows, over all splits, and select rows by their ids."""
    selected = [_column(data, column, split, ids[split]) for split in SPLITS]
    values = pa.chunked_array([chunk for part in selected for chunk in part.chunks], type=selected[0].type)
    if pa.types.is_list(values.type) or pa.types.is_fixed_size_list(values.type):
        values = pa.chunked_array([pa.array([None if row is None else repr(row) for row in values.to_pylist()])])
    encoded = values.combine_chunks().dictionary_encode()
    encoded = encoded.combine_chunks() if isinstance(encoded, pa.ChunkedArray) else encoded
    numbers = pc.fill_null(encoded.indices, NULL).to_numpy(zero_copy_only=False).astype(np.int64)
    ends = np.cumsum([len(part) for part in selected])[:-1]
    return dict(zip(SPLITS, np.split(numbers, ends), strict=True))


def _column(data: TrainingData, column: str, split: str, ids: IntArray) -> Any:
    opened = data.split(split)
    named = "sample_id" in opened.columns
    table = opened.read_all([column, *(["sample_id"] if named else [])])
    there = table["sample_id"].to_numpy() if named else np.arange(opened.rows)
    order = np.argsort(there, kind="stable")
    return table[column].take(pa.array(order[np.searchsorted(there, ids, sorter=order)]))
