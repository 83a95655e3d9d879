"""Invented patients for the sample releases: their admissions and everything that happened around them.

Each admission has a hidden state of two independent 4-bit numbers. One shows in the electrocardiogram, the other in
the blood tests, and their XOR in the X-ray: each pair of modalities is independent, and only the electrocardiogram and
the tests together tell the X-ray. With the probability `pair_information` all three show the same value of a bit
instead, and each pair tells something (`symile_data.datasets.mimic.sample_law`). The other events imitate real
releases: X-rays outside the window, lateral views, missing files, empty electrocardiograms, ties, repeated tests,
patients with several admissions. `outcomes` gives each stay its diagnoses and its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from symile_data.datasets.mimic.lab_items import ITEM_IDS, LAB_UNITS
from symile_data.datasets.mimic.sample_law import BITS, STATES, STAY_CHANCES
from symile_data.rng import Stream

_FIRST_YEAR = datetime(2130, 1, 1)

# Which tests show which bit: red cells, kidneys, white cells, liver.
LAB_BITS = (
    (51221, 51222, 51279),
    (50912, 51006, 50970, 50971),
    (51301, 52075, 51256, 51265),
    (50861, 50878, 50863, 50885),
)
_BIT_OF = {item: bit for bit, items in enumerate(LAB_BITS) for item in items}
_SHIFT, _SPREAD = 0.5, 0.15  # change of a test's logarithm: by its bit, and by chance

_VALUES: dict[int, float] = {
    50802: 1, 50804: 25, 50813: 1.8, 50818: 41, 50820: 7.38, 50821: 95, 50861: 28, 50862: 3.4, 50863: 85, 50868: 14,
    50878: 32, 50882: 25, 50885: 0.7, 50893: 8.7, 50902: 102, 50910: 120, 50912: 1.1, 50931: 125, 50934: 12,
    50947: 2, 50960: 2, 50970: 3.5, 50971: 4.2, 50983: 138, 51006: 22, 51133: 1.5, 51146: 0.4, 51200: 1.6, 51221: 34,
    51222: 11.2, 51237: 1.2, 51244: 18, 51248: 30, 51249: 33, 51250: 91, 51254: 6.5, 51256: 72, 51265: 215,
    51274: 13.5, 51275: 33, 51277: 14.8, 51279: 3.8, 51301: 9, 51678: 9, 52069: 0.03, 52073: 0.12, 52074: 0.6,
    52075: 6.2, 52135: 0.6, 52172: 47,
}  # fmt: skip
USUAL = {item: (value, LAB_UNITS[item]) for item, value in _VALUES.items()}  # usual value and unit of each test
_RARE = frozenset({50802, 50804, 50813, 50818, 50820, 50821, 50910, 52135})  # tests made for few patients
_OTHER_ITEM = 51514  # a urine test, which is not one of the 50


@dataclass(frozen=True, kw_only=True)
class Ecg:
    """An electrocardiogram that shows a state of 4 bits; `fault` names the defect of a broken signal."""

    study_id: int
    time: datetime
    state: int
    fault: str = ""  # "zero", "unknown" or "flat"


@dataclass(frozen=True, kw_only=True)
class Xray:
    """An X-ray with its view and a state of 4 bits; an `absent` one is listed in the tables but has no file."""

    dicom_id: str
    study_id: int
    time: datetime
    view: str
    state: int
    absent: bool = False
    labelled: bool = True


@dataclass(frozen=True, kw_only=True)
class Test:
    """A laboratory value; None stands for a result that was not a number."""

    item: int
    time: datetime
    value: float | None
    unit: str


@dataclass(frozen=True, kw_only=True)
class Stay:
    """One hospital admission, from `admitted` to `discharged`.

    Args:
        states: The hidden states of X-ray, electrocardiogram and blood tests, 4 bits each.
        died: Whether the patient died at `discharged`.
        diagnoses: Codes and their versions (9 or 10), the first diagnosis first.
    """

    hadm_id: int
    admitted: datetime
    discharged: datetime
    states: tuple[int, int, int]
    died: bool = False
    diagnoses: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Patient:
    """One patient with all stays, electrocardiograms, X-rays and blood tests."""

    subject_id: int
    gender: str
    age: int
    year: int
    stays: tuple[Stay, ...]
    ecgs: tuple[Ecg, ...]
    xrays: tuple[Xray, ...]
    tests: tuple[Test, ...]


def draw_patient(seed: int, index: int, pair_information: float = 0.0) -> Patient:
    """Draw patient number `index` of the sample, without diagnoses and deaths; equal arguments give the same patient.

    Args:
        seed: Seed of the sample.
        index: Number of the patient, from 0.
        pair_information: Probability with which the modalities of an admission share a bit of their states.

    >>> draw_patient(0, 3) == draw_patient(0, 3)
    True
    """
    rng = Stream(seed, "mimic/sample/patient").generator(index)
    subject_id = 10_000_032 + 97 * index
    start = _FIRST_YEAR + timedelta(minutes=int(rng.integers(60 * 365 * 24 * 60)))
    draw = _Draw(rng, subject_id)
    stays = []
    for number in range(int(rng.choice([1, 2, 3], p=STAY_CHANCES))):
        hadm_id = 20_000_000 + 10 * index + number
        discharged = start + timedelta(minutes=int(rng.integers(2 * 1440, 10 * 1440)))
        states = draw.admission(start, _shared_bits(seed, hadm_id, pair_information))
        stay = Stay(hadm_id=hadm_id, admitted=start, discharged=discharged, states=states)
        stays.append(stay)
        days = 2 if rng.random() < 0.1 else int(rng.integers(20, 400))
        start = stay.discharged + timedelta(days=days, minutes=int(rng.integers(1440)))
    return Patient(
        subject_id=subject_id,
        gender=str(rng.choice(["F", "M"])),
        age=int(rng.integers(18, 90)),
        year=stays[0].admitted.year,
        stays=tuple(stays),
        ecgs=tuple(draw.ecgs),
        xrays=tuple(draw.xrays),
        tests=tuple(sorted(draw.tests, key=lambda test: test.time)),
    )


def _shared_bits(seed: int, hadm_id: int, pair_information: float) -> int:
    """Draw the bits of an admission's states that all modalities share."""
    chances = Stream(seed, "mimic/sample/shared bits").rows(hadm_id, hadm_id + 1, BITS)[0]
    return sum(int(chance < pair_information) << bit for bit, chance in enumerate(chances))


