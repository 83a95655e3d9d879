"""Folds: what a file of them promises, the splits that a fold gives, and runs on them."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import call, outcome
from datasets import Features, List, Value
from factories import rows_of
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.reliability import Reliability
from symile_data.training.config import read_config
from symile_data.training.run_record import FoldChoice, read_run
from symile_data.workflows.evaluate import Evaluation, evaluate_in_full
from symile_data.workflows.folds.fold_file import FoldFile, fold_rows, read_folds, write_folds
from symile_data.workflows.folds.make import make_folds
from symile_data.workflows.train import train_run
from symile_data.workflows.training_data import TrainingData, data_of_run

pytestmark = pytest.mark.usefixtures("undrawn")

SPLITS = ("train", "validation", "test")


def write_rows(out: Path, groups: list[int], labels: list[int | None]) -> Path:
    """A dataset of two vectors with a group and a label in each row, divided into three splits."""
    features = Features(
        {"a": List(Value("float32"), length=2), "b": List(Value("float32"), length=2), "group": Value("int64"),
         "label": Value("int64"), "list": List(Value("int64"))}
    )  # fmt: skip
    rows = [
        {"sample_id": number, "a": [number, 1.0], "b": [1.0, number], "group": group, "label": label, "list": [1]}
        for number, (group, label) in enumerate(zip(groups, labels, strict=True))
    ]
    third = -(-len(rows) // 3)
    splits = {name: rows[at * third : (at + 1) * third] for at, name in enumerate(SPLITS)}
    schema = own_schema(features, {"a": "vector", "b": "vector"})
    write_dataset(out, name="mine", schema=schema, splits=splits, spec={"groups": groups, "labels": labels})
    return out


@given(
    sizes=st.lists(st.integers(1, 4), min_size=6, max_size=14),
    folds=st.integers(3, 5),
    seed=st.integers(0, 2**63 - 1),
    stratified=st.booleans(),
)
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_row_is_tested_on_once_and_groups_stay_together(
    tmp_path_factory: pytest.TempPathFactory, sizes: list[int], folds: int, seed: int, stratified: bool
) -> None:
    groups = [group for group, size in enumerate(sizes) for _ in range(size)]
    place = write_rows(tmp_path_factory.mktemp("d") / "d", groups, [number % 2 for number in range(len(groups))])
    made = make_folds(place, repeats=2, folds=folds, group="group", stratify="label" if stratified else None, seed=seed)
    assert made == make_folds(place, repeats=2, folds=folds, group="group", stratify=made.stratify, seed=seed)
    for repeat in range(2):
        tested, validated = Counter[int](), Counter[int]()
        for fold in range(folds):
            rows = {split: set(ids.tolist()) for split, ids in fold_rows(made, fold, repeat).items()}
            assert sum(map(len, rows.values())) == len(groups) == len(set.union(*rows.values()))
            of_split = {split: {groups[number] for number in ids} for split, ids in rows.items()}
            assert sum(map(len, of_split.values())) == len(sizes)
            tested.update(rows["test"])
            validated.update(rows["validation"])
        assert set(tested.values()) == set(validated.values()) == {1} and len(tested) == len(validated) == len(groups)


def test_labels_are_equally_frequent_and_repetitions_differ(tmp_path: Path) -> None:
    labels: list[int | None] = [None if number % 5 == 0 else int(number % 5 == 1) for number in range(150)]
    place = write_rows(tmp_path / "d", [number // 2 for number in range(150)], labels)
    grouped = make_folds(place, stratify="label", group="group")
    alone = make_folds(place, stratify="label")
    plain = make_folds(place)
    assert (grouped.repeats, grouped.folds, alone.group, plain.stratify) == (3, 5, None, None)
    for made, slack in ((grouped, 2), (alone, 0)):
        for numbers in made.fold_of:
            for fold in range(5):
                here = Counter(label for label, number in zip(labels, numbers, strict=True) if number == fold)
                expected = {None: 6, 1: 6, 0: 18}
                assert all(abs(here[label] - count) <= slack for label, count in expected.items())
    for made in (grouped, alone, plain):
        assert len({tuple(numbers) for numbers in made.fold_of}) == 3
    assert {Counter(numbers)[0] for numbers in plain.fold_of} == {30}
    assert make_folds(place, seed=1).fold_of != plain.fold_of


def test_a_file_is_read_as_it_was_written_and_a_change_is_noticed(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "d", list(range(12)), [0, 1] * 6)
    made, path = make_folds(place, repeats=1, folds=3), tmp_path / "folds.json"
    write_folds(path, made)
    assert read_folds(path) == made
    write_folds(path, made)  # stays
    with pytest.raises(OutputError, match=r"there is another file .*Choose another `out`"):
        write_folds(path, replace(made, seed=1))
    with pytest.raises(UsageError, match="the file of folds would be inside a dataset"):
        write_folds(place / "folds.json", made)
    text = path.read_text()
    value = json.loads(text)
    value["fold_of"][0][0] = (value["fold_of"][0][0] + 1) % 3
    for changed, message in (
        (json.dumps(value), "its digest does not match its contents"),
        (text[:-20], "this is no file of folds"),
        (json.dumps({**value, "format": "other"}), "this is no file of folds"),
        (json.dumps({**value, "sample_ids": "all"}), "sample_ids is str, not a list"),
    ):
        path.write_text(changed)
        with pytest.raises(DamageError, match=message):
            read_folds(path)
    with pytest.raises(DamageError, match="cannot be read"):
        read_folds(tmp_path / "none.json")


@pytest.mark.parametrize(
    "change",
    [{"fold_of": [[0, 1, 2, 0]]}, {"fold_of": [[0, 1, 1]]}, {"fold_of": []}, {"sample_ids": [1, 1, 2]}, {"folds": 2}],
    ids=str,
)
def test_a_file_whose_numbers_are_no_folds_is_refused(tmp_path: Path, change: dict[str, Any]) -> None:
    good: dict[str, Any] = {
        "dataset": "d", "fingerprint": "f", "shards": "s", "folds": 3, "seed": 0, "group": None, "stratify": None,
        "versions": {}, "sample_ids": [5, 6, 7], "fold_of": [[0, 1, 2]],
    }  # fmt: skip
    write_folds(tmp_path / "good", FoldFile(**good))
    assert fold_rows(read_folds(tmp_path / "good"), 2)["validation"].tolist() == [5]
    write_folds(tmp_path / "bad", FoldFile(**good | change))
    with pytest.raises(DamageError, match="rows without a fold, or folds without rows"):
        read_folds(tmp_path / "bad")


def test_what_cannot_be_divided_is_said(tmp_path: Path) -> None:
    place = write_rows(tmp_path / "d", [number // 6 for number in range(12)], [*range(11), None])
    for options, message in (
        ({"stratify": "colour"}, "no such column .*got colour. It has a, b, group, label"),
        ({"group": "label"}, "a column of groups must not have nulls"),
        ({"group": "group"}, "fewer rows or groups than `folds` .*got 2 for 5"),
        ({"stratify": "list"}, "numbers, booleans or texts only"),
        ({"stratify": "label"}, "cannot be stratified by this column"),
        ({"folds": 2}, "`folds` must be at least 3"),
        ({"repeats": 0}, "`repeats` must be at least 1"),
    ):
        with pytest.raises(UsageError, match=message):
            make_folds(place, **options)
    spec = XorSpec(dims=1, rows=dict.fromkeys(SPLITS, 20), reliability=Reliability(misaligned={"a": 0.5}))
    build_xor(spec, tmp_path / "swapped", workers=1, write_card=no_card)
    with pytest.raises(UsageError, match="show values of other rows, which folds would part"):
        make_folds(tmp_path / "swapped")


@pytest.fixture(scope="module")
def clinical(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample admissions with a file of folds beside them; not to be changed."""
    out = tmp_path_factory.mktemp("clinical")
    build_mimic(MimicSpec(patients=60, candidates=3), out / "mimic", workers=1, write_card=no_card)
    write_folds(out / "folds.json", make_folds(out / "mimic", repeats=2, folds=3, stratify="chexpert_edema"))
    return out


