"""The order in which an epoch visits the rows: a pure function of (fingerprint, seed, epoch), computed as it is needed.

Row groups are permuted; then the rows are shuffled within windows of `window` consecutive row groups of that order,
each window by a permutation of its own, drawn from its number and the epoch's key. So any window can be shuffled
without those before it, memory grows with the window and not with the number of rows, and a position alone says which
rows have been seen. The order does not depend on threads, ranks or interruptions.

A global batch is a run of consecutive positions. Its rows are then put in reading order and cut into equal slices,
one for each rank: a rank meets few row groups, and the union of the ranks is the same whatever their number.

Legend: N rows, G row groups, B rows of a batch on one rank.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import numpy as np
import numpy.typing as npt

from symile_data.rng import Stream

IntArray = npt.NDArray[np.int64]
_GROUPS, _WINDOW = 0, 1  # second half of a permutation's key, so that row groups and windows are shuffled apart


class Order(Protocol):
    """The order of one epoch: positions are counted in the order of delivery, rows in that of the files."""

    @property
    def seed(self) -> int:
        """The seed that the user gave the loader."""
        ...

    @property
    def epoch(self) -> int:
        """The epoch, from 0."""
        ...

    @property
    def rows(self) -> int:
        """The number of positions of the epoch."""
        ...

    def rows_at(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Find the rows at positions, and their places in reading order; see `EpochShuffle.rows_at`."""
        ...

    def window_at(self, position: int) -> int:
        """Return the first window whose row groups are still needed at a position."""
        ...

    def window_end(self, position: int) -> int:
        """Return a later position; the rows up to it are best found together."""
        ...

    def window_of_groups(self) -> IntArray:
        """Return (G,): the window of each row group, after which the group is not needed."""
        ...


@dataclass(frozen=True)
class EpochShuffle:
    """The order of one epoch.

    Args:
        group_rows: (G,) rows of each row group.
        fingerprint: Fingerprint of the split, so that equal seeds do not give different datasets the same order.
        seed: The user's seed.
        epoch: The epoch, from 0.
        window: Number of row groups whose rows are shuffled together; about as many are in memory while reading.
        shuffle: False gives file order.
    """

    group_rows: IntArray
    fingerprint: str
    seed: int
    epoch: int
    window: int
    shuffle: bool

    @property
    def rows(self) -> int:
        """N, the number of rows."""
        return int(self._bounds[-1])

    def rows_at(self, start: int, stop: int) -> tuple[IntArray, IntArray]:
        """Find the rows at the positions `start` to `stop - 1`.

        Returns:
            (stop - start,) row numbers, and (stop - start,) their places in reading order, in which rows of one group
            are next to each other.
        """
        if not self.shuffle:
            positions = np.arange(start, stop, dtype=np.int64)
            return positions, positions
        pieces = [self._window(start, stop, window) for window in self._windows(start, stop)]
        reading = np.concatenate(pieces) if pieces else np.empty(0, dtype=np.int64)
        slot = np.searchsorted(self._bounds, reading, side="right") - 1
        return self._group_starts[self._groups[slot]] + reading - self._bounds[slot], reading

    def window_at(self, position: int) -> int:
        """Return the index of the window that holds a position."""
        return int(np.searchsorted(self._bounds, position, side="right") - 1) // self._span

    def window_of_groups(self) -> IntArray:
        """Return (G,): the window of each row group."""
        windows = np.empty(len(self._groups), dtype=np.int64)
        windows[self._groups] = np.arange(len(self._groups)) // self._span
        return windows

    def window_ends(self) -> IntArray:
        """Return (W,): the first position after each window."""
        windows = -(-len(self._groups) // self._span)
        return self._bounds[np.minimum(np.arange(1, windows + 1) * self._span, len(self._groups))]

    def window_end(self, position: int) -> int:
        """Return the first position after the window that holds `position`."""
        return int(self._bounds[min((self.window_at(position) + 1) * self._span, len(self._groups))])

    @property
    def _span(self) -> int:
        return self.window if self.shuffle else 1

    def _windows(self, start: int, stop: int) -> range:
        return range(self.window_at(start), self.window_at(stop - 1) + 1) if stop > start else range(0)

    def _window(self, start: int, stop: int, window: int) -> IntArray:
        """Shuffle the positions of one window; returns the places in reading order of those in [start, stop)."""
        first = int(self._bounds[window * self.window])
        last = int(self._bounds[min((window + 1) * self.window, len(self._groups))])
        inside = np.arange(max(start, first), min(stop, last), dtype=np.int64) - first
        return first + permuted(inside, last - first, self._key, _WINDOW + window)

    @cached_property
    def _key(self) -> int:
        return Stream(self.seed, f"order/{self.fingerprint}/{self.epoch}").integer()

    @cached_property
    def _groups(self) -> IntArray:
        """(G,) row groups in the order in which they are read."""
        ordered = np.arange(len(self.group_rows), dtype=np.int64)
        return permuted(ordered, len(ordered), self._key, _GROUPS) if self.shuffle else ordered

    @cached_property
    def _bounds(self) -> IntArray:
        """(G + 1,) position at which each group of `_groups` begins, then N."""
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.group_rows[self._groups])])

    @cached_property
    def _group_starts(self) -> IntArray:
        return np.concatenate([np.zeros(1, dtype=np.int64), np.cumsum(self.group_rows)])


