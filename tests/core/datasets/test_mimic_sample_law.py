"""The law of the synthetic admissions against loops over pairs, sums by hand and simulated ideal readers."""

from __future__ import annotations

import re
from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from symile_data.datasets.mimic.sample_labels import FINDING_RULES, RULES, ideal_auroc, label_aurocs
from symile_data.datasets.mimic.sample_law import MODALITIES, joint_states, pair_bits, readers, retrieval_ceilings
from symile_data.datasets.mimic.sample_terms import LAW, LAW_KEY, known_aurocs, sample_terms
from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.format.manifest import BuildFingerprint, Manifest


def auroc_by_pairs(probability: list[float], chance: list[float], seen: list[int]) -> float:
    """The area by its definition: every pair of a positive and a negative state, ranked by the posterior."""
    mass: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0])
    for p, c, o in zip(probability, chance, seen, strict=True):
        mass[o][0] += p * c
        mass[o][1] += p * (1 - c)
    score = {
        o: positive / (positive + negative) if positive + negative else 0 for o, (positive, negative) in mass.items()
    }
    area = total = 0.0
    for (p, c, o), (q, d, u) in product(zip(probability, chance, seen, strict=True), repeat=2):
        weight = p * c * q * (1 - d)
        total += weight
        tied = abs(score[o] - score[u]) < 1e-11
        area += weight * (0.5 if tied else float(score[o] > score[u]))
    return area / total


@st.composite
def worlds(draw: st.DrawFn) -> tuple[list[float], list[float], list[int]]:
    count = draw(st.integers(2, 12))
    weights = draw(st.lists(st.integers(1, 20), min_size=count, max_size=count))
    chances = draw(st.lists(st.integers(1, 9), min_size=count, max_size=count))
    seen = draw(st.lists(st.integers(0, 5), min_size=count, max_size=count))
    return [weight / sum(weights) for weight in weights], [chance / 10 for chance in chances], seen


@given(worlds())
def test_the_area_is_that_of_all_pairs(world: tuple[list[float], list[float], list[int]]) -> None:
    probability, chance, seen = world
    found = ideal_auroc(np.array(probability), np.array(chance), np.array(seen))
    assert found == pytest.approx(auroc_by_pairs(probability, chance, seen), abs=1e-9)
    everything = ideal_auroc(np.array(probability), np.array(chance), np.arange(len(seen)))
    assert 0.5 - 1e-12 <= found <= everything + 1e-9


def test_a_label_with_one_value_has_no_area() -> None:
    for chance in (0.0, 1.0):
        with pytest.raises(ValueError, match="one value only"):
            ideal_auroc(np.array([0.5, 0.5]), np.full(2, chance), np.array([0, 1]))


@pytest.mark.parametrize("pair_information", [0.0, 0.4])
def test_simulated_ideal_readers_reach_the_areas(pair_information: float) -> None:
    """Readers score by the share of positives among earlier, independent admissions that look the same."""
    probability, signs = joint_states(pair_information)
    rng = np.random.default_rng(0)
    states = rng.choice(len(probability), size=120_000, p=probability)
    half = len(states) // 2
    areas = label_aurocs(pair_information)
    for rule in (*RULES, *FINDING_RULES):
        chance = np.broadcast_to(rule.chance(signs), probability.shape) * (5 / 7 if rule.last_stay else 1)
        positive = rng.random(len(states)) < chance[states]
        for some in readers():
            # What a reader sees of the bits on which the label depends, in a table of 64 places at most.
            bits = [signs[name] >> number & 1 for name in some for number in relevant(rule.bits, name)]
            seen = sum((bit << place for place, bit in enumerate(bits)), np.zeros(len(probability), dtype=np.int64))
            before = np.bincount(seen[states[:half]], positive[:half], 1 << len(bits))
            score = before / np.maximum(np.bincount(seen[states[:half]], minlength=1 << len(bits)), 1)
            reached = roc_auc_score(positive[half:], score[seen[states[half:]]])
            exact = areas[rule.column]["auroc"]["+".join(some)]
            assert reached == pytest.approx(exact, abs=0.012), (rule.column, some)


