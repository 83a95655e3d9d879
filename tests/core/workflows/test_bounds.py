"""What accuracies are to be compared with, counted from the rows that are evaluated, whatever the protocol."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from factories import build, rows_of

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.datasets.pid import PRESETS
from symile_data.evaluation.embeddings import Embeddings
from symile_data.evaluation.retrieval import Protocol, candidate_rows
from symile_data.missingness import missing
from symile_data.reliability import Reliability
from symile_data.training.config import read_config
from symile_data.workflows.bounds import ceilings_of, references, subsets_of, validation_references
from symile_data.workflows.training_data import TrainingData

ROWS = {"train": 12, "validation": 40, "test": 60}
MASKS = ("image_missing", "audio_missing", "text_missing")


@pytest.fixture(scope="module")
def directory(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Rows that lack modalities in every split; not to be changed."""
    out = tmp_path_factory.mktemp("bounds") / "m3"
    build(tree, out, rows=ROWS, missing={"image": 0.2, "audio": 0.1, "text": 0.1}, missing_test=True)
    return out


def complete(directory: Path, split: str) -> list[dict[str, Any]]:
    return [row for row in rows_of(directory, split) if not any(row[name] for name in MASKS)]


def alone(rows: list[dict[str, Any]], label: str) -> float:
    """The mean of 1 / a."""
    there = {row[label] for row in rows}
    return float(np.mean([1 / len({word[label] for word in row["words"]} & there) for row in rows]))


def test_only_complete_rows_count(directory: Path) -> None:
    data, rows = TrainingData(directory), complete(directory, "test")
    assert 0 < len(rows) < ROWS["test"]
    found = ceilings_of(data, "test", Protocol(target="image"), "cls_id")
    counts = Counter(row["cls_id"] for row in rows)
    shares = [[counts[word["cls_id"]] for word in row["words"]] for row in rows]
    assert found["text_alone"] == pytest.approx(alone(rows, "cls_id"))
    assert found["counting"] == pytest.approx(np.mean([max(some) / sum(some) for some in shares]))
    for label in ("cls", "wnid"):
        assert ceilings_of(data, "test", Protocol(target="image"), label) == found
    subsets = subsets_of(data, "test")
    assert subsets["image"] == pytest.approx(
        {"none": max(counts.values()) / len(rows), "audio": max(counts.values()) / len(rows),
         "text": found["counting"], "audio+text": 1.0}
    )  # fmt: skip
    assert subsets["text"]["none"] == pytest.approx(1 / len(rows))


def test_other_targets_and_sets_of_candidates(directory: Path) -> None:
    data, rows = TrainingData(directory), complete(directory, "test")
    spoken = ceilings_of(data, "test", Protocol(target="audio"), "lang")
    assert spoken["text_alone"] == pytest.approx(alone(rows, "lang"))
    own = ceilings_of(data, "test", Protocol(target="text"), "sample_id")
    assert list(own) == ["image_alone", "audio_alone", "audio_and_image"]
    assert ceilings_of(data, "test", Protocol(target="image"), "sample_id") == {}
    assert ceilings_of(data, "test", Protocol(target="text", candidates=3), "sample_id") == {}
    retrieval = Protocol(target="image", candidates=3, seed=5)
    classes = torch.tensor([row["cls_id"] for row in rows])
    sets = [set(classes[some].tolist()) for some in candidate_rows(Embeddings({}, classes), retrieval)]
    here = [len({word["cls_id"] for word in row["words"]} & there) for row, there in zip(rows, sets, strict=True)]
    assert ceilings_of(data, "test", retrieval, "cls_id")["text_alone"] == pytest.approx(np.mean(1 / np.array(here)))


def test_curves_are_drawn_beside_what_validation_rows_allow(directory: Path) -> None:
    config = read_config("m3-small", {"missingness": 0.3, "seed": 4})
    data, rows = TrainingData(directory), complete(directory, "validation")
    ids = np.array([row["sample_id"] for row in rows])
    gone = np.any([missing(4, ids, name, 0.3, "load") for name in ("image", "audio", "text")], axis=0)
    left = [row for row, absent in zip(rows, gone, strict=True) if not absent]
    found = validation_references(data, config)
    assert list(found) == ["text_alone", "all_words_alike", "counting", "random_candidate"]
    assert found["text_alone"] == pytest.approx(alone(left, "cls_id"))
    counts = np.array(list(Counter(row["cls_id"] for row in left).values()))
    assert found["random_candidate"] == pytest.approx((counts**2).sum() / len(left) ** 2)
    whole = validation_references(data, replace(config, missingness_in_validation=False))
    assert whole["text_alone"] == pytest.approx(alone(rows, "cls_id"))
    assert validation_references(data, replace(config, candidates=3))["random_candidate"] == 1 / 3
    assert references({"rows": 3, "counting": 0.4, "text_alone": 0.3}) == {"text_alone": 0.3, "counting": 0.4}


