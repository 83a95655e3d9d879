"""Simulated misalignment: decide which rows show the value of another row in some modality, and of which row.

Two numbers of the stream `misaligned/<modality>` at a row's sample_id decide. Where the first is below the rate, the
row shows the value of the donor that the second number draws, uniformly among all other rows of the split. So the draw
is the same in every epoch, worker and machine, and nested: a row that is misaligned at rate 0.3 is so at 0.5 too, with
the same donor. Builders and loaders draw from the same stream, so that both give the same rows under one seed.
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


def shown_rows(
    seed: int, sample_ids: npt.NDArray[np.integer], places: IntArray, modality: str, rate: float, rows: int
) -> ShownRows:
    """Draw the rows whose values some rows show.

    Args:
        seed: Seed of the build or loader.
        sample_ids: (N,) integers.
        places: (N,) int64, positions of these rows in their split.
        modality: Name of the modality.
        rate: Probability in [0, 1] that a row shows the value of another.
        rows: Number of rows of the split. A single row has no donor and stays as it is.

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
    return ShownRows(np.where(misaligned, donors, places), misaligned)