def relevant(bits: tuple[tuple[str, int], ...], name: str) -> list[int]:
    """The bits of a modality that tell something of a label's: those of the same numbers, and its own trait."""
    own = [number for modality, number in bits if modality == name or number < 4]
    return sorted(set(own))


def test_labels_need_one_two_or_three_modalities() -> None:
    areas = {column: found["auroc"] for column, found in label_aurocs(0.0).items() if column not in FINDINGS.values()}
    chance = {column: {some for some, area in of.items() if area == 0.5} for column, of in areas.items()}
    singles = set(MODALITIES)
    assert (
        areas["icd_respiratory"]["cxr"] == areas["icd_circulatory"]["ecg"] == areas["icd_genitourinary"]["labs"] == 0.9
    )
    assert chance["icd_blood"] == singles
    assert chance["icd_endocrine"] == singles | {"cxr+ecg", "cxr+labs"}
    assert chance["icd_infectious"] == singles | {"cxr+ecg", "cxr+labs", "ecg+labs"}
    assert not chance["hospital_expire_flag"]
    assert all(of["cxr+ecg+labs"] == max(of.values()) > 0.75 for of in areas.values())


@given(st.floats(0, 1))
@settings(max_examples=20)
def test_the_states_are_a_distribution_with_fair_bits(pair_information: float) -> None:
    probability, signs = joint_states(pair_information)
    assert probability.sum() == pytest.approx(1) and (probability >= 0).all()
    for name, number in product(MODALITIES, range(5)):
        assert probability @ (signs[name] >> number & 1) == pytest.approx(0.5)
    agree = probability @ (((signs["cxr"] ^ signs["ecg"]) & 1) == 0)
    assert agree == pytest.approx((1 + pair_information) / 2)


def test_without_pair_information_the_xray_is_the_xor_and_pairs_are_independent() -> None:
    probability, signs = joint_states(0.0)
    assert (signs["cxr"] & 15 == (signs["ecg"] ^ signs["labs"]) & 15).all()
    for one, other in (("cxr", "ecg"), ("cxr", "labs"), ("ecg", "labs")):
        table = np.bincount(signs[one] * 32 + signs[other], probability)
        np.testing.assert_allclose(table, 1 / 1024)


@pytest.mark.parametrize("pair_information", [0.0, 0.25, 0.6, 1.0])
def test_mutual_information_is_that_of_the_joint_table(pair_information: float) -> None:
    probability, signs = joint_states(pair_information)
    table = np.bincount((signs["cxr"] & 15) * 16 + (signs["labs"] & 15), probability, 256).reshape(16, 16)
    inside = table[table > 0] * np.log2(table[table > 0] / np.outer(table.sum(1), table.sum(0))[table > 0])
    assert pair_bits(pair_information) == pytest.approx(inside.sum(), abs=1e-9)


@pytest.mark.parametrize("pair_information", [0.0, 0.3, 1.0])
def test_retrieval_ceilings_are_reached_by_simulated_readers(pair_information: float) -> None:
    probability, signs = joint_states(pair_information)
    rng = np.random.default_rng(1)
    rows, candidates = 20_000, 5
    true = rng.choice(len(probability), size=rows, p=probability)
    xrays = np.concatenate(
        [
            signs["cxr"][true][:, None],
            signs["cxr"][rng.choice(len(probability), (rows, candidates - 1), p=probability)],
        ],
        axis=1,
    )
    ecg, labs = signs["ecg"][true][:, None], signs["labs"][true][:, None]
    agree = {
        "joint": np.zeros(xrays.shape),
        "pairwise": np.zeros(xrays.shape),
    }
    for number in range(4):
        x, e, o = (value >> number & 1 for value in (xrays, ecg, labs))
        weight = (1 - pair_information) / 4 * (x == e ^ o) + pair_information / 2 * ((x == e) & (x == o))
        with np.errstate(divide="ignore"):
            agree["joint"] += np.log(weight)
            agree["pairwise"] += sum(
                np.log((1 + pair_information) / 2 * (x == y) + (1 - pair_information) / 2 * (x != y)) for y in (e, o)
            )
    found = retrieval_ceilings(pair_information, candidates)
    for name, score in agree.items():
        best = score == score.max(axis=1, keepdims=True)
        accuracy = (best[:, 0] / best.sum(axis=1)).mean()
        assert found[name] == pytest.approx(accuracy, abs=0.015), name


