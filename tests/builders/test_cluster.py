"""Tasks on a dask cluster: the same bytes as on one machine, and right or resumable whatever dies."""

from __future__ import annotations

import contextlib
import errno
import itertools
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import dask
import distributed
import pytest
from factories import contents, spec
from mimic_release_files import write_release as write_mimic_release
from mimic_tree import Tree
from release_files import write_release as write_m3_release
from typer.testing import CliRunner

from symile_data import files
from symile_data.builders.engine import dask_executor as module
from symile_data.builders.engine.build_dir import Artifact, BuildDir, open_build_dir
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.engine.dask_executor import Attempt, cluster_pool, parse_executor, take_over
from symile_data.builders.engine.executor import open_pool, run_stage
from symile_data.builders.m3 import build as builds
from symile_data.builders.m3 import prepare_media
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.release.import_release import import_m3
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.release.import_release import import_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cli import app
from symile_data.datasets.pid import Block, Design
from symile_data.errors import OutputError, SourceError, SymileDataError, UsageError
from symile_data.files import write_text
from symile_data.format.manifest import WRITER, BuildFingerprint, Manifest
from symile_data.reliability import Reliability

METHOD = "distributed.worker.multiprocessing-method"
PRELOADED = [f"symile_data.builders.{name}.build" for name in ("m3", "mimic", "xor", "pid")]
IDENTITY = BuildFingerprint(dataset="numbers", spec={}, sources={}, versions={})


def write_number(number: int, path: Path) -> dict[str, Any]:
    write_text(path, str(number))
    return {"number": number}


def die_once(marker: Path, path: Path) -> dict[str, Any]:
    """A worker that leaves half a file and is killed; the next one that takes the task is not."""
    if not marker.exists():
        marker.touch()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("ha")
        os.kill(os.getpid(), signal.SIGKILL)
    write_text(path, "half and half")
    return {}


def die(_: Any, path: Path) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def refuse(number: int, path: Path) -> dict[str, Any]:
    raise SourceError("a source is wrong", where="x.tsv, line 3", got=number)


def write_when_let(job: tuple[int, Path], path: Path) -> dict[str, Any]:
    """The first product at once, the others when a file lets them."""
    number, folder = job
    (folder / f"begun-{number}").touch()
    while number and not (folder / "go").exists():
        os.sched_yield()
    return write_number(number, path)


def kill_scheduler(process: int, path: Path) -> dict[str, Any]:
    os.kill(process, signal.SIGKILL)
    write_text(path, "too late")
    return {}


_faults = contextlib.ExitStack()  # of the worker's disk


def break_disk(code: str, sound: int) -> None:
    """In a worker: after some sound files its disk takes no byte (ENOSPC), or cannot keep them (EIO)."""
    begun = itertools.count()
    temporary = files.temporary_path

    def full(path: Path) -> Path:
        found = temporary(path)
        if next(begun) >= sound:
            found.parent.mkdir(parents=True, exist_ok=True)
            found.symlink_to("/dev/full")
        return found

    def failing(descriptor: int) -> None:
        if next(begun) >= sound:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    target, name, fault = (files, "temporary_path", full) if code == "ENOSPC" else (os, "fsync", failing)
    _faults.enter_context(mock.patch.object(target, name, fault))


def mend_disk() -> None:
    _faults.close()


def artifacts(*arguments: Any) -> list[Artifact]:
    return [
        Artifact(path=f"data/{index}.txt", arguments=value, key=[index, str(value)])
        for index, value in enumerate(arguments)
    ]


@pytest.fixture(scope="module")
def cluster() -> Iterator[distributed.LocalCluster]:
    # Workers are forked from a process that has imported what they need, also those in place of killed ones.
    with dask.config.set({METHOD: "forkserver"}):
        distributed.utils.get_mp_context().set_forkserver_preload(["distributed", *PRELOADED])
    # More threads than one: our tasks take turns all the same.
    with (
        dask.config.set({METHOD: "forkserver"}),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=2, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
        ) as running,
    ):
        yield running


@pytest.fixture
def address(cluster: distributed.LocalCluster) -> str:
    return f"dask:{cluster.scheduler_address}"


