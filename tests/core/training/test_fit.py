"""Training end to end on a tiny M3: what a run leaves, that an interrupted run ends as an undisturbed one, and which
runs are refused.
"""

import csv
import json
import math
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from factories import build

from symile_data.cli.train import train
from symile_data.errors import DamageError, OutputError
from symile_data.training.checkpoints import load_file
from symile_data.training.module import SymileModule
from symile_data.training.run import load_module
from symile_data.training.run_record import read_run
from symile_data.workflows.training_data import TrainingData

pytestmark = pytest.mark.usefixtures("undrawn")

CONFIG = """
epochs = 3
batch_size = 5
dim = 8
lr = 0.02
schedule = "cosine"
weight_decay = 0.1
clip_gradient = 1.0
logit_scale_init = -1.0
target = "image"
label = "cls_id"
redraw_words = true
resample_within_class = { image = "cls_id", audio = "lang" }
[pretrain]
labels = { image = "cls_id", audio = "lang" }
epochs = 1
batch_size = 6
lr = 0.01
jitter = 0.125
[encoders.image]
width = 2
dropout = 0.4
[encoders.audio]
mels = 40
width = 4
dropout = 0.4
[inputs.image]
size = 16
[inputs.audio]
n_mels = 40
seconds = 0.5
"""
UNFROZEN = CONFIG.split("[pretrain]")[0] + "[encoders" + CONFIG.split("[encoders", 1)[1]


