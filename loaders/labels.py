"""Columns that a batch delivers undecoded: integers, floats, booleans or Python objects."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import DamageError, UsageError, choose_column
from symile_data.format.shards.arrow_numpy import null_mask, numbers, one_chunk

from .split import Split

NULL_LABEL = -100  # what torch's losses ignore by default; stands for a null in an integer label

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
Column = Any  # an Arrow array or chunked array

_MOST_INT64 = (1 << 63) - 1
_NO_NULL = "truth values have no null in a batch: leave such rows out with where, or store numbers"


@dataclass(frozen=True, kw_only=True)
class Label:
    """One column that is delivered undecoded.

    Args:
        name: Name of the column.
        dtype: int64, float32, bool, or object for Python values.
        shape: Shape of one value, () unless it is a fixed-size list.
        blanked_by: Indices of the modalities without which this value is blanked too.
    """

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    blanked_by: tuple[int, ...]

    @property
    def null(self) -> Any:
        """The value that stands for a null; a mask then says that everything is missing."""
        return {"i": NULL_LABEL, "f": np.nan, "O": None, "b": True}[self.dtype.kind]


def label_of(split: Split, name: str) -> Label:
    """Describe how a column is delivered.

    Raises:
        UsageError: the split has no column of this name.
    """
    if name not in split.columns:
        raise UsageError("`columns` names no column", got=name, do=choose_column(name, split.columns))
    masks = {index: (item.mask, f"{item.name}_missing") for index, item in enumerate(split.modalities)}
    blanked_by = tuple(
        index for index, item in enumerate(split.modalities) if name in (*item.null_columns, item.column, *masks[index])
    )
    is_mask = any(name in masks[index] for index in blanked_by)
    kind = split.schema.field(name).type
    shape: tuple[int, ...] = ()
    if pa.types.is_fixed_size_list(kind):
        shape, kind = (kind.list_size,), kind.value_type
    dtype: npt.DTypeLike = object
    if pa.types.is_integer(kind):
        dtype = np.int64
    elif pa.types.is_floating(kind):
        dtype = np.float32
    elif pa.types.is_boolean(kind) and (is_mask or not blanked_by):
        dtype = np.bool_
    return Label(name=name, dtype=np.dtype(dtype), shape=() if dtype is object else shape, blanked_by=blanked_by)


def label_values(split: Split, label: Label, table: pa.Table, missing: BoolArray, first_row: int) -> Array:
    """Read the values of one label column, blanked where their modality is missing.

    Args:
        split: The split of the table.
        label: The column.
        table: Consecutive rows of the split.
        missing: (rows, M).
        first_row: Number of the table's first row in the split, for messages.

    Returns:
        (rows, ...) values of the label's dtype.

    Raises:
        DamageError: a value is null and its dtype has no null, or an integer does not fit into int64.
    """
    column = one_chunk(table[label.name])
    if label.dtype == object:
        values = _wrapped(column.to_pylist())
    else:
        inner = _inner(column, label)
        per_row = int(np.prod(label.shape))
        if label.dtype.kind == "b":
            check_no_nulls(split, label.name, column, first_row, do=_NO_NULL)
            check_no_nulls(split, label.name, inner, first_row, per_row, do=_NO_NULL)
        elif label.dtype.kind == "i":
            inner = as_int64(split, label.name, inner, first_row, per_row)
        values = _numbers(inner, column, label)
    if label.blanked_by:
        values[missing[:, label.blanked_by].any(axis=1)] = label.null
    return values


def check_no_nulls(
    split: Split, name: str, values: Column, first_row: int, per_row: int = 1, do: str | None = None
) -> None:
    """Refuse nulls in a column whose dtype has none.

    Args:
        split: The split of the values, for messages.
        name: Name of their column.
        values: Values of consecutive rows.
        first_row: Number of their first row in the split.
        per_row: Values in each row.
        do: Advice, for columns that may be null.

    Raises:
        DamageError: a value is null; the message names the first such row.
    """
    if values.null_count:
        row = int(np.flatnonzero(null_mask(values))[0]) // per_row
        raise DamageError(f"{name} is null", where=split.place(first_row + row), do=do)


def as_int64(split: Split, name: str, values: Column, first_row: int, per_row: int = 1) -> Column:
    """Cast integers of any width to int64; see `check_no_nulls` for the arguments.

    Raises:
        DamageError: a value (of type uint64) is too large; the message names the first such row.
    """
    if pa.types.is_uint64(values.type):
        large = (numbers(values) > _MOST_INT64) & ~null_mask(values)
        if large.any():
            at = int(np.flatnonzero(large)[0])
            where = split.place(first_row + at // per_row)
            raise DamageError(f"{name} does not fit into int64", where=where, got=values[at].as_py())
    return values if values.type == pa.int64() else values.cast(pa.int64())  # a cast imports pyarrow.compute


def _wrapped(values: list[Any]) -> Array:
    """Make an object array of the elements of a list, which may be lists themselves."""
    array = np.empty(len(values), dtype=object)
    for index, value in enumerate(values):
        array[index] = value
    return array


def _inner(column: pa.Array, label: Label) -> pa.Array:
    """Return the numbers of a column of fixed-size lists, row after row; a column of numbers is returned as it is."""
    if not label.shape:
        return column
    return column.values.slice(column.offset * label.shape[0], len(column) * label.shape[0])


def _numbers(inner: pa.Array, column: pa.Array, label: Label) -> Array:
    with np.errstate(over="ignore"):  # a float64 beyond float32 is infinite
        values: Array = numbers(inner).astype(label.dtype)
    if label.dtype.kind != "b":
        values[null_mask(inner)] = label.null
    values = values.reshape(-1, *label.shape)
    if label.shape and label.dtype.kind != "b":
        values[null_mask(column)] = label.null
    return values
