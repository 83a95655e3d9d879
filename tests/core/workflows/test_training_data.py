"""Tests of a dataset directory as training sees it: files are opened and media decoded once for everything, the means
of what may be missing are right, and a clinical dataset is trained on from sample to test.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import build, rows_of

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import UsageError
from symile_data.evaluation.retrieval import retrieve
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.shards import StoredShard, open_listed
from symile_data.loaders import split as splits
from symile_data.loaders.cache import decode_split as cache
from symile_data.loaders.cache.media_cache import MediaCache
from symile_data.reliability import Reliability
from symile_data.training.config import TrainConfig, read_config
from symile_data.workflows.evaluate import Experiment, run_experiment
from symile_data.workflows.train import embed_run, evaluate_run, train_run
from symile_data.workflows.training_data import TrainingData

PRETRAIN = {"labels": {"image": "cls_id", "audio": "lang"}, "epochs": 1, "batch_size": 6, "lr": 0.01}
SMALL = {
    "epochs": 1, "batch_size": 6, "dim": 4, "lr": 0.01, "logit_scale_init": -1.0, "target": "image", "label": "cls_id",
    "encoders": {"image": {"width": 2}, "audio": {"width": 4}},
    "inputs": {"image": {"size": 16}, "audio": {"n_mels": 40, "seconds": 0.5}},
    "pretrain": PRETRAIN,
}  # fmt: skip


def test_media_are_decoded_and_encoded_once_for_all_runs(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(tree, tmp_path / "m3")
    decoded: Counter[tuple[str, str]] = Counter()
    decode = cache._DecodeTask.decode

    def counting(self: Any, *arguments: Any) -> Any:
        decoded[self.spec.split.name, self.reader.name] += 1
        return decode(self, *arguments)

    monkeypatch.setattr(cache._DecodeTask, "decode", counting)
    configs = {
        loss: TrainConfig.from_json(SMALL | {"objective": loss, "missing": "input"}) for loss in ("symile", "clip")
    }
    data = TrainingData(tmp_path / "m3")
    run_experiment(Experiment(configs=configs), data, tmp_path / "runs")
    splits = ("train", "validation", "test")
    assert decoded == {(split, name): 1 for split in splits for name in ("image", "audio")}
    memory = data._cache
    assert isinstance(memory, MediaCache)
    assert len(memory.features) == 2 * 3  # of pictures and clips, shared by both losses


def test_misaligned_values_are_labelled_by_what_is_shown(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "m3", reliability=Reliability(misaligned={"image": 0.5}))
    data = TrainingData(tmp_path / "m3")
    assert data._value_labels({"image": "cls_id", "audio": "lang"}) == {"cls_id": "image"}
    assert data._value_labels({"image": "image"}) == data._value_labels({"audio": "cls_id"}) == {}
    with pytest.raises(UsageError, match=r"a label of misaligned values serves one modality .*cls_id of image, audio"):
        data._value_labels({"image": "cls_id", "audio": "cls_id"})


def test_digits_are_not_mirrored_in_pretraining(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a shift of less than a pixel nothing but the mirror image is left of the jitter."""
    build(tree, tmp_path / "m3", keys=("symbol",))
    data = TrainingData(tmp_path / "m3")
    labels = {"image": "cls_id", "symbol": "symbol_id"}
    config = TrainConfig.from_json(SMALL | {"pretrain": {**PRETRAIN, "labels": labels, "jitter": 0.01}})
    monkeypatch.setattr("symile_data.training.pretrain.pretrain", lambda *given: {"batches": given[3]})
    jittered: Any = data.pretrained(config)["batches"]
    seen: list[dict[str, dict[int, torch.Tensor]]] = []
    for batches in (jittered, data._loader(config, "train")):
        whole = list[Any](batches)
        ids = [row for batch in whole for row in batch["sample_id"].tolist()]
        seen.append({name: dict(zip(ids, torch.cat([batch[name] for batch in whole]), strict=True)) for name in labels})
    shown, stored = seen
    same = {name: [torch.equal(shown[name][row], stored[name][row]) for row in stored[name]] for name in labels}
    assert all(same["symbol"]) and len(same["symbol"]) == 12 and set(same["image"]) == {True, False}


def test_a_dataset_is_opened_once_for_all_that_is_done_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows = {"train": 24, "validation": 12, "test": 12}
    build_xor(XorSpec(dims=2, rows=rows, missing={"a": 0.2}), tmp_path / "xor", workers=1, write_card=no_card)
    parsed, opened = list[str](), Counter[str]()
    parse = manifests.parse

    def parsing(text: str, where: str | Path) -> manifests.Manifest:
        parsed.append(str(where))
        return parse(text, where)

    def opening(location: Location, entry: manifests.FileEntry) -> StoredShard:
        opened[entry.path] += 1
        return open_listed(location, entry)

    monkeypatch.setattr(manifests, "parse", parsing)
    monkeypatch.setattr(splits, "open_listed", opening)
    data = TrainingData(tmp_path / "xor")
    changes = {"epochs": 2, "val_every": 1, "batch_size": 8, "missing": "input"}
    configs = {name: read_config("xor", changes | {"objective": name}) for name in ("symile", "clip")}
    for config in configs.values():
        data.check(config)
    run_experiment(Experiment(configs=configs), data, tmp_path / "runs")
    evaluate_run(tmp_path / "runs" / "symile", data, "validation")
    assert parsed == [str(tmp_path / "xor" / manifests.FILE_NAME)]
    assert opened == {entry.path: 1 for split in rows for entry in data.manifest.shards(split)}


