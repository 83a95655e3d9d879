"""A shard of a pooled dataset: its rows are read from the split's table, their media from the pools, and what comes
out has the columns of a self-contained shard.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import pyarrow as pa

from symile_data.pooled import PooledMedia

from .parquet import ParquetShard

ROWS_PER_GROUP = 50  # a group is what the loader reads and keeps at a time, media included


@dataclass(frozen=True, kw_only=True)
class PooledShard(ParquetShard):
    """The table of a split with the pools that its rows point into.

    Row groups of the table are large, since it holds no media; here each counts as several groups of at most
    `ROWS_PER_GROUP` rows.

    Args:
        places: For each group the row group of the table that holds it, and its first row there.
        media: The pools.
    """

    places: tuple[tuple[int, int], ...]
    media: PooledMedia

    @classmethod
    def of(cls, table: ParquetShard, media: PooledMedia) -> PooledShard:
        """The shard of an opened table."""
        places = [
            (group, first) for group, rows in enumerate(table.group_rows) for first in range(0, rows, ROWS_PER_GROUP)
        ]
        return cls(
            path=table.path,
            group_rows=tuple(min(ROWS_PER_GROUP, table.group_rows[group] - first) for group, first in places),
            footer_sha256=table.footer_sha256,
            schema=media.schema(table.schema),
            places=tuple(places),
            media=media,
        )

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """The named columns of one group. Any number of threads may read at once.

        Raises:
            DamageError: a file is gone or its pages cannot be read.
        """
        stored, first = self.places[group]
        table = super().read(stored, self.media.stored_columns(columns))
        return self.media.attach(table.slice(first, self.group_rows[group]), columns)

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows.

        Raises:
            DamageError: a file is gone or its pages cannot be read.
        """
        return self.media.attach(super().read_all(self.media.stored_columns(columns)), columns)
