"""Draw the folds of a dataset with scikit-learn: rows of one group stay together, and a label is spread evenly."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import UsageError, choose_column
from symile_data.extras import needs_extra
from symile_data.format import manifest as manifests
from symile_data.format.manifest import OWN_VERSIONS
from symile_data.rng import Stream

from .fold_file import LEAST_FOLDS, FoldFile, shards_digest

if TYPE_CHECKING:
    from symile_data.loaders import Split

NO_LABEL = "no label"  # stands for null where labels are counted
PATIENT = "subject_id"  # the column whose rows stay together where a dataset has it

IntArray = npt.NDArray[np.int64]


def make_folds(
    directory: Path,
    *,
    repeats: int = 3,
    folds: int = 5,
    stratify: str | None = None,
    group: str | None = None,
    seed: int = 0,
) -> FoldFile:
    """Divide the rows of all splits of a dataset into folds, several times.

    With groups the folds are those of `StratifiedGroupKFold` (which balances the sizes of the folds where no column is
    to be stratified), without groups those of `StratifiedKFold` or `KFold`, shuffled by a stream of the seed that the
    repetition names.

    Args:
        directory: A finished dataset.
        repeats: R, repetitions.
        folds: K, at least 3.
        stratify: Column of labels, whose nulls count as one more label.
        group: Column of groups; where not given, `subject_id` if the dataset has it, so that no patient is in two
            folds.
        seed: Seed of the folds.

    Raises:
        UsageError: there is no such column, a column cannot be grouped or stratified by, there are fewer groups than
            folds, or the dataset's rows show values of other rows.
        DamageError: the dataset is damaged.
    """
    from symile_data.loaders import open_split

    for name, asked, least in (("repeats", repeats, 1), ("folds", folds, LEAST_FOLDS)):
        if asked < least:
            raise UsageError(f"`{name}` must be at least {least}", got=asked)
    manifest = manifests.read(directory)
    splits = [open_split(directory, split, manifest=manifest) for split in manifest.splits if manifest.splits[split]]
    there = splits[0].columns
    _check_donors(directory, there)
    if group is None and PATIENT in there:
        group = PATIENT
    for column in (name for name in (stratify, group) if name is not None):
        if column not in there:
            raise UsageError(
                "the dataset has no such column", where=directory, got=column, do=choose_column(column, there)
            )
    ids = _ids(directory, splits)
    labels = None if stratify is None else _numbers(directory, splits, stratify, nulls=True)
    groups = None if group is None else _numbers(directory, splits, group, nulls=False)
    units = len(ids) if groups is None else len(np.unique(groups))
    if units < folds:
        raise UsageError(
            "there are fewer rows or groups than `folds`",
            where=directory,
            got=f"{units} for {folds}",
            do="ask for fewer" if units >= LEAST_FOLDS else f"build a dataset with {LEAST_FOLDS} of them at least",
        )
    return FoldFile(
        dataset=manifest.identity.dataset,
        fingerprint=manifest.identity.fingerprint,
        shards=shards_digest(manifest),
        folds=folds,
        seed=seed,
        group=group,
        stratify=stratify,
        versions={"symile-data": OWN_VERSIONS["symile-data"], "scikit-learn": metadata.version("scikit-learn")},
        sample_ids=ids.tolist(),
        fold_of=[_folds(folds, labels, groups, len(ids), seed, repeat).tolist() for repeat in range(repeats)],
    )


def _folds(count: int, labels: IntArray | None, groups: IntArray | None, rows: int, seed: int, repeat: int) -> IntArray:
    """Return the (N,) folds of one repetition.

    Raises:
        UsageError: no label has as many rows as there are folds.
    """
    with needs_extra("train", "dividing rows into folds"):
        from sklearn.model_selection import KFold, StratifiedGroupKFold, StratifiedKFold

    state = Stream(seed, f"folds/{repeat}").integer() % 2**32
    kind: Any = StratifiedGroupKFold if groups is not None else KFold if labels is None else StratifiedKFold
    made = kind(n_splits=count, shuffle=True, random_state=state)
    found = np.full(rows, -1, dtype=np.int64)
    target = np.zeros(rows, dtype=np.int64) if labels is None else labels
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a label with fewer rows than folds
        try:
            parts = list(made.split(np.zeros(rows), target, groups))
        except ValueError as error:
            raise UsageError("the rows cannot be stratified by this column", got=error, do="choose another") from None
    for fold, (_, test) in enumerate(parts):
        found[test] = fold
    return found


def _ids(directory: Path, splits: list[Split]) -> IntArray:
    ids = np.concatenate([split.read_all(["sample_id"])["sample_id"].to_numpy() for split in splits])
    if len(np.unique(ids)) < len(ids):
        raise UsageError(
            "rows of different splits have the same sample_id, so that folds cannot name them",
            where=directory,
            do="write the dataset again with ids that differ between splits",
        )
    return ids.astype(np.int64)


def _numbers(directory: Path, splits: list[Split], column: str, *, nulls: bool) -> IntArray:
    """Number the values of a column over all rows, in the order of their first rows.

    Raises:
        UsageError: the column holds lists or media, or nulls where `nulls` is False.
    """
    chunks = [chunk for split in splits for chunk in split.read_all([column])[column].chunks]
    values = pa.chunked_array(chunks, splits[0].schema.field(column).type)
    if pa.types.is_nested(values.type) or pa.types.is_binary(values.type):
        raise UsageError(
            "rows can be divided by a column of numbers, booleans or texts only",
            where=directory,
            got=f"{column} of type {values.type}",
        )
    if values.null_count and not nulls:
        raise UsageError(
            "a column of groups must not have nulls", where=directory, got=f"{values.null_count} in {column}"
        )
    encoded = values.combine_chunks().dictionary_encode(null_encoding="encode")
    return np.asarray(encoded.indices.to_numpy(), dtype=np.int64)


def _check_donors(directory: Path, columns: list[str]) -> None:
    donors = [name for name in columns if name.endswith("_donor")]
    if donors:
        raise UsageError(
            "rows of this dataset show values of other rows, which folds would part",
            where=directory,
            got=donors[0],
            do="make folds of a dataset that was built without `misaligned`",
        )


def in_order(labels: Iterable[str]) -> list[str]:
    """Sort different labels, numbers by value before texts and `NO_LABEL` last.

    >>> in_order(["no label", "10", "9", "b", "-1", "9"])
    ['-1', '9', '10', 'b', 'no label']
    """

    def key(label: str) -> tuple[int, float, str]:
        try:
            return 0, float(label), label
        except ValueError:
            return 1 + (label == NO_LABEL), 0.0, label

    return sorted(set(labels), key=key)


def fold_counts(folds: FoldFile, directory: Path) -> Iterator[dict[str, Any]]:
    """Count what is in each fold of each repetition: rows, groups, and rows of every label and of none (`NO_LABEL`).

    Args:
        folds: The folds.
        directory: The dataset that they belong to.
    """
    from symile_data.loaders import open_split

    manifest = manifests.read(directory)
    splits = [open_split(directory, split, manifest=manifest) for split in manifest.splits if manifest.splits[split]]
    values = {
        name: [value for split in splits for value in split.read_all([name])[name].to_pylist()]
        for name in (folds.group, folds.stratify)
        if name is not None
    }
    for repeat, numbers in enumerate(folds.fold_of):
        for fold in range(folds.folds):
            rows = np.flatnonzero(np.array(numbers) == fold).tolist()
            counted: dict[str, Any] = {"repeat": repeat, "fold": fold, "rows": len(rows)}
            if folds.group is not None:
                counted["groups"] = len({values[folds.group][row] for row in rows})
            if folds.stratify is not None:
                found = [values[folds.stratify][row] for row in rows]
                labels = [NO_LABEL if value is None else str(value) for value in found]
                counted["labels"] = {label: labels.count(label) for label in in_order(labels)}
            yield counted
