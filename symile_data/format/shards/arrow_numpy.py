"""Numbers between Arrow and numpy by their buffers.

pyarrow's own conversions (`Array.to_numpy`, `pa.array` of a numpy array, `pa.scalar`) import pandas, which costs a
process a quarter of a CPU second and 42 MB before its first batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_BITS: Final = "little"  # Arrow packs the first of eight bits into the lowest one


def is_number(kind: pa.DataType) -> bool:
    """Tell whether `numbers` takes columns of an Arrow type: integers, floats and booleans."""
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind))


def numbers(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[Any]:
    """Return the values of a column of integers, floats or booleans, as a view where that is possible.

    Where a value is null, any number stands: see `null_mask`.

    Raises:
        TypeError: the column holds something else.

    >>> numbers(pa.array([True, False])), numbers(pa.chunked_array([[1], [2, 3]])).tolist()
    (array([ True, False]), [1, 2, 3])
    """
    array = one_chunk(column)
    kind, values = array.type, array.buffers()[1]
    if pa.types.is_boolean(kind):
        return _unpacked(values, array.offset, len(array))
    if not is_number(kind):
        raise TypeError(f"{kind} is no type of numbers")
    letter = "f" if pa.types.is_floating(kind) else "i" if pa.types.is_signed_integer(kind) else "u"
    dtype = np.dtype(f"{letter}{kind.bit_width // 8}")
    if values is None:
        return np.zeros(len(array), dtype=dtype)
    return np.frombuffer(values, dtype=dtype, count=array.offset + len(array))[array.offset :]


def null_mask(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return a bool for each value, True where it is null.

    >>> null_mask(pa.array(["a", None])).tolist()
    [False, True]
    """
    array = one_chunk(column)
    if not array.null_count:
        return np.zeros(len(array), dtype=bool)
    if pa.types.is_null(array.type):
        return np.ones(len(array), dtype=bool)
    return ~_unpacked(array.buffers()[0], array.offset, len(array))


def true(column: pa.Array | pa.ChunkedArray) -> npt.NDArray[np.bool_]:
    """Return a bool for each value of a column of booleans, False where it is null.

    >>> true(pa.array([True, False, None])).tolist()
    [True, False, False]
    """
    values: npt.NDArray[np.bool_] = numbers(column) & ~null_mask(column)
    return values


def one_chunk(column: pa.Array | pa.ChunkedArray) -> pa.Array:
    """Return a column as one array, copied only if it has several chunks."""
    if isinstance(column, pa.Array):
        return column
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def arrow_int64(values: npt.NDArray[np.int64], null: npt.NDArray[np.bool_] | None = None) -> pa.Array:
    """Return (N,) int64 values as an Arrow array, null where `null` is True.

    >>> arrow_int64(np.array([4, 5]), np.array([False, True])).to_pylist()
    [4, None]
    """
    kept = np.ascontiguousarray(values, dtype=np.int64)
    valid = None if null is None else pa.py_buffer(np.packbits(~null, bitorder=_BITS))
    return pa.Array.from_buffers(pa.int64(), len(kept), [valid, pa.py_buffer(kept)])


def arrow_text(values: Sequence[str]) -> pa.StringArray:
    """Return texts as an Arrow array.

    >>> arrow_text(["flac", "λ"]).to_pylist()
    ['flac', 'λ']
    """
    encoded = [value.encode() for value in values]
    ends = np.cumsum([0, *map(len, encoded)], dtype=np.int32)
    return pa.StringArray.from_buffers(len(encoded), pa.py_buffer(ends), pa.py_buffer(b"".join(encoded)))


def _unpacked(bits: pa.Buffer | None, offset: int, length: int) -> npt.NDArray[np.bool_]:
    if bits is None:
        return np.zeros(length, dtype=bool)
    packed = np.frombuffer(bits, dtype=np.uint8)[offset // 8 : -(-(offset + length) // 8)]
    start = offset % 8
    return np.unpackbits(packed, bitorder=_BITS)[start : start + length].view(bool)
