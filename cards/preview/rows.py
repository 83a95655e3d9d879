"""Choose and read the rows of a preview: evenly spaced through a split, with every column."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest
from symile_data.format.shards import Shard
from symile_data.format.shards.arrow_numpy import is_number
from symile_data.format.shards.deduplicated import pooled_media

from ..statistics.collect import evenly_spaced, open_listed


@dataclass(frozen=True)
class Row:
    """One row of a split.

    Args:
        number: Its position in the split, from 0.
        table: All columns of this one row.
    """

    number: int
    table: pa.Table

    def value(self, column: str) -> Any:
        """Return a column's value as a Python object; a list of numbers is a numpy array with NaN for nulls."""
        scalar = self.table[column][0]
        if not scalar.is_valid:
            return None
        kind = scalar.type
        if (pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind)) and is_number(kind.value_type):
            return scalar.values.to_numpy(zero_copy_only=False)
        return scalar.as_py()

    def class_name(self, column: str, value: int) -> str:
        """Return the name of a class label's value; "" for a column of another type or a value without a name."""
        names = _class_names(self.table.schema).get(column, [])
        return names[value] if 0 <= value < len(names) else ""

    @property
    def id(self) -> int:
        """The sample's id, or the row's position where it has none."""
        return int(self.value("sample_id")) if "sample_id" in self.table.column_names else self.number


def choose_rows(directory: Path, manifest: Manifest, split: str, count: int) -> list[Row]:
    """Read at most `count` rows of a split, evenly spaced from its first. Each may need the reading of a row group.

    Raises:
        UsageError: the split does not exist.
        DamageError: a shard cannot be read.
    """
    if split not in manifest.splits:
        raise UsageError(
            "the split does not exist", where=directory, got=repr(split), do=f"choose {', '.join(manifest.splits)}"
        )
    rows: list[Row] = []
    first = 0
    wanted = evenly_spaced(manifest.splits[split], count)
    media = pooled_media(Location.of(directory), manifest, split)
    for entry in manifest.shards(split):
        here = [number for number in wanted if first <= number < first + (entry.rows or 0)]
        if here:
            rows += _rows_of(open_listed(directory, entry, media), first, here)
        first += entry.rows or 0
    return rows


def _rows_of(shard: Shard, first: int, numbers: list[int]) -> list[Row]:
    """Read some rows of one shard; `first` is the number of its first row in the split."""
    rows = []
    start = first
    for group, count in enumerate(shard.group_rows):
        stop = start + count
        here = [number for number in numbers if start <= number < stop]
        if here:
            table = shard.read(group, shard.schema.names)
            rows += [Row(number, table.slice(number - start, 1)) for number in here]
        start = stop
    return rows


@cache
def _class_names(schema: pa.Schema) -> dict[str, list[str]]:
    """Return the names of class labels by column, from the `huggingface` metadata."""
    described = json.loads((schema.metadata or {}).get(b"huggingface", b'{"info": {"features": {}}}'))
    features = described["info"]["features"].items()
    return {name: f["names"] for name, f in features if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
