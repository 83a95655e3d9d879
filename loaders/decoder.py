"""`Decoder`: what reading one kind of modality consists of. The kinds themselves are a module each, and `decode` their
table.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.schema import Modality

Array = npt.NDArray[Any]
Stored = bytes | memoryview  # a medium as it lies in a shard


class UndecodableError(Exception):
    """A stored value that is no valid medium; the loader says which shard, row and column it came from."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What a decoded value is.

    Args:
        shape: Of one value.
        dtype: In a batch; object for Python values.
        stored: In a cache, where it differs.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]


def layout_of(shape: tuple[int, ...], dtype: npt.DTypeLike, stored: npt.DTypeLike | None = None) -> Layout:
    """A layout; what a cache stores is what a batch holds unless it is said."""
    return Layout(shape=shape, dtype=np.dtype(dtype), stored=np.dtype(dtype if stored is None else stored))


def own_column(modality: Modality) -> str:
    """The column that the manifest names."""
    return modality.column


@dataclass(frozen=True, kw_only=True)
class Decoder:
    """How one kind of modality is read.

    Args:
        settings: Its settings class; without arguments it gives the defaults.
        layout: (settings, Arrow type of the column) -> shape and dtypes of one value.
        values: Column of one row group -> its raw values, indexable by row.
        decode: (raw value, settings) -> decoded value. Raises UndecodableError. Releases the GIL in its heavy parts.
        column: Which column holds the raw values.
    """

    settings: type[Any]
    layout: Callable[[Any, pa.DataType], Layout]
    values: Callable[[pa.Array], Sequence[Any] | Array]
    decode: Callable[[Any, Any], Any]
    column: Callable[[Modality], str] = own_column


class StoredMedia(Sequence[Any]):
    """The bytes of each row of a struct<bytes, path> (or plain binary) column, None where null; looked at, not copied.

    >>> bytes(StoredMedia(pa.array([b"a", None]))[0])
    b'a'
    """

    def __init__(self, column: pa.Array) -> None:
        self._payload = column.field("bytes") if pa.types.is_struct(column.type) else column

    def __len__(self) -> int:
        return len(self._payload)

    def __getitem__(self, row: Any) -> Any:
        stored = self._payload[int(row)].as_buffer()
        return None if stored is None else memoryview(stored).cast("B")  # pyarrow says signed


def fixed_lists(column: pa.Array) -> Array:
    """(rows, length) numbers of a fixed-size-list column; whatever stands in null rows, NaN for a null among floats."""
    length = column.type.list_size
    inner = column.values.slice(column.offset * length, len(column) * length)
    if inner.null_count and not pa.types.is_floating(inner.type):
        inner = inner.fill_null(0)  # numpy would take them as float64
    return np.asarray(inner.to_numpy(zero_copy_only=False)).reshape(len(column), length)
