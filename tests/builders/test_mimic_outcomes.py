"""Labels of the synthetic admissions: what ideal readers reach, the files and rows that they come from, the dial."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from mimic_tree import rows_of
from PIL import Image
from sklearn.metrics import roc_auc_score

from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.sample.outcomes import (
    TRAIT_TESTS,
    chosen_xray,
    draw_findings,
    draw_person,
    signs_of,
)
from symile_data.builders.mimic.sample.patients import USUAL, Patient, draw_patient
from symile_data.builders.mimic.sample.release import MARK, drawn_by, sample_roots, write_tables
from symile_data.builders.mimic.sample.signals import draw_ecg, draw_xray, has_high_rate, has_large_heart
from symile_data.builders.mimic.spec import MimicSpec, Roots
from symile_data.cards import write_card
from symile_data.datasets.mimic.icd import PREFIX, chapter_of
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.sample_labels import FINDING_RULES, RULES, LabelRule, label_aurocs
from symile_data.datasets.mimic.sample_law import STATES, joint_states, pair_bits, readers
from symile_data.datasets.mimic.sample_terms import LAW, LAW_KEY
from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests

PEOPLE = 500


@lru_cache
def people(pair_information: float) -> list[Patient]:
    return [draw_person(0, index, pair_information) for index in range(PEOPLE)]


def labels_of(person: Patient) -> list[dict[str, bool]]:
    """The labels of each stay, from its codes and its end."""
    found = []
    for stay in person.stays:
        chapters = {f"{PREFIX}{chapter_of(code, version)}" for code, version in stay.diagnoses}
        flags = {rule.column: rule.column in chapters for rule in RULES}
        found.append({**flags, "hospital_expire_flag": stay.died})
    return found


@pytest.mark.parametrize("pair_information", [0.0, 0.5])
def test_ideal_readers_of_the_signs_reach_the_stated_areas(pair_information: float) -> None:
    """A reader knows the law: it scores by the exact chance of the label given what it sees."""
    drawn = [
        (signs_of(0, person, stay), labels)
        for person in people(pair_information)
        for stay, labels in zip(person.stays, labels_of(person), strict=True)
    ]
    for rule in RULES:
        positive = np.array([labels[rule.column] for _, labels in drawn])
        check_areas(pair_information, rule, [signs for signs, _ in drawn], positive)


@pytest.mark.parametrize("pair_information", [0.0, 0.5])
def test_ideal_readers_reach_the_stated_areas_of_findings(pair_information: float) -> None:
    """The rows are those whose report is certain; -1 and null are frequent enough for policies to matter."""
    drawn = [
        (signs_of(0, person, stay), draw_findings(0, person, xray))
        for person in people(pair_information)
        for stay in person.stays
        if (xray := chosen_xray(person, stay))
    ]
    assert list(drawn[0][1]) == list(FINDINGS.values()) == [rule.column for rule in FINDING_RULES]
    for rule in FINDING_RULES:
        said = [(signs, findings[rule.column]) for signs, findings in drawn]
        certain = [(signs, value) for signs, value in said if value in (0, 1)]
        assert sum(value == -1 for _, value in said) > 0.04 * len(said)
        assert sum(value is None for _, value in said) > 0.1 * len(said)
        check_areas(
            pair_information,
            rule,
            [signs for signs, _ in certain],
            np.array([value == 1 for _, value in certain]),
        )


def check_areas(pair_information: float, rule: LabelRule, signs: list[dict[str, int]], positive: np.ndarray) -> None:
    """Compare the share of positives, and the area of each reader who knows the law, with the exact numbers."""
    exact = exact_areas(pair_information)[rule.column]
    assert abs(positive.mean() - exact["prevalence"]) < 4 * np.sqrt(0.25 / len(positive))
    wide = 4 * np.sqrt(1 / (12 * positive.sum()) + 1 / (12 * (~positive).sum()))
    shown = {name: np.array([one[name] for one in signs]) for name in signs[0]}
    for some in readers():
        scores = tables(pair_information)[rule.column, some][number_of(shown, some)]
        assert roc_auc_score(positive, scores) == pytest.approx(exact["auroc"]["+".join(some)], abs=wide)


def test_shadows_are_told_as_the_xray_shows_them() -> None:
    """Also of X-rays that no build chooses, whatever the stay they belong to."""
    xrays = [(person, xray) for person in people(0.0)[:150] for xray in person.xrays]
    for person, xray in xrays:
        told = draw_findings(0, person, xray)
        for name, bit in (("Lung Opacity", 0), ("Atelectasis", 1), ("Edema", 2), ("Pleural Effusion", 3)):
            assert told[FINDINGS[name]] in (None, -1, xray.state >> bit & 1)
        assert told[FINDINGS["No Finding"]] in (None, -1, int(not xray.state))
    assert len(xrays) > 300


@lru_cache
def exact_areas(pair_information: float) -> dict[str, dict[str, Any]]:
    return label_aurocs(pair_information)


def number_of(signs: Mapping[str, np.ndarray], some: tuple[str, ...]) -> np.ndarray:
    """Number what a reader of some modalities sees; a sign is less than 32."""
    return np.sum([signs[name] * 32**place for place, name in enumerate(some)], axis=0)


@lru_cache
def tables(pair_information: float) -> dict[tuple[str, tuple[str, ...]], np.ndarray]:
    """Chance of each label by what a reader sees; not a number where nobody sees it."""
    probability, signs = joint_states(pair_information)
    found = {}
    for rule in (*RULES, *FINDING_RULES):
        positive = probability * rule.chance(signs)
        for some in readers():
            seen = number_of(signs, some)
            with np.errstate(invalid="ignore"):
                found[rule.column, some] = np.bincount(seen, positive) / np.bincount(seen, probability)
    return found


def test_traits_can_be_seen() -> None:
    """The heart's edge in the right lung tells its width, and the distance of beats a high rate of its kind."""
    hearts, rates = [], []
    for number in range(40):
        state = number % STATES & ~8  # no shadow in the quarter that is looked at
        hearts.append((heart_in(draw_xray(0, f"{number}", state, "AP")), has_large_heart(0, f"{number}")))
        lead = draw_ecg(0, number, state)[9].astype(float)
        high = lead - np.median(lead) > 0.55 * (lead.max() - np.median(lead))
        beats = np.flatnonzero(high[1:] & ~high[:-1])
        beats = beats[np.r_[True, np.diff(beats) > 100]]
        rate = 60 * 500 * (len(beats) - 1) / (beats[-1] - beats[0])
        rates.append((rate - (117.5 if state & 1 else 65), has_high_rate(0, number, state)))
    for seen in (hearts, rates):
        assert roc_auc_score([large for _, large in seen], [value for value, _ in seen]) > 0.9


