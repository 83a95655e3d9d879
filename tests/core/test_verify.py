"""Verification names every kind of damage with its file."""

import contextlib
import os
import shutil
import socket
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, Features, Image, Value
from factories import encoded, picture, relist
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image as Pillow

from symile_data.builders.m3.audio.espeak import encode_flac
from symile_data.errors import DamageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Manifest, file_entry
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.writer import shard_path, write_shard
from symile_data.format.verify import to_read, verify

SCHEMA = DatasetSchema(
    features=Features({"sample_id": Value("int64"), "x": Value("string"), "x_missing": Value("bool")}),
    modalities=(Modality(name="x", kind="text", column="x", null_columns=("x",)),),
)
FIRST, SECOND, TEST = shard_path("train", 0, 2), shard_path("train", 1, 2), shard_path("test", 0, 1)


def rows(start: int, stop: int) -> list[dict[str, Any]]:
    return [
        {"sample_id": index, "x": None if index % 3 == 0 else f"text number {index}", "x_missing": index % 3 == 0}
        for index in range(start, stop)
    ]


def shard(directory: Path, path: str, content: list[dict[str, Any]], split: str) -> manifests.FileEntry:
    batch = pa.RecordBatch.from_pylist(content, schema=SCHEMA.arrow)
    return file_entry(
        directory, directory / path, rows=write_shard(directory / path, SCHEMA, iter([batch])), split=split
    )


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("sound")
    (directory / "README.md").write_text("# A dataset\n")
    files = [
        shard(directory, FIRST, rows(0, 10), "train"),
        shard(directory, SECOND, rows(10, 20), "train"),
        shard(directory, TEST, rows(20, 25), "test"),
        file_entry(directory, directory / "README.md"),
    ]
    identity = BuildFingerprint(dataset="other", spec={"seed": 0}, sources={}, versions={})
    record = Manifest(identity=identity, modalities=SCHEMA.modalities, splits={"train": 20, "test": 5}, files=files)
    manifests.write(directory, record)
    return directory


