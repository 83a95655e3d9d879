"""Count a split's small columns batch by batch: masks, labels, ids, short vectors, words."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.schema import DatasetSchema

from ..descriptions import Description
from .word_counts import WordCounts

LONGEST_VECTOR = 256  # longer lists are signals, of which a mean says nothing

_COMPACT_AT = 1 << 20  # ids that are collected before duplicates are removed


@dataclass(frozen=True)
class SmallColumns:
    """The columns that are read in full, by the kind of count."""

    masks: tuple[str, ...]
    categories: tuple[str, ...]
    identifiers: tuple[str, ...]
    vectors: tuple[str, ...]
    words: bool

    @classmethod
    def of(cls, schema: DatasetSchema, description: Description) -> SmallColumns:
        """Choose the small columns of a dataset by their types and names."""
        from datasets import ClassLabel, List, Value

        masks = tuple(modality.mask for modality in schema.modalities if modality.mask in schema.features)
        categories, identifiers, vectors = [], [], []
        for name, feature in schema.features.items():
            dtype = feature.dtype if isinstance(feature, Value) else ""
            if (
                isinstance(feature, ClassLabel)
                or name in description.categories
                or (dtype in ("bool", "int8") and name not in masks)
            ):
                categories.append(name)
            elif name.endswith("_id") and name != "sample_id" and dtype in ("string", "int64", "int32"):
                identifiers.append(name)
            elif name in description.plain_lists:
                continue
            elif isinstance(feature, List) and 0 < feature.length <= LONGEST_VECTOR and _is_number(feature.feature):
                vectors.append(name)
        words = "words" in schema.features and "lang" in schema.features
        return cls(masks, tuple(categories), tuple(identifiers), tuple(vectors), words)

    @property
    def names(self) -> list[str]:
        """Names of all columns that are read."""
        words = ["words", "lang"] if self.words else []
        return list(dict.fromkeys([*self.masks, *self.categories, *self.identifiers, *self.vectors, *words]))


class ColumnCounts:
    """Counts of one split, collected batch by batch."""

    def __init__(self, columns: SmallColumns, schema: DatasetSchema) -> None:
        self._columns = columns
        self._features = schema.features
        self._modalities = {modality.mask: modality.name for modality in schema.modalities}
        self._patterns = np.zeros(1 << len(columns.masks), dtype=np.int64)
        self._counts: dict[str, Counter[Any]] = {name: Counter() for name in columns.categories}
        self.ids = {name: _Distinct(schema.arrow.field(name).type) for name in columns.identifiers}
        self.vectors = {name: _Vector() for name in columns.vectors}
        self.words = WordCounts()

    def add(self, batch: pa.RecordBatch) -> None:
        """Count one batch of rows."""
        code = np.zeros(len(batch), dtype=np.int64)
        for bit, mask in enumerate(self._columns.masks):
            code |= pc.fill_null(batch[mask], True).to_numpy(zero_copy_only=False).astype(np.int64) << bit
        self._patterns += np.bincount(code, minlength=len(self._patterns))
        for name, counts in self._counts.items():
            for entry in pc.value_counts(batch[name]).to_pylist():
                counts[entry["values"]] += entry["counts"]
        for name, distinct in self.ids.items():
            distinct.add(batch[name])
        for name, vector in self.vectors.items():
            vector.add(batch[name])
        if self._columns.words:
            self.words.add(batch)

    def missing(self) -> dict[str, Any]:
        """Return the fraction of rows without each modality, and the rows by the set of missing modalities ("" for
        none).
        """
        names = [self._modalities[mask] for mask in self._columns.masks]
        rows = max(int(self._patterns.sum()), 1)
        present = {
            "+".join(name for bit, name in enumerate(names) if code >> bit & 1): int(count)
            for code, count in enumerate(self._patterns)
            if count
        }
        rates = {
            name: round(sum(int(n) for code, n in enumerate(self._patterns) if code >> bit & 1) / rows, 6)
            for bit, name in enumerate(names)
        }
        return {"rates": rates, "patterns": present}

    def categories(self, name: str) -> dict[str, int]:
        """Return value -> rows, in the order of the classes or of the values' names; null is "null"."""
        from datasets import ClassLabel

        feature = self._features[name]
        counts = self._counts[name]
        if isinstance(feature, ClassLabel):
            known = {
                feature.names[value]: counts[value] for value in sorted(v for v in counts if v is not None and v >= 0)
            }
        else:
            known = {str(value): counts[value] for value in sorted(v for v in counts if v is not None)}
        absent = counts[None] + (counts[-1] if isinstance(feature, ClassLabel) else 0)
        return {**known, "null": absent} if absent else known


class _Distinct:
    """The distinct non-null values of a column. Memory grows with them and not with the rows."""

    def __init__(self, kind: pa.DataType) -> None:
        self._kind = kind
        self._arrays: list[pa.Array] = []
        self._pending = 0

    def add(self, array: pa.Array) -> None:
        self._arrays.append(pc.unique(pc.drop_null(array)))
        self._pending += len(self._arrays[-1])
        if self._pending > _COMPACT_AT:
            self._arrays, self._pending = [self.values()], 0

    def values(self) -> pa.Array:
        return pc.unique(pa.chunked_array(self._arrays, self._kind))


def shared_identifiers(values: Mapping[str, pa.Array]) -> dict[str, Any]:
    """Count the distinct ids of each split, and those that each pair of splits has in common."""
    shared = {
        f"{one}+{other}": int(pc.sum(pc.is_in(values[other], value_set=values[one])).as_py() or 0)
        for one, other in combinations(values, 2)
    }
    return {"distinct": {split: len(array) for split, array in values.items()}, "shared": shared}


@dataclass
class _Vector:
    """The mean of a column of short lists, its fraction of nulls, and its numbers that are not finite."""

    rows: int = 0
    total: float = 0.0
    numbers: int = 0
    nulls: int = 0
    non_finite: int = 0

    def add(self, array: pa.Array) -> None:
        present = pc.drop_null(array)
        numbers = pc.cast(present.flatten(), pa.float64())
        self.rows += len(present)
        self.nulls += numbers.null_count
        self.numbers += len(numbers) - numbers.null_count
        self.non_finite += int(pc.sum(pc.invert(pc.is_finite(numbers))).as_py() or 0)
        self.total += float(pc.sum(numbers).as_py() or 0.0)

    def summary(self) -> dict[str, Any]:
        """Return the number of rows with a list, the mean of the numbers, and the fraction of nulls among them.

        The mean is None where a number is NaN or infinite; such numbers are counted.
        """
        entries = self.numbers + self.nulls
        mean = self.total / self.numbers if self.numbers else math.nan
        return {
            "rows": self.rows,
            "mean": round(mean, 6) if math.isfinite(mean) else None,
            "null_share": round(self.nulls / entries, 6) if entries else None,
            **({"non_finite": self.non_finite} if self.non_finite else {}),
        }


def _is_number(feature: Any) -> bool:
    return str(getattr(feature, "dtype", "")).startswith(("bool", "int", "uint", "float"))