def heart_in(data: bytes) -> float:
    """How far the heart reaches into the right lung, from the middle of the body."""
    with Image.open(io.BytesIO(data)) as opened:
        line = np.asarray(opened.resize((800, 400)), dtype=float)[262:278].mean(axis=0)
    inside = np.flatnonzero(line > 0.5 * line[380:420].mean())
    middle = (inside[0] + inside[-1]) // 2
    lung = line[middle + 170 : middle + 200]
    return float(lung.mean() / line[middle - 20 : middle + 20].mean())


def test_who_dies_stays_to_the_end_and_never_returns() -> None:
    dead = 0
    for person in people(0.0):
        events = [event.time for kind in (person.xrays, person.ecgs, person.tests) for event in kind]
        for stay in person.stays:
            assert not stay.died or (stay is person.stays[-1] and max(events) < stay.discharged)
            assert stay.diagnoses and all(chapter_of(code, version) for code, version in stay.diagnoses)
            dead += stay.died
    assert dead > PEOPLE / 6


def test_pair_information_changes_states_only() -> None:
    """At 0 nothing is shared, at 1 all modalities show the same; times, files and people stay."""
    for index in range(40):
        none, some, whole = (draw_patient(0, index, shared) for shared in (0.0, 0.5, 1.0))
        assert draw_patient(0, index) == none
        for stay, half, full in zip(none.stays, some.stays, whole.stays, strict=True):
            cxr, ecg, labs = stay.states
            assert cxr == ecg ^ labs and full.states == (ecg,) * 3 and half.states[1] == ecg
        assert [(x.dicom_id, x.time, x.view) for x in none.xrays] == [(x.dicom_id, x.time, x.view) for x in whole.xrays]
        assert [(t.item, t.time) for t in none.tests] == [(t.item, t.time) for t in whole.tests]
    agree = np.mean([bin(15 ^ a ^ b).count("1") for p in people(0.5) for a, b, _ in (s.states for s in p.stays)]) / 4
    assert agree == pytest.approx(0.75, abs=0.03)