def run(out: Path, executor: str, make: Any, *arguments: Any) -> list[dict[str, Any]]:
    with open_build_dir(out, IDENTITY) as build_dir, open_pool(1, executor) as pool:
        assert isinstance(build_dir, BuildDir)
        return [made.result for made in run_stage(build_dir, "numbers", artifacts(*arguments), make, pool)]


def test_results_come_in_order_and_files_in_their_places(address: str, tmp_path: Path) -> None:
    numbers = list(range(20))
    assert run(tmp_path / "out", address, write_number, *numbers) == [{"number": number} for number in numbers]
    for number in numbers:
        assert (tmp_path / "out" / "data" / f"{number}.txt").read_text() == str(number)
    assert run(tmp_path / "out", address, die, *numbers) == [{"number": number} for number in numbers]  # all kept


def test_bytes_are_those_of_one_machine(tree: Path, address: str, tmp_path: Path) -> None:
    for seed in (0, 1):  # into the same directory: workers must not remember the first build's files
        options: dict[str, Any] = {"workers": 1, "write_card": no_card}
        build_m3(spec(tree, seed=seed), tmp_path / f"local-{seed}", **options)
        shutil.rmtree(tmp_path / "out", ignore_errors=True)
        build_m3(spec(tree, seed=seed), tmp_path / "out", executor=address, **options)
        assert contents(tmp_path / "out") == contents(tmp_path / f"local-{seed}")
    assert contents(tmp_path / "local-0") != contents(tmp_path / "local-1")


def test_bytes_of_clinical_data_are_those_of_one_machine(address: str, tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    for number in range(8):
        tree.complete(10_000_000 + number, 20_000_000 + number)
    settings = MimicSpec(roots=tree.write(), train=4, validation=2, candidates=2)
    build_mimic(settings, tmp_path / "local", workers=1, write_card=no_card)
    build_mimic(settings, tmp_path / "cluster", workers=1, executor=address, write_card=no_card)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "local")


