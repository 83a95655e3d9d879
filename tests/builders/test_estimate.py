"""Estimates: the arithmetic, and what they say of every kind of source beside what a build really writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow.parquet as pq
import pytest
from factories import WNIDS, encoded, imagenet_tree, picture, spec
from hub_stand_in import hub
from hypothesis import given
from hypothesis import strategies as st
from release_files import csv_row, translations, write_plan, write_sources
from test_hub_images import PICTURES, repository

from symile_data.builders.m3 import build as builds
from symile_data.builders.m3 import deduplicated as pooled
from symile_data.builders.m3 import sources
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.estimate import estimate as estimates
from symile_data.builders.m3.estimate.cost import Estimate, StageCost, expected_used
from symile_data.builders.m3.estimate.estimate import estimate_m3
from symile_data.builders.m3.images.hub import HubImages
from symile_data.builders.m3.images.sample import sample_classes
from symile_data.builders.m3.spec import M3Spec
from symile_data.errors import SourceError
from symile_data.files import pretty_json
from symile_data.reliability import Reliability

ROWS = {"train": 40, "validation": 6, "test": 6}
FEW = dict(list(sample_classes().items())[:3])


def estimate(**changes: Any) -> Estimate:
    stages = (
        StageCost(stage="images", units=10, cpu_seconds_each=0.5, working_bytes_each=100.0),
        StageCost(stage="shards", units=1000, cpu_seconds_each=0.01, bytes_each=2.5),
    )
    settings: dict[str, Any] = {
        "rows": {"train": 1000}, "stages": stages, "files": 1, "workers": 3, "memory_bytes": 7, "free_bytes": 3500,
    }  # fmt: skip
    return Estimate(**(settings | changes))


def test_totals_are_units_times_what_one_takes() -> None:
    found = estimate()
    assert (found.dataset_bytes, found.working_bytes) == (2500, 1000)
    assert found.cpu_seconds == pytest.approx(15)
    assert found.seconds == pytest.approx(5)
    assert found.fits
    assert not estimate(free_bytes=3499).fits


def test_machines_get_the_parts_and_the_totals() -> None:
    found = json.loads(json.dumps(estimate(notes=("a note",)).to_json()))
    assert found["stages"][1] == {
        "stage": "shards", "units": 1000, "cpu_seconds_each": 0.01, "bytes_each": 2.5, "working_bytes_each": 0.0,
    }  # fmt: skip
    assert {name: found[name] for name in ("rows", "files", "workers", "fits", "dataset_bytes", "notes")} == {
        "rows": {"train": 1000}, "files": 1, "workers": 3, "fits": True, "dataset_bytes": 2500, "notes": ["a note"],
    }  # fmt: skip


def test_expected_media_are_the_mean_of_real_draws() -> None:
    sizes, rows = [1, 3, 8, 30], 25
    rng = np.random.default_rng(0)
    met = []
    for _ in range(2000):
        kinds = rng.integers(len(sizes), size=rows)
        met.append(len(set(zip(kinds.tolist(), rng.integers(np.array(sizes)[kinds]).tolist(), strict=True))))
    assert expected_used(sizes, rows) == pytest.approx(np.mean(met), abs=0.6)


@given(st.lists(st.integers(1, 5000), min_size=1, max_size=20), st.integers(0, 10**7), st.integers(0, 10**6))
def test_expected_media_are_no_more_than_there_are_or_are_drawn(sizes: list[int], rows: int, more: int) -> None:
    found = expected_used(sizes, rows)
    assert 0 <= found <= min(sum(sizes), rows)
    assert found >= min(rows, 1)
    assert expected_used(sizes, rows + more) >= found
    assert expected_used(sizes, 10**12) == sum(sizes)


class Built:
    """What lay where when a build had written everything but its card."""

    def __init__(self, asked: M3Spec, out: Path) -> None:
        build_m3(asked, out, workers=1, write_card=self._measure)

    def _measure(self, out: Path, *_: object) -> list[Path]:
        sizes = {path.relative_to(out): path.stat().st_size for path in out.rglob("*") if path.is_file()}
        self.data = {
            # Without the footer and its 1000 class names: it counts only where files are as small as here.
            path: size - pq.read_metadata(out / path).serialized_size
            for path, size in sizes.items()
            if path.parts[0] != ".build"
        }
        media = ("images", "clips", "sample", "imagenet", "hub")  # what grows with the dataset
        self.working = sum(size for path, size in sizes.items() if path.parts[0] == ".build" and path.parts[1] in media)
        return []


def stages(found: Estimate) -> Mapping[str, StageCost]:
    return {stage.stage: stage for stage in found.stages}


def check(asked: M3Spec, out: Path) -> Estimate:
    """Compare an estimate with the build."""
    found = estimate_m3(asked, out, workers=1)
    assert not out.exists()
    built = Built(asked, out)
    assert found.files == len(built.data)
    assert found.dataset_bytes == pytest.approx(sum(built.data.values()), rel=0.3)
    assert found.working_bytes == pytest.approx(built.working, rel=0.1, abs=20_000)
    return found


@pytest.mark.parametrize("split_policy", ["disjoint", "shared"])
@pytest.mark.parametrize("layout", ["shards", "pooled"])
def test_a_folder_of_images(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, split_policy: str
) -> None:
    for module in (builds, estimates):
        monkeypatch.setattr(module, "ROWS_PER_SHARD", 9)
    for module in (pooled, estimates):
        monkeypatch.setattr(module, "MEDIA_PER_FILE", 20)
    found = check(spec(tree, rows=ROWS, layout=layout, split_policy=split_policy), tmp_path / "out")
    assert found.rows == ROWS
    assert found.notes == ()
    names = ["pairs", "tables of images", "tables of audio"] if layout == "pooled" else ["shards"]
    assert list(stages(found)) == ["images", "audio", *names]
    assert stages(found)[names[0]].units == 52


def test_donors_and_noise_are_counted(tree: Path, tmp_path: Path) -> None:
    settings = Reliability(misaligned={"image": 0.5, "text": 0.5}, noisy={"image": 0.5, "audio": 0.5})
    found = estimate_m3(spec(tree, rows=ROWS, reliability=settings), tmp_path / "out", workers=1)
    named = stages(found)
    assert list(named)[-3:] == ["donors", "noise of image", "noise of audio"]
    clean = sum(rows for split, rows in ROWS.items() if split != "test")
    assert named["donors"].units == clean
    assert named["noise of image"].units == round(clean / 2)
    assert all(named[name].cpu_seconds_each > 0 for name in list(named)[-3:])
    built = Built(spec(tree, rows=ROWS, reliability=settings), tmp_path / "out")
    assert found.dataset_bytes == pytest.approx(sum(built.data.values()), rel=0.3)


@pytest.mark.parametrize("missing_test", [False, True])
def test_missing_values_take_no_space(tree: Path, tmp_path: Path, missing_test: bool) -> None:
    gaps = spec(tree, rows=ROWS, missing={"image": 0.9, "audio": 0.8}, missing_test=missing_test)
    found, saved = [], []
    for number, settings in enumerate((spec(tree, rows=ROWS), gaps)):
        found.append(estimate_m3(settings, tmp_path / "out", workers=1))
        saved.append(sum(Built(settings, tmp_path / f"{number}").data.values()))
    assert found[0].dataset_bytes - found[1].dataset_bytes == pytest.approx(saved[0] - saved[1], rel=0.15)
    assert found[0].working_bytes == found[1].working_bytes


def test_a_tar_is_measured_as_a_tar(tree: Path, tmp_path: Path) -> None:
    """Each member begins at a multiple of 512 bytes and has a header, which Parquet has not."""
    parquet, tar = (
        estimate_m3(spec(tree, rows=ROWS, shard_format=form), tmp_path, workers=1).dataset_bytes
        for form in ("parquet", "webdataset")
    )
    assert tar > parquet + 512 * 5 * 52


def test_images_that_are_shrunk_are_kept_as_copies(tmp_path: Path) -> None:
    large = {f"{wnid}/{wnid}_{n}.JPEG": encoded(picture(n, 160, 120)) for wnid in WNIDS for n in range(9)}
    tree = imagenet_tree(tmp_path / "tree", pictures=0, odd=False, extra=large)
    found = check(spec(tree, rows=ROWS, image_size=64), tmp_path / "out")
    assert stages(found)["images"].working_bytes_each > 500


def test_images_that_are_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (estimates, sources):
        monkeypatch.setattr(module, "sample_classes", lambda: FEW)
    found = check(spec(None, rows=ROWS), tmp_path / "out")  # they are drawn
    assert 0 < stages(found)["drawing"].units == stages(found)["images"].units < 3 * 64


@pytest.fixture
def plan(tmp_path: Path) -> M3Spec:
    """A published plan with its sources."""
    numbers = {"train": range(130), "val": range(1000, 1009), "test": range(2000, 2007)}
    write_plan(tmp_path / "csv", {split: [csv_row(number) for number in some] for split, some in numbers.items()})
    (tmp_path / "translations.json").write_text(pretty_json(translations()), encoding="utf-8")
    images, recordings = write_sources(tmp_path)
    return M3Spec(
        languages=("el", "en"),
        words=2,
        plan=tmp_path / "csv",
        images=images,
        audio="common-voice",
        recordings=recordings,
        names=tmp_path / "translations.json",
    )


@pytest.mark.parametrize("layout", ["shards", "pooled"])
def test_a_published_plan(plan: M3Spec, tmp_path: Path, layout: Literal["shards", "pooled"]) -> None:
    found = check(replace(plan, layout=layout), tmp_path / "out")
    assert found.rows == {"train": 130, "validation": 9, "test": 7}
    assert (stages(found)["images"].units, stages(found)["audio"].units) == (10, 6)


def test_one_table_of_a_published_plan(plan: M3Spec, tmp_path: Path) -> None:
    assert plan.plan is not None
    found = check(replace(plan, plan=plan.plan / "train.csv"), tmp_path / "out")
    assert found.rows == {"train": 130}


def test_a_recording_that_cannot_be_read_is_passed_over(plan: M3Spec, tmp_path: Path) -> None:
    assert plan.recordings is not None
    first, *others = sorted(plan.recordings.rglob("*.mp3"))
    first.write_bytes(b"no mp3")
    assert stages(estimate_m3(plan, tmp_path / "out", workers=1))["audio"].units == 6
    for path in others:
        path.write_bytes(b"no mp3")
    with pytest.raises(SourceError, match=r"none of the sampled recordings can be used; got common_voice_el_0"):
        estimate_m3(plan, tmp_path / "out", workers=1)


def counted(folder: Path) -> Path:
    """A repository whose card says how many rows it has."""
    names = "\n".join(f"          '{number}': {wnid}" for number, wnid in enumerate(WNIDS))
    (folder / "README.md").write_text(
        f"""---
