"""The settings of unreliable modalities: at which rates rows show values of other rows, or noisy values.

Without rates a build has none of the columns that these settings add and none of them in its fingerprint, so its bytes
are those of a build that does not know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from .arguments import check_fields
from .errors import UsageError
from .misalignment import NO_DONOR, BoolArray, IntArray, Lenders, ShownRows, shown_rows
from .noise import NOISE_KINDS, noisy_rows

TEST = "test"


@dataclass(frozen=True, kw_only=True)
class Reliability:
    """Rates at which modalities are unreliable.

    Args:
        misaligned: Modality -> rate in [0, 1] at which a row shows the value of another row of its split.
        misaligned_test: Whether rows of the test split do so too.
        noisy: Modality -> rate in [0, 1] at which a row's value is noisy.
        noise_levels: Modality -> level of its noise, such as the probability that a bit of a vector is flipped, the
            standard deviation of an image's pixels (from 0 to 255), or the signal-to-noise ratio of audio in dB. What
            the level of each kind measures, and its default, is in `noise.NOISE_KINDS`.
        noisy_test: Whether values of the test split are noisy too.
        noise_kinds: Modality -> the entry of `noise.NOISE_KINDS` for its noise, where that is not its kind. Builders
            set it.
        donors_have_value: Whether only rows that have the modality lend their values; else every row has one to lend,
            which simulated missingness may take away from the row itself. Builders set it.
        donors_differ_in: A column in which a row and its donor differ, such as the patient; "" where they need not.
    """

    misaligned: Mapping[str, float] = field(default_factory=dict)
    misaligned_test: bool = False
    noisy: Mapping[str, float] = field(default_factory=dict)
    noise_levels: Mapping[str, float] = field(default_factory=dict)
    noisy_test: bool = False
    noise_kinds: Mapping[str, str] = field(default_factory=dict)
    donors_have_value: bool = False
    donors_differ_in: str = ""

    def __post_init__(self) -> None:
        check_fields(self)
        for name in ("misaligned", "noisy"):
            object.__setattr__(self, name, {key: rate for key, rate in getattr(self, name).items() if rate})

    def check(self, kinds: Mapping[str, str]) -> None:
        """Refuse settings that do not fit the modalities of a dataset.

        Args:
            kinds: Modality -> kind.

        Raises:
            UsageError: a name is no modality, a rate is outside [0, 1], a kind of modality has no noise, or a level is
                out of range.
        """
        for argument in ("misaligned", "noisy", "noise_levels"):
            unknown = [name for name in getattr(self, argument) if name not in kinds]
            if unknown:
                raise UsageError(
                    f"`{argument}` names a modality that this dataset does not have",
                    got=repr(unknown[0]),
                    do=f"choose among {', '.join(kinds)}",
                )
        for what, rates in (("misaligned", self.misaligned), ("noisy", self.noisy)):
            for name, rate in rates.items():
                if not 0.0 <= rate <= 1.0:
                    raise UsageError(f"the `{what}` rate of {name} is outside [0, 1]", got=rate)
        for name in self.noisy:
            kind = self.noise_kinds.get(name, kinds[name])
            if kind not in NOISE_KINDS:
                able = ",".join(
                    f"{other}={self.noisy.get(other, self.noisy[name]):g}"
                    for other in kinds
                    if self.noise_kinds.get(other, kinds[other]) in NOISE_KINDS
                )
                raise UsageError(
                    f"{name} is of a kind that has no noise",
                    got=f"a `noisy` rate of {self.noisy[name]:g} for it",
                    do=f"give rates by name: {able}" if able else "leave out `noisy`",
                )
            noise, level = NOISE_KINDS[kind], self.noise_level(name, kind)
            if not noise.least <= level <= noise.most:
                raise UsageError(
                    f"the `noise_levels` of {name}, a {noise.measure}, is from {noise.least:g} to {noise.most:g}",
                    got=level,
                )
        if self.noise_levels and not self.noisy:
            raise UsageError("`noise_levels` says how noisy values are, and none are", do="give `noisy` a rate")

    def __bool__(self) -> bool:
        return bool(self.misaligned or self.noisy)

    def noise_level(self, modality: str, kind: str) -> float:
        """The level of a modality's noise: as asked for, or the default of its kind."""
        return self.noise_levels.get(modality, NOISE_KINDS[self.noise_kinds.get(modality, kind)].default)

    def noise_shown(self, modality: str, kind: str) -> str:
        """Describe the noise of a modality with its level, for people."""
        noise = NOISE_KINDS[self.noise_kinds.get(modality, kind)]
        return noise.shown.format(self.noise_level(modality, kind))

    def columns_of(self, modality: str) -> dict[str, str]:
        """The columns that these settings add for a modality, and their types."""
        swapped = {f"{modality}_misaligned": "bool", f"{modality}_donor": "int64"}
        return (swapped if modality in self.misaligned else {}) | (
            {f"{modality}_noisy": "bool"} if modality in self.noisy else {}
        )

    def misaligned_rate(self, split: str, modality: str) -> float:
        """The rate at which rows of a split show another row's value of a modality."""
        return self.misaligned.get(modality, 0.0) if split != TEST or self.misaligned_test else 0.0

    def noisy_rate(self, split: str, modality: str) -> float:
        """The rate at which rows of a split have a noisy value of a modality."""
        return self.noisy.get(modality, 0.0) if split != TEST or self.noisy_test else 0.0

    def draw(
        self,
        seed: int,
        split: SplitRows,
        places: IntArray,
        modality: str,
        absent: npt.NDArray[np.bool_],
        lenders: Lenders | None = None,
    ) -> AffectedRows:
        """Draw what some rows show in a modality.

        Args:
            seed: Seed of the build.
            split: The split of the rows.
            places: (N,) int64, positions of the rows in the split.
            modality: Name of the modality.
            absent: (N,) bool, rows that lack the modality; they are neither misaligned nor noisy.
            lenders: Which rows of the split lend their values, with `donors_have_value` or `donors_differ_in`.
        """
        ids = split.sample_ids(places)
        rate = self.misaligned_rate(split.name, modality)
        drawn = shown_rows(seed, ids, places, modality, rate, split.rows, lenders)
        misaligned = drawn.misaligned & ~absent
        shown = ShownRows(np.where(misaligned, drawn.places, places), misaligned)
        noisy = noisy_rows(seed, ids, modality, self.noisy_rate(split.name, modality)) & ~absent
        return AffectedRows(ids=ids, shown=shown, donors=split.sample_ids(shown.places), noisy=noisy)

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the manifest stores them; {} where every modality is reliable."""
        swaps = {"misaligned": dict(self.misaligned), "misaligned_test": self.misaligned_test}
        swaps |= {"donors_have_value": True} if self.donors_have_value else {}
        swaps |= {"donors_differ_in": self.donors_differ_in} if self.donors_differ_in else {}
        noise = {"noisy": dict(self.noisy), "noise_levels": dict(self.noise_levels), "noisy_test": self.noisy_test}
        kinds = {name: kind for name, kind in self.noise_kinds.items() if name in self.noisy}
        noise |= {"noise_kinds": kinds} if kinds else {}
        return (swaps if self.misaligned else {}) | (noise if self.noisy else {})

    @classmethod
    def of(cls, spec: Mapping[str, Any]) -> Reliability:
        """Read the settings back from a manifest's spec.

        Raises:
            TypeError, AttributeError: they are of other types.
        """
        return cls(**{name: spec[name] for name in cls.__dataclass_fields__ if name in spec})


@dataclass(frozen=True)
class SplitRows:
    """The rows of a split whose ids are consecutive.

    Args:
        name: Name of the split.
        first_id: The sample_id of its first row.
        rows: Number of its rows.
    """

    name: str
    first_id: int
    rows: int

    @classmethod
    def of(cls, rows: Mapping[str, int], name: str) -> SplitRows:
        """Return the rows of one split of a dataset whose ids count through its splits in order.

        Args:
            rows: Split -> number of rows, in the order of the ids.
            name: The split.

        >>> SplitRows.of({"train": 80, "validation": 10, "test": 10}, "test").first_id
        90
        """
        names = list(rows)
        return cls(name, sum(rows[before] for before in names[: names.index(name)]), rows[name])

    def sample_ids(self, places: IntArray) -> IntArray:
        """(N,) int64: the ids of the rows at some positions."""
        return self.first_id + places


@dataclass(frozen=True, kw_only=True)
class AffectedRows:
    """What N rows show in one modality.

    Args:
        ids: (N,) int64, their ids.
        shown: The rows whose values they show.
        donors: (N,) int64, the ids of those rows.
        noisy: (N,) bool, True where the value is noisy.
    """

    ids: IntArray
    shown: ShownRows
    donors: IntArray
    noisy: BoolArray

    def columns(self, modality: str) -> dict[str, npt.NDArray[Any]]:
        """The columns of the modality; a schema takes those of `Reliability.columns_of`."""
        misaligned = self.shown.misaligned
        return {
            f"{modality}_misaligned": misaligned,
            f"{modality}_donor": np.where(misaligned, self.donors, NO_DONOR),
            f"{modality}_noisy": self.noisy,
        }
