"""Each oddity of the public pipeline, mended by default; and what the modality choices do when sources fail."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories import problems
from mimic_tree import JPEG, LAB, START, Tree

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.cohort.candidates import draw_candidates
from symile_data.builders.mimic.cohort.splits import split_by_patient
from symile_data.builders.mimic.percentiles import percentiles
from symile_data.builders.mimic.rules import ALWAYS, MENDED
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests

ONE = 10_000_001
CREATININE = ITEM_IDS.index(LAB)


def build(tree: Tree, **changes: Any) -> dict[int, dict[str, Any]]:
    """Rows by admission; all in the training split."""
    tree.write()
    rows = build_in(tree, tree.roots.mimic_iv.parent / "out", train=len(tree.admissions), **changes)
    assert problems(tree.roots.mimic_iv.parent / "out") == []
    return rows


def build_in(tree: Tree, out: Path, **changes: Any) -> dict[int, dict[str, Any]]:
    spec = replace(MimicSpec(roots=tree.roots, train=1, validation=0), **changes)
    build_mimic(spec, out, workers=1, write_card=no_card)
    return {row["hadm_id"]: row for path in (out / "data").glob("*") for row in pq.read_table(path).to_pylist()}


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    """One patient's admission without anything, to be filled."""
    tree = Tree(tmp_path)
    tree.admit(ONE, 1)
    return tree


def fill(tree: Tree, *, cxr: bool = True, ecg: bool = True, labs: bool = True) -> None:
    if cxr:
        tree.picture(ONE, 30)
    if ecg:
        tree.record(ONE, 0)
    if labs:
        tree.lab(ONE, 0)


def test_ties_go_to_the_smallest_id(tree: Tree) -> None:
    for name in ("c", "a", "b"):
        tree.picture(ONE, 30, dicom_id=name)
    for study_id in (43, 41, 42):
        tree.record(ONE, 0, study_id=study_id)
    for labevent_id, value in ((9, 0.9), (7, 0.75), (8, 0.8)):
        tree.lab(ONE, 1, value, labevent_id=labevent_id)
    row = build(tree)[1]
    assert (row["cxr_dicom_id"], row["ecg_study_id"], row["labs"][CREATININE]) == ("a", "41", 0.75)


def test_many_ties_are_as_good_as_few(tree: Tree) -> None:
    """Above 16 equal times the public pipeline's sort is unstable."""
    fill(tree, cxr=False)
    for number in range(40, 0, -1):
        tree.picture(ONE, 30, dicom_id=f"d{number:02d}")
    assert build(tree)[1]["cxr_dicom_id"] == "d01"


def test_an_admission_without_chexpert_labels_is_kept(tree: Tree) -> None:
    fill(tree, cxr=False)
    tree.picture(ONE, 30, labelled=False)
    tree.picture(ONE, 31)
    row = build(tree)[1]
    assert row["cxr_hours"] == 30 and row["chexpert_edema"] is None


def test_chexpert_labels_are_stored(tree: Tree) -> None:
    fill(tree)
    row = build(tree)[1]
    assert (row["chexpert_edema"], row["chexpert_pneumonia"], row["chexpert_fracture"]) == (1, -1, None)


@pytest.mark.parametrize("kind", ["zero", "unknown", "flat"])
def test_useless_electrocardiograms_give_way_to_the_next(tree: Tree, kind: str) -> None:
    fill(tree, ecg=False)
    tree.record(ONE, -3, kind=kind)
    good = tree.record(ONE, 2)
    assert build(tree)[1]["ecg_study_id"] == str(good)


def test_a_flat_lead_passes(tree: Tree) -> None:
    fill(tree, ecg=False)
    flat = tree.record(ONE, -3, kind="flat lead")
    tree.record(ONE, 2)
    assert build(tree)[1]["ecg_study_id"] == str(flat)


@pytest.mark.parametrize("damage", ["hea", "dat", "cut"])
def test_damaged_records_give_way_to_the_next(tree: Tree, damage: str) -> None:
    fill(tree, ecg=False)
    tree.record(ONE, -3)
    path = next(path for path in tree.files if path.suffix == (".hea" if damage == "hea" else ".dat"))
    if damage == "cut":
        tree.files[path] = tree.files[path][:-24]
    else:
        del tree.files[path]
    good = tree.record(ONE, 2)
    assert build(tree)[1]["ecg_study_id"] == str(good)


