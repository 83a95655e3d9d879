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
from symile_data.misalignment import NO_DONOR
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
class UnreliableRows:
    """Gathers the flags, donors and hashes of values of a dataset, shard by shard in order.

    Args:
        manifest: The manifest of the dataset.
    """

    manifest: Manifest
    _reached: dict[str, int] = field(default_factory=dict)
    _parts: dict[tuple[str, str], list[_Part]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        try:
            self._settings = Reliability.of(self.manifest.identity.spec)
        except (TypeError, AttributeError) as error:
            raise DamageError(
                "the manifest's rates of misaligned and noisy values cannot be read", got=error, do="build it again"
            ) from None
        self._named = [modality for modality in self.manifest.modalities if self._settings.columns_of(modality.name)]

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
        split = SplitRows(entry.split, first_id, self.manifest.splits[entry.split])
        for modality in self._named:
            absent = np.asarray(table[modality.mask].to_numpy()).astype(bool)
            seed = self.manifest.identity.spec["seed"]
            drawn = self._settings.draw(seed, split, places, modality.name, absent)
            for column, expected in drawn.columns(modality.name).items():
                if column in self._settings.columns_of(modality.name):
                    wrong = np.flatnonzero(np.asarray(table[column].to_numpy()) != expected)
                    if len(wrong):
                        yield f"sample {ids[wrong[0]]}: {column} is not what the seed draws"
            if modality.name in self._settings.misaligned:
                donors = np.asarray(table[f"{modality.name}_donor"].to_numpy())
                self._keep(entry.split, modality, table, places, np.where(donors == NO_DONOR, -1, donors - first_id))

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
