"""Which whole numbers occurred before, for invariants that hold across the shards of a large dataset."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Numbers = npt.NDArray[np.int64]
Intervals = tuple[Numbers, Numbers]  # first and last number of each, ascending and apart


class IdSet:
    """A set of int64 that grows by arrays.

    Consecutive numbers, as the ids of builds are, take no memory to speak of; others take 16 bytes each, and 60 for a
    moment while they are sorted in.
    """

    def __init__(self) -> None:
        self._levels: list[Intervals] = []  # each less than half as long as the one before, so that adding is cheap

    def add(self, numbers: Numbers) -> npt.NDArray[np.bool_]:
        """Take numbers in.

        Args:
            numbers: (N,).

        Returns:
            (N,) True where the same number came before, in this array or an earlier one.
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
        """(N,) True where a number was taken in."""
        found = np.zeros(len(numbers), dtype=bool)
        for firsts, lasts in self._levels:
            at = np.searchsorted(firsts, numbers, side="right") - 1
            found |= (at >= 0) & (numbers <= lasts[at])
        return found


def sample_ids(table: pa.Table) -> Numbers:
    """(N,) the ids of some rows.

    Raises:
        ValueError, ArrowException: they are null or no int64.
    """
    column = table["sample_id"].cast(pa.int64())
    if column.null_count:
        raise ValueError("a sample_id is null")
    return np.asarray(column.to_numpy())


def _merged(firsts: Numbers, lasts: Numbers) -> Intervals:
    """Intervals in any order, sorted, and joined where they touch or overlap.

    >>> [part.tolist() for part in _merged(np.array([5, 1, 2]), np.array([6, 1, 3]))]
    [[1, 5], [3, 6]]
    """
    order = np.argsort(firsts, kind="stable")
    firsts, lasts = firsts[order], np.maximum.accumulate(lasts[order])
    apart = np.flatnonzero((firsts[1:] > lasts[:-1]) & (firsts[1:] - 1 != lasts[:-1]))  # lasts + 1 could overflow
    return firsts[np.concatenate([[0], apart + 1])], lasts[np.concatenate([apart, [-1]])]
