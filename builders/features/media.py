"""Number the unique inputs of a modality through all splits, in the order of their first occurrence.

A medium is unique by its id column (`image_id`, `clip_id`: the modality's companion that ends in `_id`); without one
each row has its own. Legend: N rows of all splits, U unique media.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.files import atomic_path
from symile_data.format.schema import Modality

from .source import SourceRows

IntArray = npt.NDArray[np.int64]

_NONE = -1  # in place of a number where the medium is missing
_FOLDER = "media"


@dataclass(frozen=True)
class MediaIndex:
    """The media of one modality.

    Args:
        numbers: (N,) which medium each row has, -1 where it is missing.
        owners: (U,) the first row of each, ascending.
    """

    numbers: IntArray
    owners: IntArray

    def write(self, internal: Path, modality: str) -> None:
        """Leave it in the build's folder for workers."""
        for name, values in (("numbers", self.numbers), ("owners", self.owners)):
            with atomic_path(_path(internal, modality, name)) as temporary, temporary.open("wb") as file:
                np.save(file, values)

    @classmethod
    def open(cls, internal: Path, modality: str) -> MediaIndex:
        """What `write` left, mapped into memory."""
        numbers, owners = (np.load(_path(internal, modality, name), mmap_mode="r") for name in ("numbers", "owners"))
        return cls(numbers, owners)


def index_media(modality: Modality, splits: Mapping[str, SourceRows]) -> MediaIndex:
    """Find the unique media of a modality in all splits, in the order in which the splits are given."""
    id_column = next((name for name in modality.null_columns if name.endswith("_id")), None)
    columns = [modality.mask, *([] if id_column is None else [id_column])]
    masks, ids = [], []
    for rows in splits.values():
        for table in rows.shard_columns(columns):
            masks.append(table[modality.mask].to_numpy())
            if id_column is not None:
                ids.append(table[id_column].combine_chunks().dictionary_encode())
    missing = np.concatenate(masks).astype(bool)
    return numbered(_codes(ids) if ids else np.full(len(missing), _NONE, dtype=np.int64), missing)


def _codes(ids: list[pa.DictionaryArray]) -> IntArray:
    """(N,) a number for each id, equal for equal ids; -1 for null."""
    joined = pa.chunked_array(ids).unify_dictionaries()
    return np.concatenate([chunk.indices.fill_null(_NONE).to_numpy() for chunk in joined.chunks]).astype(np.int64)


def numbered(codes: IntArray, missing: npt.NDArray[np.bool_]) -> MediaIndex:
    """Number media by their first row.

    Args:
        codes: (N,) equal for equal media; -1 for a medium that is its row's own.
        missing: (N,) rows without one.

    >>> index = numbered(np.array([7, 3, 7, -1, 3]), np.array([False, False, False, False, True]))
    >>> index.numbers.tolist(), index.owners.tolist()
    ([0, 1, 0, 2, -1], [0, 1, 3])
    """
    present = np.flatnonzero(~missing)
    own = codes[present] < 0
    # An own medium gets a code that no other row has.
    keys = np.where(own, codes.max(initial=0) + 1 + present, codes[present])
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    numbers = np.full(len(codes), _NONE, dtype=np.int64)
    numbers[present] = rank[inverse]
    return MediaIndex(numbers, present[first[order]])


def _path(internal: Path, modality: str, name: str) -> Path:
    return internal / _FOLDER / f"{modality}-{name}.npy"
