"""Source files that tasks draw (sample images, sample patients): whoever draws them, how often and how far, the files
that the build reads are whole and the same.
"""

from __future__ import annotations

import errno
import os
import signal
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import mock

import distributed
import pytest
from factories import contents, spec

from symile_data.builders.engine import executor as execution
from symile_data.builders.engine.build_dir import Artifact, BuildDir, open_build_dir
from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.engine.dask_executor import Attempt, take_over
from symile_data.builders.engine.source_files import pack_files, unpack_files
from symile_data.builders.m3 import build as m3
from symile_data.builders.m3 import sources
from symile_data.builders.m3.images import sample as sample_images
from symile_data.builders.mimic import build as mimic
from symile_data.builders.mimic.sample import release as sample
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.errors import OutputError
from symile_data.format.manifest import BuildFingerprint
from symile_data.loaders import open_split

FEW = dict(list(sample_images.sample_classes().items())[:3])
PATIENTS = 30

# How each dataset's task is named, its argument, and what draws one image in it.
TASKS: dict[str, tuple[Callable[[Any, Path], dict[str, Any]], Any, str]] = {
    "m3": (
        m3._draw_class,
        m3._SampleTask(next(iter(FEW)), 5, tuple(range(64))),
        "symile_data.builders.m3.images.sample.draw_image",
    ),
    "mimic": (
        sample.draw_patients,
        sample.SampleTask(0, 6, 5),
        "symile_data.builders.mimic.sample.release.draw_xray",
    ),
}


@pytest.fixture
def build_dir(tmp_path: Path) -> Iterator[BuildDir]:
    with open_build_dir(tmp_path / "out", BuildFingerprint(dataset="x", spec={}, sources={}, versions={})) as opened:
        assert isinstance(opened, BuildDir)
        yield opened


@pytest.fixture(scope="module", autouse=True)
def _few() -> Iterator[None]:
    """Three classes of images and four tasks of patients, to be quick."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sources, "sample_classes", lambda: FEW)
        patch.setattr(sample, "_PATIENTS_PER_JOB", 8)
        yield


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """Files of each dataset's build that nothing disturbed."""
    out = tmp_path_factory.mktemp("undisturbed")
    for dataset in TASKS:
        build(dataset, out / dataset)
    return {dataset: contents(out / dataset) for dataset in TASKS}


def build(dataset: str, out: Path, executor: str = "local") -> None:
    options: dict[str, Any] = {"workers": 1, "executor": executor, "write_card": no_card}
    if dataset == "m3":
        m3.build_m3(spec(None), out, **options)  # the pictures are drawn
    else:
        mimic.build_mimic(MimicSpec(patients=PATIENTS, candidates=2, validation=0, train=20), out, **options)


def test_files_come_out_as_they_went_in_and_are_written_anew(build_dir: BuildDir) -> None:
    artifact = Artifact(path=".build/sample/0.arrow", arguments=None, key=[])
    for data in (b"one", b"another"):  # as another build in the same place: nothing is remembered
        assert pack_files(build_dir.directory / artifact.path, iter([("a/b.jpg", data), ("c", b"")])) == {}
        unpack_files(build_dir, [artifact], build_dir.internal / "files")
        assert contents(build_dir.internal / "files") == {"a/b.jpg": data, "c": b""}


def test_a_full_disk_is_one_sentence(build_dir: BuildDir, monkeypatch: pytest.MonkeyPatch) -> None:
    artifact = Artifact(path=".build/sample/0.arrow", arguments=None, key=[])
    pack_files(build_dir.directory / artifact.path, [("a", b"data")])

    def full(*_: object) -> int:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OutputError, match=rf"{os.strerror(errno.ENOSPC).lower()} \(.*/a\)\. Free some space"):
        unpack_files(build_dir, [artifact], build_dir.internal)