@dataclass(frozen=True)
class BatchSlice:
    """One rank's part of one global batch.

    Args:
        rows: (B,) row numbers.
        padding: (B,) True for rows that repeat others of the batch, only so that all ranks get equally many.
        stop: Position after the global batch, from which an epoch continues once the batch was used.
        window: Index of the first window that later batches need; row groups of earlier windows are not needed again.
    """

    rows: IntArray
    padding: npt.NDArray[np.bool_]
    stop: int
    window: int


def batch_count(rows: int, batch: int, *, drop_last: bool) -> int:
    """Count the global batches of `batch` rows among `rows`.

    >>> batch_count(10, 4, drop_last=True), batch_count(10, 4, drop_last=False)
    (2, 3)
    """
    return rows // batch if drop_last else -(-rows // batch)


def slices(
    shuffle: Order,
    *,
    start: int,
    batch_size: int,
    rank: int,
    world_size: int,
    drop_last: bool,
) -> Iterator[BatchSlice]:
    """Yield the batches of one rank from a position on.

    The last batch of an epoch is left out (`drop_last`) or shorter; then it is padded to a multiple of `world_size`.

    Args:
        shuffle: The order of the epoch.
        start: Position to begin at; the rows before it were seen.
        batch_size: B, rows of each rank.
        rank: The rank, from 0.
        world_size: Number of ranks.
        drop_last: Leave out the rows that do not fill a global batch.
    """
    batch = batch_size * world_size
    count = batch_count(shuffle.rows - start, batch, drop_last=drop_last)
    known_from, rows, reading = start, np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for index in range(count):
        begin, end = start + index * batch, min(start + (index + 1) * batch, shuffle.rows)
        while known_from + len(rows) < end:
            # A whole window's rows at a time, because one call costs as much as it does for one batch.
            upto = known_from + len(rows)
            new_rows, new_reading = shuffle.rows_at(upto, shuffle.window_end(upto))
            rows = np.concatenate([rows[begin - known_from :], new_rows])
            reading = np.concatenate([reading[begin - known_from :], new_reading])
            known_from = begin
        here = slice(begin - known_from, end - known_from)
        sort = np.argsort(reading[here])
        share = -(-len(sort) // world_size)
        wanted = np.arange(rank * share, (rank + 1) * share)
        yield BatchSlice(
            rows=rows[here][sort][wanted % len(sort)],
            padding=wanted >= len(sort),
            stop=end,
            window=shuffle.window_at(end),
        )


def permuted(positions: IntArray, size: int, key: int, part: int = 0) -> IntArray:
    """Map positions by a pseudo-random permutation of 0 .. size - 1, drawn uniformly.

    The permutation sorts `size` numbers of 64 bits of a Philox generator. (A Feistel network would need no table, but
    of 16 or 64 values it gives even permutations only.)

    Args:
        positions: Integers in [0, size); repeats are allowed.
        size: Number of values that are permuted.
        key: Selects the permutation; any integer.
        part: Selects one of the independent permutations of a key, from 0.

    >>> sorted(permuted(np.arange(10), 10, key=7).tolist())
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if size <= 1:
        return np.zeros(len(positions), dtype=np.int64)
    numbers = np.random.Philox(key=np.array([key % 2**64, part], dtype=np.uint64)).random_raw(size)
    return np.argsort(numbers, kind="stable")[positions]
