"""Check the values of a row: each is stored exactly as it was given, or refused.

pyarrow alone would change values silently: it cuts 1.9 to 1, turns 1e300 into an infinite float32 and True into 1.0,
and drops keys that a struct lacks.
"""

from __future__ import annotations

import reprlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.shards.arrow_numpy import is_number

from .encoded_media import UnfitValueError, audio_file, image_file, stored_file

Store = Callable[[Any], Any]  # a given value that is not None -> the value for Arrow; raises UnfitValueError

_PLAIN = str | bytes | int | float | np.generic
_FILES = {"Image": ("an image", image_file), "Audio": ("audio", audio_file)}


def stores_of(features: Mapping[str, Any]) -> dict[str, Store]:
    """Return the function that checks and converts the values of each column.

    Args:
        features: Column -> its type from `datasets`.
    """
    return {name: _store(feature) for name, feature in features.items()}


def described(feature: Any) -> str:
    """Name the type of a column's values, for messages."""
    kind = type(feature).__name__
    if hasattr(feature, "shape"):  # Array2D and the like, whose Arrow type has a long name
        return f"{kind} of shape {feature.shape}"
    return _FILES[kind][0] if kind in _FILES else str(_arrow_type(feature))


def stored(store: Store, value: Any) -> Any:
    """Convert a value for Arrow; None stays None.

    Raises:
        UnfitValueError: the column cannot hold the value exactly.
    """
    return None if value is None else store(value)


def shown(value: object) -> str:
    """Shorten a value for a message, without memory addresses."""
    return (
        reprlib.repr(value) if value is None or isinstance(value, _PLAIN) else f"a value of type {type(value).__name__}"
    )


def count_non_finite(column: pa.Array) -> int:
    """Count the NaN and infinite numbers of a column, also within lists and structs."""
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        return count_non_finite(column.storage)
    if pa.types.is_floating(kind):
        finite = pc.is_finite(column.cast(pa.float64()))
        return int(len(finite) - finite.null_count - (pc.sum(finite).as_py() or 0))
    if pa.types.is_struct(kind):
        return sum(count_non_finite(part) for part in column.flatten())
    if pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind):
        return count_non_finite(column.flatten())
    return 0


def _arrow_type(feature: Any) -> pa.DataType:
    from datasets import Features

    return Features({"value": feature}).arrow_schema.field("value").type


def _store(feature: Any) -> Store:
    from datasets import ClassLabel, LargeList, List

    kind = type(feature).__name__
    if kind in _FILES:
        return _FILES[kind][1]
    if isinstance(feature, ClassLabel):
        return partial(_class, feature.num_classes)
    if isinstance(feature, List | LargeList):
        inner = feature.feature
        numbers = not isinstance(inner, ClassLabel | Mapping) and is_number(_arrow_type(inner))
        return partial(_numbers, _arrow_type(inner)) if numbers else partial(_list, _store(inner))
    if isinstance(feature, Mapping):
        return partial(_struct, stores_of(feature))
    return _store_of_type(_arrow_type(feature))


def _store_of_type(kind: pa.DataType) -> Store:
    if isinstance(kind, pa.BaseExtensionType):  # such as Array2D
        return partial(_shaped, tuple(kind.shape), _store_of_type(kind.storage_type))
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        inner = kind.value_type
        return partial(_numbers, inner) if is_number(inner) else partial(_list, _store_of_type(inner))
    if pa.types.is_struct(kind):
        fields = {field.name: field.type for field in kind}
        if set(fields) == {"bytes", "path"}:  # a file that is neither Image nor Audio
            return stored_file
        return partial(_struct, {name: _store_of_type(inner) for name, inner in fields.items()})
    if is_number(kind):
        return partial(_number, kind)
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return _text
    if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
        return _binary
    return partial(_same, kind)


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise UnfitValueError(shown(value))
    return value


def _binary(value: Any) -> bytes:
    if not isinstance(value, bytes | bytearray | memoryview):
        raise UnfitValueError(shown(value))
    return bytes(value)


def _class(classes: int | None, value: Any) -> Any:
    _number(pa.int64(), value)
    if classes is not None and not -1 <= value < classes:  # -1 is how `datasets` writes an unknown class
        raise UnfitValueError(f"{value}; there are {classes} classes, from 0 on")
    return value


