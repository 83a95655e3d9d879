"""A compact set of integers, for invariants that hold across the shards of a large dataset."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.format.shards.arrow_numpy import numbers

Numbers = npt.NDArray[np.int64]
Intervals = tuple[Numbers, Numbers]  # first and last number of each, ascending and apart


class IdSet:
    """A set of int64 that grows by arrays.

    Consecutive numbers, such as the ids of builds, take almost no memory. Others take 16 bytes each, and 60 bytes each
    while they are added.
    """

    def __init__(self) -> None:
        self._levels: list[Intervals] = []  # each less than half as long as the one before, so that adding is cheap

    def add(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Add numbers to the set.

        Args:
            numbers: (N,) int64.

        Returns:
            (N,) bool, True where the number occurred before, in this array or an earlier one.
        """
        again = self.holds(numbers)
        repeated = np.ones(len(numbers), dtype=bool)
        repeated[np.unique(numbers, return_index=True)[1]] = False
        new = numbers[~again]
        if not len(new):
            return again | repeated
        level = _merged(new, new)
        while self._levels and len(self._levels[-1][0]) <= 2 * len(level[0]):
            level = _merged(*map(np.concatenate, zip(self._levels.pop(), level, strict=True)))
        self._levels.append(level)
        return again | repeated

    def holds(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Return (N,) bool, True where a number is in the set."""
        found = np.zeros(len(numbers), dtype=bool)
        for firsts, lasts in self._levels:
            at = np.searchsorted(firsts, numbers, side="right") - 1
            found |= (at >= 0) & (numbers <= lasts[at])
        return found


def sample_ids(table: pa.Table) -> Numbers:
    """Return the (N,) int64 sample ids of a table.

    Raises:
        ValueError, ArrowException: an id is null or no int64.
    """
    column = table["sample_id"].cast(pa.int64())
    if column.null_count:
        raise ValueError("a sample_id is null")
    return numbers(column).astype(np.int64, copy=False)


def _merged(firsts: Numbers, lasts: Numbers) -> Intervals:
    """Sort intervals, and join those that touch or overlap.

    >>> [part.tolist() for part in _merged(np.array([5, 1, 2]), np.array([6, 1, 3]))]
    [[1, 5], [3, 6]]
    """
    order = np.argsort(firsts, kind="stable")
    firsts, lasts = firsts[order], np.maximum.accumulate(lasts[order])
    apart = np.flatnonzero((firsts[1:] > lasts[:-1]) & (firsts[1:] - 1 != lasts[:-1]))  # lasts + 1 could overflow
    return firsts[np.concatenate([[0], apart + 1])], lasts[np.concatenate([apart, [-1]])]
