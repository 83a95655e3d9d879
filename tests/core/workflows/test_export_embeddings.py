"""Embeddings of a run as a dataset: the same numbers by which it retrieves, and a dataset like any other."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
import torch
from command import call, outcome
from factories import build, problems, rows_of

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.datasets.confidential import is_confidential
from symile_data.datasets.pid import Block, Design
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.training.config import TrainConfig, read_config
from symile_data.workflows.datasets import default_config
from symile_data.workflows.evaluate import Evaluation, evaluate_in_full
from symile_data.workflows.export.embeddings import export_embeddings
from symile_data.workflows.train import embed_run, train_run
from symile_data.workflows.training_data import TrainingData

SPLITS = ("train", "validation", "test")
REPOSITORY = Path(__file__).resolve().parents[3]
MODALITIES = ("cxr", "ecg", "labs")
MASKS = {"cxr": "cxr_missing", "ecg": "ecg_missing", "labs": "labs_all_missing"}


pytestmark = pytest.mark.usefixtures("undrawn")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Sample admissions, some without a modality; a run; and its embeddings. Not to be changed."""
    out = tmp_path_factory.mktemp("export")
    spec = MimicSpec(patients=60, candidates=3, allow_missing=True)
    build_mimic(spec, out / "mimic", workers=1, write_card=no_card)
    small = {
        "epochs": 1, "batch_size": 16, "dim": 8, "candidates": 3,
        "encoders": {"image": {"width": 2}, "ecg": {"width": 4}, "labs": {"widths": [8]}},
        "inputs": {"image": {"size": 16}, "ecg": {"scale": False}},
    }  # fmt: skip
    data = TrainingData(out / "mimic")
    train_run(read_config("mimic-small", small), data, out / "run")
    export_embeddings(out / "run", data, out / "embeddings", write_card=write_card)
    return out


def test_numbers_are_those_by_which_the_run_retrieves(place: Path) -> None:
    for split in SPLITS:
        rows = rows_of(place / "embeddings", split)
        complete = [row for row in rows if not any(row[mask] for mask in MASKS.values())]
        expected, _, _ = embed_run(place / "run", TrainingData(place / "mimic"), split, changes={"candidates": 0})
        assert expected.labels.tolist() == [row["hadm_id"] for row in complete]
        for name in MODALITIES:
            found = torch.tensor([row[name] for row in complete])
            torch.testing.assert_close(found, expected.values[name], rtol=1e-4, atol=1e-5)
            assert [row[name] is None for row in rows] == [row[MASKS[name]] for row in rows]
    assert any(row["ecg"] is None for split in SPLITS for row in rows_of(place / "embeddings", split))


def test_ids_labels_and_masks_are_the_sources(place: Path) -> None:
    for split in SPLITS:
        found, stored = (rows_of(place / name, split) for name in ("embeddings", "mimic"))
        assert found[0].keys() == stored[0].keys()
        for one, other in zip(found, stored, strict=True):
            assert all(one[name] == other[name] for name in one if name not in MODALITIES)


def test_it_is_a_dataset_like_any_other(place: Path, tmp_path: Path) -> None:
    out = place / "embeddings"
    assert problems(out, deep=True) == []
    manifest, there = manifests.read(out), manifests.read(place / "mimic")
    assert [modality.kind for modality in manifest.modalities] == ["features"] * 3
    assert manifest.identity.sources["encoded"] == there.identity.fingerprint and manifest.splits == there.splits
    loaded = datasets.load_dataset(str(out), cache_dir=str(tmp_path / "cache"))
    assert {split: len(loaded[split]) for split in SPLITS} == manifest.splits
    assert loaded["test"].features["cxr"] == datasets.List(datasets.Value("float32"), length=8)
    text = (out / "README.md").read_text()
    assert "hold embeddings of 8 float32 numbers by a network that was trained on this dataset (symile, seed 0)" in text
    name = default_config("symile-mimic", ["features"] * 3, MODALITIES)
    config = read_config(name, {"epochs": 1, "batch_size": 16, "dim": 4, "candidates": 3})
    assert train_run(config, TrainingData(out), tmp_path / "run")["test"]["candidates"] == 3


