"""Arrange the shuffled rows of an epoch so that the rows of a batch are of near-equal length.

The positions of the shuffled order are cut into pools of whole global batches, about as many rows as one window of row
groups. Within a pool the rows are sorted by length and cut into batches, and the batches are put in random order. So
an epoch has the same rows at the same positions for any number of ranks and threads, a position says which rows have
been seen, and rows that do not fill a global batch stay the last ones of the epoch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from symile_data.rng import Stream

from ..shuffle import IntArray, Order, permuted

FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class BucketedOrder:
    """The order of one epoch; see `symile_data.loaders.shuffle.Order`.

    Args:
        inner: The shuffled order.
        batch: B, rows of a global batch.
        pool: Rows among which batches of near-equal length are made, a multiple of B.
        lengths: (n,) rows -> (n,) lengths, NaN where a row has none.
        fingerprint: Fingerprint of the split.
    """

    inner: Order
    batch: int
    pool: int
    lengths: Callable[[IntArray], FloatArray]
    fingerprint: str
    _last: dict[int, tuple[IntArray, IntArray]] = field(default_factory=dict)

    @property
    def seed(self) -> int:
        """The seed that the user gave the loader."""
        return self.inner.seed

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""
        return self.inner.epoch

    @property
    def rows(self) -> int:
        """The number of positions of the epoch."""
        return self.inner.rows

    def rows_at(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Find the rows at the positions `start` to `stop - 1`, and their places in reading order."""
        rows, reading = [np.empty(0, dtype=np.int64)], [np.empty(0, dtype=np.int64)]
        while start < stop:
            first, end = self._bounds(start)
            inside = slice(start - first, min(stop, end) - first)
            found = self._arranged(first, end)
            rows.append(found[0][inside])
            reading.append(found[1][inside])
            start = end
        return np.concatenate(rows), np.concatenate(reading)

    def window_at(self, position: int) -> int:
        """Return the first window that the pool of a position needs."""
        return self.inner.window_at(self._bounds(position)[0] if position < self.rows else position)

    def window_of_groups(self) -> IntArray:
        """Return (G,): the window of each row group."""
        return self.inner.window_of_groups()

    def window_end(self, position: int) -> int:
        """Return the first position after the pool that holds `position`."""
        return self._bounds(position)[1]

    def _bounds(self, position: int) -> tuple[int, int]:
        """Return the positions at which the pool of a position begins and ends; the unfilled last batch is one pool."""
        filled = self.rows // self.batch * self.batch
        if position >= filled:
            return filled, self.rows
        first = position // self.pool * self.pool
        return first, min(first + self.pool, filled)

    def _arranged(self, first: int, end: int) -> tuple[IntArray, IntArray]:
        """Return the rows of a pool in their order, and their places in reading order; the last pool is kept."""
        if first not in self._last:
            rows, reading = self.inner.rows_at(first, end)
            if end - first >= self.batch:
                by_length = np.argsort(spread(self.lengths(rows)), kind="stable").reshape(-1, self.batch)
                key = Stream(self.seed, f"buckets/{self.fingerprint}/{self.epoch}").integer()
                count = len(by_length)
                chosen = by_length[permuted(np.arange(count), count, key, first // self.pool)].ravel()
                rows, reading = rows[chosen], reading[chosen]
            self._last.clear()
            self._last[first] = rows, reading
        return self._last[first]


def spread(lengths: FloatArray) -> FloatArray:
    """Give rows without a length that of the next row that has one, so that they come into batches of every length.

    >>> spread(np.array([np.nan, 2.0, 1.0, np.nan])).tolist()
    [2.0, 2.0, 1.0, 2.0]
    """
    known = np.flatnonzero(~np.isnan(lengths))
    if not len(known):
        return np.zeros(len(lengths))
    return lengths[known[np.searchsorted(known, np.arange(len(lengths))) % len(known)]]
