"""Chunks of features: the features of consecutive unique inputs, as .npy files of float16 under `.build/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.files import atomic_path
from symile_data.format.safe_paths import file_name

from .media import MediaIndex
from .source import SourceRows, source_rows
from .spec import Encode, FeatureSpec, FrozenModel, Media

MEDIA_PER_CHUNK = 2048

_MAPPED = 512  # feature files that stay memory-mapped

Halves = npt.NDArray[np.float16]


@dataclass(frozen=True, kw_only=True)
class EncodeTask:
    """The task to encode the unique inputs `start` to `stop - 1` of one modality.

    Args:
        source: Directory of the source dataset.
        internal: The build's `.build/` folder.
        first_rows: Split -> its first row, counted through all splits.
        kind: Kind of the modality.
        column: The column that holds the inputs.
    """

    source: Path
    internal: Path
    first_rows: Mapping[str, int]
    spec: FeatureSpec
    model: FrozenModel
    kind: str
    column: str
    encode: Encode
    start: int
    stop: int


def chunk_path(modality: str, chunk: int) -> str:
    """Return the path of a chunk relative to the output directory."""
    return f".build/features/{file_name(modality)}-{chunk:05d}.npy"


def make_chunk(task: EncodeTask, path: Path) -> dict[str, Any]:
    """Encode one chunk and write its (n, F) float16 features.

    Returns:
        The number n of inputs under "media".

    Raises:
        DamageError: an input is null or cannot be decoded, a feature exceeds float16, or all of them vanish in it.
    """
    owners = MediaIndex.open(task.internal, task.model.modality).owners[task.start : task.stop]
    parts = []
    firsts = [*task.first_rows.values(), np.iinfo(np.int64).max]
    for split, first, following in zip(task.first_rows, firsts, firsts[1:], strict=False):
        rows = owners[(owners >= first) & (owners < following)] - first
        if len(rows):
            parts.append(_encoded(task, source_rows(task.source, split), np.asarray(rows)))
    features = np.concatenate(parts)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.save(file, features)
    return {"media": len(features)}


def _encoded(task: EncodeTask, source: SourceRows, rows: npt.NDArray[np.int64]) -> Halves:
    values = source.take(task.column, rows)

    def place(index: int) -> str:
        return source.place(int(rows[index]))

    if values.null_count:
        absent = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        raise DamageError(
            f"the column {task.column} is null where its mask says that it is not",
            where=place(absent),
            do="verify the dataset, and build it again",
        )
    features = task.encode(task.spec, task.model, Media(kind=task.kind, values=values, place=place))
    with np.errstate(over="ignore"):
        halves = features.astype(np.float16)
    wrong = np.flatnonzero(~np.isfinite(halves).all(axis=1))
    if len(wrong):
        raise DamageError(
            "a feature is no finite number of half precision",
            where=place(int(wrong[0])),
            got=f"{np.abs(features[wrong[0]]).max():g}",
            do="take another model, or `precision='32-true'`",
        )
    vanished = np.flatnonzero(~halves.any(axis=1) & features.any(axis=1))
    if len(vanished):
        raise DamageError(
            "all features of a value are too small for half precision, in which they are zeros",
            where=place(int(vanished[0])),
            got=f"{np.abs(features[vanished[0]]).max():g}",
            do="take another model",
        )
    return halves


class ChunkedFeatures:
    """Look up the features of one modality by the numbers of its unique inputs.

    Args:
        internal: The build's `.build/` folder.
        model: The model that made the features.
    """

    def __init__(self, internal: Path, model: FrozenModel) -> None:
        self._out, self._model = internal.parent, model

    def column(self, numbers: npt.NDArray[np.int64]) -> pa.Array:
        """Return n lists of F float16 for (n,) numbers; null where the number is -1."""
        missing = numbers < 0
        values = np.zeros((len(numbers), self._model.size), dtype=np.float16)
        chunks = numbers // MEDIA_PER_CHUNK
        for chunk in np.unique(chunks[~missing]).tolist():
            rows = np.flatnonzero((chunks == chunk) & ~missing)
            values[rows] = _opened(self._out / chunk_path(self._model.modality, chunk))[numbers[rows] % MEDIA_PER_CHUNK]
        return pa.FixedSizeListArray.from_arrays(
            pa.array(values.reshape(-1)), self._model.size, mask=pa.array(missing) if missing.any() else None
        )


@lru_cache(maxsize=_MAPPED)
def _opened(path: Path) -> Halves:
    features: Halves = np.load(path, mmap_mode="r")
    return features


def forget_chunks() -> None:
    """Close all files: a second build in the same process may have other files under the same names."""
    _opened.cache_clear()
    source_rows.cache_clear()
