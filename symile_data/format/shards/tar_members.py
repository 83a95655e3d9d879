"""Turn members of an untrusted tar into Arrow columns. No allocation depends on a size that a member claims, and a
member that does not fit the schema is a ValueError.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .limits import most_bytes
from .tar_layout import array_dtype, array_header

Payload = memoryview | None


@dataclass
class MemberError(ValueError):
    """A member of a row does not fit its column.

    Args:
        row: Number of the row among the rows that were given.
        problem: A clause that says what is wrong.
    """

    row: int
    problem: str


def fields_of(payloads: Sequence[Payload], schema: pa.Schema, names: Sequence[str]) -> dict[str, pa.Array]:
    """Read the named columns from the rows' JSON.

    Raises:
        MemberError: a row has no JSON, or its JSON lacks a column.
        ValueError: a column is not of its type in every row.
    """
    values: list[dict[str, Any]] = []
    for row, payload in enumerate(payloads):
        if payload is None:
            raise MemberError(row, "there is none")
        try:
            value = json.loads(bytes(payload))
            values.append({name: value[name] for name in names})
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise MemberError(row, f"{type(error).__name__}: {error}") from None
    columns = {}
    for name in names:
        try:
            columns[name] = pa.array([value[name] for value in values], schema.field(name).type)
        except (pa.ArrowException, TypeError, OverflowError) as error:
            raise ValueError(f"column {name} is not of its type in every row ({error})") from None
    return columns


def column_of(payloads: Sequence[Payload], kind: str, type_: pa.DataType) -> pa.Array:
    """Read a column that has members of its own; it is null where a member is absent.

    Args:
        payloads: Contents of each row's member, None where absent.
        kind: "media", "text" or "array"; see `symile_data.format.shards.tar_layout`.
        type_: Arrow type of the column.

    Raises:
        MemberError: a member is no value of that type.
    """
    return _COLUMNS[kind](payloads, type_)


def _media(payloads: Sequence[Payload], type_: pa.DataType) -> pa.Array:
    data = _binary(payloads)
    if not pa.types.is_struct(type_):
        return data
    others = {field.name: pa.nulls(len(payloads), field.type) for field in type_}
    return pa.StructArray.from_arrays(
        [data if field.name == "bytes" else others[field.name] for field in type_],
        fields=list(type_),
        mask=_absent(payloads),
    )


def _binary(payloads: Sequence[Payload]) -> pa.Array:
    """Copy the bytes of all rows once, into one buffer."""
    lengths = np.array([0 if payload is None else len(payload) for payload in payloads], dtype=np.int64)
    offsets = np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(lengths)])
    data = b"".join(payload for payload in payloads if payload is not None)
    present = pa.array([payload is not None for payload in payloads], pa.bool_()).buffers()[1]
    buffers = [present, pa.py_buffer(offsets), pa.py_buffer(data)]
    return pa.Array.from_buffers(pa.large_binary(), len(payloads), buffers).cast(pa.binary())


def _text(payloads: Sequence[Payload], type_: pa.DataType) -> pa.Array:
    texts: list[str | None] = []
    for row, payload in enumerate(payloads):
        try:
            texts.append(None if payload is None else bytes(payload).decode("utf-8"))
        except UnicodeDecodeError as error:
            raise MemberError(row, str(error)) from None
    return pa.array(texts, type_)


def _array(payloads: Sequence[Payload], type_: pa.DataType) -> pa.Array:
    """Read rows of numbers, in which NaN stands for a null."""
    header, dtype = array_header(type_), array_dtype(type_)
    needed = len(payloads) * type_.list_size * dtype.itemsize
    if needed > most_bytes(sum(len(payload) for payload in payloads if payload is not None)):
        raise ValueError(f"{needed} bytes for {len(payloads)} rows")
    numbers: npt.NDArray[Any] = np.zeros((len(payloads), type_.list_size), dtype=dtype)
    for row, payload in enumerate(payloads):
        if payload is None:
            continue
        if payload[: len(header)] != header or len(payload) != len(header) + type_.list_size * dtype.itemsize:
            raise MemberError(row, f"no .npy file of {type_}")
        numbers[row] = np.frombuffer(payload[len(header) :], dtype=dtype)
    null = np.isnan(numbers).ravel() if dtype.kind == "f" else np.zeros(0, dtype=bool)
    inner = pa.array(numbers.ravel(), type_.value_type, mask=null if null.any() else None)
    return pa.FixedSizeListArray.from_arrays(inner, type=type_, mask=_absent(payloads))


def _absent(payloads: Sequence[Payload]) -> pa.Array:
    return pa.array([payload is None for payload in payloads], pa.bool_())


_COLUMNS: Mapping[str, Callable[[Sequence[Payload], pa.DataType], pa.Array]] = {
    "media": _media,
    "text": _text,
    "array": _array,
}
