"""Refuse what `write_dataset` cannot write before anything is written: tables, names, specs and rows of other kinds."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sized
from typing import Any

from symile_data.datasets import BUNDLED
from symile_data.errors import SourceError, UsageError
from symile_data.format import feature_sets
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import check_format
from symile_data.format.shards.tar_layout import check_suffixes

_MOST_SPLIT_BYTES = 200  # file systems take names of 255 bytes, and a number and an ending follow
_TAKEN_SPLITS = ("all",)  # `datasets` means all splits together by it


def check_arguments(schema: object, splits: object, spec: object, name: object, shard_format: str) -> None:
    """Refuse arguments of other types, and names that are taken.

    Raises:
        SourceError: a split has no rows.
        UsageError: the schema is none, the splits or the spec are no tables, a split has no rows that one could ask
            for or a name that it cannot have, JSON cannot hold the spec, or the format cannot hold the columns.
    """
    if not isinstance(schema, DatasetSchema):
        raise UsageError("`schema` is not a schema", got=_kind(schema), do="make it of your features with own_schema")
    if not isinstance(splits, Mapping):
        do = 'write it like {"train": rows, "test": more_rows}'
        raise UsageError("`splits` is a table of names and rows", got=_kind(splits), do=do)
    _check_splits(splits)
    if not isinstance(spec, Mapping):
        raise UsageError("`spec` is a table of settings", got=_kind(spec), do='write it like {"version": 1}')
    _check_spec(spec, shard_format)
    check_format(shard_format)
    if shard_format == "webdataset":
        check_suffixes(schema.arrow, schema.modalities)
    if name == "":
        raise UsageError("`name` is an empty text", do="name the dataset, for its manifest and card")
    if name in (*BUNDLED, feature_sets.DATASET):
        raise UsageError(
            "`name` is that of a dataset of this package, whose card and rules do not hold for your rows",
            got=repr(name),
            do="choose another name",
        )
    for split, rows in splits.items():
        if isinstance(rows, Sized) and not len(rows):
            raise no_rows(split)


def no_rows(split: str) -> SourceError:
    """Return the error for a split without rows."""
    return SourceError("a split has no rows", where=split, do="leave it out")


def check_row(row: object, where: str) -> None:
    """Refuse a row that is no dictionary, such as those of a pandas or Arrow table.

    Raises:
        SourceError: the message names the row.
    """
    if not isinstance(row, Mapping):
        raise SourceError(
            "a row is not a dictionary of columns",
            where=where,
            got=_kind(row),
            do='of a table, give to_dict("records") (pandas) or to_pylist() (Arrow)',
        )


def _check_splits(splits: Mapping[Any, Any]) -> None:
    if not splits:
        raise UsageError("`splits` names no split", do='write it like {"train": rows, "test": more_rows}')
    for name, rows in splits.items():
        if not isinstance(name, str) or not name.isidentifier() or len(name.encode()) > _MOST_SPLIT_BYTES:
            raise UsageError(
                "a split's name is letters, digits and _",
                got=_shortened(repr(name)),
                do="call it like train, validation or test_2",
            )
        if name in _TAKEN_SPLITS:
            raise UsageError(
                "`load_dataset` means all splits together by this name", got=repr(name), do="rename the split"
            )
        if not isinstance(rows, Iterable) and not hasattr(rows, "__getitem__"):
            raise UsageError(
                f"the rows of split {name} cannot be gone through",
                got=_kind(rows),
                do="give a list, a generator or a dataset; call a function that makes one",
            )


def _check_spec(spec: Mapping[Any, Any], shard_format: str) -> None:
    try:
        json.dumps(spec, allow_nan=False, ensure_ascii=False).encode()
    except (TypeError, ValueError, RecursionError) as error:
        do = "give texts, numbers, lists and tables"
        raise UsageError("`spec` holds a value that JSON cannot", got=error, do=do) from None
    for key in spec:
        if not isinstance(key, str):
            raise UsageError("the names in `spec` are texts", got=repr(key), do='write it like {"version": 1}')
    if spec.get("format", shard_format) != shard_format:
        raise UsageError(
            "`spec` has a format of its own, which stands for that of the shards",
            got=repr(spec["format"]),
            do="call it otherwise, and give `shard_format`",
        )


def _kind(value: object) -> str:
    return f"a value of type {type(value).__name__}"


def _shortened(text: str) -> str:
    """Cut a text that is long.

    >>> _shortened("a" * 90)
    'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...'
    """
    return text if len(text) <= 80 else f"{text[:80]}..."
