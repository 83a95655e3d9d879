"""Simulated misalignment: decide which rows show the value of another row in some modality, and of which row.

Two numbers of the stream `misaligned/<modality>` at a row's sample_id decide. Where the first is below the rate, the
row shows the value of the donor that the second number draws, uniformly among all other rows of the split. So the draw
is the same in every epoch, worker and machine, and nested: a row that is misaligned at rate 0.3 is so at 0.5 too, with
the same donor. Builders and loaders draw from the same stream, so that both give the same rows under one seed.

Where some rows cannot lend their value (`Lenders`), the next row of the split that can takes the place of a donor that
cannot, and the first row follows the last.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .rng import Stream, below

NO_DONOR = -1  # in a column of donors: the row shows its own value

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class ShownRows:
    """The rows of a split whose values N rows show in one modality.

    Args:
        places: (N,) int64, position in the split of the row whose value is shown; the row's own where it is aligned.
        misaligned: (N,) bool, True where that is another row.
    """

    places: IntArray
    misaligned: BoolArray


@dataclass(frozen=True)
class Lenders:
    """Which rows of a split lend their values, and to which rows.

    Args:
        able: (R,) bool, True for rows that have a value.
        groups: (R,) integers of any kind, such as numbers of patients: a row and its donor are in different groups.
            None where they may be in the same one.
    """

    able: BoolArray
    groups: npt.NDArray[np.integer] | None = None


def shown_rows(
    seed: int,
    sample_ids: npt.NDArray[np.integer],
    places: IntArray,
    modality: str,
    rate: float,
    rows: int,
    lenders: Lenders | None = None,
) -> ShownRows:
    """Draw the rows whose values some rows show.

    Args:
        seed: Seed of the build or loader.
        sample_ids: (N,) integers.
        places: (N,) int64, positions of these rows in their split.
        modality: Name of the modality.
        rate: Probability in [0, 1] that a row shows the value of another.
        rows: Number R of rows of the split. A single row has no donor and stays as it is.
        lenders: Which rows lend their values; None where all do. A row to which none lends its value stays as it is.

    >>> ids = np.arange(1000)
    >>> some, more = (shown_rows(0, ids, ids, "image", rate, 1000) for rate in (0.3, 0.5))
    >>> bool((more.misaligned | ~some.misaligned).all()), bool((more.places == ids)[more.misaligned].any())
    (True, False)
    """
    if rate == 0.0 or rows < 2:
        return ShownRows(places, np.zeros(len(places), dtype=bool))
    uniform = Stream(seed, f"misaligned/{modality}").at(sample_ids, 2)
    misaligned = uniform[:, 0] < rate
    donors = (places + 1 + below(uniform[:, 1], rows - 1)) % rows
    if lenders is not None:
        misaligned &= _has_donor(lenders, places)
        donors[misaligned] = _next_able(lenders, places[misaligned], donors[misaligned])
    return ShownRows(np.where(misaligned, donors, places), misaligned)


def _has_donor(lenders: Lenders, places: IntArray) -> BoolArray:
    """(N,) bool: whether another row, of another group, can lend its value to each of some rows."""
    if lenders.groups is None:
        return np.asarray(lenders.able.sum() - lenders.able[places] > 0)
    _, numbers = np.unique(lenders.groups, return_inverse=True)
    of_group = np.bincount(numbers, weights=lenders.able)
    return np.asarray(lenders.able.sum() - of_group[numbers[places]] > 0)


def _next_able(lenders: Lenders, places: IntArray, donors: IntArray) -> IntArray:
    """(N,) int64: each donor, or the next row that can lend its value, for rows that have such a donor."""
    found, open_rows = donors.copy(), np.arange(len(donors))
    while len(open_rows):
        at, own = found[open_rows], places[open_rows]
        unfit = ~lenders.able[at] | (at == own)
        if lenders.groups is not None:
            unfit |= lenders.groups[at] == lenders.groups[own]
        open_rows = open_rows[unfit]
        found[open_rows] = (found[open_rows] + 1) % len(lenders.able)
    return found
