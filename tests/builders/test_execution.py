"""Stages: every product once, in any company, and only what is not yet done."""

import os
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from symile_data.builders.engine.build_dir import Artifact, BuildDir, open_build_dir
from symile_data.builders.engine.dask_executor import cluster_pool
from symile_data.builders.engine.executor import WorkerPool, open_pool, run_stage, worker_number, worker_pool
from symile_data.builders.engine.interrupts import started_unreached
from symile_data.errors import OutputError, SourceError, SymileDataError
from symile_data.files import write_text
from symile_data.format.manifest import BuildFingerprint

IDENTITY = BuildFingerprint(dataset="xor", spec={}, sources={}, versions={})


def square(number: int, path: Path) -> dict[str, Any]:
    """A product: a file and a result. Runs in worker processes too."""
    if number == -9:
        os.kill(os.getpid(), signal.SIGKILL)
    if number < 0:
        raise SourceError("a number is negative", where=path.name, got=number, do="use another")
    write_text(path, str(number**2))
    return {"square": number**2, "pid": os.getpid()}


def artifacts(*numbers: int) -> list[Artifact]:
    return [Artifact(path=f"data/{number}", arguments=number, key=[number]) for number in numbers]


@pytest.fixture
def build_dir(tmp_path: Path) -> Iterator[BuildDir]:
    with open_build_dir(tmp_path / "out", IDENTITY) as opened:
        assert isinstance(opened, BuildDir)
        yield opened


def test_results_come_in_the_order_of_the_products(build_dir: BuildDir) -> None:
    results = run_stage(build_dir, "squares", artifacts(3, 1, 2), square, None)
    assert [made.result["square"] for made in results] == [9, 1, 4]
    assert {path.name: path.read_text() for path in (build_dir.directory / "data").iterdir()} == {
        "3": "9", "1": "1", "2": "4",
    }  # fmt: skip


def test_only_what_is_not_done_is_made(build_dir: BuildDir) -> None:
    made: list[int] = []

    def counted(number: int, path: Path) -> dict[str, Any]:
        made.append(number)
        return square(number, path)

    run_stage(build_dir, "squares", artifacts(1, 2), counted, None)
    (build_dir.directory / "data" / "2").write_text("5")
    results = run_stage(build_dir, "squares", artifacts(1, 2, 3), counted, None)
    assert made == [1, 2, 2, 3]
    assert [made.result["square"] for made in results] == [1, 4, 9]


def test_what_was_done_before_an_error_is_kept(build_dir: BuildDir) -> None:
    with pytest.raises(SourceError, match=r"a number is negative \(-1\); got -1. Use another."):
        run_stage(build_dir, "squares", artifacts(1, -1, 2), square, None)
    assert [build_dir.finished(artifact) is not None for artifact in artifacts(1, -1, 2)] == [True, False, False]


def test_no_products_are_no_work(build_dir: BuildDir) -> None:
    assert run_stage(build_dir, "squares", [], square, None) == []


@pytest.mark.parametrize("workers", [0, 1])
def test_one_worker_is_this_process(build_dir: BuildDir, workers: int) -> None:
    pool = worker_pool(workers)
    assert pool is None
    (made,) = run_stage(build_dir, "squares", artifacts(1), square, pool)
    assert made.result["pid"] == os.getpid()


def test_worker_processes_make_the_same_and_pass_errors_on(build_dir: BuildDir) -> None:
    pool = worker_pool(2)
    assert pool is not None
    with pool:
        results = run_stage(build_dir, "squares", artifacts(*range(6)), square, pool)
        assert [made.result["square"] for made in results] == [0, 1, 4, 9, 16, 25]
        assert os.getpid() not in {made.result["pid"] for made in results}
        with pytest.raises(SourceError, match="a number is negative"):
            run_stage(build_dir, "squares", artifacts(-1), square, pool)


def test_a_worker_that_dies_is_an_error_with_advice(build_dir: BuildDir) -> None:
    pool = worker_pool(2)
    assert pool is not None
    with pool, pytest.raises(SymileDataError, match=r"a worker process died.* again with fewer `workers`"):
        run_stage(build_dir, "squares", artifacts(-9), square, pool)


