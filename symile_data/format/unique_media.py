"""Number the unique images, audio or lists of numbers of a modality by their first row.

Two rows hold the same value where the modality's id column (`Modality.id_column`) holds the same id. A row without an
id, or of a modality without an id column, holds a value of its own. Legend: N rows, U unique values.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

IntArray = npt.NDArray[np.int64]

NO_MEDIA = -1  # in place of a number in a row without a value


def number_media(ids: Sequence[pa.Array] | None, missing: npt.NDArray[np.bool_]) -> tuple[IntArray, IntArray]:
    """Number the unique values of a modality in the order in which they first occur.

    Args:
        ids: The id column of N rows in chunks, plain or dictionary-encoded; None where there is none.
        missing: (N,) bool, True for rows without a value.

    Returns:
        (N,) int64, the number of each row's value, `NO_MEDIA` for rows without one; and (U,) int64, the first row of
        each value, ascending.

    >>> numbers, owners = number_media([pa.array(["b", "a", "b", None, "a"])], np.array([False] * 4 + [True]))
    >>> numbers.tolist(), owners.tolist()
    ([0, 1, 0, 2, -1], [0, 1, 3])
    """
    numbers = np.full(len(missing), NO_MEDIA, dtype=np.int64)
    present = np.flatnonzero(~missing)
    if ids is None:
        numbers[present] = np.arange(len(present))
        return numbers, present
    codes = _codes(ids)
    # A value without an id gets a code that no other row has.
    keys = np.where(codes < 0, codes.max(initial=0) + 1 + np.arange(len(codes)), codes)[present]
    _, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int64)
    rank[order] = np.arange(len(order))
    numbers[present] = rank[inverse]
    return numbers, present[first[order]]


def _codes(ids: Sequence[pa.Array]) -> IntArray:
    """Return (N,) a code for each id, equal for equal ids; -1 for null."""
    encoded = pa.chunked_array([chunk.dictionary_encode() for chunk in ids]).unify_dictionaries()
    return np.concatenate([chunk.indices.fill_null(-1).to_numpy() for chunk in encoded.chunks]).astype(np.int64)
