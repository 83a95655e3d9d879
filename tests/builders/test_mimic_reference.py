"""`--reference` makes the public pipeline's choices: compared with a slow rewriting of its rules."""

from __future__ import annotations

import tempfile
from datetime import timedelta
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories import problems
from hypothesis import given, settings
from hypothesis import strategies as st
from mimic_tree import JPEG, LAB, START, Tree, reference_cohort

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.cohort.splits import split_by_row
from symile_data.builders.mimic.percentiles import percentiles
from symile_data.builders.mimic.sample.release import sample_roots, write_sample_mimic
from symile_data.builders.mimic.spec import MimicSpec, Roots
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.errors import SourceError, UsageError

SECOND = 1 / 3600
FROZEN = {
    "train": [5, 1, 31, 2, 22, 17, 14, 7, 12, 20, 36, 6, 23, 35, 33, 10, 19, 21, 0, 8, 3, 24],
    "validation": [39, 28, 32, 30, 34],
    "test": [25, 38, 9, 27, 37, 26, 11, 29],
}
STEPS = [0.0, 0.16666666666666666, 0.33333333333333337, *[0.6666666666666666] * 2, 0.8333333333333334, 1.0, 1.0]


def built(roots: Roots, out: Path, **settings: Any) -> list[dict[str, Any]]:
    """The rows of a reference build whose rows are all in the training split, in its order."""
    spec = MimicSpec(roots=roots, reference=True, validation=0, **{"train": None, **settings})
    build_mimic(spec, out, workers=1, write_card=no_card)
    columns = ["subject_id", "hadm_id", "cxr_dicom_id", "ecg_study_id", "labs", "labs_percentile"]
    return [
        row for path in sorted((out / "data").glob("*")) for row in pq.read_table(path, columns=columns).to_pylist()
    ]


def compare(roots: Roots, out: Path) -> int:
    """The build's rows against the slow ones; how many there are."""
    expected = reference_cohort(roots)
    if not expected:
        with pytest.raises(SourceError, match="no admission is left"):
            built(roots, out, train=1)
        return 0
    order = np.random.RandomState(0).permutation(len(expected))
    expected = [expected[row] for row in order]
    rows = built(roots, out, train=len(expected))
    for row, wanted in zip(rows, expected, strict=True):
        labs = [None if value is None else float(np.float32(value)) for value in wanted["labs"]]
        assert {**wanted, "labs": labs} == {name: row[name] for name in wanted}
    check_percentiles(rows, expected)
    return len(rows)


def check_percentiles(rows: list[dict[str, Any]], expected: list[dict[str, Any]]) -> None:
    """Steps of 1/n at each training value, closed on the left."""
    for column in range(len(ITEM_IDS)):
        known = sorted(row["labs"][column] for row in expected if row["labs"][column] is not None)
        steps = np.linspace(1 / max(len(known), 1), 1, len(known))
        for row, wanted in zip(rows, expected, strict=True):
            value, placed = wanted["labs"][column], row["labs_percentile"][column]
            if value is None:
                assert placed is None
            else:
                assert placed == float(np.float32(steps[sum(other <= value for other in known) - 1]))


def test_the_sample_releases(tmp_path: Path) -> None:
    write_sample_mimic(tmp_path / "source", 30)
    roots = sample_roots(tmp_path / "source")
    assert compare(roots, tmp_path / "out") > 15
    assert problems(tmp_path / "out") == []


late = st.sampled_from([24, 24 + SECOND, 30, 30, 48, 72, 72 + SECOND])
near = st.sampled_from([-24 - SECOND, -24, -3, -3, 0, 24, 24 + SECOND])
views = st.sampled_from(["AP", "AP", "PA", "LATERAL", ""])
pictures = st.tuples(late, views, st.sampled_from([JPEG, JPEG, None]), st.sampled_from([True, True, False]))
records = st.tuples(near, st.sampled_from(["", "", "", "zero", "unknown", "flat", "flat lead"]))
labs = st.tuples(near, st.sampled_from([LAB, LAB, 50802, 51514]), st.sampled_from([0.1, 0.7, 2.5, 1e6, None]))
stays = st.tuples(
    st.sampled_from([0, 1, 24, 48, 600]),
    st.lists(pictures, min_size=2, max_size=6),
    st.lists(records, min_size=1, max_size=4),
    st.lists(labs, min_size=1, max_size=6),
)
people = st.lists(st.lists(stays, min_size=1, max_size=3), min_size=1, max_size=4)


