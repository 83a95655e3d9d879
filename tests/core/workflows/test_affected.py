"""Training and evaluation on misaligned data: values are judged by their own labels, and accuracies stand apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import rows_of

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.datasets.pid import Block, Design
from symile_data.reliability import Reliability
from symile_data.training import pretrain
from symile_data.training.config import TrainConfig, read_config
from symile_data.workflows.affected import affected_rows
from symile_data.workflows.bounds import ceilings_of
from symile_data.workflows.evaluate import Evaluation, evaluate_in_full
from symile_data.workflows.train import embed_run, train_run
from symile_data.workflows.training_data import TrainingData

DESIGN = Design(
    modalities={"a": "vector", "b": "vector", "c": "vector"},
    blocks=(Block(name="same", relation="redundant", scope=("a", "b", "c"), values=5),),
)


def dataset(out: Path, reliability: Reliability) -> TrainingData:
    spec = PidSpec(design=DESIGN, rows={"train": 64, "validation": 20, "test": 60}, reliability=reliability)
    build_pid(spec, out, workers=1, write_card=no_card)
    return TrainingData(out)


def config(**changes: Any) -> TrainConfig:
    return read_config(
        "pid-vectors", {"epochs": 12, "batch_size": 32, "dim": 16, "target": "b", "label": "b_value", **changes}
    )


@pytest.fixture(scope="module")
def swapped(tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    """A build in which values of every split are misaligned, those of b in half the rows, and c is noisy."""
    settings = Reliability(misaligned={"b": 0.5}, misaligned_test=True, noisy={"c": 0.2}, noise_levels={"c": 0.3})
    return dataset(tmp_path_factory.mktemp("pid") / "swapped", settings)


def shown(rows: list[dict[str, Any]]) -> list[int]:
    """The value of b that each row shows, as its one-hot vector tells it."""
    return [int(np.argmax(row["b"])) for row in rows]


def test_hits_are_judged_by_what_the_target_shows(swapped: TrainingData, tmp_path: Path) -> None:
    train_run(config(), swapped, tmp_path / "run")
    embedded, retrieval, label = embed_run(tmp_path / "run", swapped, "test")
    rows = rows_of(swapped.directory, "test")
    assert embedded.labels.tolist() == shown(rows) != [row["b_value"] for row in rows]
    found = evaluate_in_full(tmp_path / "run", swapped, Evaluation()).results
    affected = np.array([row["b_misaligned"] for row in rows])
    assert (found["rows_clean"], found["rows_affected"]) == (int((~affected).sum()), int(affected.sum()))
    together = found["rows_clean"] * found["accuracy_clean"] + found["rows_affected"] * found["accuracy_affected"]
    assert found["accuracy"] == pytest.approx(together / 60)
    assert found["accuracy_clean"] > found["accuracy_affected"] + 0.2
    assert ceilings_of(swapped, "test", retrieval, label) == {}  # they are of rows that belong together
    assert "accuracy_clean" in json.loads((tmp_path / "run" / "evaluation-test.json").read_text())["results"]


def test_encoders_learn_the_labels_of_what_is_shown(swapped: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: dict[int, int] = {}

    def learn(_: Any, __: Any, ___: Any, batches: Any, ____: Any) -> dict[str, Any]:
        for batch in batches:
            seen.update(zip(batch["sample_id"].tolist(), batch["b_value"].tolist(), strict=True))
        return {}

    monkeypatch.setattr(pretrain, "pretrain", learn)
    settings = {"labels": {"a": "a_value", "b": "b_value"}, "epochs": 1, "batch_size": 32, "lr": 0.1}
    swapped.pretrained(config(pretrain=settings))
    rows = rows_of(swapped.directory, "train")
    assert [seen[row["sample_id"]] for row in rows] == shown(rows)


def test_a_clean_test_split_has_its_ceilings_and_no_second_accuracy(tmp_path: Path) -> None:
    data = dataset(tmp_path / "clean-test", Reliability(misaligned={"a": 0.5}))
    assert affected_rows(data.split("train")).any()
    assert not affected_rows(data.split("test")).any()
    metrics = train_run(config(epochs=1), data, tmp_path / "run")
    assert "accuracy_clean" not in metrics["test"]
    assert "all_others" in metrics["test"]
    assert metrics["ceilings"]["validation"].keys() == {"random_candidate"}
