"""Whatever happens to a build (kill -9, a failing disk, a wrong clock, a second build), the same command ends it with
the bytes of an undisturbed one, and nothing that was finished is made again.
"""

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from factories import contents, imagenet_tree
from fault_server import BUILDERS, TESTS, FaultServer

from symile_data.format import manifest as manifests

DATASETS = sorted(BUILDERS)
KILLS = 50  # of each dataset, at least
POINTS = 3  # of each dataset and error


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return imagenet_tree(tmp_path_factory.mktemp("source"), pictures=3)


@pytest.fixture(scope="module")
def server(source: Path) -> Iterator[FaultServer]:
    running = FaultServer(source)
    yield running
    running.close()


@pytest.fixture(scope="module")
def undisturbed(server: FaultServer, tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[int, dict[str, Any]]]:
    """Steps and files of each dataset's build that nothing disturbed."""
    found = {}
    for dataset in DATASETS:
        out = tmp_path_factory.mktemp("undisturbed") / dataset
        outcome = server.build(dataset, out)
        assert (outcome.how, outcome.said) == ("done", "")
        found[dataset] = outcome.steps, contents(out)
    return found


def finished_shards(out: Path) -> dict[str, int]:
    """Inodes of the shards whose journal entries exist: one that is made again gets another."""
    noted = {path.name.removesuffix(".json") for path in (out / ".build" / "journal").glob("data--*.json")}
    return {name: (out / name.replace("--", "/")).stat().st_ino for name in noted}


