"""Which fold of a file of folds a run is trained and tested on, as the record of the run keeps it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class FoldChoice:
    """The fold of a dataset on which a run is trained and tested.

    Args:
        file: Path of the file of folds as it was given.
        fold: The fold to test on, from 0.
        repeat: The repetition, from 0.
    """

    file: str
    fold: int
    repeat: int = 0
