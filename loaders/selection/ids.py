"""Make a split of the rows with given ids, such as those of one fold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.files import digest
from symile_data.format.shards.arrow_numpy import numbers
from symile_data.format.shards.selected import select_from

if TYPE_CHECKING:
    from ..split import Split


def select_rows(
    splits: Sequence[Split],
    name: str,
    sample_ids: npt.NDArray[np.int64],
    *,
    key: str,
    columns: Mapping[str, pa.Array] | None = None,
) -> Split:
    """Select rows of some splits of a dataset as one split; they keep the order of the splits and of their files.

    Args:
        splits: Open splits of one dataset, whose ids differ.
        name: Name of the new split.
        sample_ids: (N,) ids of the rows, in any order.
        key: What the selection depends on. With it and the fingerprints of the splits the new split gets a fingerprint.
        columns: Column -> N values, in the order of the rows of the new split, that stand in the place of the stored
            ones.

    Raises:
        DamageError: an id occurs in none of the splits or in several rows.
    """
    shards, start = [], 0
    for split in splits:
        ids = numbers(split.read_all(["sample_id"])["sample_id"])
        selected = np.isin(ids, sample_ids)
        first = 0
        for shard in split.shards:
            here = selected[first : first + shard.rows]
            first += shard.rows
            count = int(here.sum())
            if count:
                own = {column: array.slice(start, count) for column, array in (columns or {}).items()}
                shards.append(select_from(shard, here, own))
                start += count
    if start != len(sample_ids):
        raise DamageError(
            "the chosen rows are not rows of the dataset, each once",
            where=splits[0].location,
            got=f"{len(sample_ids)} ids of {start} rows",
            do="choose rows of this dataset",
        )
    fingerprint = digest([[split.fingerprint for split in splits], key, name])
    return replace(splits[0], name=name, shards=tuple(shards), fingerprint=fingerprint)
