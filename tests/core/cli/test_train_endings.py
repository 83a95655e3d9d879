"""How `symile-data train` ends when it cannot go on: one sentence, an exit code, and a run directory to go on with."""

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from command import Outcome, outcome
from lightning.pytorch.loggers import CSVLogger
from torch import Tensor

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.training.module import SymileModule

pytestmark = pytest.mark.usefixtures("undrawn")

Train = Callable[..., Outcome]
WORDS = ("--config", "xor", "--loss", "symile", "--epochs", "2", "--set", "batch_size=16", "--set", "val_every=1")


def xor(out: Path, **changes: Any) -> Path:
    """A small XOR dataset of one bit."""
    spec = {"dims": 1, "rows": {"train": 32, "validation": 16, "test": 24}, **changes}
    build_xor(XorSpec(**spec), out, workers=1, write_card=no_card)
    return out


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Not to be changed."""
    return xor(tmp_path_factory.mktemp("endings") / "data")


@pytest.fixture
def train(data: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Train:
    """Trains in `tmp_path`/symile, on the shared data unless told otherwise."""

    def run(*words: str | Path, on: Path = data) -> Outcome:
        found = outcome(capsys, "train", on, *WORDS, "--out", tmp_path, *words)
        assert "Traceback" not in found.err
        return found

    return run


def sentence(found: Outcome) -> str:
    """The one line that is not progress."""
    (line,) = [line for line in found.err.splitlines() if line.startswith("symile-data: ")]
    return line.removeprefix("symile-data: ")


def in_step(monkeypatch: pytest.MonkeyPatch, act: Callable[[], None], epoch: int = 1, index: int = 1) -> None:
    """Let something happen in one step of training."""
    step = SymileModule.training_step

    def acting(self: SymileModule, batch: Any, number: int) -> Any:
        if (self.current_epoch, number) == (epoch, index):
            act()
        return step(self, batch, number)

    monkeypatch.setattr(SymileModule, "training_step", acting)


def interrupt() -> None:
    raise KeyboardInterrupt


def terminate() -> None:
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("act", "said"), [(interrupt, "interrupted"), (terminate, "ended by SIGTERM")])
def test_ctrl_c_and_sigterm_say_how_to_go_on(
    act: Callable[[], None], said: str, train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    with monkeypatch.context() as patch:
        in_step(patch, act)
        found = train("--save-every", "1")
    assert (found.code, found.out) == (1, "")
    assert sentence(found) == f"{said}. Run the same command again to go on from here."
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before
    run = tmp_path / "symile"
    assert torch.load(run / "last.ckpt", weights_only=True)["global_step"] == 3
    assert not (run / "metrics.json").exists()
    in_step(monkeypatch, interrupt, epoch=1, index=0)  # which is done already
    assert train("--save-every", "1").code == 0 and (run / "metrics.json").is_file()


@contextmanager
def small_files(size: int) -> Iterator[None]:
    """No file can be written that is larger."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("size", "file"), [(100, "run.json"), (3000, "last.ckpt")])
def test_files_that_cannot_be_written_end_in_one_sentence(size: int, file: str, train: Train, tmp_path: Path) -> None:
    with small_files(size):
        found = train("--save-every", "1")
    assert found.code == 1
    assert sentence(found) == (
        f"cannot write: file too large ({tmp_path / 'symile' / file}). Raise the limit on the size of files "
        "(ulimit -f) and run the same command again: it goes on from the last checkpoint."
    )
    assert not [path for path in (tmp_path / "symile").iterdir() if path.name.endswith((".ckpt", ".partial"))]
    assert train().code == 0