def _number(kind: pa.DataType, value: Any) -> Any:
    if not _fits(type(value), kind):
        plain = isinstance(value, _PLAIN) or not hasattr(value, "item")
        raise UnfitValueError(shown(value) if plain else f"{shown(value)}; give a number, as value.item() does")
    _check_range([value], kind)
    return value


def _numbers(kind: pa.DataType, value: Any) -> Any:
    """Check a list of numbers, which may contain None, or a one-dimensional array."""
    if not isinstance(value, np.ndarray) or value.dtype == object or isinstance(value, np.ma.MaskedArray):
        items = _items(value)
        _check_types(set(map(type, items)), kind)
        _check_range([item for item in items if item is not None], kind)
        return items
    if value.ndim != 1:
        raise UnfitValueError(f"an array of shape {value.shape}")
    _check_types([value.dtype.type], kind)
    _check_range(value, kind)
    return value.astype(value.dtype.newbyteorder("="), copy=False)


def _check_types(types: Iterable[type], kind: pa.DataType) -> None:
    for given in types:
        if given is not type(None) and not _fits(given, kind):
            raise UnfitValueError(f"values of type {given.__name__}")


def _fits(given: type, kind: pa.DataType) -> bool:
    """Tell whether a column takes a type of number: integer columns take neither floats nor booleans.

    >>> [_fits(given, pa.int8()) for given in (int, np.uint64, float, bool)], _fits(int, pa.float32())
    ([True, True, False, False], True)
    """
    if issubclass(given, bool | np.bool_):
        return bool(pa.types.is_boolean(kind))
    if pa.types.is_floating(kind):
        return issubclass(given, int | float | np.integer | np.floating)
    return bool(pa.types.is_integer(kind)) and issubclass(given, int | np.integer)


def _check_range(numbers: Any, kind: pa.DataType) -> None:
    """Refuse finite numbers that overflow a narrower float; Arrow itself refuses integers out of range."""
    if pa.types.is_floating(kind) and kind != pa.float64():
        given = np.asarray(numbers, dtype=np.float64)
        with np.errstate(over="ignore"):
            narrowed = given.astype(kind.to_pandas_dtype())
        lost = np.isfinite(given) & ~np.isfinite(narrowed)
        if lost.any():
            raise UnfitValueError(f"{given[lost][0]}, which is beyond its range")


def _list(store: Store, value: Any) -> list[Any]:
    return [stored(store, item) for item in _items(value)]


def _items(value: Any) -> Sequence[Any]:
    if isinstance(value, np.ma.MaskedArray):
        return value.tolist()  # type: ignore[no-any-return]  # None where masked
    if isinstance(value, np.ndarray) and value.ndim:
        return list(value)
    if not isinstance(value, Sequence) or isinstance(value, str | bytes | bytearray | memoryview):
        given = shown(value)
        raise UnfitValueError(f"{given}; give a list or an array, as numpy() of a tensor and to_numpy() of a table do")
    return value


def _shaped(shape: Sequence[int | None], store: Store, value: Any) -> Any:
    """Check a value of `Array2D` and the like: `datasets` would read its numbers in this shape, whatever theirs is."""
    _check_shape(shape, value)
    return store(value)


def _check_shape(shape: Sequence[int | None], value: Any) -> None:
    items = _items(value)
    if shape[0] not in (None, len(items)):
        raise UnfitValueError(f"{len(items)} values in a dimension of {shape[0]}")
    if len(shape) > 1:
        for item in items:
            _check_shape(shape[1:], item)
    elif any(item is None for item in items):
        raise UnfitValueError("None among its numbers, which `datasets` cannot read")


def _struct(stores: Mapping[str, Store], value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise UnfitValueError(f"{shown(value)}; give a dictionary")
    unknown = [key for key in value if key not in stores]
    if unknown:
        raise UnfitValueError(f"an unknown key {unknown[0]!r}; there are {', '.join(stores)}")
    return {name: stored(store, value.get(name)) for name, store in stores.items()}


def _same(kind: pa.DataType, value: Any) -> Any:
    """Accept times, decimals and other values that read back equal."""
    if pa.scalar(value, kind).as_py() != value:
        raise UnfitValueError(f"{reprlib.repr(value)}, which it cannot hold exactly")
    return value