@pytest.fixture(scope="module")
def dataset(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny M3; not to be changed."""
    out = tmp_path_factory.mktemp("fit") / "m3"
    build(tree, out)
    return out


@pytest.fixture(scope="module")
def configs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Config files: encoders pretrained and frozen, or all trained from nothing."""
    folder = tmp_path_factory.mktemp("configs")
    texts = {"frozen": CONFIG, "whole": UNFROZEN, "sparse": UNFROZEN.replace("epochs = 3", "epochs = 4\nval_every = 2")}
    for name, text in texts.items():
        (folder / f"{name}.toml").write_text(text)
    return {name: str(folder / f"{name}.toml") for name in texts}


@pytest.fixture(scope="module")
def undisturbed(dataset: Path, configs: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The finished run of the frozen config with the loss symile; not to be changed."""
    out = tmp_path_factory.mktemp("undisturbed")
    train(dataset, config=configs["frozen"], loss="symile", out=out)
    return out / "symile"


def weights(path: Path) -> dict[str, Any]:
    saved: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)["state_dict"]
    return saved


def assert_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def interrupt(monkeypatch: pytest.MonkeyPatch, epoch: int, index: int) -> None:
    """Let training fail in one step."""
    step = SymileModule.training_step

    def failing(self: SymileModule, batch: Any, number: int) -> Any:
        if (self.current_epoch, number) == (epoch, index):
            raise RuntimeError("the power went off")
        return step(self, batch, number)

    monkeypatch.setattr(SymileModule, "training_step", failing)


def test_a_run_leaves_weights_record_metrics_and_curves(undisturbed: Path) -> None:
    assert {"run.json", "last.ckpt", "best.ckpt", "best-loss.ckpt", "metrics.json", "curves.png"} <= {
        path.name for path in undisturbed.iterdir()
    }
    assert (undisturbed.parent / "pretrained.pt").is_file()
    assert (undisturbed / "curves.png").read_bytes().startswith(b"\x89PNG")
    metrics = json.loads((undisturbed / "metrics.json").read_text())
    assert [row["epoch"] for row in metrics["curves"]] == [0, 1, 2]
    assert {"train_loss", "val_loss", "val_accuracy", "logit_scale", "epoch"} <= metrics["curves"][0].keys()
    assert all(math.isfinite(value) for row in metrics["curves"] for value in row.values())
    accuracies = [row["val_accuracy"] for row in metrics["curves"]]
    assert metrics["val_accuracy"] == max(accuracies) and metrics["best_epoch"] == accuracies.index(max(accuracies))
    assert metrics["test"]["rows"] == 4 and 0 <= metrics["test"]["accuracy"] <= 1
    log = undisturbed / "log" / "0" / "metrics.csv"
    with log.open(newline="") as file:
        logged = [float(row["val_accuracy"]) for row in csv.DictReader(file) if row["val_accuracy"]]
    assert logged == pytest.approx(accuracies)


def test_metrics_are_written_once_by_a_run_that_is_done(
    dataset: Path, configs: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written: list[dict[str, Any]] = []
    replace = os.replace

    def counting(source: Any, target: Any, **options: Any) -> None:
        if Path(target).name == "metrics.json":
            written.append(json.loads(Path(source).read_text()))
        replace(source, target, **options)

    monkeypatch.setattr(os, "replace", counting)
    train(dataset, config=configs["whole"], loss="clip", out=tmp_path, epochs=1)
    assert [metrics["test"]["rows"] for metrics in written] == [4]


def test_the_best_weights_are_loaded_for_use(undisturbed: Path) -> None:
    module = load_module(undisturbed)
    assert not module.training
    assert_same(weights(undisturbed / "best.ckpt"), module.state_dict())
    assert read_run(undisturbed).config.encoders["image"] == {"width": 2, "dropout": 0.4}


@pytest.mark.parametrize(
    ("name", "epoch", "save_every"),
    [("frozen", 1, 0), ("frozen", 2, 1), ("frozen", 0, 1), ("whole", 1, 0), ("whole", 1, 1), ("sparse", 3, 1)],
)
def test_an_interrupted_run_ends_as_an_undisturbed_one(
    name: str, epoch: int, save_every: int, dataset: Path, configs: dict[str, str], undisturbed: Path, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    if name == "frozen":
        whole = undisturbed
    else:
        train(dataset, config=configs[name], loss="symile", out=tmp_path / "whole")
        whole = tmp_path / "whole" / "symile"
    with monkeypatch.context() as patch:
        interrupt(patch, epoch, 1)
        with pytest.raises(RuntimeError, match="the power went off"):
            train(dataset, config=configs[name], loss="symile", out=tmp_path / "cut", save_every=save_every)
    run = tmp_path / "cut" / "symile"
    saved = torch.load(run / "last.ckpt", map_location="cpu", weights_only=True)
    # Two steps an epoch: what was saved within the epoch that was left is used.
    assert saved["global_step"] == 2 * epoch + save_every
    assert not (run / "metrics.json").exists()
    torch.rand(7)  # another process would have drawn other numbers by now
    train(dataset, config=configs[name], loss="symile", out=tmp_path / "cut")
    for checkpoint in ("last.ckpt", "best.ckpt", "best-loss.ckpt"):
        assert_same(weights(whole / checkpoint), weights(run / checkpoint))
    assert (run / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()


def test_a_finished_run_is_not_trained_again(
    dataset: Path, configs: dict[str, str], undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed.parent, tmp_path / "again")
    interrupt(monkeypatch, 0, 0)
    train(dataset, config=configs["frozen"], loss="symile", out=tmp_path / "again")
    again = tmp_path / "again" / "symile" / "metrics.json"
    assert again.read_bytes() == (undisturbed / "metrics.json").read_bytes()


def test_fewer_epochs_than_between_validations_still_give_a_result(
    dataset: Path, configs: dict[str, str], tmp_path: Path
) -> None:
    train(dataset, config=configs["sparse"], loss="symile", out=tmp_path, epochs=1)
    assert len(json.loads((tmp_path / "symile" / "metrics.json").read_text())["curves"]) == 1


def test_a_run_of_another_config_or_dataset_is_refused(
    dataset: Path, configs: dict[str, str], undisturbed: Path, tree: Path, tmp_path: Path
) -> None:
    with pytest.raises(OutputError, match="has a run with another config"):
        train(dataset, config=configs["frozen"], loss="symile", out=undisturbed.parent, epochs=4)
    with pytest.raises(OutputError, match=r"got epochs: 4, not \d+ \(yours, not that of the run\)"):
        train(dataset, config=configs["frozen"], loss="symile", out=undisturbed.parent, epochs=4)
    build(tree, tmp_path / "other", seed=5)
    shutil.copytree(undisturbed.parent, tmp_path / "runs")
    with pytest.raises(OutputError, match="has a run with another dataset"):
        train(tmp_path / "other", config=configs["frozen"], loss="symile", out=tmp_path / "runs")
    assert (tmp_path / "runs" / "symile" / "run.json").read_bytes() == (undisturbed / "run.json").read_bytes()


def test_a_run_of_another_config_is_refused_before_encoders_are_pretrained_or_another_run_is_trained(
    dataset: Path, undisturbed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(undisturbed, tmp_path / "runs" / "symile")
    (tmp_path / "other.toml").write_text(CONFIG.replace("jitter = 0.125", "jitter = 0.25"))

    def trained(*_: object) -> None:
        raise AssertionError("something was trained")

    monkeypatch.setattr(TrainingData, "pretrained", trained)
    with pytest.raises(OutputError, match=r"got pretrain.jitter: 0.25, not 0.125"):
        train(dataset, config=str(tmp_path / "other.toml"), several="clip,symile", out=tmp_path / "runs")
    assert {path.name for path in (tmp_path / "runs").iterdir()} == {"symile"}


def test_damaged_files_are_named(dataset: Path, configs: dict[str, str], undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed.parent, tmp_path / "runs")
    run = tmp_path / "runs" / "symile"
    for name in ("best.ckpt", "last.ckpt"):
        whole = (run / name).read_bytes()
        (run / name).write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DamageError, match=r"best\.ckpt.*Remove the run's directory and train it again"):
        load_module(run)
    with pytest.raises(DamageError, match=r"last\.ckpt"):
        train(dataset, config=configs["frozen"], loss="symile", out=tmp_path / "runs")
    (run / "best.ckpt").unlink()
    with pytest.raises(DamageError, match=r"no finished checkpoint yet.*where it has, remove the run's directory"):
        load_module(run)
    (run / "run.json").write_text("{")
    with pytest.raises(DamageError, match=r"record of a run is not readable|run\.json"):
        read_run(run)
    with pytest.raises(DamageError, match=r"no run\.json"):
        read_run(tmp_path)


def test_a_flipped_bit_of_weights_is_noticed(undisturbed: Path, tmp_path: Path) -> None:
    shutil.copytree(undisturbed, tmp_path / "run")
    path = tmp_path / "run" / "best.ckpt"
    weight = load_file(path)["state_dict"]["encoders.text.words.weight"].numpy().tobytes()
    whole = bytearray(path.read_bytes())
    whole[whole.index(weight) + 3] ^= 1  # of the exponent: the number stays finite
    path.write_bytes(whole)
    with pytest.raises(DamageError, match=r"best\.ckpt\); got bytes that differ from their checksum\. Remove"):
        load_module(tmp_path / "run")


def test_crafted_pretrained_encoders_are_named(
    dataset: Path, configs: dict[str, str], undisturbed: Path, tmp_path: Path
) -> None:
    path = tmp_path / "pretrained.pt"
    good = torch.load(undisturbed.parent / "pretrained.pt", weights_only=True)
    image = good["weights"]["image"]
    odd = {name: torch.zeros(3) for name in image}
    for value, message in (
        ([1], "has unexpected contents.*got a list"),
        ({}, "no pretrained encoders"),
        ({**good, "weights": 7}, "no pretrained encoders"),
        ({**good, "weights": {"image": image}}, "other encoders than those of the config"),
        ({**good, "weights": {**good["weights"], "image": 7}}, "other encoders than those of the config"),
        ({**good, "weights": {**good["weights"], "image": odd}}, "of a pretrained encoder do not fit it; got image"),
    ):
        torch.save(value, path)
        with pytest.raises(DamageError, match=message):
            train(dataset, config=configs["frozen"], loss="symile", out=tmp_path)
    path.write_bytes(b"text")
    with pytest.raises(DamageError, match=r"cannot be read.*pretrained\.pt"):
        train(dataset, config=configs["frozen"], loss="symile", out=tmp_path)