@pytest.mark.parametrize("file", [None, b"", JPEG[:300], b"no picture at all"])
def test_damaged_x_rays_give_way_to_the_next(tree: Tree, file: bytes | None) -> None:
    fill(tree, cxr=False)
    tree.picture(ONE, 28, file=file)
    good = tree.picture(ONE, 30)
    assert build(tree)[1]["cxr_dicom_id"] == good


def test_an_x_ray_without_a_time_is_left_out_and_counted(tree: Tree, undisclosed: None) -> None:
    fill(tree)
    tree.picture(ONE, 27)
    tree.pictures[-1]["StudyTime"] = ""
    tree.picture(ONE, 27)
    tree.pictures[-1]["StudyTime"] = "256161.5"
    assert build(tree)[1]["cxr_hours"] == 30
    dropped = manifests.read(tree.roots.mimic_iv.parent / "out").dropped
    assert [(entry.reason, entry.count) for entry in dropped] == [("X-ray: its study has no readable date and time", 2)]


def test_study_times_have_no_leading_zeros(tree: Tree) -> None:
    tree.admissions[0]["admittime"] = START.replace(hour=0, minute=5, second=1)
    fill(tree, cxr=False)
    tree.labs[0]["charttime"] = tree.records[0]["ecg_time"] = START.replace(hour=1)
    tree.picture(ONE, 36.5, START.replace(hour=12, minute=0, second=3))  # 00:30:03, written 3003.437
    assert tree.pictures[0]["StudyTime"] == "3003.437"
    assert build(tree)[1]["cxr_hours"] == pytest.approx(48 + 25 / 60 + 2 / 3600)


def test_values_that_are_no_numbers_are_passed_over(tree: Tree) -> None:
    fill(tree, labs=False)
    tree.lab(ONE, -2, None)
    tree.lab(ONE, 1, 1.25)
    tree.lab(ONE, -3, 5.0, item=51514)  # none of the 50
    row = build(tree)[1]
    assert (row["labs"][CREATININE], row["labs_hours"][CREATININE]) == (1.25, 1.0)
    assert sum(not absent for absent in row["labs_missing"]) == 1


def test_units_are_compared_and_conflicts_counted(tree: Tree) -> None:
    fill(tree)
    for number in range(2, 14):
        subject_id = ONE + number
        tree.complete(subject_id, number)
        tree.labs[-1]["valueuom"] = "umol/L" if number == 5 else " mg/dL" if number == 6 else ""
    build(tree)
    notes = manifests.read(tree.roots.mimic_iv.parent / "out").notes
    assert "Values whose unit is not the test's usual one, kept as they are: Creatinine (fewer than 10)." in notes


def test_events_of_another_stay_count_unless_forbidden(tmp_path: Path) -> None:
    """The patient comes back ten hours after a discharge; everything lies around both stays."""
    tree = Tree(tmp_path)
    tree.admit(ONE, 1, START, days=1)
    back = START + timedelta(hours=34)
    tree.admit(ONE, 2, back, days=4)
    early = tree.record(ONE, -11, back)  # still in the first stay
    late = tree.record(ONE, 1, back)
    tree.lab(ONE, -11, 0.5, back)
    tree.lab(ONE, 2, 1.5, back)
    tree.picture(ONE, 30, back)
    row = build(tree)[2]
    assert (row["ecg_study_id"], row["labs"][CREATININE]) == (str(early), 0.5)
    row = build_in(tree, tmp_path / "within", within_stay=True)[2]
    assert (row["ecg_study_id"], row["labs"][CREATININE]) == (str(late), 1.5)


