"""The interface of decoders. Each kind of modality has its own module, and the package `decoders` holds their table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.schema import Modality
from symile_data.format.shards.arrow_numpy import null_mask, numbers
from symile_data.format.shards.pages.media import StoredValues

from ..discover.columns import holds_files

Array = npt.NDArray[Any]
Stored = bytes | memoryview  # an image or audio file as the shard holds it

NO_BYTES = "there are no bytes, at most the path of a file"


class UndecodableError(Exception):
    """Raised for a stored value that cannot be decoded; the loader adds its shard, row and column."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Shape and dtypes of decoded values.

    Args:
        shape: Shape of one value.
        dtype: Dtype in a batch; object for Python values.
        stored: Dtype in a cache.
    """

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stored: np.dtype[Any]


def layout_of(shape: tuple[int, ...], dtype: npt.DTypeLike, stored: npt.DTypeLike | None = None) -> Layout:
    """Make a layout; the dtype in a cache is that of a batch unless `stored` is given."""
    return Layout(shape=shape, dtype=np.dtype(dtype), stored=np.dtype(dtype if stored is None else stored))


def check_files(kind: pa.DataType) -> None:
    """Refuse a column that does not hold whole files.

    Raises:
        UsageError: the column has another type, which the message names.
    """
    if not holds_files(kind):
        raise UsageError("a column of images or audio must hold the bytes of files", got=kind)


def own_column(modality: Modality) -> str:
    """Return the column that the manifest names for a modality."""
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
        batched: Whether `decode` takes (rows, ...) raw values at once as well, and never fails.
    """

    settings: type[Any]
    layout: Callable[[Any, pa.DataType], Layout]
    values: Callable[[pa.Array], Sequence[Any] | Array]
    decode: Callable[[Any, Any], Any]
    column: Callable[[Modality], str] = own_column
    batched: bool = False


class StoredMedia(Sequence[Any]):
    """The bytes of each row of a struct<bytes, path> or binary column, as views without a copy. A row without bytes
    raises UndecodableError.

    >>> bytes(StoredMedia(pa.array([b"a", None]))[0])
    b'a'
    """

    def __init__(self, column: pa.Array) -> None:
        self._payload = column.field("bytes") if pa.types.is_struct(column.type) else column

    def __len__(self) -> int:
        return len(self._payload)

    @property
    def nbytes(self) -> int:
        """The bytes of all values together, as `MediaInFile` counts them."""
        import pyarrow.compute as pc

        return int(pc.sum(pc.binary_length(self._payload)).as_py() or 0)

    def __getitem__(self, row: Any) -> Any:
        stored = self._payload[int(row)].as_buffer()
        if stored is None:
            raise UndecodableError(NO_BYTES)
        return memoryview(stored).cast("B")  # pyarrow gives signed bytes


class MediaInFile(Sequence[Any]):
    """The bytes of each row as `StoredMedia` gives them, but read from the shard when they are asked for."""

    def __init__(self, values: StoredValues) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values.starts)

    @property
    def nbytes(self) -> int:
        """The bytes of all values together."""
        return self._values.size

    def __getitem__(self, row: Any) -> Any:
        (stored,) = self.read([int(row)])
        if stored is None:
            raise UndecodableError(NO_BYTES)
        return stored

    def read(self, rows: Sequence[int]) -> list[Any]:
        """Read the bytes of some rows at once, for less than one by one; None where there are none."""
        return self._values.read(rows)


def fixed_lists(column: pa.Array) -> Array:
    """Return the (rows, length) numbers of fixed-size lists.

    A null in a row is NaN, for which whole numbers become float64. A null row is NaN if the numbers are floats, and
    holds any values otherwise.
    """
    length = column.type.list_size
    inner = column.values.slice(column.offset * length, len(column) * length)
    values = numbers(inner).reshape(len(column), length)
    null, absent = null_mask(inner).reshape(len(column), length), null_mask(column)[:, None]
    null = null | absent if values.dtype.kind == "f" else null & ~absent
    return np.where(null, np.nan, values) if null.any() else values
