"""Check misaligned and noisy rows: that the flags and donors are those of the seed, and that values are the donors'."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.id_set import sample_ids
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.schema import Modality
from symile_data.misalignment import NO_DONOR, Lenders
from symile_data.reliability import Reliability, SplitRows

BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]


@dataclass
class _Part:
    """What N rows of a shard say of one modality."""

    places: IntArray
    donors: IntArray
    values: npt.NDArray[np.uint64]
    plain: BoolArray


@dataclass
class _Told:
    """Columns of all rows of a split whose draws need the whole split, in parts.

    Args:
        absent: (N,) bool, rows that lack the modality.
        columns: Column that the settings add -> its values.
        groups: (N,) hashes of the values in which a row and its donor differ; empty where they need not.
    """

    absent: list[BoolArray] = field(default_factory=list)
    columns: dict[str, list[npt.NDArray[np.generic]]] = field(default_factory=dict)
    groups: list[npt.NDArray[np.uint64]] = field(default_factory=list)


@dataclass
class UnreliableRows:
    """Gathers the flags, donors and hashes of values of a dataset, shard by shard in order.

    Args:
        manifest: The manifest of the dataset.
    """

    manifest: Manifest
    _reached: dict[str, int] = field(default_factory=dict)
    _parts: dict[tuple[str, str], list[_Part]] = field(default_factory=dict)
    _told: dict[tuple[str, str], _Told] = field(default_factory=dict)
    _first_ids: dict[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._settings = Reliability.of(self.manifest.identity.spec)
        except (TypeError, AttributeError) as error:
            raise DamageError(
                "the manifest's rates of misaligned and noisy values cannot be read", got=error, do="build it again"
            ) from None
        self._named = [modality for modality in self.manifest.modalities if self._settings.columns_of(modality.name)]

    @property
    def reads_media(self) -> bool:
        """Whether values without an id are compared, of which images and audio have bytes."""
        return any(modality.id_column is None for modality in self._named if modality.name in self._settings.misaligned)

    def add(self, entry: FileEntry, table: pa.Table) -> Iterator[str]:
        """Take in the next shard of a split, and yield clauses about flags and donors that the seed does not give."""
        if not self._settings or entry.split is None:
            return
        ids, start = sample_ids(table), self._reached.get(entry.split, 0)
        self._reached[entry.split] = start + len(table)
        places = np.arange(start, start + len(table))
        first_id = int(ids[0]) - start if len(ids) else 0
        if (ids != first_id + places).any():
            yield "its sample_ids are not consecutive, so its donors cannot be compared"
            return
        self._first_ids[entry.split] = first_id
        for modality in self._named:
            absent = np.asarray(table[modality.mask].to_numpy()).astype(bool)
            found = {column: np.asarray(table[column].to_numpy()) for column in self._columns(modality)}
            if self._whole(modality):
                self._remember(entry.split, modality, table, absent, found)
            else:
                yield from self._draw_problems(entry.split, modality, places, absent, found)
            if modality.name in self._settings.misaligned:
                donors = np.asarray(table[f"{modality.name}_donor"].to_numpy())
                self._keep(entry.split, modality, table, places, np.where(donors == NO_DONOR, -1, donors - first_id))

    def _columns(self, modality: Modality) -> list[str]:
        return list(self._settings.columns_of(modality.name))

    def _whole(self, modality: Modality) -> bool:
        """Whether a donor depends on other rows of the split."""
        looks = self._settings.donors_have_value or bool(self._settings.donors_differ_in)
        return looks and modality.name in self._settings.misaligned

    def _remember(
        self,
        split: str,
        modality: Modality,
        table: pa.Table,
        absent: BoolArray,
        found: dict[str, npt.NDArray[np.generic]],
    ) -> None:
        told = self._told.setdefault((split, modality.name), _Told())
        told.absent.append(absent)
        for column, values in found.items():
            told.columns.setdefault(column, []).append(values)
        if self._settings.donors_differ_in:
            told.groups.append(_hashes(table[self._settings.donors_differ_in]))

    def _draw_problems(
        self,
        split: str,
        modality: Modality,
        places: IntArray,
        absent: BoolArray,
        found: dict[str, npt.NDArray[np.generic]],
        lenders: Lenders | None = None,
    ) -> Iterator[str]:
        """Compare the columns of some rows with what the seed draws."""
        rows = SplitRows(split, self._first_ids[split], self.manifest.splits[split])
        seed = self.manifest.identity.spec["seed"]
        drawn = self._settings.draw(seed, rows, places, modality.name, absent, lenders)
        expected = drawn.columns(modality.name)
        for column, values in found.items():
            wrong = np.flatnonzero(values != expected[column])
            if len(wrong):
                yield f"sample {drawn.ids[wrong[0]]}: {column} is not what the seed draws"

    def _whole_problems(self) -> Iterator[str]:
        """Compare the draws that need whole splits."""
        for (split, name), told in self._told.items():
            modality = next(modality for modality in self._named if modality.name == name)
            absent = np.concatenate(told.absent)
            if len(absent) != self.manifest.splits[split]:
                continue  # a shard could not be read, which another sentence says
            groups = np.concatenate(told.groups) if told.groups else None
            found = {column: np.concatenate(parts) for column, parts in told.columns.items()}
            places, lenders = np.arange(len(absent)), Lenders(~absent, groups)
            for clause in self._draw_problems(split, modality, places, absent, found, lenders):
                yield f"{split}: {clause}"

    def _keep(self, split: str, modality: Modality, table: pa.Table, places: IntArray, donors: IntArray) -> None:
        noisy = np.zeros(len(table), dtype=bool)
        if modality.name in self._settings.noisy:
            noisy = np.asarray(table[f"{modality.name}_noisy"].to_numpy()).astype(bool)
        plain = ~noisy & ~np.asarray(table[modality.mask].to_numpy()).astype(bool)
        values = _hashes(table[modality.id_column or modality.column])
        self._parts.setdefault((split, modality.name), []).append(_Part(places, donors, values, plain))

    def problems(self) -> Iterator[str]:
        """Yield a clause for each split and modality in which a value is not that of the donor.

        A donor that is itself misaligned, noisy or without the modality shows no value to compare with.
        """
        yield from self._whole_problems()
        for (split, name), parts in self._parts.items():
            donors = np.concatenate([part.donors for part in parts])
            values = np.concatenate([part.values for part in parts])
            plain = np.concatenate([part.plain for part in parts])
            swapped = np.flatnonzero((donors >= 0) & (donors < len(donors)) & plain)
            shown = donors[swapped]
            comparable = plain[shown] & (donors[shown] < 0)
            wrong = swapped[comparable & (values[swapped] != values[shown])]
            if len(wrong):
                yield f"{split}, row {wrong[0]}: {name} is not the value of the row that {name}_donor names"


def _hashes(column: pa.ChunkedArray) -> npt.NDArray[np.uint64]:
    """(N,) hashes of the values of a column, equal for equal values."""

    def hashed(value: object) -> int:
        data = value if isinstance(value, bytes) else repr(value).encode()
        return int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")

    return np.array([hashed(value) for value in column.to_pylist()], dtype=np.uint64)