def test_a_full_disk_under_a_log_ends_in_one_sentence(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(CSVLogger, "save", full)
    found = train()
    assert found.code == 1
    assert sentence(found).startswith("cannot write: no space left on device (")


def test_a_loss_that_is_not_finite_stops_with_step_and_rate(train: Train, tmp_path: Path) -> None:
    found = train("--set", "lr=1e30")
    assert found.code == 1
    assert sentence(found) == (
        "the training loss is not finite (step 2, learning rate 1e+30); got nan. "
        "Lower the learning rate (lr) or set clip_gradient, and train with another --out."
    )
    # Nothing was saved: a run with another rate may take the directory.
    assert not (tmp_path / "symile" / "last.ckpt").exists()
    assert train().code == 0


def test_weights_that_are_not_finite_are_never_saved(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoil(self: SymileModule, *_: Any) -> None:
        if self.current_epoch == 1:
            self.logit_scale.data.fill_(torch.nan)

    monkeypatch.setattr(SymileModule, "on_train_batch_end", spoil)
    found = train("--set", "val_every=2", "--epochs", "4")
    assert found.code == 1 and "is not finite (step 4, learning rate 0.1)" in sentence(found)
    run = tmp_path / "symile"
    saved = torch.load(run / "last.ckpt", weights_only=True)
    assert saved["epoch"] == 0
    assert all(value.isfinite().all() for value in saved["state_dict"].values() if value.is_floating_point())


def test_a_validation_loss_that_is_not_finite_stops(train: Train, tmp_path: Path, monkeypatch: Any) -> None:
    step = SymileModule.validation_step

    def broken(self: SymileModule, batch: Any, number: int) -> None:
        step(self, batch, number)
        self._validation_loss[-1] = (float("nan"), 1)

    monkeypatch.setattr(SymileModule, "validation_step", broken)
    found = train()
    assert found.code == 1 and sentence(found).startswith("the validation loss is not finite (step 3, ")
    assert not [path for path in (tmp_path / "symile").iterdir() if path.suffix == ".ckpt"]


def test_values_of_the_data_that_are_not_finite_are_named(train: Train, monkeypatch: pytest.MonkeyPatch) -> None:
    embed = SymileModule.embed

    def broken(self: SymileModule, batch: Any) -> list[Tensor]:
        batch["c"][3] = torch.inf
        return embed(self, batch)

    monkeypatch.setattr(SymileModule, "embed", broken)
    found = train()
    assert found.code == 1
    assert "The data are the cause: values of c in this batch are not finite; declare them missing." in sentence(found)


@pytest.mark.parametrize("split", ["validation", "test"])
def test_a_split_without_rows_is_refused_with_the_option_that_gives_it_some(
    split: str, train: Train, tmp_path: Path
) -> None:
    rows = {"train": 32, "validation": 16, "test": 24, split: 0}
    found = train(on=xor(tmp_path / "data", rows=rows))
    assert found.code == 2 and not (tmp_path / "symile").exists()
    assert f"the dataset has no rows in its {split} split, which training needs" in sentence(found)
    assert sentence(found).endswith(f"Build it again with --{split} ROWS.")


def test_a_split_whose_rows_all_lack_something_is_refused(train: Train, tmp_path: Path) -> None:
    found = train(on=xor(tmp_path / "data", missing={"a": 1.0}))
    assert found.code == 2 and not (tmp_path / "symile").exists()
    assert "no row of the validation split has all modalities" in sentence(found)


@pytest.mark.parametrize("setting", ["lr=nan", "lr=inf", "lr=-1.0", "weight_decay=-0.5", "logit_scale_init=nan"])
def test_numbers_that_no_training_can_take_are_refused(setting: str, train: Train, tmp_path: Path) -> None:
    found = train("--set", setting)
    assert found.code == 2 and not (tmp_path / "symile").exists()
    assert sentence(found).startswith(setting.split("=")[0] + " must be ")


def test_an_accelerator_that_is_not_there_is_said(train: Train) -> None:
    found = train("--accelerator", "tpu-of-2040")
    assert found.code == 2 and "--accelerator" in found.err and "'tpu-of-2040' is not one of" in found.err


class Evil:
    """Runs a command where it is unpickled without care."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> Any:
        return Path.touch, (self._path,)


def test_crafted_checkpoints_end_in_a_sentence_and_run_nothing(train: Train, tmp_path: Path) -> None:
    assert train().code == 0
    path, mark = tmp_path / "symile" / "last.ckpt", tmp_path / "executed"
    good: dict[str, Any] = torch.load(path, weights_only=True)
    state = good["state_dict"]
    crafted: list[Any] = [
        Evil(mark), [1], torch.ones(2), "text", {}, {**good, "state_dict": {**state, "logit_scale": "x"}},
        {**good, "state_dict": {**state, "logit_scale": torch.ones(3)}},
        {**good, "callbacks": {"Curves": {"rows": [{"epoch": "x"}]}}},
        {**good, "DataModule": {"epoch": 1}}, {**good, "rng_state": torch.ones(3)},
    ]  # fmt: skip
    for part in ("state_dict", "callbacks", "loops", "optimizer_states", "DataModule", "rng_state", "training_loss"):
        crafted += [{name: value for name, value in good.items() if name != part}, {**good, part: "x"}]
    for value in crafted:
        torch.save(value, path)
        found = train()
        assert found.code in (1, 2) and sentence(found), value
    for data in (b"", b"text", path.read_bytes()[:-100]):
        path.write_bytes(data)
        assert "a file of weights cannot be read" in sentence(train())
    assert not mark.exists()
    path.unlink()
    assert train().code == 0


def test_an_optimiser_of_other_shapes_is_refused(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        in_step(patch, interrupt, epoch=1, index=0)
        assert train().code == 1
    path = tmp_path / "symile" / "last.ckpt"
    saved = torch.load(path, weights_only=True)
    for values in saved["optimizer_states"][0]["state"].values():
        values["exp_avg"] = torch.ones(3)
    torch.save(saved, path)
    assert "got the state of another optimiser" in sentence(train())


def test_crafted_best_weights_end_in_a_sentence(
    train: Train, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert train().code == 0
    path, mark = tmp_path / "symile" / "best.ckpt", tmp_path / "executed"
    good: dict[str, Any] = torch.load(path, weights_only=True)
    state = good["state_dict"]
    spoiled = {**state, "logit_scale": torch.tensor(torch.nan)}
    values: tuple[Any, ...] = (Evil(mark), [1], {}, {"state_dict": {}}, {"state_dict": 7}, {"state_dict": spoiled})
    for value in values:
        torch.save(value, path)
        found = outcome(capsys, "evaluate", tmp_path / "symile")
        assert found.code == 1 and "best.ckpt" in sentence(found)
    assert not mark.exists()