def test_bytes_of_imports_are_those_of_one_machine(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_m3_release(tmp_path / "m3")
    write_mimic_release(tmp_path / "mimic")
    monkeypatch.chdir(tmp_path)  # the release's place may be relative
    for name, options in (("m3", {"config": None, "rows": None, "names": None}), ("mimic", {})):
        for executor in ("local", address):
            out = tmp_path / executor.partition(":")[0] / name
            shared: dict[str, Any] = {"workers": 1, "executor": executor, "write_card": no_card, **options}
            if name == "m3":
                import_m3(name, out, **shared)
            else:
                import_mimic(Path(name), out, **shared)
        assert contents(tmp_path / "dask" / name) == contents(tmp_path / "local" / name)


@pytest.mark.parametrize("verb", ["m3", "mimic"])
def test_an_imports_options_are_passed_on(tmp_path: Path, verb: str) -> None:
    release = (write_m3_release if verb == "m3" else write_mimic_release)(tmp_path / "release")
    words = ["import", verb, str(release), "--out", str(tmp_path / "out"), "--executor", "slurm:1"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UsageError)
    assert "unknown `executor`; got 'slurm:1'" in str(result.exception)
    if verb == "mimic":
        result = CliRunner().invoke(app, [*words[:-2], "--format", "zip"])
        assert result.exit_code == 2
        assert "'zip' is not one of" in result.output


def test_a_cluster_of_this_machine_can_be_started_for_a_build(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # paths may be relative
    settings = XorSpec(rows={"train": 40, "validation": 0, "test": 20})
    build_xor(settings, Path("local"), workers=1, write_card=no_card)
    with dask.config.set({METHOD: "spawn"}):  # as it is started outside these tests
        build_xor(settings, Path("cluster"), workers=1, executor="dask-local:1", write_card=no_card)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "local")


def test_pid_data_with_sounds_and_noise_have_the_same_bytes_on_a_cluster(address: str, tmp_path: Path) -> None:
    blocks = (Block(name="same", relation="redundant", scope=("heard", "read"), values=4),)
    settings = PidSpec(
        design=Design(modalities={"heard": "audio", "read": "text"}, blocks=blocks),
        rows={"train": 24, "validation": 0, "test": 6},
        sounds="tones",
        reliability=Reliability(misaligned={"heard": 0.4}, noisy={"heard": 0.4}),
    )
    build_pid(settings, tmp_path / "local", workers=1, write_card=no_card)
    build_pid(settings, tmp_path / "cluster", workers=1, executor=address, write_card=no_card)
    assert contents(tmp_path / "cluster") == contents(tmp_path / "local")


def test_a_killed_workers_task_is_done_by_another(address: str, tmp_path: Path) -> None:
    assert run(tmp_path / "out", address, die_once, tmp_path / "killed") == [{}]
    assert (tmp_path / "killed").exists()
    assert (tmp_path / "out" / "data" / "0.txt").read_text() == "half and half"


def test_a_task_that_kills_every_worker_ends_the_build_resumable(
    cluster: distributed.LocalCluster, address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cluster.scheduler, "allowed_failures", 1)
    with pytest.raises(SymileDataError, match=r"workers that took a task died one after the other.*Run the same"):
        run(tmp_path / "out", address, die, 7)
    assert not (tmp_path / "out" / "data").exists()
    assert run(tmp_path / "out", address, write_number, 7) == [{"number": 7}]


def test_an_interrupt_takes_back_what_no_worker_has_begun(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    jobs = [(number, tmp_path) for number in range(40)]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(BuildDir, "record", interrupt)
        run(tmp_path / "out", address, write_when_let, *jobs)
    (tmp_path / "go").touch()
    assert len(run(tmp_path / "other", address, write_number, *range(9))) == 9  # the workers are free again
    assert len(list(tmp_path.glob("begun-*"))) < 20
    assert run(tmp_path / "out", address, write_when_let, *jobs) == [{"number": number} for number in range(40)]


def noted_shards(out: Path) -> dict[str, int]:
    """Inodes of the shards that the journal knows: one that is made again gets another."""
    notes = (out / ".build" / "journal").glob("data--*.json")
    paths = [out / note.name.removesuffix(".json").replace("--", "/") for note in notes]
    return {path.name: path.stat().st_ino for path in paths}


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        ("ENOSPC", "Free some space and run the same command again: finished shards are kept."),
        ("EIO", "Check the disk, then run the same command again: finished shards are kept."),
    ],
)
def test_a_failing_disk_at_one_worker_ends_the_build_right_or_resumable(
    tree: Path,
    cluster: distributed.LocalCluster,
    address: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    code: str,
    advice: str,
) -> None:
    monkeypatch.setattr(builds, "ROWS_PER_SHARD", 2)
    monkeypatch.setattr(prepare_media, "CHUNK", 4)
    options: dict[str, Any] = {"workers": 1, "write_card": no_card}
    build_m3(spec(tree), tmp_path / "local", **options)
    said = re.escape(f"cannot write: {os.strerror(getattr(errno, code)).lower()} ({tmp_path / 'out'}")
    failed = 0
    with distributed.Client(cluster, set_as_default=False) as client:
        (one, *_) = sorted(client.scheduler_info()["workers"])
        for sound in (0, 3, 6):  # each time the build gets further
            kept = noted_shards(tmp_path / "out")
            client.run(break_disk, code, sound, workers=[one])
            try:
                build_m3(spec(tree), tmp_path / "out", executor=address, **options)
            except OutputError as error:
                failed += 1
                assert re.fullmatch(rf"{said}.* on {re.escape(platform.node())}\)\. {re.escape(advice)}", str(error))
                assert not (tmp_path / "out" / "manifest.json").exists()
            finally:
                client.run(mend_disk, workers=[one])
            after = noted_shards(tmp_path / "out") or kept  # a finished build has no journal
            assert kept.items() <= after.items()
    assert failed
    build_m3(spec(tree), tmp_path / "out", executor=address, **options)
    assert contents(tmp_path / "out") == contents(tmp_path / "local")