@pytest.fixture
def dataset(sound: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    return shutil.copytree(sound, tmp_path / "dataset")


def change_manifest(directory: Path, change: Callable[[Manifest], Manifest]) -> None:
    manifests.write(directory, change(manifests.read(directory)))


def test_a_sound_dataset_has_no_problems(sound: Path) -> None:
    assert list(verify(sound)) == []


@pytest.mark.parametrize("name", [FIRST, SECOND, TEST, "README.md"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_truncated_file_is_named(dataset: Path, name: str, keep: float) -> None:
    data = (dataset / name).read_bytes()
    kept = int(len(data) * keep)
    (dataset / name).write_bytes(data[:kept])
    assert list(verify(dataset)) == [
        f"{name}: {kept:,} bytes, the manifest says {len(data):,}: it was truncated or replaced"
    ]


@pytest.mark.parametrize("name", [FIRST, SECOND, TEST, "README.md"])
@pytest.mark.parametrize("seed", range(5))
def test_a_flipped_bit_anywhere_is_named(dataset: Path, name: str, seed: int) -> None:
    data = bytearray((dataset / name).read_bytes())
    rng = np.random.default_rng(seed)
    data[rng.integers(len(data))] ^= 1 << int(rng.integers(8))
    (dataset / name).write_bytes(data)
    expected = f"{name}: its SHA-256 differs from the manifest: the contents changed after the build"
    assert list(verify(dataset)) == [expected]


@pytest.mark.parametrize("name", [FIRST, "README.md"])
def test_a_missing_file_is_named(dataset: Path, name: str) -> None:
    (dataset / name).unlink()
    assert list(verify(dataset)) == [f"{name}: missing"]


@pytest.mark.parametrize("name", ["data/train-00002-of-00003.parquet", "notes.txt", "data/.x.partial"])
def test_an_extra_file_is_named(dataset: Path, name: str) -> None:
    (dataset / name).write_text("what is this?")
    assert list(verify(dataset)) == [f"{name}: not in the manifest; remove it or build the dataset again"]


NOT_LISTED = "not in the manifest; remove it or build the dataset again"


def make_fifo(path: Path) -> None:
    os.mkfifo(path)


def make_socket(path: Path) -> None:
    with contextlib.chdir(path.parent), socket.socket(socket.AF_UNIX) as made:  # the paths of sockets are short
        made.bind(path.name)


@pytest.mark.parametrize("place", ["x", "data/x"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_fifo, "a FIFO"),
        (make_socket, "a socket"),
        (lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
        (lambda path: path.symlink_to(path.name), "a link that leads nowhere"),  # in a circle
        (lambda path: path.symlink_to("."), "a link to a directory"),
        (lambda path: path.symlink_to("/tmp"), "a link to a directory"),
        (lambda path: path.symlink_to("/dev/null"), "a link to a device"),
    ],
)
def test_what_is_no_file_is_named(dataset: Path, place: str, make: Callable[[Path], None], kind: str) -> None:
    make(dataset / place)
    assert list(verify(dataset)) == [f"{place}: {kind}, {NOT_LISTED}"]


@pytest.mark.parametrize("place", ["figures", "data/train", "a/b/c"])
def test_an_empty_directory_is_named(dataset: Path, place: str) -> None:
    (dataset / place).mkdir(parents=True)
    assert list(verify(dataset)) == [f"{place}: an empty directory, {NOT_LISTED}"]


@pytest.mark.parametrize("name", [FIRST, "README.md"])
@pytest.mark.parametrize(
    ("make", "kind"),
    [
        (make_fifo, "a FIFO"),
        (lambda path: path.mkdir(), "a directory"),
        (lambda path: path.symlink_to("nowhere"), "a link that leads nowhere"),
        (lambda path: path.symlink_to("."), "a link to a directory"),
    ],
)
def test_what_stands_in_the_place_of_a_file_is_named(
    dataset: Path, name: str, make: Callable[[Path], None], kind: str
) -> None:
    (dataset / name).unlink()
    make(dataset / name)
    assert list(verify(dataset)) == [f"{name}: {kind}, the manifest says a file"]


def test_a_link_to_a_file_of_the_dataset_is_read_as_that_file(dataset: Path) -> None:
    (dataset / "elsewhere").mkdir()
    (dataset / FIRST).rename(dataset / "elsewhere" / "x")
    (dataset / FIRST).symlink_to("../elsewhere/x")
    assert list(verify(dataset)) == [f"elsewhere/x: {NOT_LISTED}"]


def test_swapped_shards_are_both_named(dataset: Path) -> None:
    first, second = (dataset / FIRST).read_bytes(), (dataset / SECOND).read_bytes()
    (dataset / FIRST).write_bytes(second)
    (dataset / SECOND).write_bytes(first)
    assert [problem.split(":")[0] for problem in verify(dataset)] == [FIRST, SECOND]


def test_all_problems_are_named_at_once(dataset: Path) -> None:
    (dataset / FIRST).unlink()
    (dataset / TEST).write_bytes(b"PAR1")
    (dataset / "extra").touch()
    assert [problem.split(":")[0] for problem in verify(dataset)] == [FIRST, TEST, "extra"]


def test_an_edited_specification_is_refused(dataset: Path) -> None:
    path = dataset / manifests.FILE_NAME
    path.write_text(path.read_text().replace('"seed": 0', '"seed": 1'))
    with pytest.raises(DamageError, match="changed after the build"):
        list(verify(dataset))


@pytest.mark.parametrize("rows", [19, 21])
def test_an_edited_row_count_is_named(dataset: Path, rows: int) -> None:
    change_manifest(dataset, lambda manifest: replace(manifest, splits={"train": rows, "test": 5}))
    assert list(verify(dataset)) == [f"manifest.json: split train has {rows} rows but its shards have 20"]


def test_a_shard_that_the_manifest_forgets_is_named(dataset: Path) -> None:
    change_manifest(dataset, lambda manifest: replace(manifest, files=manifest.files[:1] + manifest.files[2:]))
    assert list(verify(dataset)) == [
        "manifest.json: split train has 20 rows but its shards have 10",
        f"{SECOND}: not in the manifest; remove it or build the dataset again",
    ]


def test_wrong_rows_of_a_shard_are_named(dataset: Path) -> None:
    shard(dataset, SECOND, rows(10, 19), "train")
    relist(dataset)
    assert list(verify(dataset)) == [f"{SECOND}: 9 rows, the manifest says 10"]


@pytest.mark.parametrize(
    ("row", "wrong", "clause"),
    [
        (4, {"x_missing": True}, "row 4: x is not null but x_missing is True"),
        (6, {"x_missing": False}, "row 6: x is null but x_missing is False"),
        (7, {"x": None}, "row 7: x is null but x_missing is False"),
        (2, {"x_missing": None}, "x_missing has 1 nulls; it must be True or False in every row"),
    ],
)
def test_a_mask_that_lies_is_named(dataset: Path, row: int, wrong: dict[str, Any], clause: str) -> None:
    content = rows(0, 10)
    content[row].update(wrong)
    shard(dataset, FIRST, content, "train")
    relist(dataset)
    assert list(verify(dataset)) == [f"{FIRST}: {clause}"]


def test_a_negative_id_is_named(dataset: Path) -> None:
    content = rows(0, 10)
    content[3]["sample_id"] = -3
    shard(dataset, FIRST, content, "train")
    relist(dataset)
    assert list(verify(dataset)) == [f"{FIRST}: row 3: sample_id -3 is negative"]


def test_a_file_that_is_no_parquet_is_named(dataset: Path) -> None:
    (dataset / SECOND).write_bytes(b"PAR1 but not really")
    relist(dataset)
    (problem,) = verify(dataset)
    assert problem.startswith(f"{SECOND}: a shard is truncated or no Parquet file (")


def test_another_schema_is_named(dataset: Path) -> None:
    pq.write_table(pa.table({"x": list(range(10))}), dataset / SECOND)
    relist(dataset)
    assert list(verify(dataset)) == [f"{SECOND}: its schema differs from the first shard's"]


def test_a_modality_without_its_columns_is_named(dataset: Path) -> None:
    for path, count in ((FIRST, 10), (SECOND, 10), (TEST, 5)):
        pq.write_table(pa.table({"x": list(range(count))}), dataset / path)
    relist(dataset)
    assert [problem.split(":")[0] for problem in verify(dataset)] == [FIRST, SECOND, TEST]
    assert all("no column x_missing" in problem for problem in verify(dataset))


class Alternating:
    """A dataset's own rules, as a builder would hand them in."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int]] = []
        self.disjoint_media, self.reads_media = True, False

    def check_media(self, table: pa.Table) -> Iterator[str]:
        yield from ()

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        self.seen.append((split, len(table)))
        if split == "test":
            yield "row 0: is odd"

    def finish(self) -> Iterator[str]:
        yield "the whole is odd"


def test_the_datasets_own_rules_see_every_shard(sound: Path) -> None:
    rules = Alternating()
    assert list(verify(sound, rules)) == [f"{TEST}: row 0: is odd", "the whole is odd"]
    assert rules.seen == [("train", 10), ("train", 10), ("test", 5)]


def flipped(dataset: Path, name: str, share: float, bit: int) -> bytes:
    data = bytearray((dataset / name).read_bytes())
    data[min(int(share * len(data)), len(data) - 1)] ^= 1 << bit
    return bytes(data)


def told(directory: Path) -> list[str]:
    """The files that are named, also where the manifest itself cannot be used."""
    try:
        return [problem.split(":")[0] for problem in verify(directory)]
    except DamageError as error:
        return [Path(str(error.where)).name]


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from([FIRST, SECOND, TEST, "README.md", manifests.FILE_NAME]), st.floats(0, 1), st.integers(0, 7))
def test_any_flipped_bit_of_any_file_is_named(sound: Path, tmp_path: Path, name: str, share: float, bit: int) -> None:
    damaged = tmp_path / "damaged"
    if not damaged.exists():
        shutil.copytree(sound, damaged)
    (damaged / name).write_bytes(flipped(sound, name, share, bit))
    try:
        assert told(damaged) == [name]
    finally:
        (damaged / name).write_bytes((sound / name).read_bytes())


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('"notes": []', '"notes": ["It is all fine."]'),
        ('"dropped": []', '"dropped": [{"reason": "none", "count": 1, "examples": []}]'),
        ('"command": ""', '"command": "rm"'),
        ('"symile_data": "', '"symile_data": "9'),
        ('"rows": 10,', '"rows": 11,'),
        ('"digest": "', '"digest": "0'),
    ],
)
def test_an_edit_of_any_field_of_the_manifest_is_refused(dataset: Path, old: str, new: str) -> None:
    path = dataset / manifests.FILE_NAME
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new, 1))
    with pytest.raises(DamageError, match="the manifest was changed after the build"):
        list(verify(dataset))


@pytest.mark.parametrize(
    "edit", [lambda text: text.rstrip(), lambda text: text.replace("\n", "\r\n"), lambda text: " " + text]
)
def test_blanks_of_the_manifest_count_too(dataset: Path, edit: Callable[[str], str]) -> None:
    path = dataset / manifests.FILE_NAME
    path.write_bytes(edit(path.read_text()).encode())
    assert list(verify(dataset)) == ["manifest.json: its blanks or line ends are not those that the build wrote"]


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_problems_and_their_order_do_not_depend_on_the_workers(dataset: Path, workers: int) -> None:
    for name in (SECOND, "README.md"):
        (dataset / name).write_bytes(flipped(dataset, name, 0.5, 0))
    (dataset / TEST).unlink()
    assert list(verify(dataset, Alternating(), workers=workers)) == [*verify(dataset, Alternating())]
    assert [problem.split(":")[0] for problem in verify(dataset, workers=workers)] == [SECOND, TEST, "README.md"]


def test_progress_is_told(sound: Path, capsys: pytest.CaptureFixture[str]) -> None:
    list(verify(sound))
    assert capsys.readouterr().err.splitlines()[-1].startswith("verifying: 4/4 files")


def test_a_sample_reads_some_shards_of_each_split_and_the_size_of_the_others(dataset: Path) -> None:
    manifest = manifests.read(dataset)
    assert to_read(manifest, 1) == {FIRST, TEST, "README.md"}
    assert to_read(manifest, 9) == to_read(manifest, None) == {FIRST, SECOND, TEST, "README.md"}
    (dataset / SECOND).write_bytes(flipped(dataset, SECOND, 0.5, 0))
    assert list(verify(dataset, Alternating(), sample=1)) == [f"{TEST}: row 0: is odd"]
    assert [problem.split(":")[0] for problem in verify(dataset, sample=2)] == [SECOND]
    (dataset / SECOND).write_bytes(b"")
    assert [problem.split(":")[0] for problem in verify(dataset, sample=1)] == [SECOND]


def test_a_sample_is_evenly_spaced() -> None:
    entries = [
        manifests.FileEntry(path=f"data/train-{index:05d}-of-00010.parquet", bytes=1, sha256="", rows=1, split="train")
        for index in range(10)
    ]
    identity = BuildFingerprint(dataset="other", spec={}, sources={}, versions={})
    manifest = Manifest(identity=identity, modalities=(), splits={"train": 10}, files=entries)
    assert sorted(int(path[11:16]) for path in to_read(manifest, 3)) == [0, 3, 6]


def media_dataset(directory: Path, image: bytes, audio: bytes, splits: Sequence[str] = ("train",)) -> Path:
    """In each split one row with an image and a recording."""
    schema = DatasetSchema(
        features=Features(
            {"image": Image(), "audio": Audio(16_000), "image_missing": Value("bool"), "audio_missing": Value("bool")}
        ),
        modalities=tuple(Modality(name=n, kind=n, column=n, null_columns=(n,)) for n in ("image", "audio")),
    )
    rows = [
        {"image": None, "audio": None, "image_missing": True, "audio_missing": True},
        {
            "image": {"bytes": image, "path": "x"},
            "audio": {"bytes": audio, "path": "x"},
            "image_missing": False,
            "audio_missing": False,
        },
    ]
    files = []
    for split in splits:
        path = directory / shard_path(split, 0, 1)
        count = write_shard(path, schema, iter([pa.RecordBatch.from_pylist(rows, schema=schema.arrow)]))
        files.append(file_entry(directory, path, rows=count, split=split))
    identity = BuildFingerprint(dataset="other", spec={}, sources={}, versions={})
    counts = dict.fromkeys(splits, 2)
    manifests.write(directory, Manifest(identity=identity, modalities=schema.modalities, splits=counts, files=files))
    return directory


def test_only_a_deep_look_decodes_the_media(tmp_path: Path) -> None:
    flac = encode_flac(np.sin(np.arange(800, dtype=np.float32) / 9))
    jpeg = encoded(picture())
    sound = media_dataset(tmp_path / "sound", jpeg, flac)
    assert list(verify(sound, deep=True)) == []
    broken = media_dataset(tmp_path / "broken", jpeg[: len(jpeg) // 2], flac[:30])
    assert list(verify(broken)) == []
    first, second = verify(broken, deep=True)
    name = shard_path("train", 0, 1)
    assert first.startswith(f"{name}: row 1: image does not decode (")
    assert second.startswith(f"{name}: row 1: audio does not decode (")


def test_a_deep_look_refuses_the_grey_values_that_loaders_refuse(tmp_path: Path) -> None:
    flac = encode_flac(np.sin(np.arange(800, dtype=np.float32) / 9))
    depths = encoded(Pillow.fromarray(np.array([[-3.0, 2.0]], dtype=np.float32)), "TIFF")
    (problem,) = verify(media_dataset(tmp_path / "depths", depths, flac), deep=True)
    assert "row 1: image does not decode (grey values from -3 to 2 where 0 to 255 are possible)" in problem


class Promising(Alternating):
    """Rules of a dataset that says whether its splits share media."""

    def __init__(self, disjoint_media: bool) -> None:
        super().__init__()
        self.disjoint_media, self.reads_media = disjoint_media, False

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        yield from ()

    def finish(self) -> Iterator[str]:
        yield from ()


def test_only_a_deep_look_compares_the_bytes_of_media_across_splits(tmp_path: Path) -> None:
    flac = encode_flac(np.sin(np.arange(800, dtype=np.float32) / 9))
    directory = media_dataset(tmp_path, encoded(picture()), flac, ("train", "test"))
    train, test = shard_path("train", 0, 1), shard_path("test", 0, 1)
    for rules, deep, sample in ((Promising(True), False, None), (Promising(False), True, None), (None, True, None)):
        assert list(verify(directory, rules, deep=deep, sample=sample)) == []
    assert list(verify(directory, Promising(True), deep=True, sample=1)) == []
    assert list(verify(directory, Promising(True), deep=True)) == [
        f"{test}: row 1 and {train}: row 1 have the same {column}, and 0 more occur in both test and train"
        for column in ("image", "audio")
    ]


def test_what_the_hubs_client_leaves_in_a_download_is_no_damage(dataset: Path) -> None:
    (dataset / ".gitattributes").write_text("*.parquet filter=lfs")
    (dataset / ".cache" / "huggingface" / "download").mkdir(parents=True)
    (dataset / ".cache" / "huggingface" / "download" / "x.metadata").touch()
    assert list(verify(dataset)) == []
    (dataset / ".cache" / "x").touch()
    assert list(verify(dataset)) == [".cache/x: not in the manifest; remove it or build the dataset again"]
