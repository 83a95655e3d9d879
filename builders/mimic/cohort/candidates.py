"""Draw the retrieval sets: the admissions among which the X-ray of a validation or test row is retrieved."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.rng import Stream

Ids = npt.NDArray[np.int64]


def draw_candidates(
    split: str,
    subject_ids: Ids,
    eligible: npt.NDArray[np.bool_],
    count: int,
    seed: int,
    *,
    same_patient: bool,
) -> npt.NDArray[np.int64]:
    """Draw other rows of the split for each eligible row, without replacement.

    Args:
        split: Name of the split, which also names the random stream.
        subject_ids: (N,) patient of each row.
        eligible: (N,) whether a row has an X-ray; other rows are neither queries nor candidates.
        count: Candidates of a row, itself included.
        seed: Seed of the build.
        same_patient: Allow other admissions of the row's patient, as the public pipeline does.

    Returns:
        (N, count) row numbers, the row itself first; -1 in rows that are not eligible.

    Raises:
        UsageError: the split has too few admissions or patients.
    """
    drawn = np.full((len(subject_ids), count), -1, dtype=np.int64)
    stream = Stream(seed, f"mimic/candidates/{split}")
    for row in np.flatnonzero(eligible).tolist():
        allowed = eligible.copy() if same_patient else eligible & (subject_ids != subject_ids[row])
        allowed[row] = False
        others = np.flatnonzero(allowed)
        if len(others) < count - 1:
            raise UsageError(
                f"`candidates` asks for more than the {split} split can give",
                got=f"{count}, and an admission with {len(others)} of other patients",
                do="ask for fewer candidates, or for a larger split",
            )
        chance = stream.rows(row, row + 1, len(others))[0]
        drawn[row] = [row, *others[np.argsort(chance, kind="stable")[: count - 1]]]
    return drawn