@pytest.mark.parametrize("dataset", TASKS)
def test_two_attempts_at_one_task_that_race_do_not_meet(
    build_dir: BuildDir, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    """A worker that was given up for lost still draws, image for image beside the one that took its place."""
    make, job, drawing = TASKS[dataset]
    artifact = Artifact(path=".build/sample/0.arrow", arguments=job, key=[])
    make(job, build_dir.directory / "alone")
    module, _, name = drawing.rpartition(".")
    draw, together = getattr(__import__(module, fromlist=[name]), name), threading.Barrier(2, timeout=60)

    def in_step(*arguments: Any) -> bytes:
        together.wait()
        drawn: bytes = draw(*arguments)
        return drawn

    monkeypatch.setattr(drawing, in_step)
    attempt = Attempt(folder=build_dir.internal / "attempts" / "x", here=Path.cwd(), versions={})
    with ThreadPoolExecutor(2) as threads:
        first, second = threads.map(lambda _: execution._attempt(attempt, make, artifact), range(2))
    assert first[0] == second[0]  # result, bytes, hash
    assert first[1] != second[1]
    assert not (build_dir.internal / "sample").exists()  # nobody wrote outside of the attempts
    for made, path in (first, second):  # in whatever order they are heard of
        assert path is not None
        take_over(path, build_dir.directory / artifact.path, made.bytes)
        assert (build_dir.directory / artifact.path).read_bytes() == (build_dir.directory / "alone").read_bytes()


def die_while_drawing(drawing: str, marker: Path) -> None:
    """In a worker: the fourth image is its end, for one worker of all."""
    module, _, name = drawing.rpartition(".")
    draw, drawn = getattr(__import__(module, fromlist=[name]), name), []

    def mortal(*arguments: Any) -> bytes:
        drawn.append(1)
        if len(drawn) == 4 and not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        picture: bytes = draw(*arguments)
        return picture

    mock.patch(drawing, mortal).start()


def test_a_worker_killed_in_the_midst_of_drawing_changes_no_byte(
    undisturbed: dict[str, dict[str, bytes]], tmp_path: Path
) -> None:
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, dashboard_address="127.0.0.1:0", silence_logs="CRITICAL"
        ) as cluster,
        distributed.Client(cluster, set_as_default=False) as client,
    ):
        for dataset, (_, _, drawing) in TASKS.items():
            client.run(die_while_drawing, drawing, tmp_path / f"{dataset}-killed")
            build(dataset, tmp_path / dataset, executor=f"dask:{cluster.scheduler_address}")
            assert (tmp_path / f"{dataset}-killed").exists()
            assert contents(tmp_path / dataset) == undisturbed[dataset]


@pytest.mark.parametrize("dataset", TASKS)
def test_files_that_were_cut_off_are_written_again_without_drawing(
    undisturbed: dict[str, dict[str, bytes]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dataset: str
) -> None:
    """The machine lost its power: the chunks had been waited for, the files had not."""
    out, reader = tmp_path / "out", {"m3": (m3, "prepare_images"), "mimic": (mimic, "write_tables")}[dataset]

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(*reader, interrupt)
        build(dataset, out)
    drawn = [path for path in (out / ".build").rglob("*") if path.suffix in (".JPEG", ".jpg", ".dat")]
    for path in drawn[::2]:
        path.write_bytes(path.read_bytes()[:50])
    for path in drawn[1::2]:
        path.unlink()
    assert len(drawn) > 10
    monkeypatch.setattr(TASKS[dataset][2], interrupt)  # nothing is drawn again
    build(dataset, out)
    assert contents(out) == undisturbed[dataset]


def test_only_images_that_rows_use_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: dict[str, bytes] = {}

    def spied(wnid: str, seed: int, numbers: Any) -> Iterator[tuple[str, bytes]]:
        for name, data in sample_images.draw_class(wnid, seed, numbers):
            drawn[Path(name).name] = data
            yield name, data

    monkeypatch.setattr(m3, "draw_class", spied)
    build("m3", tmp_path / "out")
    used = {
        Path(image).name
        for split in ("train", "validation", "test")
        for image in open_split(tmp_path / "out", split).read_all(["image_id"])["image_id"].to_pylist()
    }
    assert set(drawn) == used
    every = {
        Path(name).name: data
        for wnid in FEW
        for name, data in sample_images.draw_class(wnid, 0, range(sample_images.IMAGES_PER_CLASS))
    }
    assert len(drawn) < len(every)
    assert drawn == {name: every[name] for name in drawn}