@given(people, st.randoms(use_true_random=False))
@settings(max_examples=30)
def test_random_trees(drawn: list[Any], random: Random) -> None:
    """Everything around the ends of the windows, with ties, gaps and stays that lie close together."""
    with tempfile.TemporaryDirectory() as directory:
        tree = Tree(Path(directory))
        for number, their_stays in enumerate(drawn):
            subject_id = 10_000_000 + number
            at = START
            for stay, (later, their_images, their_records, their_labs) in enumerate(their_stays):
                at += timedelta(hours=later)
                tree.admit(subject_id, 20_000_000 + 10 * number + stay, at)
                for hour, view, file, labelled in their_images:
                    tree.picture(subject_id, hour, at, view=view, file=file, labelled=labelled)
                for hour, kind in their_records:
                    tree.record(subject_id, hour, at, kind=kind)
                for hour, item, value in their_labs:
                    tree.lab(subject_id, hour, value, at, item=item)
        for table in (tree.admissions, tree.pictures, tree.records, tree.labs):
            random.shuffle(table)
        compare(tree.write(), Path(directory) / "out")


@pytest.mark.parametrize(
    ("hour", "inside"), [(24, False), (24 + SECOND, True), (72, True), (72 + SECOND, False)], ids=str
)
def test_the_x_ray_window_is_open_below_and_closed_above(tmp_path: Path, hour: float, inside: bool) -> None:
    tree = Tree(tmp_path)
    tree.complete(10_000_001, 1)
    tree.pictures[0]["StudyDate"] = (START + timedelta(hours=hour)).strftime("%Y%m%d")
    tree.pictures[0]["StudyTime"] = (START + timedelta(seconds=round(hour * 3600))).strftime("%H%M%S")
    assert compare(tree.write(), tmp_path / "out") == inside


@pytest.mark.parametrize("hour", [-24, 24, -24 - SECOND, 24 + SECOND], ids=str)
@pytest.mark.parametrize("what", ["record", "lab"])
def test_the_other_windows_are_closed_at_both_ends(tmp_path: Path, what: str, hour: float) -> None:
    tree = Tree(tmp_path)
    tree.admit(10_000_001, 1)
    tree.picture(10_000_001, 30)
    tree.record(10_000_001, hour if what == "record" else 0)
    tree.lab(10_000_001, hour if what == "lab" else 0)
    assert compare(tree.write(), tmp_path / "out") == (abs(hour) == 24)


def test_the_first_in_the_file_wins_a_tie(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.admit(10_000_001, 1)
    for name in ("c", "a", "b"):
        tree.picture(10_000_001, 30, dicom_id=name)
    for study_id in (43, 41, 42):
        tree.record(10_000_001, 0, study_id=study_id)
    for labevent_id, value in ((9, 0.9), (7, 0.7), (8, 0.8)):
        tree.lab(10_000_001, 1, value, labevent_id=labevent_id)
    (row,) = built(tree.write(), tmp_path / "out", train=1)
    assert (row["cxr_dicom_id"], row["ecg_study_id"]) == ("c", "43")
    assert row["labs"][ITEM_IDS.index(LAB)] == pytest.approx(0.9)


def test_an_x_ray_is_chosen_before_its_labels_are_asked_for(tmp_path: Path) -> None:
    tree = Tree(tmp_path)
    tree.complete(10_000_002, 2)
    tree.admit(10_000_001, 1)
    tree.picture(10_000_001, 30, labelled=False)
    tree.picture(10_000_001, 31)
    tree.record(10_000_001, 0)
    tree.lab(10_000_001, 0)
    assert [row["hadm_id"] for row in built(tree.write(), tmp_path / "out", train=1)] == [2]


def test_row_splits_are_scikit_learns() -> None:
    """Written down from scikit-learn 1.7's train_test_split and the pipeline's filters between its two calls."""
    subjects = [(7 * i) % 13 if i < 20 else 100 + i for i in range(40)]
    splits = split_by_row(subjects, 22, 5, 3)
    assert {split: rows.tolist() for split, rows in splits.items()} == FROZEN


def test_percentiles_are_those_of_statsmodels() -> None:
    """Written down from statsmodels' StepFunction over the sorted values."""
    train = np.array([[3.1], [1.0], [np.nan], [2.5], [2.5], [7.0], [np.nan], [0.2]])
    values = np.array([[0.1], [0.2], [1.0], [2.5], [2.6], [3.1], [7.0], [9.0]])
    assert percentiles(train, values).ravel().tolist() == STEPS


def test_too_few_rows_for_validation_is_said() -> None:
    with pytest.raises(UsageError, match=r"without the training patients' other admissions; got 3 of 0\."):
        split_by_row([1] * 8, 5, 3, 0)