def test_embeddings_of_patients_data_are_patients_data(place: Path) -> None:
    manifest = manifests.read(place / "embeddings")
    assert not is_confidential(manifest)  # of invented patients
    real: dict[str, Any] = {
        "spec": {**manifest.identity.spec, "sample": False},
        "sources": {"records": {"kind": "mimic"}},
    }
    identity = manifests.BuildFingerprint(dataset=manifest.identity.dataset, versions={}, **real)
    assert is_confidential(manifests.Manifest(identity=identity, modalities=(), splits={}))


def test_supervised_baselines_are_exported_where_they_see_every_modality(place: Path, tmp_path: Path) -> None:
    small = {"epochs": 1, "batch_size": 16, "dim": 8, "encoders": {"labs": {"widths": [8]}, "ecg": {"width": 4}},
             "inputs": {"image": {"size": 16}, "ecg": {"scale": False}}}  # fmt: skip
    data = TrainingData(place / "mimic")
    for fusion in ("late", "unimodal:labs"):
        supervised = {"fusion": fusion, "labels": ["chexpert_edema"]}
        config = read_config("mimic-small", {**small, "supervised": supervised})
        train_run(config, data, tmp_path / fusion)
    manifest = export_embeddings(tmp_path / "late", data, tmp_path / "out", splits=["test"], write_card=no_card)
    assert "(supervised baseline late, seed 0)" in manifest.notes[-1] and problems(tmp_path / "out") == []
    with pytest.raises(UsageError, match=r"a baseline of one modality .*got labs of cxr, ecg, labs"):
        export_embeddings(tmp_path / "unimodal:labs", data, tmp_path / "no", write_card=no_card)


def xor_run(out: Path, dims: int = 2, **changes: Any) -> Path:
    rows = {"train": 64, "validation": 16, "test": 40}
    build_xor(XorSpec(dims=dims, rows=rows), out / "xor", workers=1, write_card=no_card)
    config = read_config("xor", {"epochs": 1, "batch_size": 16, "dim": 8, "label": "sample_id", **changes})
    train_run(config, TrainingData(out / "xor"), out / "run")
    return out / "run"


@pytest.mark.parametrize("objective", ["symile", "clip"])
def test_the_recipe_with_faiss_finds_what_evaluation_finds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], objective: str
) -> None:
    pytest.importorskip("faiss")
    run = xor_run(tmp_path, dims=12, objective=objective, epochs=20)
    data = TrainingData(tmp_path / "xor")
    export_embeddings(run, data, tmp_path / "embeddings", splits=["test"], write_card=write_card)
    page = (REPOSITORY / "docs" / "training.md").read_text()
    (code,) = re.findall(r"```python\n(import datasets\nimport faiss\n.*?)```", page, flags=re.DOTALL)
    for theirs, ours in (
        ("build/mimic-embeddings", str(tmp_path / "embeddings")),
        ('"ecg", "labs", "cxr"', '"a", "c", "b"'),
    ):
        assert theirs in code
        code = code.replace(theirs, ours)
    code = code.replace("ecg * labs", "ecg * labs" if objective == "symile" else "ecg + labs")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    capsys.readouterr()
    names: dict[str, Any] = {}
    exec(compile(code, "docs/training.md", "exec"), names)
    printed = float(capsys.readouterr().out.split("right:")[1])
    asked = Evaluation(target="b", label="sample_id", candidates=0)
    changes = {"target": asked.target, "label": asked.label, "candidates": asked.candidates}
    embedded, retrieval, _ = embed_run(run, data, "test", changes=changes)
    queries = {0: embedded.values["a"], 2: embedded.values["c"]}
    scores = retrieval.objective.scores(queries, embedded.values["b"], 1)
    assert (names["found"] == scores.topk(10).indices.numpy()).mean() > 0.99  # neighbours may change places by rounding
    assert printed == pytest.approx(evaluate_in_full(run, data, asked).results["accuracy"])


