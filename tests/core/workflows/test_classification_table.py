"""Supervised baselines and probes side by side, on a small clinical dataset of vectors with patients and findings."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command import call, outcome
from datasets import Features, List, Value
from factories import build
from figure_colours import bright_colours
from sklearn.metrics import roc_auc_score

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.datasets.mimic.labels import LabelPolicy
from symile_data.errors import UsageError
from symile_data.evaluation.classification import AUROC
from symile_data.evaluation.method_figure import draw_methods
from symile_data.training.config import read_config
from symile_data.training.run_record import read_run
from symile_data.training.supervised.config import SupervisedConfig, all_fusions
from symile_data.workflows.classification.labels import NULL, all_ids, complete_rows, read_clusters, read_labels
from symile_data.workflows.classification.networks import representations
from symile_data.workflows.classification.probe import Probing, probe_runs
from symile_data.workflows.classification.runs import find_runs
from symile_data.workflows.classification.supervised import predict_run
from symile_data.workflows.evaluate import Experiment, run_experiment
from symile_data.workflows.train import embed_run
from symile_data.workflows.training_data import TrainingData

NAMES = ("a", "b", "c")
SIZES = {"train": 240, "validation": 60, "test": 160}
EDEMA, FRACTURE, WARD = "chexpert_edema", "chexpert_fracture", "ward"
CONFIG = """
epochs = 1
batch_size = 40
dim = 8
lr = 2e-2
target = "a"
label = "sample_id"
val_every = 1
[supervised]
epochs = 5
[encoders.vector]
model = "mlp"
"""


def rows(split: str) -> Iterator[dict[str, Any]]:
    """Edema shows in a, the ward in b, and death in nothing; every patient has two rows, and c is noise."""
    rng = np.random.default_rng(sorted(SIZES).index(split))
    start = {"train": 0, "validation": 1000, "test": 2000}[split]
    for number in range(SIZES[split]):
        edema, ward = int(rng.integers(2)), int(rng.integers(3))
        shown = {name: rng.normal(size=4).astype(np.float32) for name in NAMES}
        shown["a"][0] += 2.5 * edema
        shown["b"][ward] += 3.0
        told = None if rng.random() < 0.1 else -1 if rng.random() < 0.1 else edema
        yield {
            **shown,
            "b": None if number % 20 == 7 else shown["b"],
            "subject_id": start + number // 2,
            EDEMA: told,
            FRACTURE: None,
            WARD: "xyz"[ward],
            "hospital_expire_flag": int(rng.integers(2)),
            "grade": float(edema),
            "height": 150 + 2.5 * (number % 9),
            "parts": [ward],
        }


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset, and runs of four baselines and of two objectives with two seeds each."""
    out = tmp_path_factory.mktemp("clinical")
    columns = {
        **{name: List(Value("float32"), length=4) for name in NAMES},
        "subject_id": Value("int64"), EDEMA: Value("int8"), FRACTURE: Value("int8"), WARD: Value("string"),
        "hospital_expire_flag": Value("int8"), "grade": Value("float32"), "height": Value("float64"),
        "parts": List(Value("int8")),
    }  # fmt: skip
    schema = own_schema(Features(columns), dict.fromkeys(NAMES, "vector"))
    write_dataset(out / "data", name="clinic", schema=schema, splits={split: rows(split) for split in SIZES}, spec={})
    (out / "clinic.toml").write_text(CONFIG)
    data = TrainingData(out / "data")
    labels = (EDEMA, WARD, "hospital_expire_flag")
    fusions = [fusion for fusion in all_fusions(NAMES) if fusion != "unimodal:b"]
    baselines = {
        one.run_name: read_config(str(out / "clinic.toml"), {"supervised": {"fusion": one.fusion, "labels": labels}})
        for one in (SupervisedConfig(fusion=fusion, labels=labels) for fusion in fusions)
    }
    run_experiment(Experiment(configs=baselines, seeds=2), data, out / "runs")
    objectives = {name: read_config(str(out / "clinic.toml"), {"objective": name}) for name in ("clip", "symile")}
    run_experiment(Experiment(configs=objectives, seeds=2), data, out / "runs")
    return out


@pytest.fixture(scope="module")
def found(place: Path) -> dict[str, Any]:
    return probe_runs(place / "runs", asked=Probing(labels=["chexpert", WARD, "mortality"], bootstrap=200))


METHODS = ["unimodal:a", "unimodal:c", "early", "late", "clip", "symile"]