class _Draw:
    """Draw the events of one patient's admissions, in order."""

    def __init__(self, rng: np.random.Generator, subject_id: int) -> None:
        self._rng, self._subject_id = rng, subject_id
        self.ecgs: list[Ecg] = []
        self.xrays: list[Xray] = []
        self.tests: list[Test] = []

    def admission(self, admitted: datetime, shared: int) -> tuple[int, int, int]:
        """Draw the electrocardiograms, X-rays and blood tests around one admission.

        Args:
            admitted: Time of the admission.
            shared: The bits whose value in the electrocardiogram all three modalities show.

        Returns:
            The states of X-ray, electrocardiogram and tests.
        """
        ecg_state, labs_state = (int(state) for state in self._rng.integers(STATES, size=2))
        cxr_state = (ecg_state ^ labs_state) & ~shared | ecg_state & shared
        labs_state = labs_state & ~shared | ecg_state & shared
        self._ecg(admitted, ecg_state)
        self._xray(admitted, cxr_state)
        self._test(admitted, labs_state)
        return cxr_state, ecg_state, labs_state

    def _chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)

    def _at(self, admitted: datetime, first_hour: float, last_hour: float) -> datetime:
        minutes = self._rng.integers(int(first_hour * 60), int(last_hour * 60))
        return admitted + timedelta(minutes=int(minutes))

    def _any_state(self) -> int:
        return int(self._rng.integers(STATES))

    def _ecg(self, admitted: datetime, state: int) -> None:
        if self._chance(0.1):
            return
        time = self._at(admitted, -6, 20)
        if self._chance(0.03):
            time = admitted - timedelta(hours=24)  # just inside
        for fault, probability in (("zero", 0.08), ("unknown", 0.05), ("flat", 0.01)):
            if self._chance(probability):
                self._add_ecg(self._at(time, -4, -0.5), self._any_state(), fault)
        self._add_ecg(time, state)
        if self._chance(0.05):
            self._add_ecg(time, state)  # a tie
        if self._chance(0.3):
            self._add_ecg(self._at(time, 1, 30), self._any_state())
        if self._chance(0.05):
            self._add_ecg(admitted - timedelta(hours=24, seconds=1), self._any_state())  # just outside

    def _add_ecg(self, time: datetime, state: int, fault: str = "") -> None:
        study_id = 40_000_000 + (self._subject_id - 10_000_000) * 16 + len(self.ecgs)
        self.ecgs.append(Ecg(study_id=study_id, time=time, state=state, fault=fault))

    def _xray(self, admitted: datetime, state: int) -> None:
        if self._chance(0.3):
            self._add_xrays(self._at(admitted, 0, 23), self._any_state())
        if self._chance(0.05):
            self._add_xrays(admitted + timedelta(hours=24), self._any_state())  # just outside
        if self._chance(0.1):
            return
        time = self._at(admitted, 26, 71)
        if self._chance(0.03):
            time = admitted + timedelta(hours=72)  # just inside
        if self._chance(0.06):
            self._add_xrays(time - timedelta(minutes=30), self._any_state(), absent=True)
        self._add_xrays(time, state, labelled=not self._chance(0.03))
        if self._chance(0.05):
            self._add_xrays(time, state)  # a tie
        if self._chance(0.3):
            self._add_xrays(self._at(time, 2, 60), self._any_state())

    def _add_xrays(self, time: datetime, state: int, *, absent: bool = False, labelled: bool = True) -> None:
        """Add a study of a frontal view and often a lateral one."""
        study_id = 50_000_000 + (self._subject_id - 10_000_000) * 16 + len(self.xrays)
        views = ["LATERAL"] * self._chance(0.3) + [str(self._rng.choice(["AP", "PA"], p=[0.8, 0.2]))]
        for view in views:
            parts = [f"{part:08x}" for part in self._rng.integers(1 << 32, size=5).tolist()]
            xray = Xray(
                dicom_id="-".join(parts),
                study_id=study_id,
                time=time,
                view=view,
                state=state,
                absent=absent,
                labelled=labelled,
            )
            self.xrays.append(xray)

    def _test(self, admitted: datetime, state: int) -> None:
        if self._chance(0.03):
            return
        drawn = self._at(admitted, -3, 8)
        for item in ITEM_IDS:
            if not self._chance(0.2 if item in _RARE else 0.85):
                continue
            time = drawn + timedelta(minutes=int(self._rng.integers(3)) * 30)
            if self._chance(0.05):
                self._add_test(item, time - timedelta(hours=1), None)
            self._add_test(item, time, state)
            if self._chance(0.03):
                self._add_test(item, time, state)  # a tie
            if self._chance(0.4):
                self._add_test(item, self._at(time, 6, 40), self._any_state())
        self.tests.append(Test(item=_OTHER_ITEM, time=drawn, value=1.0, unit="mg/dL"))

    def _add_test(self, item: int, time: datetime, state: int | None) -> None:
        usual, unit = USUAL[item]
        value = None
        if state is not None:
            shift = 0.0
            if item in _BIT_OF:
                shift = _SHIFT if state >> _BIT_OF[item] & 1 else -_SHIFT
            spread = 0.005 if item == 50820 else _SPREAD
            value = float(np.round(usual * np.exp(shift + spread * self._rng.standard_normal()), 2))
        if unit == "g/dL" and self._chance(0.005):
            unit = "g/L"
        self.tests.append(Test(item=item, time=time, value=value, unit=unit))
