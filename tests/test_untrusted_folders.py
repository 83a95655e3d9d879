"""Folders of strangers: whatever lies where a file is expected, a dataset opens or one sentence says why not, at once
and in little memory.
"""

import contextlib
import json
import os
import shutil
import socket
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from datasets import Dataset, Features, Image, Value

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.features.chunks import chunk_path
from symile_data.builders.features.media import MediaIndex
from symile_data.builders.m3.images.hub import HubImages, open_hub
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import DamageError, SourceError, SymileDataError, UsageError
from symile_data.files import file_sha256, open_regular, open_text
from symile_data.format import location as locations
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.shards.writer import shard_path
from symile_data.format.typed_json import read_json, read_text
from symile_data.loaders import BatchLoader, open_split
from symile_data.loaders import discover as found


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("folders") / "xor"
    build_xor(XorSpec(rows={"train": 4, "validation": 2, "test": 2}), out, workers=1, write_card=lambda *_: [])
    return out


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    """A dataset of one's own."""
    return Path(shutil.copytree(built, tmp_path / "dataset"))


@pytest.fixture
def plain(dataset: Path) -> Path:
    """One without a manifest."""
    (dataset / manifests.FILE_NAME).unlink()
    return dataset


def write_card(directory: Path, configs: Any) -> None:
    (directory / "README.md").write_text(f"---\n{json.dumps({'configs': configs})}\n---\n", encoding="utf-8")


def shard_of(directory: Path) -> Path:
    return next((directory / "data").glob("train-*"))


def fifo(path: Path) -> None:
    os.mkfifo(path)


def sock(path: Path) -> None:
    here = Path.cwd()
    os.chdir(path.parent)  # names of sockets are short
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


SPECIAL = [fifo, sock, device]


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [*SPECIAL, Path.mkdir])
def test_what_is_no_file_is_never_read(make: Callable[[Path], None], tmp_path: Path) -> None:
    make(tmp_path / "x")
    for read in (open_regular, open_text, file_sha256, read_text, read_json):
        with pytest.raises(OSError):
            read(tmp_path / "x")
    with pytest.raises(OSError):
        Location.of(tmp_path).read("x", 0, 4)
    with pytest.raises(OSError):
        Location.of(tmp_path).read_text("x")


def test_refused_files_leave_no_descriptor(tmp_path: Path) -> None:
    fifo(tmp_path / "x")
    before = len(list(Path("/proc/self/fd").iterdir()))
    for path in (tmp_path / "x", tmp_path):
        with pytest.raises(OSError):
            open_regular(path)
    assert len(list(Path("/proc/self/fd").iterdir())) == before


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", SPECIAL)
def test_a_manifest_or_card_that_is_no_file_is_a_sentence(make: Callable[[Path], None], dataset: Path) -> None:
    manifest = dataset / manifests.FILE_NAME
    manifest.unlink()
    make(dataset / "README.md")
    with pytest.raises(DamageError, match=r"README.md"):
        open_split(dataset, "train")
    make(manifest)
    with pytest.raises(DamageError, match=r"manifest.json"):
        open_split(dataset, "train")
    with pytest.raises(DamageError, match=r"manifest"):
        manifests.read(dataset)


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", [*SPECIAL, lambda path: path.symlink_to("nowhere")])
def test_a_shard_that_is_no_file_is_not_passed_over(make: Callable[[Path], None], plain: Path) -> None:
    make(plain / "data" / "train-00001-of-00002.parquet")
    with pytest.raises(DamageError):
        open_split(plain, "train")
    assert open_split(plain, "test").rows == 2


@pytest.mark.timeout(20)
@pytest.mark.parametrize("make", SPECIAL)
def test_a_listed_shard_that_is_no_file_is_a_sentence(make: Callable[[Path], None], dataset: Path) -> None:
    shard = shard_of(dataset)
    shard.unlink()
    make(shard)
    with pytest.raises(DamageError):
        open_split(dataset, "train")


@pytest.mark.parametrize("name", [manifests.FILE_NAME, "README.md"])
def test_huge_files_are_left_at_their_limit(name: str, dataset: Path) -> None:
    (dataset / manifests.FILE_NAME).unlink()
    with (dataset / name).open("wb") as file:
        file.truncate(1 << 40)
    tracemalloc.start()
    with pytest.raises(DamageError, match="more than"):
        open_split(dataset, "train")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 160 << 20