def test_splits_of_a_fold_share_no_patient_and_sets_of_candidates_are_whole(clinical: Path) -> None:
    all_rows = [row for split in SPLITS for row in rows_of(clinical / "mimic", split)]
    patient = {row["hadm_id"]: row["subject_id"] for row in all_rows}
    path = clinical / "folds.json"
    data = TrainingData(clinical / "mimic", folds=FoldChoice(file=str(path), fold=2, repeat=1))
    expected = fold_rows(read_folds(path), 2, 1)
    patients: dict[str, set[int]] = {}
    for split in SPLITS:
        table = data.split(split).read_all(["sample_id", "hadm_id", "subject_id", "candidates"])
        assert sorted(table["sample_id"].to_pylist()) == sorted(expected[split].tolist())
        assert data.manifest.splits[split] == len(table)
        patients[split] = set(table["subject_id"].to_pylist())
        admissions = table["hadm_id"].to_pylist()
        for hadm_id, found in zip(admissions, table["candidates"].to_pylist(), strict=True):
            if split == "train":
                assert found is None
                continue
            assert found[0] == hadm_id and len(set(found)) == 3 and set(found) <= set(admissions)
            assert all(patient[other] != patient[hadm_id] for other in found[1:])
    assert sum(map(len, patients.values())) == len(set.union(*patients.values())) == len(set(patient.values()))