def meet(job: tuple[int, str], path: Path) -> dict[str, Any]:
    """The first product fails when the second is under way; the second ends after that."""
    number, folder = job
    begun, failed = Path(folder, "begun"), Path(folder, "failed")
    if number == 0:
        wait_for(begun)
        failed.touch()
        raise SourceError("the first fails")
    if number == 1:
        begun.touch()
        wait_for(failed)
    return square(number, path)


def wait_for(path: Path) -> None:
    while not path.exists():
        os.sched_yield()


def test_what_is_under_way_when_another_fails_is_kept_and_nothing_new_is_begun(
    build_dir: BuildDir, tmp_path: Path
) -> None:
    some = [Artifact(path=f"data/{n}", arguments=(n, str(tmp_path)), key=[n]) for n in range(40)]
    pool = worker_pool(2)
    assert pool is not None
    with pool, pytest.raises(SourceError, match="the first fails"):
        run_stage(build_dir, "squares", some, meet, pool)
    done = [build_dir.finished(artifact) is not None for artifact in some]
    assert done[1]
    assert not done[0]
    assert sum(done) < 20


def patient(job: tuple[int, str], path: Path) -> dict[str, Any]:
    """All products but the first wait until they may end."""
    number, leave = job
    if number:
        wait_for(Path(leave))
    return square(number, path)


def test_nothing_new_is_begun_when_a_product_cannot_be_noted(
    build_dir: BuildDir, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OutputError("the disk is full")

    monkeypatch.setattr(BuildDir, "record", full)
    leave = tmp_path / "leave"
    some = [Artifact(path=f"data/{n}", arguments=(n, str(leave)), key=[n]) for n in range(40)]
    pool = worker_pool(2)
    assert pool is not None
    with pool:
        with pytest.raises(OutputError, match="the disk is full"):
            run_stage(build_dir, "squares", some, patient, pool)
        leave.touch()
    assert len(list((build_dir.directory / "data").iterdir())) < 10


def numbered_worker(barrier: Path, path: Path) -> dict[str, Any]:
    """Ends only when both workers have begun, so that neither does both tasks."""
    (barrier / path.name).touch()
    while len(list(barrier.iterdir())) < 2:
        pass
    path.write_text("")
    return {"number": worker_number()}


def test_workers_can_be_told_apart(build_dir: BuildDir, tmp_path: Path) -> None:
    assert worker_number() == 0
    (tmp_path / "barrier").mkdir()
    artifacts = [Artifact(path=name, arguments=tmp_path / "barrier", key=name) for name in ("one", "two")]
    with open_pool(2) as pool:
        results = run_stage(build_dir, "numbers", artifacts, numbered_worker, pool)
    first, second = sorted(made.result["number"] for made in results)
    assert second == first + 1


def signals() -> tuple[bool, bool]:
    """Whether this process ignores SIGINT, and whether it blocks it."""
    return signal.getsignal(signal.SIGINT) == signal.SIG_IGN, is_blocked()


def is_blocked() -> bool:
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, [])


def test_a_worker_takes_no_interrupt_from_its_first_moment_on(capfd: pytest.CaptureFixture[str]) -> None:
    pool = worker_pool(2)
    assert isinstance(pool, WorkerPool)
    with pool:
        future = pool.submit(signals)
        for worker in list(pool._processes):  # they have not begun to import anything
            os.kill(worker, signal.SIGINT)
        assert future.result() == (True, False)
    assert capfd.readouterr() == ("", "")
    assert not is_blocked()


def test_an_interrupt_while_workers_start_comes_afterwards(request: pytest.FixtureRequest) -> None:
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    reached = []
    with pytest.raises(KeyboardInterrupt), started_unreached():
        signal.pthread_kill(threading.get_ident(), signal.SIGINT)
        reached.append(is_blocked())
    assert (reached, is_blocked()) == ([True], False)


def test_a_cluster_on_this_machine_is_started_out_of_reach(monkeypatch: pytest.MonkeyPatch) -> None:
    distributed = pytest.importorskip("distributed")
    started: list[bool] = []

    def start(**_: object) -> None:
        started.append(is_blocked())
        raise SourceError("no cluster here")

    monkeypatch.setattr(distributed, "LocalCluster", start)
    with pytest.raises(SourceError), cluster_pool("dask-local:1"):
        pass
    assert (started, is_blocked()) == ([True], False)