@pytest.mark.parametrize("p_hat", [1.0, 0.6])
def test_xor_rows_have_their_own_ceilings(tmp_path: Path, p_hat: float) -> None:
    spec = XorSpec(dims=3, p_hat=p_hat, rows={"train": 20, "validation": 30, "test": 12}, missing={"a": 0.2})
    build_xor(replace(spec, missing_test=True), tmp_path, workers=1, write_card=no_card)
    data, config = TrainingData(tmp_path), read_config("xor")
    rows = [row for row in rows_of(tmp_path, "test") if not row["a_missing"]]
    assert 0 < len(rows) < 12

    def number(row: dict[str, Any], name: str) -> int:
        return int(sum(bit * 2**place for place, bit in enumerate(row[name])))

    there = sorted({number(row, "b") for row in rows})
    sure, blind = [], []
    for row in rows:
        a, c = number(row, "a"), number(row, "c")
        weights = np.array([p_hat * (c == a ^ b) + (1 - p_hat) * (c == a) for b in there])
        sure.append(weights.max() / weights.sum())
        blind.append(1 / len(there))  # one other variable tells nothing of b
    found = ceilings_of(data, "test", Protocol(target="b"), "b")
    assert found == pytest.approx({"all_others": np.mean(sure), "one_other": np.mean(blind)})
    assert subsets_of(data, "test")["b"]["a+c"] == pytest.approx(np.mean(sure))
    curves = validation_references(data, config)
    assert list(curves) == ["all_others", "one_other", "random_candidate"]
    assert ceilings_of(data, "test", Protocol(target="b"), "sample_id") == {}


@pytest.mark.parametrize("name", ["xor", "pid"])
def test_the_card_counts_the_ceilings_of_evaluation(tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.cards.draw_figures", lambda *_: [])
    gone, swapped = {"b": 0.2}, Reliability(misaligned={"a": 0.3})
    if name == "xor":
        spec = XorSpec(dims=3, p_hat=0.7, rows=ROWS, missing=gone, missing_test=True, reliability=swapped)
        build_xor(spec, tmp_path, workers=1, write_card=write_card)
    else:
        design = PidSpec(design=PRESETS["xnor"], rows=ROWS, missing=gone, missing_test=True, reliability=swapped)
        build_pid(design, tmp_path, workers=1, write_card=write_card)
    counted = json.loads((tmp_path / "stats.json").read_text())["ceilings"]
    rows = [row for row in rows_of(tmp_path, "validation") if not row["b_missing"] and not row["a_misaligned"]]
    assert counted["validation"]["rows"] == len(rows) < ROWS["validation"]
    assert set(counted) == {"validation", "test"}
    expected = subsets_of(TrainingData(tmp_path), "test")
    assert set(counted["test"]["subsets"]) == set(expected) == {"a", "b", "c"}
    for target, found in counted["test"]["subsets"].items():
        assert found == pytest.approx(expected[target], abs=1e-6)
    best = expected["b"]["a+c"]
    lines = [line for line in (tmp_path / "README.md").read_text().splitlines() if line.startswith("| test | ")]
    assert any(f"| `b` | {best:.4f} |" in line for line in lines)


def test_a_dataset_without_ceilings_has_a_random_candidate_only(tmp_path: Path) -> None:
    spec = XorSpec(dims=13, rows={"train": 20, "validation": 30, "test": 10})
    build_xor(spec, tmp_path, workers=1, write_card=no_card)
    data, config = TrainingData(tmp_path), read_config("xor")
    assert list(validation_references(data, config)) == ["random_candidate"]
    assert ceilings_of(data, "test", Protocol(target="b"), "b") == {} == subsets_of(data, "test")
    own = validation_references(data, replace(config, label="sample_id"))
    assert own == pytest.approx({"random_candidate": 1 / 30})


def test_with_keys_no_modality_can_be_left_out(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path, rows=ROWS, keys=("code",), missing={"code": 0.2}, missing_test=True)
    data = TrainingData(tmp_path)
    rows = [row for row in rows_of(tmp_path, "test") if not row["code_missing"]]
    assert 0 < len(rows) < ROWS["test"]
    found = ceilings_of(data, "test", Protocol(target="image"), "cls_id")
    assert found["text_alone"] == pytest.approx(alone(rows, "cls_id")) and found["one_left_out"] == found["counting"]
    assert references(found) == found
    largest = max(Counter(row["code_id"] for row in rows).values()) / len(rows)
    assert ceilings_of(data, "test", Protocol(target="code"), "code_id") == {"one_left_out": pytest.approx(largest)}
    assert ceilings_of(data, "test", Protocol(target="code", candidates=2), "code_id") == {}
    assert set(ceilings_of(data, "test", Protocol(target="text"), "sample_id")) == {"one_left_out", "all_others"}
    assert subsets_of(data, "test")["code"]["audio+image+text"] == 1.0