def test_search_by_inner_product_is_the_score_of_symile(tmp_path: Path) -> None:
    run = xor_run(tmp_path)
    data = TrainingData(tmp_path / "xor")
    export_embeddings(run, data, tmp_path / "embeddings", write_card=no_card)
    rows = rows_of(tmp_path / "embeddings", "test")
    a, b, c = (np.array([row[name] for row in rows], dtype=np.float64) for name in "abc")
    scores = (a * c) @ b.T
    above = (scores > np.diag(scores)[:, None] + 1e-5).sum(axis=1)
    tied = (np.abs(scores - np.diag(scores)[:, None]) <= 1e-5).sum(axis=1)
    expected = np.mean(np.where(above == 0, 1 / tied, 0))
    results = evaluate_in_full(run, data, Evaluation(target="b", label="sample_id", candidates=0)).results
    assert results["accuracy"] == pytest.approx(expected, abs=0.01)


def test_embeddings_of_every_bundled_dataset_verify(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "m3", missing={"audio": 0.3})
    design = Design(
        modalities=dict.fromkeys("abc", "vector"),
        blocks=(Block(name="rule", relation="synergistic", scope=("a", "b", "c"), values=2),),
    )
    build_pid(PidSpec(design=design, rows=dict.fromkeys(SPLITS, 24)), tmp_path / "pid", workers=1, write_card=no_card)
    xor_run(tmp_path)
    small = {"epochs": 1, "batch_size": 6, "dim": 4, "lr": 0.01, "logit_scale_init": -1.0}
    settings: dict[str, dict[str, Any]] = {
        "m3": {"target": "image", "label": "cls_id", "encoders": {"image": {"width": 2}, "audio": {"width": 4}},
               "inputs": {"image": {"size": 16}, "audio": {"n_mels": 40, "seconds": 0.5}}},
        "pid": {"target": "a", "label": "sample_id"},
    }  # fmt: skip
    for name, more in settings.items():
        train_run(TrainConfig.from_json(small | more), TrainingData(tmp_path / name), tmp_path / f"run-{name}")
    for name, run in (("m3", "run-m3"), ("pid", "run-pid"), ("xor", "run")):
        out = tmp_path / f"embeddings-{name}"
        export_embeddings(tmp_path / run, TrainingData(tmp_path / name), out, write_card=write_card)
        assert problems(out, deep=True) == []


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = xor_run(tmp_path)
    words = ("export", "embeddings", run, "--out", tmp_path / "out")
    assert call(*words, "--split", "test", "--split", "train") == 0
    assert "64 train, 40 test rows" in capsys.readouterr().out
    record = json.loads((tmp_path / "out" / "manifest.json").read_text())
    assert record["spec"]["features"]["splits"] == ["train", "test"] and "export embeddings run" in record["command"]
    found = outcome(capsys, *words)
    assert found.code == 1 and "spec.features.splits" in found.err
    found = outcome(capsys, "export", "embeddings", run, "--out", tmp_path / "no", "--split", "dev")
    assert found.code == 2 and "'dev' is not one of" in found.err
    build_xor(XorSpec(dims=1, rows=dict.fromkeys(SPLITS, 8)), tmp_path / "other", workers=1, write_card=no_card)
    with pytest.raises(UsageError, match="trained on another dataset"):
        export_embeddings(run, TrainingData(tmp_path / "other"), tmp_path / "no", write_card=no_card)
    with pytest.raises(UsageError, match="no such split"):
        export_embeddings(run, TrainingData(tmp_path / "xor"), tmp_path / "no", splits=["x"], write_card=no_card)
    assert not (tmp_path / "no").exists()