def test_a_run_on_a_fold_is_tested_on_it_and_on_nothing_else(clinical: Path, tmp_path: Path) -> None:
    small = {
        "epochs": 1, "batch_size": 16, "dim": 8, "candidates": 3,
        "encoders": {"image": {"width": 2}, "ecg": {"width": 4}, "labs": {"widths": [8]}},
        "inputs": {"image": {"size": 16}, "ecg": {"scale": False}},
    }  # fmt: skip
    choice = FoldChoice(file=str(clinical / "folds.json"), fold=0)
    data = TrainingData(clinical / "mimic", folds=choice)
    metrics = train_run(read_config("mimic-small", small), data, tmp_path / "run")
    info = read_run(tmp_path / "run")
    assert info.folds == choice and metrics["test"]["rows"] == data.manifest.splits["test"]
    again = evaluate_in_full(tmp_path / "run", data_of_run(info), Evaluation())
    assert again.results["accuracy"] == metrics["test"]["accuracy"]
    moved = tmp_path / "moved.json"
    moved.write_bytes((clinical / "folds.json").read_bytes())
    there = data_of_run(info, folds=FoldChoice(file=str(moved), fold=0))
    assert evaluate_in_full(tmp_path / "run", there, Evaluation()).results == again.results
    for other in (replace(choice, fold=1), replace(choice, repeat=1), None):
        with pytest.raises(UsageError, match=r"trained on other splits, .*got fold 0 of repetition 0 of the run"):
            evaluate_in_full(tmp_path / "run", TrainingData(clinical / "mimic", folds=other), Evaluation())


def test_a_fold_with_too_few_patients_for_the_candidates_is_refused(clinical: Path, tmp_path: Path) -> None:
    path = tmp_path / "many.json"
    write_folds(path, make_folds(clinical / "mimic", repeats=1, folds=25))
    data = TrainingData(clinical / "mimic", folds=FoldChoice(file=str(path), fold=0))
    with pytest.raises(
        UsageError, match=r"too few patients for the dataset's sets of candidates .*Make fewer `folds`, or build"
    ):
        for split in SPLITS:
            data.split(split)


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = {"train": 48, "validation": 12, "test": 12}
    for name, seed in (("xor", 0), ("other", 1)):
        build_xor(XorSpec(dims=1, rows=rows, seed=seed), tmp_path / name, workers=1, write_card=no_card)
    assert call("folds", tmp_path / "xor", "--folds", "3", "--repeats", "2", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    path = tmp_path / "xor-folds.json"
    assert told["file"] == str(path) and told["digest"] == read_folds(path).digest
    assert [counted["rows"] for counted in told["folds"]] == [24] * 6
    labelled = write_rows(tmp_path / "rows", list(range(40)), [7, None, None, *[10, 9] * 18, None])
    found = outcome(capsys, "folds", labelled, "--stratify", "label", "--repeats", "1", "--folds", "3")
    assert found.code == 0 and "None" not in found.out and "no label" in found.out
    header = next(line for line in found.out.splitlines() if "repeat" in line)
    assert header.index(" 7 ") < header.index(" 9 ") < header.index(" 10 ") < header.index("no label")
    assert "the label 7 is in 1 of 3 folds; fewer --folds may spread it over all" in found.out
    fold = ("--folds", path, "--fold", "1", "--repeat", "1")
    train = ("--config", "xor", "--epochs", "1", "--set", "batch_size=16", "--objective", "symile")
    assert call("train", tmp_path / "xor", *train, *fold, "--out", tmp_path / "runs", "--json") == 0
    tested = json.loads(capsys.readouterr().out)["symile"]
    assert tested["rows"] == 24
    assert call("evaluate", tmp_path / "runs" / "symile", "--json") == 0
    assert json.loads(capsys.readouterr().out)["symile"]["accuracy"] == tested["accuracy"]

    found = outcome(capsys, "train", tmp_path / "other", *train, *fold, "--out", tmp_path / "no")
    assert found.code == 2 and "made for another dataset" in found.err and "another build of xor" in found.err
    found = outcome(capsys, "train", tmp_path / "xor", *train, "--folds", path, "--fold", "3")
    assert found.code == 2 and "there is no such --fold; got 3. Choose from 0 to 2" in found.err
    for words in (("--folds", path), ("--fold", "1"), ("--repeat", "1")):
        assert outcome(capsys, "train", tmp_path / "xor", *train, *words).code == 2
    assert manifests.read(tmp_path / "xor").splits == rows  # the dataset's own splits stay


def test_numbers_of_folds_are_integers_of_every_row(clinical: Path) -> None:
    made = read_folds(clinical / "folds.json")
    ids = [row["sample_id"] for split in SPLITS for row in rows_of(clinical / "mimic", split)]
    assert made.sample_ids == ids and np.shape(made.fold_of) == (2, len(ids)) and made.group == "subject_id"