def test_the_limit_is_exact(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"x" * 1000)
    assert len(Location.of(tmp_path).read_text("x", 1000)) == 1000
    for place in (Location.of(tmp_path), Location.of(f"file://{tmp_path}")):
        with pytest.raises(ValueError, match="more than"):
            place.read_text("x", 999)


def test_a_manifest_that_is_no_text_is_a_sentence(dataset: Path) -> None:
    (dataset / manifests.FILE_NAME).write_bytes(b"\xff\xfe")
    with pytest.raises(DamageError, match="the manifest is not readable JSON"):
        open_split(dataset, "train")


def moved(path: Path, to: Path) -> None:
    to.parent.mkdir(exist_ok=True)
    path.rename(to)
    path.symlink_to(to)


def test_without_a_manifest_links_stay_inside_too(plain: Path, tmp_path: Path) -> None:
    shard = shard_of(plain)
    moved(shard, tmp_path / "elsewhere" / "x.parquet")
    with pytest.raises(DamageError, match=rf"a link leads out of the dataset's directory \({shard}\)"):
        open_split(plain, "train")
    assert open_split(plain, "test").rows == 2
    write_card(plain, [{"data_files": "data/train-*"}])
    with pytest.raises(DamageError, match="a link leads out"):
        open_split(plain, "train")


@pytest.mark.parametrize("what", ["data", "README.md"])
def test_linked_folders_and_cards_stay_inside_too(what: str, plain: Path, tmp_path: Path) -> None:
    write_card(plain, [{"data_files": "data/train-*"}])
    moved(plain / what, tmp_path / "elsewhere" / "x")
    with pytest.raises(DamageError, match=rf"a link leads out of the dataset's directory \({plain / what}\)"):
        open_split(plain, "train")


def test_links_within_the_directory_are_followed(plain: Path) -> None:
    moved(shard_of(plain), plain / "blobs" / "x.parquet")
    assert open_split(plain, "train").rows == 4


def test_a_snapshot_of_the_hubs_cache_opens(plain: Path, tmp_path: Path) -> None:
    snapshot = tmp_path / "datasets--a--b" / "snapshots" / "0123"
    shutil.copytree(plain, snapshot)
    moved(shard_of(snapshot), tmp_path / "datasets--a--b" / "blobs" / "0f")
    assert open_split(snapshot, "train").rows == 4


def test_two_patterns_of_one_shard_read_it_once(plain: Path) -> None:
    write_card(plain, [{"data_files": ["data/train-*", "data/*-00000-of-00001.parquet", "data/train-*"]}])
    names = [shard.name for shard in open_split(plain, "train").shards]
    assert len(names) == len(set(names)) == 3


@pytest.mark.timeout(20)
def test_patterns_through_folders_without_end_are_left(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "_MOST_FOLDERS", 500)
    for name in "abcdefgh":
        (plain / name).symlink_to(".")
    write_card(plain, [{"data_files": "*/" * 30 + "x.parquet"}])
    with pytest.raises(DamageError, match="through more than 500 folders"):
        open_split(plain, "train")


def test_too_many_patterns_are_refused(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(found, "_MOST_WILDCARDS", 3)
    write_card(plain, [{"data_files": ["data/train-*", "data/x*", "data/y?", "data/plain", "data/plainer"]}])
    assert open_split(plain, "train").rows == 4
    write_card(plain, [{"data_files": ["data/train-*", "data/x*", "data/y?", "data/[z]"]}])
    with pytest.raises(DamageError, match="more than 3 patterns"):
        open_split(plain, "train")


def test_a_folder_of_too_many_entries_is_refused(plain: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    count = len(list((plain / "data").iterdir()))
    monkeypatch.setattr(locations, "MOST_ENTRIES", count)
    assert open_split(plain, "train").rows == 4
    monkeypatch.setattr(locations, "MOST_ENTRIES", count - 1)
    with pytest.raises(DamageError, match=f"a folder of more than {count - 1} entries"):
        open_split(plain, "train")


BOMB = "a: &a [x, x]\nb: &b [*a, *a]\nconfigs:\n- config_name: *b\n  data_files: data/*\n"


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        (BOMB, "has an alias"),
        ("a: " + "[" * 3000 + "\n", "nested deeper"),
        ("configs:\n- config_name: default\n  data_files:\n  - split: train\n    path: null\n", "neither a path"),
        ("configs:\n- data_files:\n  - split: train\n    path: data/*\n  - other\n", "does not say split and path"),
    ],
)
def test_hostile_front_matter_is_a_sentence(front: str, reason: str, plain: Path) -> None:
    (plain / "README.md").write_text(f"---\n{front}---\n", encoding="utf-8")
    with pytest.raises(DamageError, match=rf"README.md cannot be read .*{reason}.* Mend or remove README.md"):
        open_split(plain, "train")