def test_baselines_and_probes_stand_in_one_table(place: Path, found: dict[str, Any]) -> None:
    assert list(find_runs(place / "runs")) == [
        "unimodal-a",
        "unimodal-c",
        "early",
        "late",
        "clip",
        "symile",
    ]
    assert list(found["table"]) == [EDEMA, WARD, "hospital_expire_flag"]
    assert found["left_out"] == {FRACTURE: "no value in the training rows"}
    assert all(list(methods) == METHODS for methods in found["table"].values())
    edema, ward = found["table"][EDEMA], found["table"][WARD]
    assert edema["clip"]["figure"] == "auroc" and ward["clip"]["figure"] == "accuracy"
    for name in ("unimodal:a", "early", "late", "symile"):
        assert edema[name]["value"] > 0.85 and edema[name]["low"] > 0.75
        assert len(edema[name]["seeds"]) == 2
    assert edema["unimodal:c"]["low"] < 0.5 < edema["unimodal:c"]["high"]
    assert ward["early"]["value"] > 0.7 > 0.5 > ward["unimodal:a"]["value"]
    dead = found["table"]["hospital_expire_flag"]
    assert all(0.3 < one["value"] < 0.7 for one in dead.values()), "nothing shows it"
    assert found["mean"]["early"]["value"] == pytest.approx((edema["early"]["value"] + dead["early"]["value"]) / 2)


def test_what_the_figures_rest_on_is_said(found: dict[str, Any]) -> None:
    protocol = found["protocol"]
    assert (protocol["group"], protocol["groups"]) == ("subject_id", 80)
    assert protocol["policy"] == {"uncertain": "ignore", "unmentioned": "ignore", "version": 1}
    edema = found["labels"][EDEMA]
    assert edema["positive"] == "1" and edema["rows"]["test"] < found["rows"]["test"] == 152
    assert found["by_feature"] is False


def test_a_baselines_figure_is_that_of_its_own_probabilities(place: Path, found: dict[str, Any]) -> None:
    data = TrainingData(place / "data")
    areas = []
    for seed in (0, 1):
        run = place / "runs" / f"seed-{seed}" / "early"
        ids, probabilities = predict_run(run, data)
        assert np.array_equal(ids, complete_rows(data, "test"))
        labels = read_labels(data, {**all_ids(data), "test": ids}, [EDEMA]).values[EDEMA]["test"]
        known = labels != NULL
        areas.append(roc_auc_score(labels[known], probabilities[EDEMA][known, 1]))
        metrics = json.loads((run / "metrics.json").read_text())
        assert metrics["test"][EDEMA][AUROC] == pytest.approx(areas[-1])
        assert metrics["objective"] == "early" and (run / "curves.png").is_file()
    assert found["table"][EDEMA]["early"]["seeds"] == pytest.approx(areas)


def test_methods_are_tested_in_pairs(found: dict[str, Any]) -> None:
    differences = found["differences"]
    assert differences["against"] == "symile"
    tests = differences["labels"][EDEMA]
    assert set(tests) == set(METHODS) - {"symile"} and tests["early"]["test"] == "DeLong"
    assert tests["unimodal:c"]["p"] < 0.001 < tests["unimodal:c"]["difference"]
    assert tests["unimodal:c"]["p"] <= tests["unimodal:c"]["p_holm"] < 0.05
    assert differences["labels"][WARD]["early"]["test"] == "paired t"
    mean = differences["mean"]["unimodal:c"]
    assert mean["test"] == "paired bootstrap" and mean["p"] <= 2 * 2 / 201
    assert mean["over_seeds"]["mean"] == pytest.approx(mean["difference"])
    assert set(mean["over_seeds"]) >= {"p", "p_holm", "low", "high"}


