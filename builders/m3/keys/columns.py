"""The columns of keys in a range of rows, apart from their labels and their files."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.datasets.m3.keys import KEYS

from ..build_state import BuildState
from .media import store_of, stored_keys
from .render import codes

Places = npt.NDArray[np.int64]


def key_places(state: BuildState, internal: Path, split: str, numbers: Mapping[str, Places]) -> dict[str, Places]:
    """Look up the images, tones and codes of some rows.

    Args:
        state: State of the build.
        internal: The build's `.build/` folder.
        split: The split of the rows.
        numbers: By name of a key, (N,) int64 number of its image, tone or code.

    Returns:
        By name of a key, (N,) int64: the row of its media store, or the number of its code.
    """
    stored = {key.name for key in stored_keys(state)}
    return {
        name: store_of(state, internal, name, split).rows_of(values) if name in stored else values.copy()
        for name, values in numbers.items()
    }


def key_columns(state: BuildState, internal: Path, split: str, places: Mapping[str, Places]) -> dict[str, pa.Array]:
    """Make the columns of media ids and of codes; they are null where a place is -1."""
    columns: dict[str, pa.Array] = {}
    stored = {key.name for key in stored_keys(state)}
    for key in (KEYS[name] for name in state.keys):
        place = places[key.name]
        if key.name in stored:
            columns[str(key.media_id)] = store_of(state, internal, key.name, split).ids.take(
                pa.array(place, mask=place < 0)
            )
        else:
            table = codes(state.seed, state.image_stores[split], state.key_values)
            numbers = np.where(place[:, None] < 0, np.float32(0), table[place])
            columns[key.name] = pa.FixedSizeListArray.from_arrays(
                pa.array(numbers.ravel()), table.shape[1], mask=pa.array(place < 0)
            )
    return columns