def test_the_files_say_how_they_were_drawn(tmp_path: Path) -> None:
    write_tables(tmp_path, 20, 0, 0.25)
    roots = sample_roots(tmp_path)
    assert drawn_by(roots) == {"pair_information": 0.25, LAW_KEY: LAW}
    (roots.mimic_iv / MARK).write_text("Invented records.\n\npair information: 0.25\n")
    assert drawn_by(roots) == {"pair_information": 0.25}
    (roots.mimic_iv / MARK).write_text("Invented records.\n")
    assert drawn_by(roots) == {}
    stays = [stay for index in range(20) for stay in draw_person(0, index, 0.25).stays]
    admissions = {row["hadm_id"]: row for row in rows_of(roots.mimic_iv / "hosp" / "admissions.csv.gz")}
    patients = {row["subject_id"]: row for row in rows_of(roots.mimic_iv / "hosp" / "patients.csv.gz")}
    codes = rows_of(roots.mimic_iv / "hosp" / "diagnoses_icd.csv.gz")
    for stay in stays:
        row = admissions[str(stay.hadm_id)]
        assert row["hospital_expire_flag"] == str(int(stay.died)) and bool(row["deathtime"]) == stay.died
        assert (row["discharge_location"] == "DIED") == stay.died
        if stay.died:
            assert patients[row["subject_id"]]["dod"] == f"{stay.discharged:%Y-%m-%d}"
        listed = [
            (line["icd_code"], int(line["icd_version"])) for line in codes if line["hadm_id"] == str(stay.hadm_id)
        ]
        assert tuple(listed) == stay.diagnoses


def test_built_rows_carry_the_labels_and_the_card_their_areas(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])  # it takes the most time
    out = tmp_path / "out"
    spec = MimicSpec(patients=20, candidates=2, validation=0, train=10, pair_information=0.5)
    build_mimic(spec, out, workers=1, write_card=write_card)
    stays = {
        stay.hadm_id: (someone, stay, flags)
        for someone in (draw_person(0, index, 0.5) for index in range(20))
        for stay, flags in zip(someone.stays, labels_of(someone), strict=True)
    }
    rows = [row for entry in manifests.read(out).shards() for row in pq.read_table(out / entry.path).to_pylist()]
    assert len(rows) > 10
    for row in rows:
        someone, stay, flags = stays[row["hadm_id"]]
        assert {name: bool(row[name]) for name in flags} == flags
        assert row["length_of_stay_days"] == pytest.approx((stay.discharged - stay.admitted).total_seconds() / 86400)
        assert signs_of(0, someone, stay)["labs"] >> 4 == trait_of(row)
        assert findings_agree(row, someone, stay)
    statistics = json.loads((out / "stats.json").read_text())["sample"]
    assert statistics["labels"] == label_aurocs(0.5) and statistics["pair_bits"] == pair_bits(0.5)
    text = (out / "README.md").read_text()
    assert "| `icd_infectious` | 50.0 % | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.500 | 0.900 |" in text
    assert "Any two of the three tell 0.755 bits of each other." in text


def findings_agree(row: Mapping[str, Any], someone: Patient, stay: Any) -> bool:
    xray = chosen_xray(someone, stay)
    told = draw_findings(0, someone, xray) if xray is not None and xray.labelled else {}
    return all(row[column] == told.get(column) for column in FINDINGS.values())


def trait_of(row: Mapping[str, Any]) -> int:
    known = [(row["labs"][ITEM_IDS.index(item)], USUAL[item][0]) for item in TRAIT_TESTS]
    return int(sum(np.log(value / usual) for value, usual in known if value is not None) > 0)


@pytest.mark.parametrize("value", [-0.1, 1.5, float("nan")])
def test_a_dial_that_is_no_probability_is_refused(tmp_path: Path, value: float) -> None:
    with pytest.raises(UsageError, match="`pair_information` is a probability from 0 to 1"):
        MimicSpec(pair_information=value)


def test_the_dial_belongs_to_the_sample(tmp_path: Path) -> None:
    roots = Roots(mimic_iv=tmp_path, mimic_cxr=tmp_path, mimic_ecg=tmp_path)
    with pytest.raises(UsageError, match="`pair_information` is a setting of the synthetic sample"):
        MimicSpec(roots=roots, pair_information=0.5)
