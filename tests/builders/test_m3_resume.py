"""A build that is interrupted anywhere, by any means, is finished by the same command with the same bytes."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any, NoReturn

import pytest
from factories import build, contents, problems

from symile_data.builders.engine.build_dir import INTERNAL
from symile_data.builders.m3 import build as builds
from symile_data.builders.m3 import prepare_media
from symile_data.builders.m3.rows import shard
from symile_data.errors import OutputError
from symile_data.format import manifest as manifests

TESTS = Path(__file__).resolve().parents[1]
ROWS_PER_SHARD, CHUNK, ROWS_PER_GROUP = 5, 2, 2  # small, so that twenty rows have many products
STAGES = {
    "pictures": (prepare_media, "make_image_chunk"),
    "clips": (prepare_media, "make_audio_chunk"),
    "shards": (builds, "make_shard"),
}


@pytest.fixture(scope="module", autouse=True)
def _small_products() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(builds, "ROWS_PER_SHARD", ROWS_PER_SHARD)
        patch.setattr(prepare_media, "CHUNK", CHUNK)
        patch.setattr(shard, "ROWS_PER_GROUP", ROWS_PER_GROUP)
        yield


@pytest.fixture(scope="module")
def undisturbed(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """The files of a build that nothing interrupted."""
    out = tmp_path_factory.mktemp("undisturbed") / "m3"
    build(tree, out)
    assert problems(out) == []
    return contents(out)


def counted(patch: pytest.MonkeyPatch, stage: str, stop_after: int | None = None) -> list[Path]:
    """Note what a stage makes, and interrupt it after some products."""
    module, name = STAGES[stage]
    original: Callable[[Any, Path], dict[str, Any]] = getattr(module, name)
    made: list[Path] = []

    def make(arguments: Any, path: Path) -> dict[str, Any]:
        if len(made) == stop_after:
            raise KeyboardInterrupt
        made.append(path)
        return original(arguments, path)

    patch.setattr(module, name, make)
    return made


@pytest.mark.parametrize("done", [0, 1, 4])
@pytest.mark.parametrize("stage", STAGES)
def test_an_interrupted_stage_goes_on_where_it_was(
    tree: Path, tmp_path: Path, undisturbed: dict[str, bytes], stage: str, done: int
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        before = counted(patch, stage, stop_after=done)
        with pytest.raises(KeyboardInterrupt):
            build(tree, tmp_path / "out")
    assert len(before) == done
    assert not (tmp_path / "out" / manifests.FILE_NAME).exists()
    with pytest.MonkeyPatch.context() as patch:
        after = {name: counted(patch, name) for name in STAGES}
        build(tree, tmp_path / "out")
    assert not set(before) & set(after[stage])
    earlier = list(STAGES)[: list(STAGES).index(stage)]
    assert all(after[name] == [] for name in earlier)
    assert len(before) + len(after[stage]) == {"pictures": 8, "clips": 5, "shards": 5}[stage]
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("point", ["document", "write"])
def test_a_build_interrupted_at_its_end_makes_no_product_again(
    tree: Path, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    def interrupt(*_: object) -> NoReturn:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        if point == "write":
            patch.setattr(manifests, "write", interrupt)
            build(tree, tmp_path / "out")
        else:
            build(tree, tmp_path / "out", write_card=interrupt)
    after = [counted(monkeypatch, name) for name in STAGES]
    build(tree, tmp_path / "out")
    assert after == [[], [], []]
    assert contents(tmp_path / "out") == undisturbed


def test_every_product_can_be_the_last_one(tree: Path, tmp_path: Path, undisturbed: dict[str, bytes]) -> None:
    """Interrupted after each single shard, over and over, the build still ends well."""
    for _ in range(len([name for name in undisturbed if name.endswith(".parquet")])):
        with pytest.MonkeyPatch.context() as patch:
            counted(patch, "shards", stop_after=1)
            try:
                build(tree, tmp_path / "out")
                break
            except KeyboardInterrupt:
                continue
    assert contents(tmp_path / "out") == undisturbed


@pytest.mark.parametrize("damage", ["shard cut", "shard gone", "pool cut", "note gone", "state gone"])
def test_what_was_damaged_in_between_is_made_again(
    tree: Path, tmp_path: Path, undisturbed: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    out = tmp_path / "out"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        counted(patch, "shards", stop_after=3)
        build(tree, out)
    first = sorted((out / "data").iterdir())[0]
    match damage:
        case "shard cut":
            first.write_bytes(first.read_bytes()[:-9])
        case "shard gone":
            first.unlink()
        case "pool cut":
            chunk = sorted((out / INTERNAL / "clips").glob("*.arrow"))[0]
            chunk.write_bytes(chunk.read_bytes()[:100])
        case "note gone":
            sorted((out / INTERNAL / "journal").iterdir())[0].unlink()
        case "state gone":
            (out / INTERNAL / "build_state.json").unlink()
    build(tree, out)
    assert contents(out) == undisturbed


def test_an_interrupted_build_refuses_other_settings_and_is_kept(
    tree: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        counted(patch, "shards", stop_after=2)
        build(tree, tmp_path / "out")
    with pytest.raises(OutputError, match=r"holds an unfinished build with other settings.*spec.seed: 1, not 0"):
        build(tree, tmp_path / "out", seed=1)
    build(tree, tmp_path / "out")
    assert contents(tmp_path / "out") == undisturbed


def test_a_disk_that_fills_up_in_mid_shard_keeps_what_is_done(
    tree: Path, tmp_path: Path, undisturbed: dict[str, Any]
) -> None:
    out, full = tmp_path / "out", "train-00001-of-00003.parquet"
    with pytest.MonkeyPatch.context() as patch, pytest.raises(KeyboardInterrupt):
        counted(patch, "shards", stop_after=1)
        build(tree, out)
    (out / "data" / f".{full}.partial").symlink_to("/dev/full")  # takes no byte
    with pytest.raises(OutputError) as caught:
        build(tree, out)
    assert str(caught.value) == (
        f"cannot write: no space left on device ({out / 'data' / full}). "
        "Free some space and run the same command again: finished shards are kept."
    )
    assert [path.name for path in (out / "data").iterdir()] == ["train-00000-of-00003.parquet"]
    build(tree, out)
    assert contents(out) == undisturbed


# Each build is a fork, so that modules are loaded once. It writes its number into a pipe when it reaches the point.
SERVER = """
import json, os, signal, sys
from pathlib import Path
sys.path.append({tests!r})
import factories
from symile_data.builders.engine import build_dir
from symile_data.builders.m3 import build, prepare_media
from symile_data.builders.m3.audio import spoken
from symile_data.builders.m3.rows import shard
build.ROWS_PER_SHARD, prepare_media.CHUNK, shard.ROWS_PER_GROUP = {sizes!r}

