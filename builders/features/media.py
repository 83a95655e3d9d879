"""Number the unique images, audio or lists of numbers of a modality through all splits of a dataset.

Legend: N rows of all splits, U unique values.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from symile_data.files import atomic_path
from symile_data.format.safe_paths import file_name
from symile_data.format.schema import Modality
from symile_data.format.unique_media import number_media

from .source import SourceRows

IntArray = npt.NDArray[np.int64]

_FOLDER = "media"


@dataclass(frozen=True)
class MediaIndex:
    """The unique values of one modality; see `symile_data.format.unique_media.number_media`.

    Args:
        numbers: (N,) the number of each row's value, -1 where it is missing.
        owners: (U,) the first row of each unique value, ascending.
    """

    numbers: IntArray
    owners: IntArray

    def write(self, internal: Path, modality: str) -> None:
        """Write the index into the build's folder, where worker processes read it."""
        for name, values in (("numbers", self.numbers), ("owners", self.owners)):
            with atomic_path(_path(internal, modality, name)) as temporary, temporary.open("wb") as file:
                np.save(file, values)

    @classmethod
    def open(cls, internal: Path, modality: str) -> MediaIndex:
        """Map the index that `write` wrote into memory."""
        numbers, owners = (np.load(_path(internal, modality, name), mmap_mode="r") for name in ("numbers", "owners"))
        return cls(numbers, owners)


def index_media(modality: Modality, splits: Mapping[str, SourceRows]) -> MediaIndex:
    """Number the unique values of a modality in all splits, in the order in which the splits are given."""
    id_column = modality.id_column
    columns = [modality.mask, *([] if id_column is None else [id_column])]
    masks, ids = [], []
    for rows in splits.values():
        for table in rows.shard_columns(columns):
            masks.append(table[modality.mask].to_numpy())
            if id_column is not None:
                ids.append(table[id_column].combine_chunks().dictionary_encode())
    return MediaIndex(*number_media(ids if id_column else None, np.concatenate(masks).astype(bool)))


def _path(internal: Path, modality: str, name: str) -> Path:
    return internal / _FOLDER / f"{file_name(modality)}-{name}.npy"
