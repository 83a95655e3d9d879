"""Present some rows of a shard as a shard of their own, so that a loader reads them like any others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from .arrow_numpy import arrow_int64

if TYPE_CHECKING:
    from symile_data.format.shards import Shard

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class SelectedShard:
    """Rows of a shard, in its order; see `symile_data.format.shards.Shard`. Row groups without such rows are left out.

    Args:
        whole: The shard.
        groups: For each row group that has selected rows, its number in the whole shard, and the (rows,) places of
            these rows within it, ascending.
        columns: Column -> the values that stand in the place of the stored ones, one for each selected row.
    """

    whole: Shard
    groups: tuple[tuple[int, IntArray], ...]
    columns: Mapping[str, pa.Array] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The path of the whole shard relative to the dataset."""
        return self.whole.name

    @property
    def group_rows(self) -> tuple[int, ...]:
        """The number of selected rows in each of the groups."""
        return tuple(len(places) for _, places in self.groups)

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the whole shard."""
        return self.whole.schema

    @property
    def footer_sha256(self) -> str:
        """SHA-256 (hex) of the footer of the whole shard."""
        return self.whole.footer_sha256

    @property
    def rows(self) -> int:
        """The number of selected rows."""
        return sum(self.group_rows)

    @property
    def cached(self) -> bool:
        """Whether the file's bytes go through a cache of remote data."""
        return self.whole.cached

    def prefetch(self, group: int, columns: Sequence[str]) -> None:
        """Bring the bytes of the named columns of one group into the cache.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        self.whole.prefetch(self.groups[group][0], [name for name in columns if name not in self.columns])

    def stored_row(self, row: int) -> int:
        """Return the number of a selected row within the whole shard's file."""
        starts = np.cumsum([0, *self.group_rows])
        index = int(np.searchsorted(starts, row, side="right")) - 1
        group, places = self.groups[index]
        return self.whole.stored_row(sum(self.whole.group_rows[:group]) + int(places[row - starts[index]]))

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of the selected rows of one group.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        number, places = self.groups[group]
        start = sum(self.group_rows[:group])
        values = {name: array.slice(start, len(places)) for name, array in self.columns.items()}
        if stored := [name for name in columns if name not in self.columns]:
            table = self.whole.read(number, stored).take(arrow_int64(places))
            values |= {name: table[name].combine_chunks() for name in stored}
        schema = pa.schema([self.schema.field(name) for name in columns], metadata=self.schema.metadata)
        return pa.table([values[name] for name in columns], schema=schema)

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of all selected rows.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        return pa.concat_tables([self.read(group, columns) for group in range(len(self.groups))])

    def column_bytes(self) -> dict[str, int]:
        """Return the stored bytes of each column of the whole shard."""
        return self.whole.column_bytes()

    def problems(self) -> Sequence[str]:
        """Return clauses about contradictions within the whole file."""
        return self.whole.problems()


def select_from(whole: Shard, selected: npt.NDArray[np.bool_], columns: Mapping[str, pa.Array]) -> SelectedShard:
    """Select rows of a shard.

    Args:
        whole: The shard, of N rows.
        selected: (N,) bool; some are True.
        columns: As for `SelectedShard`.
    """
    edges = np.cumsum(whole.group_rows)[:-1]
    places = [np.flatnonzero(part) for part in np.split(selected, edges)]
    groups = tuple((group, rows) for group, rows in enumerate(places) if len(rows))
    return SelectedShard(whole=whole, groups=groups, columns=columns)