@pytest.mark.parametrize("front", ["a: 2020-99-99\n", f"a: {'9' * 6000}\n", "a: 1e999\n", "a: !!binary x\n"])
def test_values_that_are_of_no_use_here_do_not_matter(front: str, plain: Path) -> None:
    (plain / "README.md").write_text(f"---\n{front}---\n", encoding="utf-8")
    assert open_split(plain, "train").rows == 4


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """A folder in the Hub's form whose card a test writes."""
    folder = tmp_path / "pictures"
    (folder / "data").mkdir(parents=True)
    table = Dataset.from_list([{"image": {"bytes": b"x", "path": None}, "label": "n01440764"}])
    table.to_parquet(folder / "data" / "train-00000-of-00001.parquet")
    return folder


OUTSIDE = ["/etc/*.parquet", "../x/*", "data/../../x", "https://127.0.0.1/x.parquet", "hf://datasets/a/b/x", "~/x"]
OUTSIDE += ["zip://x::y", "file:///etc/passwd", "..\\x"]


@pytest.mark.parametrize("pattern", OUTSIDE)
@pytest.mark.parametrize("key", ["data_files", "data_dir"])
def test_images_are_not_taken_from_elsewhere(pattern: str, key: str, pictures: Path) -> None:
    write_card(pictures, [{"config_name": "default", key: pattern}])
    with pytest.raises(SourceError, match=r"card cannot be trusted .*outside the dataset"):
        open_hub(HubImages(str(pictures)))


def test_images_with_a_hostile_card_are_refused(pictures: Path) -> None:
    (pictures / "README.md").write_text(f"---\n{BOMB}---\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"card cannot be trusted .*has an alias"):
        open_hub(HubImages(str(pictures)))
    (pictures / "README.md").unlink()
    fifo(pictures / "README.md")
    with pytest.raises(SourceError, match="regular file"):
        open_hub(HubImages(str(pictures)))


def test_a_script_in_a_folder_of_images_does_not_run(pictures: Path) -> None:
    for name in ("pictures.py", "evil.py", "dataset_infos.py"):
        (pictures / name).write_text(f"open({str(pictures / 'ran')!r}, 'w')\n", encoding="utf-8")
    with contextlib.suppress(SymileDataError):
        open_hub(HubImages(str(pictures)))
    assert not (pictures / "ran").exists()


def test_names_of_modalities_and_splits_choose_no_place(tmp_path: Path) -> None:
    name = "../../outside"
    schema = own_schema(Features({name: Image(), "note": Value("string")}), {name: "image", "note": "text"})
    rows = [{name: np.full((2, 2), number, dtype=np.uint8), "note": "a"} for number in range(4)]
    work = tmp_path / "folder" / "work"
    write_dataset(work / "dataset", name="mine", schema=schema, splits={"train": rows}, spec={})
    loader = BatchLoader(open_split(work / "dataset", "train"), 4, cache=work / "cache", shuffle=False)
    assert next(iter(loader))[name][:, 0, 0, 0].tolist() == [0, 1, 2, 3]
    assert [path.name for path in (tmp_path / "folder").iterdir()] == ["work"]
    assert len(list((work / "cache").iterdir())) == 1 and [path.name for path in tmp_path.iterdir()] == ["folder"]
    MediaIndex(np.zeros(1, dtype=np.int64), np.zeros(1, dtype=np.int64)).write(work / "internal", name)
    assert len(list((work / "internal" / "media").iterdir())) == 2
    assert ".." not in Path(chunk_path(name, 0)).parts and chunk_path("image", 0) == ".build/features/image-00000.npy"
    with pytest.raises(UsageError, match=r"a split's name is letters, digits and _; got '\.\./\.\./outside'"):
        shard_path(name, 0, 1)
