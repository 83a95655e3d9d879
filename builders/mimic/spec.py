"""The settings of a Symile-MIMIC build. They are checked when they are made, and the manifest stores them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from symile_data.arguments import MOST_ROWS, check_fields
from symile_data.datasets.mimic.schema import MODALITIES, PATIENT
from symile_data.errors import UsageError
from symile_data.format.shards import check_format
from symile_data.reliability import Reliability

SAMPLE_PATIENTS = 600
LEAST_PATIENTS = 20
_MOST_PATIENTS = 10**7


@dataclass(frozen=True, kw_only=True)
class Roots:
    """The folders of the three releases that a build reads, laid out as PhysioNet ships them.

    Args:
        mimic_iv: The folder with hosp/.
        mimic_cxr: The folder with the tables of MIMIC-CXR-JPG and files/, which holds JPEGs or the DICOMs of MIMIC-CXR.
        mimic_ecg: The folder with record_list.csv and files/.
    """

    mimic_iv: Path
    mimic_cxr: Path
    mimic_ecg: Path


@dataclass(frozen=True, kw_only=True)
class MimicSpec:
    """The settings of a build.

    Args:
        roots: The releases, or None for a synthetic sample.
        patients: Number of patients of the sample.
        pair_information: Probability with which the modalities of a sample's admission share a bit of its state; at 0
            no two of them tell anything of each other.
        reference: Reproduce the public pipeline's choices, including its defects (docs/mimic.md lists them).
        allow_missing: Keep admissions that have only two of the three modalities.
        within_stay: Take only X-rays, electrocardiograms and tests of the admission itself: after the patient's
            previous discharge and up to this one.
        train: Rows of the training split; default 80 % of the cohort.
        validation: Rows of the validation split; default 10 %. The rest is the test split.
        candidates: Admissions in a retrieval set, the true one included.
        reliability: Rates at which modalities are misaligned or noisy. A donor is another patient's row of the same
            split that has the modality.
        shard_format: "parquet" or "webdataset".
        seed: Seed of every random choice.

    Raises:
        UsageError: a setting is out of range, or two settings exclude each other.
    """

    roots: Roots | None = None
    patients: int = SAMPLE_PATIENTS
    pair_information: float = 0.0
    reference: bool = False
    allow_missing: bool = False
    within_stay: bool = False
    train: int | None = None
    validation: int | None = None
    candidates: int = 10
    reliability: Reliability = field(default_factory=Reliability)
    shard_format: str = "parquet"
    seed: int = 0

    def __post_init__(self) -> None:
        check_fields(self)
        if self.reference and (self.allow_missing or self.within_stay):
            raise UsageError(
                "`reference` repeats the public pipeline, which has neither `allow_missing` nor `within_stay`",
                do="leave one of them out",
            )
        check_format(self.shard_format)
        if self.candidates < 2:
            raise UsageError("`candidates` counts the true one and at least one other", got=self.candidates)
        if self.train == 0:
            raise UsageError("a dataset needs training rows", got="`train=0`")
        for argument, rows in (("train", self.train), ("validation", self.validation)):
            if rows is not None and not 0 <= rows <= MOST_ROWS:
                raise UsageError(f"`{argument}` is a number from 0 to {MOST_ROWS:,}", got=rows)
        if not LEAST_PATIENTS <= self.patients <= _MOST_PATIENTS:
            told = f"`patients` is a number from {LEAST_PATIENTS} to {_MOST_PATIENTS:,}"
            raise UsageError(told, got=self.patients)
        check_pair_information(self.pair_information)
        if self.roots is not None and self.pair_information:
            raise UsageError(
                "`pair_information` is a setting of the synthetic sample",
                got=self.pair_information,
                do="leave it out, or write releases with it (symile-data sample mimic) and build from these",
            )
        apart = replace(self.reliability, donors_have_value=True, donors_differ_in=PATIENT)
        object.__setattr__(self, "reliability", apart)
        self.reliability.check({modality.name: modality.kind for modality in MODALITIES})

    def to_json(self) -> dict[str, Any]:
        """Return the settings as the manifest stores them. Paths are left out: `sources` fingerprints the contents."""
        return {
            "seed": self.seed,
            "rows": {"train": self.train, "validation": self.validation},
            "reference": self.reference,
            "allow_missing": self.allow_missing,
            "within_stay": self.within_stay,
            "candidates": self.candidates,
            "sample": self.roots is None,
            **({"pair_information": self.pair_information} if self.roots is None else {}),
            **self.reliability.to_json(),
            "format": self.shard_format,
        }


def check_pair_information(pair_information: float) -> None:
    """Refuse a `pair_information` that is no probability.

    Raises:
        UsageError: it lies outside [0, 1] or is not a number.
    """
    if not 0 <= pair_information <= 1:
        raise UsageError("`pair_information` is a probability from 0 to 1", got=pair_information)