def test_means_are_those_of_what_is_observed_in_training(tmp_path: Path) -> None:
    rows = {"train": 50, "validation": 10, "test": 10}
    spec = XorSpec(dims=2, rows=rows, missing={"a": 0.4})
    build_xor(spec, tmp_path, workers=1, write_card=no_card)
    data = TrainingData(tmp_path)
    config = TrainConfig.from_json(SMALL | {"missing": "input", "target": "b", "label": "b", "pretrain": None})
    module = data.run_info(config).make_module()
    for name in "abc":
        values = [row[name] for row in rows_of(tmp_path, "train") if not row[f"{name}_missing"]]
        assert name != "a" or len(values) < 40
        torch.testing.assert_close(data.means(module)[name], torch.tensor(np.mean(values, axis=0)).float())
        signs = TrainConfig.from_json(config.to_json() | {"encoders": {"vector": {"model": "bits"}}})
        mean = data.means(data.run_info(signs).make_module())[name]
        torch.testing.assert_close(mean, torch.tensor(2 * np.mean(values, axis=0) - 1).float())
    other = TrainConfig.from_json(config.to_json() | {"missing": "embedding"})
    assert data.means(data.run_info(other).make_module()) == {}


def test_a_clinical_dataset_is_trained_and_tested_among_its_own_candidates(tmp_path: Path) -> None:
    build_mimic(MimicSpec(patients=60, candidates=3), tmp_path / "mimic", workers=1, write_card=no_card)
    data = TrainingData(tmp_path / "mimic")
    small = {
        "epochs": 2, "batch_size": 16, "dim": 8,
        "candidates": len(rows_of(data.directory, "test")[0]["candidates"]),
        "encoders": {"image": {"width": 2}, "ecg": {"width": 4}, "labs": {"widths": [8]}},
        "inputs": {"image": {"size": 16}, "ecg": {"scale": False}},
    }  # fmt: skip
    config = read_config("mimic-small", small)
    metrics = train_run(config, data, tmp_path / "run")
    assert metrics["test"]["random_candidate"] == 1 / 3 and metrics["test"]["rows"] == data.manifest.splits["test"]
    assert json.loads((tmp_path / "run" / "metrics.json").read_text())["test"] == metrics["test"]
    module = data.run_info(config).make_module()
    rows = [row["labs_percentile"] for row in rows_of(data.directory, "train")]
    percentiles = np.array([[np.nan if value is None else value for value in row] for row in rows])
    expected = torch.tensor(np.nanmean(percentiles, axis=0)).nan_to_num()
    torch.testing.assert_close(data.means(module)["labs"].double(), expected, rtol=1e-5, atol=1e-6)
    check_retrieval_of_others(data, tmp_path / "run")
    for changes, told in (
        ({"candidates": 5}, r"sets of candidates of the validation split have another size .*got 5 .* of 3\. Set"),
        ({"label": "subject_id"}, "name rows by another column than the label .*got subject_id"),
        ({"label": "view_position"}, "name rows by another column than the label .*got view_position"),
        ({"label": "hadm"}, r"lacks a column that the config names .*got hadm\. The nearest of its .* is hadm_id"),
    ):
        with pytest.raises(UsageError, match=told):
            data.check(read_config("mimic-small", {**small, **changes}))
    data.check(read_config("mimic-small", {**small, "candidates": 0, "label": "subject_id"}))


def check_retrieval_of_others(data: TrainingData, run: Path) -> None:
    """Another target is retrieved among the same admissions; what has no answer is said before anything is encoded."""
    for target in ("ecg", "labs"):
        embedded, retrieval, label = embed_run(run, data, "test", changes={"target": target})
        assert label == "hadm_id" and embedded.candidates is not None and retrieval.target == target
        assert retrieve(embedded, retrieval)["random_candidate"] == 1 / 3
    *_, label = embed_run(run, data, "test", changes={"target": "ecg", "candidates": 0})
    assert label == "sample_id"
    for changes, told in (
        ({"label": "sample_id"}, "name rows by another column than the label .*got sample_id"),
        ({"candidates": 2}, "have another size .*got 2 candidates, sets of 3"),
        ({"label": "edema"}, r"the dataset has no such column .*got edema\. The nearest .* is chexpert_edema"),
        ({"target": "echo"}, r"no such modality to retrieve; got echo\. Choose among cxr, ecg, labs"),
        ({"candidates": 99, "target": "cxr"}, "another size"),
    ):
        with pytest.raises(UsageError, match=told):
            embed_run(run, data, "test", changes=changes)


def test_candidates_are_drawn_where_rows_lack_a_modality(tmp_path: Path) -> None:
    spec = MimicSpec(patients=70, candidates=3, allow_missing=True, train=40, validation=20)
    build_mimic(spec, tmp_path / "mimic", workers=1, write_card=no_card)
    rows = rows_of(tmp_path / "mimic", "test")
    complete = [
        row for row in rows if not any(row[name] for name in ("cxr_missing", "ecg_missing", "labs_all_missing"))
    ]
    assert 0 < len(complete) < len(rows)
    data = TrainingData(tmp_path / "mimic")
    small = {
        "epochs": 1, "batch_size": 16, "dim": 8, "candidates": 3, "val_every": 1,
        "encoders": {"image": {"width": 2}, "ecg": {"width": 4}, "labs": {"widths": [8]}},
        "inputs": {"image": {"size": 16}, "ecg": {"scale": False}},
    }  # fmt: skip
    test = train_run(read_config("mimic-small", small), data, tmp_path / "run")["test"]
    assert test["rows"] == len(complete) and test["random_candidate"] == 1 / 3
    many = read_config("mimic-small", {**small, "candidates": 21})
    with pytest.raises(UsageError, match=r"validation split has too few rows of other labels .*got 21 candidates"):
        data.check(many)
