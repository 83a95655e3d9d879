"""XOR trials: the losses learn what they can, each trial runs once, and workers find what one process finds."""

from __future__ import annotations

from concurrent.futures import Executor, Future, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symile_data.builders.engine import executor as execution
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import OutputError, SymileDataError, UsageError
from symile_data.losses.objectives import COMPARED
from symile_data.training.config import read_config
from symile_data.workflows import train as baseline
from symile_data.workflows.paper.xor_trials import XorTrial
from symile_data.workflows.trials import RESULT, check_runs, run_trial, run_trials

ROWS = {"train": 60, "validation": 30, "test": 30}


def trial(directory: Path, epochs: int = 1, seed: int = 0, **spec: Any) -> XorTrial:
    """A tiny one, in a blink."""
    configs = {loss: read_config("xor", {"objective": loss, "epochs": epochs, "batch_size": 20}) for loss in COMPARED}
    return XorTrial(directory=directory, spec=replace(XorSpec(dims=1, rows=ROWS, seed=seed), **spec), configs=configs)


def untrainable(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("trained")

    monkeypatch.setattr(baseline, "train_run", fail)


def test_of_one_bit_symile_learns_all_and_clip_nothing(tmp_path: Path) -> None:
    configs = {loss: read_config("xor", {"objective": loss, "epochs": 40, "batch_size": 500}) for loss in COMPARED}
    spec = XorSpec(dims=1, rows={"train": 2000, "validation": 500, "test": 1000})
    accuracies = run_trial(XorTrial(directory=tmp_path, spec=spec, configs=configs))
    assert accuracies["symile"] >= 0.99
    assert 0.45 <= accuracies["clip"] <= 0.55


def test_a_finished_trial_is_not_run_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    first = run_trials("sweep", [trial(tmp_path / "0"), trial(tmp_path / "1", seed=1)], 1)
    assert [line.partition(" in ")[0] for line in capsys.readouterr().err.splitlines()] == ["sweep: 2/2 trials"]
    (tmp_path / "1" / RESULT).unlink()
    with monkeypatch.context() as patch:
        untrainable(patch)
        assert run_trials("sweep", [trial(tmp_path / "0")], 1) == first[:1]
        with pytest.raises(RuntimeError, match="trained"):
            run_trials("sweep", [trial(tmp_path / "1", seed=1)], 1)
    assert run_trials("sweep", [trial(tmp_path / "0"), trial(tmp_path / "1", seed=1)], 1) == first


def test_a_damaged_result_is_made_anew(tmp_path: Path) -> None:
    first = run_trial(trial(tmp_path))
    (tmp_path / RESULT).write_text("{")
    assert run_trial(trial(tmp_path)) == first


def test_another_trial_in_the_same_place_is_refused(tmp_path: Path) -> None:
    run_trial(trial(tmp_path))
    with pytest.raises(OutputError, match=r"p_hat"):
        run_trial(trial(tmp_path, p_hat=0.5))
    with pytest.raises(OutputError, match=r"another config"):
        run_trial(trial(tmp_path, epochs=2))
    check_runs([trial(tmp_path / "free"), trial(tmp_path)])
    with pytest.raises(OutputError, match=r"another config .*got epochs: 2, not 1"):
        check_runs([trial(tmp_path / "free"), trial(tmp_path, epochs=2)])


def test_a_pool_finds_what_one_process_finds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = ([trial(tmp_path / name / str(seed), seed=seed) for seed in range(2)] for name in ("one", "other"))
    first = run_trials("sweep", one, 1)
    pools = {1: None, 2: ThreadPoolExecutor(1)}  # the builds' and the trials'
    monkeypatch.setattr(execution, "worker_pool", pools.__getitem__)
    monkeypatch.setattr("torch.set_num_threads", lambda _: None)  # this process is no worker
    assert run_trials("sweep", other, 2) == first


def test_a_worker_that_dies_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Dying(Executor):
        def submit(self, *_: Any, **__: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.set_exception(BrokenProcessPool())
            return future

    monkeypatch.setattr(execution, "worker_pool", lambda _: Dying())
    with pytest.raises(SymileDataError, match=r"a worker process died.* finished trials are kept"):
        run_trials("sweep", [trial(tmp_path)], 2)


def test_every_value_must_be_a_candidate(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"lacks some of the 256 values .* in 30 rows"):
        run_trials("sweep", [trial(tmp_path, dims=8)], 1)
    assert not any(tmp_path.iterdir())