def manifest(dataset: str = "symile-mimic", kind: str = "sample", **records: float) -> Manifest:
    sources = {"records": {"kind": kind, **records}}
    return Manifest(
        identity=BuildFingerprint(dataset=dataset, spec={}, sources=sources, versions={}),
        modalities=(),
        splits={},
        files=[],
    )


def test_terms_tell_of_the_datasets_labels_only() -> None:
    terms = sample_terms(manifest(pair_information=0.5, law=LAW), ["icd_blood", "chexpert_edema", "gender"], 10)
    assert list(terms["labels"]) == ["chexpert_edema", "icd_blood"] and terms["pair_information"] == 0.5
    assert 0.1 < terms["retrieval"]["pairwise"] < terms["retrieval"]["joint"] < 1
    real = manifest(kind="mimic", pair_information=0.5, law=LAW)
    assert sample_terms(real, ["icd_blood"], 10) == known_aurocs(real) == {}


def test_areas_of_findings_are_those_of_this_version_of_the_law_only() -> None:
    assert LAW_KEY == "law" and set(FINDINGS.values()) <= set(known_aurocs(manifest(pair_information=0.0, law=LAW)))
    for other in (manifest(pair_information=0.0), manifest(pair_information=0.0, law=LAW - 1)):
        assert set(known_aurocs(other)) == {rule.column for rule in RULES}


def test_every_kind_of_finding_is_there() -> None:
    """Some show in the X-ray alone, some in it and in another modality, one in nothing; all are frequent enough."""
    areas = {column: found["auroc"] for column, found in label_aurocs(0.0).items() if column in FINDINGS.values()}
    assert len(areas) == 14
    blind = {column for column, of in areas.items() if max(of.values()) == 0.5}
    assert blind == {"chexpert_fracture"}
    pairs = {column for column, of in areas.items() if max(of[name] for name in MODALITIES) == 0.5 < of["cxr+ecg+labs"]}
    assert pairs == {"chexpert_pleural_other", "chexpert_pneumothorax"}
    assert areas["chexpert_pneumonia"]["cxr+labs"] > areas["chexpert_pneumonia"]["cxr"] > 0.7
    shares = {column: label_aurocs(0.0)[column]["prevalence"] for column in areas}
    assert all(0.45 < share < 0.6 for column, share in shares.items() if column != "chexpert_no_finding")
    assert shares["chexpert_no_finding"] == pytest.approx(0.85 / 16 / (0.85 / 16 + 0.6 * 15 / 16))


def test_the_page_has_the_exact_numbers() -> None:
    page = (Path(__file__).parents[3] / "docs" / "mimic.md").read_text(encoding="utf-8")
    cells = [[cell.strip(" `") for cell in line.strip("|").split("|")] for line in re.findall(r"^\|.*\|$", page, re.M)]
    areas = {column: found["auroc"].values() for column, found in label_aurocs(0.0).items()}
    told = {row[0]: row[2:] for row in cells if row[0] in areas and len(row) == 2 + len(readers())}
    assert told == {column: [f"{area:.2f}" for area in of] for column, of in areas.items()}
    dials = [row for row in cells if len(row) == 4 and re.fullmatch(r"[01](\.\d+)?", row[0])]
    assert len(dials) == 5
    for dial, bits, joint, pairwise in dials:
        found = retrieval_ceilings(float(dial), 10)
        assert float(bits) == pytest.approx(pair_bits(float(dial)), abs=0.005)
        assert (joint, pairwise) == (f"{found['joint']:.2f}", f"{found['pairwise']:.2f}")