dataset_info:
  features:
  - name: image
    dtype: image
  - name: label
    dtype:
      class_label:
        names:
{names}
  splits:
  - name: train
    num_bytes: 0
    num_examples: {PICTURES}
---
"""
    )
    return folder


def test_a_repository_in_a_folder(tmp_path: Path) -> None:
    repo = counted(repository(tmp_path / "pictures"))
    found = check(spec(HubImages(str(repo)), rows=ROWS), tmp_path / "out")
    assert stages(found)["streaming"].units == PICTURES
    assert found.notes == ()


def test_a_repository_that_does_not_say_its_size_is_noted(tmp_path: Path) -> None:
    repo = repository(tmp_path / "pictures")
    found = estimate_m3(spec(HubImages(str(repo)), rows=ROWS), tmp_path / "out", workers=1)
    assert stages(found)["streaming"].units == 0
    assert stages(found)["images"].units <= 3 * len(WNIDS)
    assert found.notes == (
        "the repository does not say how many images it has: 3 of each class are counted, and no room for their "
        "download",
    )


def test_rows_of_a_repository_without_an_image_are_passed_over(tmp_path: Path) -> None:
    repo = counted(repository(tmp_path / "pictures"))
    (shard,) = (repo / "data").iterdir()
    table = pq.read_table(shard)
    absent = table.slice(0, 3).to_pylist()
    absent[0]["image"] = None
    absent[1]["image"] = {"bytes": None, "path": str(tmp_path / "elsewhere.JPEG")}  # not of the repository
    absent[2]["image"] = {"bytes": b"no picture", "path": None}
    (tmp_path / "elsewhere.JPEG").write_bytes(b"private")
    asked = spec(HubImages(str(repo)), rows=ROWS)
    pq.write_table(type(table).from_pylist(absent + table.slice(3).to_pylist(), schema=table.schema), shard)
    assert stages(estimate_m3(asked, tmp_path / "out", workers=1))["images"].units > 10
    pq.write_table(type(table).from_pylist(absent, schema=table.schema), shard)
    with pytest.raises(SourceError, match=r"none of the sampled images can be read \(.*pictures\)"):
        estimate_m3(asked, tmp_path / "out", workers=1)


# A fork for each command: the modules are loaded once, and no command sees what another one has read.
COMMANDS = """
import json, os, sys
import datasets, huggingface_hub, numpy, pyarrow.parquet, soundfile, soxr
import symile_data.builders.m3.estimate.estimate
from symile_data.cli import main