def test_an_x_ray_after_discharge_counts_unless_forbidden(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for hadm_id, days in ((1, 1.0), (2, 5.0)):
        tree.admit(ONE + hadm_id, hadm_id, days=days)
        tree.picture(ONE + hadm_id, 30)
        tree.record(ONE + hadm_id, 0)
        tree.lab(ONE + hadm_id, 0)
    assert set(build(tree)) == {1, 2}
    assert set(build_in(tree, tmp_path / "within", within_stay=True)) == {2}


def test_a_stay_without_a_discharge_does_not_hide_the_one_before(tmp_path: Path) -> None:
    """The second stay has no discharge, so the third begins after that of the first."""
    tree = Tree(tmp_path)
    tree.admit(ONE, 1, START, days=1)
    tree.admit(ONE, 2, START + timedelta(hours=26))
    tree.admissions[-1]["dischtime"] = ""
    back = START + timedelta(hours=40)
    tree.admit(ONE, 3, back, days=4)
    tree.record(ONE, -20, back)  # in the first stay
    late = tree.record(ONE, -4, back)
    tree.lab(ONE, 2, 1.5, back)
    tree.picture(ONE, 30, back)
    tree.write()
    assert build_in(tree, tmp_path / "out", train=2, within_stay=True)[3]["ecg_study_id"] == str(late)


def test_one_tracing_may_serve_two_admissions(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    for hadm_id, at in ((1, START), (2, START + timedelta(hours=20))):
        tree.admit(ONE, hadm_id, at, days=0.5)
        tree.picture(ONE, 50, at)
    shared = tree.record(ONE, 10)
    tree.lab(ONE, 10)
    rows = build(tree)
    assert rows[1]["ecg_study_id"] == rows[2]["ecg_study_id"] == str(shared)
    assert (rows[1]["ecg_hours"], rows[2]["ecg_hours"]) == (10, -10)


def test_a_test_that_training_lacks_says_nothing() -> None:
    train, other = np.full((3, 1), np.nan), np.array([[2.0], [np.nan]])
    assert percentiles(train, other).ravel().tolist()[0] == 0.5
    assert percentiles(train, other, unknown=0.0)[0, 0] == 0.0
    assert np.isnan(percentiles(train, other)[1, 0])


def test_patients_are_in_one_split_and_no_row_is_lost() -> None:
    rng = np.random.default_rng(0)
    subjects = rng.integers(0, 60, size=150)
    splits = split_by_patient(subjects.tolist(), 100, 20, 0)
    assert [len(rows) for rows in splits.values()] == [100, 20, 30]
    assert sorted(np.concatenate(list(splits.values())).tolist()) == list(range(150))
    patients = [set(subjects[rows].tolist()) for rows in splits.values()]
    assert not patients[0] & patients[1] and not patients[0] & patients[2] and not patients[1] & patients[2]


def test_a_patients_split_does_not_depend_on_the_order_of_rows() -> None:
    subjects = np.random.default_rng(0).integers(0, 60, size=150)
    order = np.random.default_rng(1).permutation(150)
    one, other = split_by_patient(subjects.tolist(), 100, 20, 0), split_by_patient(subjects[order].tolist(), 100, 20, 0)
    for split, rows in one.items():
        assert set(subjects[rows].tolist()) == set(subjects[order][other[split]].tolist())


def test_candidates_are_other_patients_with_an_x_ray_and_repeat_exactly() -> None:
    subjects = np.arange(40) // 2
    eligible = np.arange(40) % 5 != 0
    drawn = draw_candidates("test", subjects, eligible, 10, 0, same_patient=False)
    assert (drawn == draw_candidates("test", subjects, eligible, 10, 0, same_patient=False)).all()
    assert (drawn != draw_candidates("test", subjects, eligible, 10, 1, same_patient=False)).any()
    assert (drawn[~eligible] == -1).all()
    for row in np.flatnonzero(eligible):
        assert drawn[row, 0] == row and len(set(drawn[row].tolist())) == 10
        assert eligible[drawn[row]].all() and (subjects[drawn[row, 1:]] != subjects[row]).all()


def test_reference_candidates_may_be_the_patients_own() -> None:
    subjects = np.zeros(12, dtype=np.int64)
    drawn = draw_candidates("test", subjects, np.ones(12, dtype=bool), 10, 0, same_patient=True)
    assert all(len(set(row)) == 10 for row in drawn.tolist())
    with pytest.raises(UsageError, match="got 10, and an admission with 0 of other patients"):
        draw_candidates("test", subjects, np.ones(12, dtype=bool), 10, 0, same_patient=False)


def test_all_candidates_are_drawn_alike() -> None:
    drawn = draw_candidates("test", np.arange(20), np.ones(20, dtype=bool), 5, 0, same_patient=False)
    many = [
        draw_candidates("test", np.arange(20), np.ones(20, dtype=bool), 5, seed, same_patient=False)[0, 1:]
        for seed in range(300)
    ]
    counts = np.bincount(np.concatenate(many), minlength=20)
    assert counts[0] == 0 and abs(counts[1:] - 1200 / 19).max() < 30 and drawn.shape == (20, 5)


def test_the_manifest_tells_every_difference(tree: Tree) -> None:
    fill(tree)
    build(tree)
    notes = manifests.read(tree.roots.mimic_iv.parent / "out").notes
    assert all(any(sentence in note for note in notes) for sentence in (*MENDED, *ALWAYS))