def kept(out: Path, before: dict[str, int]) -> bool:
    return all((out / name.replace("--", "/")).stat().st_ino == inode for name, inode in before.items())


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_build_killed_again_and_again_ends_with_the_same_bytes(
    server: FaultServer, undisturbed: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    steps, files = undisturbed[dataset]
    rng, killed, rounds = np.random.default_rng(0), 0, 0
    while killed < KILLS:
        out, how = tmp_path / str(rounds), "killed"
        while how == "killed":
            before = finished_shards(out)
            # Short lives and long ones, so that every stage is met, with much behind it and with little.
            outcome = server.build(dataset, out, step=1 + int(rng.integers(steps) * rng.random()), how="kill")
            how = outcome.how
            assert how in ("killed", "done"), outcome.said
            assert kept(out, before)
            assert (out / manifests.FILE_NAME).is_file() or how == "killed"
            killed += how == "killed"
        assert contents(out) == files
        shutil.rmtree(out)
        rounds += 1


@pytest.mark.parametrize("dataset", DATASETS)
@pytest.mark.parametrize(
    ("code", "lasting", "advice"),
    [
        ("ENOSPC", False, "Free some space and run the same command again: finished shards are kept."),
        ("EIO", False, "Check the disk, then run the same command again: finished shards are kept."),
        ("EROFS", True, "Make it writable, or choose another directory."),
    ],
)
def test_a_disk_that_fails_at_any_step_is_one_sentence_and_loses_nothing(
    server: FaultServer,
    undisturbed: dict[str, Any],
    tmp_path: Path,
    dataset: str,
    code: str,
    lasting: bool,
    advice: str,
) -> None:
    steps, files = undisturbed[dataset]
    said = os.strerror(getattr(errno, code)).lower()
    for step in np.random.default_rng(len(code)).choice(steps, POINTS, replace=False) + 1:
        out = tmp_path / str(step)
        outcome = server.build(dataset, out, step=int(step), how=code, lasting=lasting)
        assert outcome.how == "error", outcome.said
        assert outcome.said.startswith(f"cannot write: {said} ({out}")
        assert outcome.said.endswith(advice)
        before = finished_shards(out)
        again = server.build(dataset, out)
        assert (again.how, again.said) == ("done", "")
        assert kept(out, before)
        assert contents(out) == files


@pytest.mark.parametrize("dataset", DATASETS)
def test_a_full_disk_under_any_writer_is_one_sentence(
    server: FaultServer, undisturbed: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    """Whatever library writes the file: the device itself refuses."""
    out, number = tmp_path / "out", 0
    # Each run gets further than the one before: what it finished stays.
    while (outcome := server.build(dataset, out, full=number)).how == "error":
        assert outcome.said.startswith(f"cannot write: no space left on device ({out}")
        assert outcome.said.endswith("Free some space and run the same command again: finished shards are kept.")
        assert not [path for path in out.rglob("*.partial") if path.is_symlink()]
        number += 1
    assert (outcome.how, outcome.said) == ("done", "")
    assert number > 4
    assert contents(out) == undisturbed[dataset][1]


@pytest.mark.parametrize("dataset", DATASETS)
def test_files_that_may_not_grow_are_one_sentence(
    server: FaultServer, undisturbed: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    """A limit on the size of files breaks writes in the middle."""
    files = undisturbed[dataset][1]
    largest = max(map(len, files.values()))
    for most in (100, largest // 2, largest - 1):
        outcome = server.build(dataset, tmp_path / "out", file_bytes=most)
        assert outcome.how == "error", outcome.said
        assert outcome.said.startswith("cannot write: file too large (")
    assert server.build(dataset, tmp_path / "out", file_bytes=1 << 30).how == "done"
    assert contents(tmp_path / "out") == files


@pytest.mark.parametrize("dataset", DATASETS)
def test_the_clock_does_not_matter(
    server: FaultServer, undisturbed: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    steps, files = undisturbed[dataset]
    out = tmp_path / "out"
    for clock, done, age in ((-1.5e9, 0.3, 0.0), (3e9, 0.6, 4e9)):
        assert server.build(dataset, out, clock=clock, step=int(steps * done), how="kill").how == "killed"
        for path in out.rglob("*"):
            os.utime(path, (age, age))
    assert server.build(dataset, out, clock=-7e8).how == "done"
    assert contents(out) == files


@pytest.mark.parametrize("dataset", DATASETS)
def test_of_builds_that_race_for_a_directory_one_wins(
    server: FaultServer, undisturbed: dict[str, Any], tmp_path: Path, dataset: str
) -> None:
    out = tmp_path / "out"
    outcomes = server.race(dataset, out, 4)
    assert {outcome.how for outcome in outcomes} <= {"done", "error"}
    assert "done" in {outcome.how for outcome in outcomes}
    for outcome in outcomes:
        if outcome.how == "error":
            assert outcome.said.startswith("another build is running in this directory")
    assert contents(out) == undisturbed[dataset][1]


CHANGED = {
    "cut": "an image file changed while the build ran ({tree}",
    "other": "an image file changed while the build ran ({tree}",
    "gone": "the output directory holds an unfinished build with other settings ({out}); got sources.images",
}


@pytest.mark.parametrize("damage", CHANGED)
def test_an_image_that_changes_in_mid_build_never_gets_into_a_shard(
    source: Path, undisturbed: dict[str, Any], tmp_path: Path, damage: str
) -> None:
    tree = shutil.copytree(source, tmp_path / "tree")
    own = FaultServer(tree)
    try:
        out = tmp_path / "out"
        assert own.build("m3", out, batch=0).how == "killed"  # the pools are ready
        originals = {path: path.read_bytes() for path in tree.rglob("*.JPEG")}
        for number, (path, data) in enumerate(originals.items()):
            match damage:
                case "cut":  # the size stays: the listing is the same
                    path.write_bytes(data[:-200] + bytes(200))
                case "other":
                    path.write_bytes(data[:14] + bytes([data[14] ^ 1]) + data[15:])  # still a good picture
                case "gone" if number % 2:  # no class is left without images
                    path.unlink()
        outcome = own.build("m3", out)
        assert outcome.how == "error"
        assert outcome.said.startswith(CHANGED[damage].format(tree=tree, out=out)), outcome.said
        assert not (out / manifests.FILE_NAME).exists()
        for path, data in originals.items():
            path.write_bytes(data)
        assert own.build("m3", out).how == "done"
        assert contents(out) == undisturbed["m3"][1]
    finally:
        own.close()


STUCK = """
import signal, sys
from symile_data.builders.xor import build

build.ROWS_PER_SHARD, original = 2, build._make_shard

def stuck(job, path):
    if job.start:
        print("reached", flush=True)
        signal.pause()
    return original(job, path)

build._make_shard = stuck
if __name__ == "__main__":
    from symile_data.cli import main
    sys.argv[1:] = ["build", "xor", "--train", "8", "--out", {out!r}, "--workers", {workers!r}]
    main()
"""


@pytest.mark.parametrize(("number", "workers"), [(signal.SIGINT, 1), (signal.SIGINT, 2), (signal.SIGKILL, 2)])
def test_an_interrupt_ends_a_build_whose_workers_would_go_on_for_ever(
    tmp_path: Path, number: signal.Signals, workers: int
) -> None:
    out = tmp_path / "out"
    script = tmp_path / "build.py"
    script.write_text(STUCK.format(out=str(out), workers=str(workers)))
    with subprocess.Popen(
        [sys.executable, script],
        cwd=TESTS.parent,
        env={**os.environ, "PYTHONPATH": str(TESTS.parent)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline() == "reached\n"
        if number == signal.SIGKILL:
            os.killpg(process.pid, number)  # the whole tree
        else:
            os.kill(process.pid, number)
        process.stdout.read()  # ends only when no worker holds the pipe any more
        said = process.stderr.read()
    assert process.returncode == (1 if number == signal.SIGINT else -signal.SIGKILL)
    if number == signal.SIGINT:
        assert said.endswith("symile-data: interrupted. Run the same command again to go on from here.\n")
        assert "Traceback" not in said
    assert (out / ".build").is_dir()
    assert not (out / manifests.FILE_NAME).exists()
