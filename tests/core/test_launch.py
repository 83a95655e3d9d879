"""The launcher of several processes: what it says of their ends, and that nothing outlives it."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from torch.distributed import HashStore  # type: ignore[attr-defined]

from symile_data import launch as module
from symile_data.errors import SymileDataError
from symile_data.launch import LOST, launch, must_launch
from symile_data.training import ranks
from symile_data.training.ranks import SECONDS, is_lost, join

Ranks = Callable[..., None]
FOREVER = "import threading; threading.Event().wait()"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Ranks:
    """Launch ranks that do as told, each a small Python program."""

    def launched(*programs: str) -> None:
        program = f"import os, sys; exec({list(programs)!r}[int(os.environ['LOCAL_RANK'])])"
        monkeypatch.setattr(module, "_own_command", lambda: [sys.executable, "-S", "-c", program])
        launch(len(programs))

    return launched


def killed(name: str) -> str:
    return f"import signal; os.kill(os.getpid(), signal.{name})"


def said(text: str, code: int) -> str:
    return f"print({text!r}, file=sys.stderr); sys.exit({code})"


def test_ranks_know_each_other_and_only_the_first_is_heard(run: Ranks, capfd: pytest.CaptureFixture[str]) -> None:
    told = "print(*(os.environ[n] for n in ('LOCAL_RANK', 'WORLD_SIZE', 'MASTER_ADDR', 'SYMILE_DATA_WATCHED')))"
    run(told, told)
    assert capfd.readouterr() == ("0 2 127.0.0.1 1\n", "")


@pytest.mark.parametrize("dead", [0, 1])
@pytest.mark.parametrize("other", [f"sys.exit({LOST})", FOREVER])
def test_a_rank_that_dies_is_named_once_and_the_others_are_ended(
    dead: int, other: str, run: Ranks, capfd: pytest.CaptureFixture[str]
) -> None:
    programs = [other, killed("SIGKILL")] if dead else [killed("SIGKILL"), other]
    message = (
        rf"process {dead + 1} of the 2 of this training was ended by SIGKILL\. Run the same command again to go on"
    )
    with pytest.raises(SymileDataError, match=message):
        run(*programs)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("programs", "code", "heard"),
    [
        ((said("first", 1), f"sys.exit({LOST})"), 1, "first\n"),
        ((f"sys.exit({LOST})", said("second", 2)), 2, "second\n"),
        ((said("first", 2), said("second", 2)), 2, "first\n"),
    ],
)
def test_an_error_is_printed_once_whoever_has_it(
    programs: tuple[str, ...], code: int, heard: str, run: Ranks, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as end:
        run(*programs)
    assert end.value.code == code and capfd.readouterr() == ("", heard)


def test_a_rank_that_waits_for_a_failed_one_is_ended(
    run: Ranks, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(module, "_GRACE", 0.0)
    with pytest.raises(SystemExit):
        run(FOREVER, said("second", 1))
    assert capfd.readouterr().err == "second\n"


def test_ranks_that_lost_each_other_say_so(run: Ranks) -> None:
    with pytest.raises(SymileDataError, match="lost each other"):
        run(f"sys.exit({LOST})", f"sys.exit({LOST})")


def test_an_interrupted_launcher_takes_its_ranks_along(run: Ranks, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    kill = module._kill

    def remembered(processes: list[subprocess.Popen[bytes]]) -> None:
        started.extend(processes)
        kill(processes)

    def interrupted(_seconds: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(module, "_kill", remembered)
    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(FOREVER, FOREVER)
    assert [process.returncode for process in started] == [-9, -9]


def test_a_rank_ends_with_its_launcher() -> None:
    program = f"from symile_data.launch import end_with_launcher; end_with_launcher(); print(1); {FOREVER}"
    rank = subprocess.Popen(
        [sys.executable, "-uc", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2]
    )
    assert rank.stdin is not None and rank.stdout is not None
    assert rank.stdout.readline() == b"1\n" and rank.poll() is None
    rank.stdin.close()
    assert rank.wait(timeout=30) == 1
    rank.stdout.close()


def test_only_who_is_not_started_as_a_rank_starts_ranks(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOCAL_RANK", "SLURM_NTASKS", "TORCHELASTIC_RUN_ID"):
        monkeypatch.delenv(name, raising=False)
    assert must_launch(2) and not must_launch(1)
    monkeypatch.setenv("LOCAL_RANK", "0")
    assert not must_launch(2)


@pytest.mark.parametrize("rank", ["0", "1"])
def test_a_rank_that_is_left_alone_ends_in_time(rank: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"LOCAL_RANK": rank, "MASTER_PORT": str(module._free_port()), SECONDS: "0.2"}.items():
        monkeypatch.setenv(name, value)
    message = rf"did not join within 0\.2 seconds \(process {int(rank) + 1} of 2\).*{SECONDS} gives slow ones more time"
    with pytest.raises(SymileDataError, match=message):
        join(2, "cpu")
    assert "MASTER_ADDR" in os.environ
    monkeypatch.delenv("MASTER_ADDR")


def test_others_wait_for_the_main_process_however_often(monkeypatch: pytest.MonkeyPatch) -> None:
    store, order = HashStore(), list[str]()
    main, other = ranks._Meeting(), ranks._Meeting()
    main.open(store)
    other.open(store)

    def wait() -> None:
        for turn in range(3):
            other.wait()
            order.append(f"other {turn}")
            gone.release()

    gone = threading.Semaphore(0)
    thread = threading.Thread(target=wait)
    thread.start()
    for turn in range(3):
        order.append(f"main {turn}")
        main.go_on()
        gone.acquire()
    thread.join()
    assert order == [f"{who} {turn}" for turn in range(3) for who in ("main", "other")]


def test_only_errors_of_several_processes_are_lost_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    error = RuntimeError("[pair.cc:534] Connection closed by peer [127.0.0.1]:4711")
    assert not is_lost(error)
    monkeypatch.setattr("torch.distributed.is_initialized", lambda: True)
    assert is_lost(error) and not is_lost(RuntimeError("shapes do not fit")) and not is_lost(KeyError("gloo"))
