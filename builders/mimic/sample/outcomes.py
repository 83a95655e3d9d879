"""Diagnoses, deaths and findings of the invented patients, which depend on what their modalities show.

`symile_data.datasets.mimic.sample_labels` has the rules. They look at the X-ray, the electrocardiogram and the tests
that a build chooses by default, so that a label agrees with the media of its row.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import accumulate
from math import log

import numpy as np

from symile_data.datasets.mimic.icd import NINTH, PREFIX, TENTH
from symile_data.datasets.mimic.sample_labels import FINDING_RULES, RULES, SAYS
from symile_data.datasets.mimic.sample_law import MODALITIES, TRAIT
from symile_data.datasets.mimic.windows import CXR_WINDOW, ECG_WINDOW, LABS_WINDOW, Window
from symile_data.rng import Stream

from .patients import USUAL, Ecg, Patient, Stay, Xray, draw_patient
from .signals import has_high_rate, has_large_heart

# The tests whose mean logarithm is a trait of an admission: calcium, chloride, glucose and sodium.
TRAIT_TESTS = (50893, 50902, 50931, 50983)

_AFTER_LAST_EVENT = timedelta(hours=1)
_VIEWS = ("AP", "PA")

# Chapters that depend on nothing, with their probabilities; every stay has one code of the last.
_BACKGROUND = {
    "symptoms": 0.3, "digestive": 0.3, "mental": 0.25, "musculoskeletal": 0.2, "nervous": 0.15, "injury": 0.1,
    "factors": 1.0,
}  # fmt: skip

# Frequent codes of each chapter: of ICD-9-CM and of ICD-10-CM.
_CODES = {
    "infectious": (("0389", "00845"), ("A419", "A0472")),
    "blood": (("2859", "2875"), ("D649", "D696")),
    "endocrine": (("25000", "2724"), ("E119", "E785")),
    "circulatory": (("42731", "4280"), ("I4891", "I509")),
    "respiratory": (("486", "51881"), ("J189", "J9601")),
    "genitourinary": (("5849", "5990"), ("N179", "N390")),
    "symptoms": (("7802", "78650"), ("R55", "R0789")),
    "digestive": (("53081", "56400"), ("K219", "K5900")),
    "mental": (("311", "30000"), ("F329", "F419")),
    "musculoskeletal": (("71590", "73300"), ("M1990", "M810")),
    "nervous": (("32723", "34690"), ("G4733", "G43909")),
    "injury": (("99859", "8080"), ("T8149XA", "S72001A")),
    "factors": (("V5861", "V1582"), ("Z7901", "Z87891")),
}


def draw_person(seed: int, index: int, pair_information: float = 0.0) -> Patient:
    """Draw patient number `index` of the sample with diagnoses and deaths.

    A patient dies in the last stay only. A stay that ends so lasts at least as long as the patient's last event.

    >>> draw_person(0, 3) == draw_person(0, 3)
    True
    """
    person = draw_patient(seed, index, pair_information)
    last = max(person.stays, key=lambda stay: stay.admitted)
    return replace(person, stays=tuple(_ended(seed, person, stay, last=stay is last) for stay in person.stays))


def signs_of(seed: int, person: Patient, stay: Stay) -> dict[str, int]:
    """Return what each modality of an admission shows: 4 bits of state and, as the fifth, its trait.

    They are those of the X-ray and the electrocardiogram that a build chooses. Where there is none, they are the
    admission's own, with a trait that nothing shows.
    """
    unseen = Stream(seed, "mimic/sample/unseen traits").rows(stay.hadm_id, stay.hadm_id + 1, len(MODALITIES))[0] < 0.5
    traits = dict(zip(MODALITIES, unseen.tolist(), strict=True))
    states = dict(zip(MODALITIES, stay.states, strict=True))
    if xray := chosen_xray(person, stay):
        states["cxr"], traits["cxr"] = xray.state, has_large_heart(seed, xray.dicom_id)
    if ecg := _chosen_ecg(person, stay):
        states["ecg"], traits["ecg"] = ecg.state, has_high_rate(seed, ecg.study_id, ecg.state)
    if values := _first_values(person, stay):
        traits["labs"] = sum(log(value / USUAL[item][0]) for item, value in values.items()) > 0
    return {name: states[name] | int(traits[name]) << TRAIT for name in MODALITIES}


def draw_findings(seed: int, person: Patient, xray: Xray) -> dict[str, int | None]:
    """Draw what the report of an X-ray's study says of each finding.

    A finding looks at the X-ray itself, and at the electrocardiogram and the tests of the stay for which a build
    chooses the study; for any other study these are of the patient's last stay that began before it.

    Returns:
        Column -> 1, 0, -1 where the report is uncertain, or None where it does not mention the finding.
    """
    stay = _stay_of(person, xray)
    signs = {**signs_of(seed, person, stay), "cxr": xray.state | int(has_large_heart(seed, xray.dicom_id)) << TRAIT}
    rows = Stream(seed, "mimic/sample/reports").rows(xray.study_id, xray.study_id + 1, 2 * len(FINDING_RULES))
    said: dict[str, int | None] = {}
    for rule, (truth, words) in zip(FINDING_RULES, rows.reshape(-1, 2).tolist(), strict=True):
        present = truth < rule.chance(signs)
        ends = accumulate(SAYS[value][0 if present else 1] for value in SAYS)
        said[rule.column] = next((value for value, end in zip(SAYS, ends, strict=True) if words < end), None)
    return said


def _stay_of(person: Patient, xray: Xray) -> Stay:
    for stay in person.stays:
        chosen = chosen_xray(person, stay)
        if chosen is not None and chosen.study_id == xray.study_id:
            return stay
    return max((stay for stay in person.stays if stay.admitted <= xray.time), key=lambda stay: stay.admitted)


def _ended(seed: int, person: Patient, stay: Stay, *, last: bool) -> Stay:
    """Draw the labels of a stay, and turn them into a death and diagnoses."""
    rng = Stream(seed, "mimic/sample/outcomes").generator(stay.hadm_id)
    signs = signs_of(seed, person, stay)
    chances = {rule.column: rule.chance(signs) for rule in RULES if last or not rule.last_stay}
    drawn = {rule.column: rng.random() < chances.get(rule.column, 0.0) for rule in RULES}
    died = drawn.pop("hospital_expire_flag")
    chapters = [column.removeprefix(PREFIX) for column, positive in drawn.items() if positive]
    chapters += [chapter for chapter, chance in _BACKGROUND.items() if rng.random() < chance]
    version = NINTH if rng.random() < 0.5 else TENTH
    diagnoses = [code for chapter in chapters for code in _codes(rng, chapter, version)]
    discharged = max(stay.discharged, _last_event(person) + _AFTER_LAST_EVENT) if died else stay.discharged
    return replace(stay, died=died, discharged=discharged, diagnoses=tuple((code, version) for code in diagnoses))


def _codes(rng: np.random.Generator, chapter: str, version: int) -> list[str]:
    """Draw one code of a chapter, or two."""
    known = _CODES[chapter][0 if version == NINTH else 1]
    count = 1 + int(rng.random() < 0.2)
    return [known[place] for place in sorted(rng.permutation(len(known))[:count].tolist())]


def chosen_xray(person: Patient, stay: Stay) -> Xray | None:
    """Return the X-ray that a build chooses for a stay by default, None where it has none."""
    there = [
        xray
        for xray in person.xrays
        if xray.view in _VIEWS and not xray.absent and _inside(CXR_WINDOW, xray.time, stay)
    ]
    return min(there, key=lambda xray: (xray.time, xray.dicom_id), default=None)


def _chosen_ecg(person: Patient, stay: Stay) -> Ecg | None:
    valid = [ecg for ecg in person.ecgs if not ecg.fault and _inside(ECG_WINDOW, ecg.time, stay)]
    return min(valid, key=lambda ecg: (ecg.time, ecg.study_id), default=None)


def _first_values(person: Patient, stay: Stay) -> dict[int, float]:
    """Return the first value of each of the tests of the trait; the patient's tests are in the order of time."""
    values: dict[int, float] = {}
    for test in person.tests:
        if test.item in TRAIT_TESTS and test.value is not None and _inside(LABS_WINDOW, test.time, stay):
            values.setdefault(test.item, test.value)
    return values


def _inside(window: Window, time: datetime, stay: Stay) -> bool:
    hours = (time - stay.admitted) / timedelta(hours=1)
    early = hours <= window.first_hours if window.open_start else hours < window.first_hours
    return not early and hours <= window.last_hours


def _last_event(person: Patient) -> datetime:
    return max(
        [event.time for events in (person.ecgs, person.xrays, person.tests) for event in events],
        default=person.stays[-1].discharged,
    )
