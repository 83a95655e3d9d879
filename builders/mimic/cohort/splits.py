"""Assignment of admissions to splits: by patient and seeded, or by row as in the public pipeline."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.format.schema import SPLITS
from symile_data.progress.amounts import counted
from symile_data.rng import Stream

from ..spec import MimicSpec

_TRAIN_SHARE, _VALIDATION_SHARE = 0.8, 0.1

RowNumbers = npt.NDArray[np.int64]


def split_sizes(spec: MimicSpec, admissions: int) -> tuple[int, int]:
    """Return the sizes of the training and the validation split; the rest is the test split.

    Raises:
        UsageError: their sum exceeds the number of admissions.

    >>> split_sizes(MimicSpec(), 50)
    (40, 5)
    """
    train = round(_TRAIN_SHARE * admissions) if spec.train is None else spec.train
    validation = round(_VALIDATION_SHARE * admissions) if spec.validation is None else spec.validation
    if train + validation > admissions:
        raise UsageError(
            "`train` and `validation` ask for more rows than the cohort has",
            got=f"{train:,} and {validation:,} of {counted(admissions, 'admission')}",
            do="ask for fewer",
        )
    return train, validation


def check_sizes(spec: MimicSpec, admissions: int) -> None:
    """Refuse impossible sizes before media are read, which may take hours and can only lose admissions.

    Where `train` or `validation` is given, the size of the test split is known only after the media are read, so its
    retrieval sets are not checked here.

    Args:
        spec: The settings of the build.
        admissions: Number of admissions that the tables give.

    Raises:
        UsageError: more rows are asked for than there are admissions, or a retrieval set is larger than its split.

    >>> check_sizes(MimicSpec(candidates=5), 50)
    """
    train, validation = split_sizes(spec, admissions)
    sizes = {"validation": validation}
    if spec.train is None and spec.validation is None:
        sizes["test"] = admissions - train - validation
    for split, rows in sizes.items():
        if 0 < rows < spec.candidates:
            raise UsageError(
                f"`candidates` asks for more than the {split} split can give",
                got=f"{spec.candidates}, and an admission with {rows - 1} of other patients at most",
                do="ask for fewer candidates, or for a larger split",
            )


def split_by_patient(subject_ids: Sequence[int], train: int, validation: int, seed: int) -> dict[str, RowNumbers]:
    """Give whole patients, in a random order, to the first split that still has room for all their admissions.

    Args:
        subject_ids: The patient of each row of the cohort.
        train: Rows of the training split. It gets fewer only where no patient fits into the rest.
        validation: Rows of the validation split, filled in the same way.
        seed: Seed of the order of the patients, which does not depend on the order of the rows.

    Returns:
        Split -> row numbers, ascending. No patient is in two splits and no row is left out.
    """
    patients, inverse, counts = np.unique(np.asarray(subject_ids), return_inverse=True, return_counts=True)
    order = np.argsort(Stream(seed, "mimic/splits").at(patients, 1)[:, 0], kind="stable")
    room = {"train": train, "validation": validation}
    split_of = np.full(len(patients), SPLITS.index("test"))
    for patient in order.tolist():
        for split, free in room.items():
            if counts[patient] <= free:
                room[split] = free - int(counts[patient])
                split_of[patient] = SPLITS.index(split)
                break
    return {split: np.flatnonzero(split_of[inverse] == index) for index, split in enumerate(SPLITS)}


def split_by_row(subject_ids: Sequence[int], train: int, validation: int, seed: int) -> dict[str, RowNumbers]:
    """Make the public pipeline's splits, row for row and in its order.

    It draws `train` rows, discards the other rows of their patients, draws `validation` rows from the rest, and
    discards the other rows of the patients of the validation split. The draws are those of scikit-learn's
    `train_test_split` with this seed, which uses numpy's legacy generator.

    Raises:
        UsageError: too few rows are left for the validation split.
    """
    subjects = np.asarray(subject_ids)
    rest, drawn = _halves(np.arange(len(subjects)), train, seed)
    rest = rest[~np.isin(subjects[rest], subjects[drawn])]
    if validation > len(rest):
        raise UsageError(
            "`validation` asks for more rows than are left without the training patients' other admissions",
            got=f"{validation:,} of {len(rest):,}",
            do="ask for fewer, or build without `reference`",
        )
    test, held_out = _halves(rest, validation, seed)
    test = test[~np.isin(subjects[test], subjects[held_out])]
    return {"train": drawn, "validation": held_out, "test": test}


def _halves(rows: RowNumbers, second: int, seed: int) -> tuple[RowNumbers, RowNumbers]:
    """Permute `rows`; return all but the last `second`, and the last `second`."""
    permutation = np.random.RandomState(seed).permutation(len(rows))
    return rows[permutation[: len(rows) - second]], rows[permutation[len(rows) - second :]]