def test_a_disk_that_refuses_the_move_of_a_finished_file_is_one_sentence(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replace = Path.replace

    def full(self: Path, target: Path) -> Path:
        if "attempts" in self.parts:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return replace(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", full)
        with pytest.raises(OutputError, match=r"no space left on device \(.*/data/.\.txt\)\. Free some space"):
            run(tmp_path / "out", address, write_number, 1, 2)
    assert run(tmp_path / "out", address, write_number, 1, 2) == [{"number": 1}, {"number": 2}]


def test_a_tasks_error_arrives_as_it_was_raised(address: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=re.escape("a source is wrong (x.tsv, line 3); got 5.")):
        run(tmp_path / "out", address, refuse, 5)


def test_a_lost_scheduler_ends_the_build_resumable(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    file = tmp_path / "scheduler.json"
    options: dict[str, Any] = {"env": environment, "stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    dask_command = (sys.executable, "-m", "dask")
    start = ("scheduler", "--scheduler-file", str(file), "--port", "0", "--host", "127.0.0.1", "--no-dashboard")
    scheduler = subprocess.Popen([*dask_command, *start], **options)
    worker = subprocess.Popen([*dask_command, "worker", "--scheduler-file", str(file), "--no-nanny"], **options)
    try:
        with distributed.Client(scheduler_file=str(file), timeout=60, set_as_default=False) as client:
            address = client.scheduler.address
            client.wait_for_workers(1, timeout=60)
        with (
            dask.config.set({"distributed.comm.timeouts.connect": "1s"}),
            pytest.raises(
                SymileDataError, match=r"connection to the cluster's scheduler was lost \(tcp://.*Run the same"
            ),
        ):
            run(tmp_path / "out", f"dask:{address}", kill_scheduler, scheduler.pid, scheduler.pid)
    finally:
        for process in (scheduler, worker):
            process.kill()
            process.wait()
    assert not (tmp_path / "out" / "data").exists()
    assert run(tmp_path / "out", "local", write_number, 1, 2) == [{"number": 1}, {"number": 2}]


def test_a_worker_must_have_the_builds_disk_and_libraries(tmp_path: Path) -> None:
    folder = tmp_path / "out" / ".build" / "attempts" / "x"
    attempt = Attempt(folder=folder, here=tmp_path, versions={})
    with (
        pytest.raises(OutputError, match=r"does not see the output directory \(.*out on "),
        attempt.place("data/0.txt"),
    ):
        pass
    (tmp_path / "out" / ".build").mkdir(parents=True)
    with attempt.place("data/0.txt") as one, attempt.place("data/0.txt") as other:
        assert one != other and one.is_relative_to(folder) and one.name == "0.txt"
    attempt = Attempt(folder=folder, here=tmp_path, versions={"numpy": "0.1", "writer": WRITER})
    with pytest.raises(SymileDataError, match=r"other libraries.*got numpy: '.*', not '0\.1'"), attempt.place("0.txt"):
        pass
    (tmp_path / "made").write_text("four")
    with pytest.raises(OutputError, match="does not arrive"):
        take_over(tmp_path / "made", tmp_path / "data" / "there", 5)
    with pytest.raises(OutputError, match="does not arrive"):
        take_over(tmp_path / "nothing", tmp_path / "data" / "there", 5)
    take_over(tmp_path / "made", tmp_path / "data" / "there", 4)
    assert (tmp_path / "data" / "there").read_text() == "four"


def test_an_attempt_that_outlives_its_build_leaves_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out"
    attempt = Attempt(folder=out / ".build" / "attempts" / "x", here=tmp_path, versions={})
    with open_build_dir(out, IDENTITY) as build_dir, attempt.place("data/0.txt") as one:
        assert isinstance(build_dir, BuildDir)
        write_text(one, "in time")
    assert one.read_text() == "in time"  # an unfinished build may want it
    with attempt.place("data/0.txt") as late, open_build_dir(out, IDENTITY) as build_dir:
        assert isinstance(build_dir, BuildDir)
        build_dir.finish(Manifest(identity=IDENTITY, modalities=(), splits={}))
        write_text(late, "too late")
    assert [path.name for path in out.iterdir()] == ["manifest.json"]


def test_no_scheduler_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_CONNECT_S", 1)
    with (
        pytest.raises(SymileDataError, match=r"no scheduler of a cluster answers \(127\.0\.0\.1:9\)"),
        cluster_pool("dask:127.0.0.1:9"),
    ):
        pass


@pytest.mark.parametrize("text", ["", "dask", "dask:", "dask-local:", "dask-local:0", "dask-local:x", "slurm:1"])
def test_an_executor_is_named_in_one_of_three_ways(text: str) -> None:
    with pytest.raises(UsageError, match=r"unknown `executor`; got .*choose local, dask:ADDRESS or|Choose local"):
        parse_executor(text)