for line in sys.stdin:
    words, out, err = json.loads(line)
    child = os.fork()
    if not child:
        os.dup2(os.open(out, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(os.open(err, os.O_WRONLY | os.O_CREAT), 2)
        sys.argv[1:] = words
        main()
        sys.exit()
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""


def test_a_repository_of_the_hub(tmp_path: Path) -> None:
    """The command line, in a process that knows no other hub than the stand-in."""
    repo = counted(repository(tmp_path / "pictures"))
    out = tmp_path / "out"
    words = ["plan", "m3", "--out", str(out), "--images", "hf:owner/pictures@main"]
    words += ["--langs", "2", "--train", "40", "--workers", "1"]
    with hub() as there:
        there.files["owner/pictures"] = {
            path.relative_to(repo).as_posix(): path.read_bytes() for path in repo.rglob("*") if path.is_file()
        }
        environment = {
            **os.environ, "HF_ENDPOINT": there.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
            "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "HF_HUB_DISABLE_TELEMETRY": "1",
        }  # fmt: skip
        with subprocess.Popen(
            [sys.executable, "-c", COMMANDS],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            requests, codes = process.stdin, process.stdout
            assert requests is not None
            assert codes is not None

            def plan(name: str, *more: str) -> tuple[int, str, str]:
                said, error = tmp_path / f"{name}.out", tmp_path / f"{name}.err"
                print(json.dumps([[*words, *more], str(said), str(error)]), file=requests, flush=True)
                code = int(codes.readline())
                return code, said.read_text(encoding="utf-8"), error.read_text(encoding="utf-8")

            code, said, error = plan("sound", "--validation", "6", "--test", "6", "--json")
            del there.files["owner/pictures"]["data/train-00000-of-00001.parquet"]
            broken = plan("broken")
            there.files["owner/pictures"]["README.md"] = b"---\na: &a [x]\nb: *a\n---\n"
            hostile = plan("hostile")
            requests.close()
    assert hostile[0] == 1 and "the dataset's card cannot be trusted (hf://datasets/owner/" in hostile[2]
    assert code == 0, error
    found = json.loads(said)
    assert found["rows"] == ROWS
    units = {stage["stage"]: stage["units"] for stage in found["stages"]}
    assert units["streaming"] == PICTURES
    local = estimate_m3(spec(HubImages(str(repo)), rows=ROWS), out, workers=1)
    assert units == {stage.stage: stage.units for stage in local.stages}
    assert found["working_bytes"] == local.working_bytes
    assert broken[0] == 1
    assert broken[2].startswith("symile-data: cannot read the images from the hub (owner/pictures); got ")
    assert not out.exists()
