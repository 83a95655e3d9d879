"""Misaligned rows: which row each value belongs to, by the columns of a build or by a draw at load.

Legend: N rows of a split, in file order.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.datasets.mimic.schema import PATIENT
from symile_data.errors import DamageError, UsageError, choose_column
from symile_data.format.shards.arrow_numpy import numbers
from symile_data.misalignment import Lenders, shown_rows
from symile_data.reliability import Reliability

from .arguments import Variation
from .batches import BatchSpec, BoolArray, IntArray
from .labels import label_of, label_values
from .split import Split


def check_misaligned(variation: Variation, split: Split, *, cached: bool) -> None:
    """Refuse values of `misaligned`, `donors_differ_in` and `value_labels` that cannot work.

    Raises:
        UsageError: the message names the argument, modality or rate that is wrong.
    """
    misaligned, value_labels = variation.misaligned, variation.value_labels
    if variation.donors_differ_in and variation.donors_differ_in not in split.columns:
        raise UsageError(
            "donors_differ_in names no column of this split",
            where=split.location,
            got=repr(variation.donors_differ_in),
            do=choose_column(variation.donors_differ_in, split.columns),
        )
    kinds = {modality.name: modality.kind for modality in split.modalities}
    Reliability(misaligned=misaligned).check(kinds)
    if any(misaligned.values()) and not cached:
        raise UsageError("misaligned needs decoded values at hand", do="pass cache=True")
    for name, rate in misaligned.items():
        if rate and f"{name}_donor" in split.columns:
            raise UsageError(
                "the build already misaligned this modality", where=split.location, got=name, do="leave it out"
            )
    for column, name in value_labels.items():
        if name not in kinds:
            raise UsageError(
                "value_labels names no modality of this split", got=repr(name), do=f"choose among {', '.join(kinds)}"
            )
        label_of(split, column)


def differing_column(variation: Variation, split: Split) -> str:
    """Return the column in which a row and its donor differ; "" for none."""
    if variation.donors_differ_in is not None:
        return variation.donors_differ_in
    return PATIENT if PATIENT in split.columns else ""


def stored_owners(split: Split, modality: str) -> IntArray | None:
    """Return the row to which each row's value of a modality belongs, by the columns of a build.

    Returns:
        (N,) int64; None where no build misaligned the modality.

    Raises:
        DamageError: a donor is no row of the split.
    """
    names = [f"{modality}_misaligned", f"{modality}_donor", "sample_id"]
    if not set(names) <= set(split.columns):
        return None
    table = split.read_all(names)
    swapped, donors, ids = (numbers(table[name]) for name in names)
    owners = np.arange(split.rows)
    rows = np.flatnonzero(swapped)
    order = np.argsort(ids, kind="stable")
    owners[rows] = order[np.searchsorted(ids[order], donors[rows]).clip(max=len(ids) - 1)]
    strange = rows[ids[owners[rows]] != donors[rows]]
    if len(strange):
        raise DamageError(
            f"{modality}_donor names no row of the split",
            where=split.place(int(strange[0])),
            got=int(donors[strange[0]]),
            do="build the dataset again",
        )
    return owners


def drawn_owners(spec: BatchSpec, modality: str, rate: float, sample_ids: IntArray, present: BoolArray) -> IntArray:
    """Draw the row whose value each row shows at load.

    Args:
        spec: The contents of a sample.
        modality: Name of the modality.
        rate: Rate from 0 to 1.
        sample_ids: (N,) int64.
        present: (N,) bool, rows that have a value.

    Returns:
        (N,) int64; a row without a value keeps its own place.
    """
    rows = np.arange(len(sample_ids))
    groups = None
    if spec.donors_differ_in:
        values = spec.split.read_all([spec.donors_differ_in])[spec.donors_differ_in].combine_chunks()
        groups = numbers(values.dictionary_encode(null_encoding="encode").indices)
    lenders = Lenders(present, groups)
    drawn = shown_rows(spec.seed, sample_ids[present], rows[present], modality, rate, len(rows), lenders)
    owners = rows.copy()
    owners[present] = drawn.places
    return owners


class OwnerRows:
    """The rows to which the values of a split belong, read or drawn when they are first needed.

    Args:
        split: The split.

    Attributes:
        drawn: By modality that is misaligned at load, (N,) the row whose value each row shows.
    """

    def __init__(self, split: Split) -> None:
        self._split = split
        self.drawn: Mapping[str, IntArray] = {}
        self._stored: dict[str, IntArray | None] = {}
        self._labels: dict[str, npt.NDArray[Any]] = {}

    def of(self, modality: str) -> IntArray | None:
        """Return the (N,) rows to which the values of a modality belong; None where every row shows its own."""
        if modality in self.drawn:
            return self.drawn[modality]
        if modality not in self._stored:
            self._stored[modality] = stored_owners(self._split, modality)
        return self._stored[modality]

    def among(self, modalities: Iterable[str]) -> list[IntArray]:
        """Return the rows to which values belong, of those modalities in which some row does not show its own."""
        found = [self.of(name) for name in modalities]
        return [owners for owners in found if owners is not None]

    def labels(self, column: str) -> npt.NDArray[Any]:
        """Return the values of a label column for all rows, as batches deliver them."""
        if column not in self._labels:
            missing = np.zeros((self._split.rows, len(self._split.modalities)), dtype=bool)
            label, table = label_of(self._split, column), self._split.read_all([column])
            self._labels[column] = label_values(self._split, label, table, missing, 0)
        return self._labels[column]

    @cached_property
    def ids(self) -> IntArray:
        """(N,) int64 sample ids."""
        if "sample_id" not in self._split.columns:
            return np.arange(self._split.rows)
        return numbers(self._split.read_all(["sample_id"])["sample_id"])
