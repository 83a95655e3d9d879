"""Training as processes of its own: killed at once and run again, and divided among two."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from gloo_ranks import run_ranks
from torch import Tensor, nn

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cli.train import train
from symile_data.format.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.module import SymileModule

HERE = Path(__file__).parent
# 17 validation rows make two batches for one process, and a last batch of one row for two.
ROWS = {"train": 64, "validation": 17, "test": 24}
OPTIONS: dict[str, Any] = {"config": "xor", "epochs": 3, "settings": ["batch_size=16", "dim=8", "val_every=1"]}
WORDS = ("--config", "xor", "--epochs", "3", "--set", "batch_size=16", "--set", "dim=8", "--set", "val_every=1")


@pytest.fixture(scope="module")
def xor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small XOR dataset with values missing; not to be changed."""
    out = tmp_path_factory.mktemp("xor") / "data"
    spec = XorSpec(dims=1, rows=ROWS, missing={"a": 0.2, "c": 0.2})
    build_xor(spec, out, workers=1, write_card=no_card)
    return out


@pytest.fixture(scope="module")
def undisturbed(xor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Both losses trained in this process; not to be changed."""
    out = tmp_path_factory.mktemp("undisturbed")
    train(xor, out=out, **OPTIONS)
    return out


def run(*words: str | Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, words)],
        env={**os.environ, "OMP_NUM_THREADS": "1", "CUDA_VISIBLE_DEVICES": "", **environment},
        capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip


def test_a_killed_run_ends_as_an_undisturbed_one(xor: Path, undisturbed: Path, tmp_path: Path) -> None:
    words = ("train", xor, *WORDS, "--loss", "symile", "--out", tmp_path, "--save-every", "1")
    ended = run(HERE / "killed_run.py", *words, KILL_AT="1 2")
    assert ended.returncode == -signal.SIGKILL
    cut, whole = tmp_path / "symile", undisturbed / "symile"
    assert torch.load(cut / "last.ckpt", weights_only=True)["global_step"] == 6 and not (cut / "metrics.json").exists()
    train(xor, out=tmp_path, loss="symile", **OPTIONS)
    assert (cut / "metrics.json").read_bytes() == (whole / "metrics.json").read_bytes()
    assert sorted(path.name for path in (cut / "log").iterdir()) == ["0", "1"]  # the first log is kept


def test_two_processes_train_what_one_does(xor: Path, undisturbed: Path, tmp_path: Path) -> None:
    ended = run("-m", "symile_data", "train", xor, *WORDS, "--out", tmp_path, "--devices", "2", "--accelerator", "cpu")
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Zero-shot retrieval") == 1
    for loss in ("symile", "clip"):
        two, one = (json.loads((where / loss / "metrics.json").read_text()) for where in (tmp_path, undisturbed))
        assert [row["epoch"] for row in two["curves"]] == [0, 1, 2]
        for ours, theirs in zip(two["curves"], one["curves"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
        assert two["test"] == pytest.approx(one["test"], rel=1e-4)
        states = [torch.load(where / loss / "last.ckpt", weights_only=True) for where in (tmp_path, undisturbed)]
        for name, value in states[0]["state_dict"].items():
            if isinstance(value, Tensor) and value.is_floating_point():
                torch.testing.assert_close(value, states[1]["state_dict"][name], rtol=1e-3, atol=1e-5)


BASELINES = {"epochs": 2, "settings": OPTIONS["settings"], "labels": ["c"], "supervised": "unimodal:b,early,late"}


def test_two_processes_train_the_baselines_that_one_does(xor: Path, tmp_path: Path) -> None:
    """Rows with missing values included: a rank may have fewer rows for a head than the other."""
    train(xor, config="xor", out=tmp_path / "one", **BASELINES)
    words = (*WORDS[:2], "--epochs", "2", *WORDS[4:], "--supervised", BASELINES["supervised"], "--labels", "c")
    two = ("--out", tmp_path / "two", "--devices", "2", "--accelerator", "cpu")
    ended = run("-m", "symile_data", "train", xor, *words, *two)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.count("Test figures of supervised baselines") == 1
    for name in ("unimodal-b", "early", "late"):
        found, expected = (
            json.loads((tmp_path / where / name / "metrics.json").read_text()) for where in ("two", "one")
        )
        for ours, theirs in zip(found["curves"], expected["curves"], strict=True):
            assert ours == pytest.approx(theirs, rel=1e-4)
        assert found["test"]["c"] == pytest.approx(expected["test"]["c"], rel=1e-3)
        assert len({round(row["train_loss"], 6) for row in found["curves"]}) == 2


def test_of_two_processes_the_other_ends_with_the_one_that_dies(xor: Path, tmp_path: Path) -> None:
    words = ("train", xor, *WORDS, "--loss", "symile", "--out", tmp_path, "--devices", "2", "--accelerator", "cpu")
    ended = run(HERE / "killed_run.py", *words, KILL_AT="1 1", KILL_RANK="1")
    assert ended.returncode == 1
    *progress, said = ended.stderr.splitlines()
    assert all(line.startswith("training symile: ") for line in progress)
    assert said == (
        "symile-data: process 2 of the 2 of this training was ended by SIGKILL. "
        "Run the same command again to go on from the last checkpoint; it may have lacked memory."
    )
    assert torch.load(tmp_path / "symile" / "last.ckpt", weights_only=True)["epoch"] == 0


NAMES = ("a", "b", "c")
COUNTS = (4, 3)


def module() -> SymileModule:
    torch.manual_seed(0)
    config = TrainConfig(
        epochs=1, batch_size=7, dim=6, lr=0.1, logit_scale_init=0.5, target="a", label="y", group_missing=True,
        settings={"negatives": "exact"},
    )  # fmt: skip
    modalities = [Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in NAMES]
    return SymileModule(config, modalities, {}, sizes=dict.fromkeys(NAMES, 5))


def batch(start: int, stop: int) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(1)
    values: dict[str, Any] = {name: torch.randn(sum(COUNTS), 5, generator=generator)[start:stop] for name in NAMES}
    missing = torch.rand(sum(COUNTS), 3, generator=generator)[start:stop] < 0.3
    return values | {"missing": missing, "padding": torch.zeros(stop - start, dtype=torch.bool)}


class Stepping(nn.Module):
    """Lets DDP see a training step as the forward pass."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = module()

    def forward(self, rows: dict[str, Any]) -> Tensor:
        return self.inner.training_step(rows, 0)


def gradients(parameters: Any) -> dict[str, Tensor]:
    return {name: value.grad.clone() for name, value in parameters if value.grad is not None}


def unequal_worker(rank: int, world: int, folder: str) -> None:
    ddp = nn.parallel.DistributedDataParallel(Stepping())
    start = sum(COUNTS[:rank])
    ddp(batch(start, start + COUNTS[rank])).backward()
    torch.save(gradients(ddp.module.named_parameters()), f"{folder}/{rank}.pt")


def test_unequal_shares_of_a_batch_give_the_gradients_of_the_whole(tmp_path: Path) -> None:
    run_ranks(unequal_worker, [len(COUNTS)], str(tmp_path))
    whole = Stepping()
    whole(batch(0, sum(COUNTS))).backward()
    expected = gradients(whole.named_parameters())
    assert {"inner.logit_scale", "inner.missing"} < expected.keys()
    for rank in range(len(COUNTS)):
        found = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert found.keys() == expected.keys()
        for name, value in found.items():
            torch.testing.assert_close(value, expected[name], rtol=1e-4, atol=1e-6)