def stop_at(owner, name, number):
    original, calls = getattr(owner, name), iter(range(number))
    def stopping(*arguments):
        if next(calls, None) is None:
            print(os.getpid(), flush=True)
            signal.pause()
        return original(*arguments)
    setattr(owner, name, stopping)

for line in sys.stdin:
    (owner, name, number), workers, tree, out, pipe = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(pipe, os.O_WRONLY), 1)
        stop_at(eval(owner), name, number)
        factories.build(Path(tree), Path(out), workers=workers)
        os._exit(0)
    os.waitpid(child, 0)
"""


@pytest.fixture(scope="module")
def server() -> Iterator[IO[str]]:
    """Takes a point, a number of workers, the images, the output and a pipe, as a line of JSON."""
    code = SERVER.format(tests=str(TESTS), sizes=(ROWS_PER_SHARD, CHUNK, ROWS_PER_GROUP))
    with subprocess.Popen([sys.executable, "-c", code], cwd=TESTS.parent, stdin=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        yield process.stdin
    assert process.returncode == 0


def killed(server: IO[str], tree: Path, out: Path, point: tuple[str, str, int], workers: int) -> None:
    """Start a build, kill -9 it when it reaches a point, and wait for all of its processes to be gone."""
    pipe = out.with_name("pipe")
    os.mkfifo(pipe)
    print(json.dumps([point, workers, str(tree), str(out), str(pipe)]), file=server, flush=True)
    with pipe.open() as told:
        os.kill(int(told.readline()), signal.SIGKILL)
        assert told.read() == ""  # ends only when no worker holds the pipe any more


@pytest.mark.parametrize(
    ("point", "workers"),
    [
        (("prepare_media", "read_image", 9), 1),
        (("spoken.SpokenAudio", "encode", 5), 1),
        (("shard.MediaStore", "media", 6), 1),
        (("build_dir.BuildDir", "finish", 0), 1),
        (("build_dir.BuildDir", "record", 9), 2),
    ],
    ids=["in a picture chunk", "in a clip chunk", "in a shard", "before the manifest", "with workers"],
)
def test_a_killed_build_is_finished_with_the_same_bytes(
    server: IO[str],
    tree: Path,
    tmp_path: Path,
    undisturbed: dict[str, bytes],
    point: tuple[str, str, int],
    workers: int,
) -> None:
    out = tmp_path / "out"
    killed(server, tree, out, point, workers)
    assert (out / INTERNAL).is_dir()
    assert not (out / manifests.FILE_NAME).exists()
    if point[1] == "media":
        assert [path.name for path in (out / "data").glob(".*.partial")] == [".train-00001-of-00003.parquet.partial"]
    build(tree, out)
    assert contents(out) == undisturbed