def test_the_files_hold_every_figure(
    place: Path,
    found: dict[str, Any],
    undrawn: Callable[..., None],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    runs = place / "runs"
    assert json.loads((runs / "probe.json").read_text())["table"] == found["table"]
    assert (runs / "probe.png").is_file()
    monkeypatch.setattr("symile_data.plotting.style.save", undrawn)
    draw_methods(tmp_path / "probe.png", found)
    assert bright_colours(tmp_path / "probe.png") > 5, "marks and lines in the colours of methods"
    with (runs / "probe.csv").open() as file:
        lines = list(csv.DictReader(file))
    wanted = {"label": EDEMA, "run": "symile", "network": "trained", "features": "concatenation", "figure": "auroc"}
    (line,) = [line for line in lines if wanted.items() <= line.items()]
    assert float(line["value"]) == pytest.approx(found["table"][EDEMA]["symile"]["value"]) and line["seeds"] == "2"
    assert {line["figure"] for line in lines} == {"auroc", "auprc", "brier", "ece", "accuracy"}
    with (runs / "probe-differences.csv").open() as file:
        tests = list(csv.DictReader(file))
    assert {line["test"] for line in tests} == {"DeLong", "paired t", "paired bootstrap", "paired t over seeds"}


def test_mlp_probes_and_chosen_features(place: Path) -> None:
    asked = Probing(
        labels=[EDEMA], heads=("linear", "mlp"), features=("a", "concatenation"), bootstrap=0, out=place / "o"
    )
    found = probe_runs(place / "runs" / "seed-0" / "symile", asked=asked)
    symile = found["runs"]["symile"]
    assert list(symile["mlp"][EDEMA]) == ["a", "concatenation"] and symile["mlp"][EDEMA]["a"]["mean"] > 0.75
    assert symile["mlp"][EDEMA]["a"]["epochs"][0] >= 1 and "penalties" in symile["trained"][EDEMA]["a"]
    assert found["table"][EDEMA]["symile"]["low"] is None
    with pytest.raises(UsageError, match="no such feature to probe; got d"):
        probe_runs(place / "runs" / "seed-0" / "symile", asked=Probing(labels=[EDEMA], features=("d",)))
    with pytest.raises(UsageError, match="no such method; got gram"):
        probe_runs(place / "runs" / "seed-0" / "symile", asked=Probing(labels=[EDEMA], against="gram"))


def test_a_dataset_without_a_run_is_probed_by_its_values(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = outcome(capsys, "probe", place / "data", "--labels", f"{EDEMA},{WARD}", "--bootstrap", "50")
    assert said.code == 0 and "a: its values" in said.out and "80 groups" in said.out
    found = json.loads((tmp_path / "probes" / "data" / "probe.json").read_text())
    assert list(found["table"][EDEMA]) == ["a", "b", "c", "concatenation"]
    assert found["table"][EDEMA]["a"]["value"] > 0.9 > 0.65 > found["table"][EDEMA]["c"]["value"]
    assert found["runs"]["frozen"]["seeds"] == [0]


def test_media_without_a_run_need_no_rows_for_a_batch(tree: Path, tmp_path: Path) -> None:
    """The default config has batches of 256 rows; nothing is trained on them here."""
    build(tree, tmp_path / "m3", rows={"train": 6, "validation": 4, "test": 4})
    features, told = representations(TrainingData(tmp_path / "m3"))
    assert {name: len(values) for name, values in features["train"].items()} == dict.fromkeys(
        ("image", "audio", "text", "concatenation"), 6
    )
    assert set(told.values()) == {"embedding of an untrained network"}


def test_the_command_trains_and_shows_baselines(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("train", place / "data", "--config", place / "clinic.toml", "--out", tmp_path / "runs", "--epochs", "1")
    said = outcome(capsys, *words, "--supervised", "unimodal:a,late", "--labels", "chexpert", "--uncertain", "ones")
    assert said.code == 0 and "unimodal-a" in said.out and EDEMA in said.out
    assert f"not predicted: {FRACTURE} (no value in the training rows)" in said.err
    read = read_run(tmp_path / "runs" / "late").config.supervised
    assert read is not None and read.policy == LabelPolicy(uncertain="ones") and read.labels == (EDEMA,)
    said = outcome(capsys, "probe", tmp_path / "runs", "--labels", EDEMA, "--bootstrap", "50")
    assert said.code == 0 and "uncertain ones" in said.out and "late" in said.out
    said = outcome(capsys, "probe", tmp_path / "runs", "--labels", EDEMA, "--uncertain", "zeros")
    assert said.code == 2 and "labels of another policy" in said.err and "--uncertain" in said.err
    said = outcome(capsys, "evaluate", tmp_path / "runs" / "late")
    assert said.code == 2 and "retrieves nothing" in said.err


def test_columns_that_are_no_classes_are_refused(place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, told in (
        ("a", "a label needs two classes or more, each of several training rows"),
        ("sample_id", r"sample_id with 228 values in 228 training rows"),
        ("height", "height with numbers that are not whole"),
        ("parts", "a label is a column of whole numbers, booleans or texts; got parts of type list"),
        ("war", "no such column, and there is no such group of labels; got war. It has"),
    ):
        said = outcome(capsys, "probe", place / "data", "--labels", name)
        assert said.code == 2 and told in said.err, (name, said.err)
    asked = Probing(labels=["grade"], features=("a",), bootstrap=0, out=place / "grades")
    found = probe_runs(place / "runs" / "seed-0" / "symile", asked=asked)
    assert found["labels"]["grade"]["classes"] == 2, "whole numbers of type float are classes"


def test_the_headings_of_the_table_name_its_figures(
    place: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = place / "runs" / "seed-0" / "symile"
    words = ("probe", run, "--by-method", "--bootstrap", "0", "--features", "concatenation", "--out", tmp_path)
    for labels, title, header in (
        (EDEMA, "Test AUROC, 95% interval", "positives"),
        (WARD, "Test accuracy, 95% interval", "classes"),
        (f"{EDEMA},{WARD}", "accuracy of labels of more classes", "positives or classes"),
    ):
        said = outcome(capsys, *words, "--labels", labels)
        assert said.code == 0 and title in said.out and header in said.out
        assert ("3 classes (accuracy)" in said.out) == ("," in labels)
        assert ("AUROC" in said.out) == (EDEMA in labels)


def test_a_finding_without_a_known_row_in_a_split_is_left_out(place: Path) -> None:
    data = TrainingData(place / "data")
    ids = all_ids(data)
    told = np.array([row[EDEMA] in (0, 1) for row in data.split("test").read_all([EDEMA]).to_pylist()])
    some = {**ids, "test": ids["test"][~told]}
    read = read_labels(data, some, ["chexpert", WARD])
    assert read.left_out[EDEMA] == "no value in the test rows" and list(read.values) == [WARD]
    with pytest.raises(UsageError, match=f"{EDEMA} with no value in the test rows"):
        read_labels(data, some, [EDEMA])


def test_what_the_command_refuses(
    place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    base = ("train", place / "data", "--config", place / "clinic.toml")
    for words, told in [
        (("--supervised", "late"), "name the columns"),
        (("--labels", EDEMA), "give --supervised too"),
        (("--supervised", "late", "--labels", "size"), "no such column"),
        (("--supervised", "middle", "--labels", EDEMA), "unknown supervised baseline"),
        (("--supervised", "middle", "--labels", "sample_id"), "unknown supervised baseline"),
        (("--supervised", "late", "--labels", "parts"), "a label is a column of whole numbers, booleans or texts"),
        (("--supervised", "unimodal:d", "--labels", EDEMA), "no such modality"),
        (("--supervised", "late", "--labels", EDEMA, "--objective", "clip"), "in place of objectives"),
        (("--supervised", "late", "--labels", EDEMA, "--uncertain", "half"), "'half' is not one of 'ignore'"),
        (("--supervised", "late", "--labels", FRACTURE), "no value in the training rows"),
    ]:
        said = outcome(capsys, *base, *words)
        assert said.code == 2 and told in said.err, words
    assert call("probe", place / "runs", "--labels", EDEMA, "--heads", "forest") == 2
    monkeypatch.setattr("symile_data.workflows.classification.probe.predict_runs", None)  # refused before it works
    assert call("probe", place / "runs", "--labels", EDEMA, "--group", "room") == 2


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (LabelPolicy(), [1, 0, NULL, NULL]),
        (LabelPolicy(uncertain="zeros"), [1, 0, 0, NULL]),
        (LabelPolicy(uncertain="ones"), [1, 0, 1, NULL]),
        (LabelPolicy(uncertain="ones", unmentioned="zeros"), [1, 0, 1, 0]),
    ],
)
def test_the_policy_of_findings(policy: LabelPolicy, expected: list[int]) -> None:
    values, null = np.array([1, 0, -1, 0]), np.array([False, False, False, True])
    assert policy.classes(values, null, NULL).tolist() == expected


def test_labels_of_another_version_of_the_policy_are_refused() -> None:
    with pytest.raises(UsageError, match="another version of the policy; got version 0"):
        LabelPolicy(version=0)


def test_evaluation_draws_patients(place: Path) -> None:
    data = TrainingData(place / "data")
    clusters = read_clusters(data, "test", complete_rows(data, "test"), "subject_id")
    assert clusters.count == 80 and len(clusters.numbers) == 152
    embedded, *_ = embed_run(place / "runs" / "seed-0" / "clip", data, "test")
    assert len(embedded.labels) == len(clusters.numbers)
    assert call("evaluate", place / "runs" / "seed-0" / "clip", "--bootstrap", "5") == 0
    written = json.loads((place / "runs" / "seed-0" / "clip" / "evaluation-test.json").read_text())
    ranks = written["bootstrap"]["median_rank"]  # the accuracy of so short a training may be 0 in every replicate
    assert written["group"] == "subject_id" and 1 <= ranks["low"] < ranks["mean"] < ranks["high"]
