"""Builds with --format webdataset: the rows of the Parquet build, opened by the two libraries as they are."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
import webdataset
from datasets import Features, Image, List, Value, load_dataset
from factories import build, contents, problems, relist
from PIL import Image as Pillow
from tar_files import reindex
from typer.testing import CliRunner

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.m3 import build as builds
from symile_data.builders.m3.rows.shard import make_shard
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.cli import app
from symile_data.errors import OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.manifest import BuildFingerprint, Manifest, file_entry
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards import open_shard
from symile_data.format.shards.writer import shard_path, write_shard

pytestmark = pytest.mark.usefixtures("no_figures")

MISSING: dict[str, Any] = {"missing": {"image": 0.3, "audio": 0.3, "text": 0.3}}
TRAIN = "data/train-00000-of-00001"


@pytest.fixture(scope="module")
def tars(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A documented build of twenty rows; not to be changed."""
    out = tmp_path_factory.mktemp("tars") / "m3"
    build(tree, out, write_card=write_card, shard_format="webdataset", **MISSING)
    return out


@pytest.fixture(scope="module")
def parquet(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same rows as Parquet."""
    out = tmp_path_factory.mktemp("parquet") / "m3"
    build(tree, out, write_card=write_card, **MISSING)
    return out


def rows_of(directory: Path, split: str) -> list[dict[str, Any]]:
    """Rows without the names of media files, which a tar does not keep."""
    shards = [open_shard(Location.of(directory), entry.path) for entry in manifests.read(directory).shards(split)]
    rows = [row for shard in shards for row in shard.read_all(shard.schema.names).to_pylist()]
    for row in rows:
        for column in ("image", "audio"):
            row[column] = row[column] and row[column]["bytes"]
    return rows


def test_both_formats_hold_the_same_rows(tars: Path, parquet: Path) -> None:
    for split in ("train", "validation", "test"):
        assert rows_of(tars, split) == rows_of(parquet, split)
    absent = [row for row in rows_of(tars, "train") if row["image"] is None]
    assert absent and all(row["image_missing"] and row["image_id"] is None for row in absent)


def test_it_verifies_and_its_statistics_are_the_same(tars: Path, parquet: Path) -> None:
    import json

    assert problems(tars) == []
    one, two = (json.loads((place / "stats.json").read_text(encoding="utf-8")) for place in (tars, parquet))
    for part in ("rows", "missing", "categories", "identifiers", "words", "media", "samples"):
        assert one[part] == two[part]


@pytest.mark.usefixtures("shared_workers")
def test_the_bytes_do_not_depend_on_workers_or_interruptions(
    tree: Path, tars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original, made = make_shard, list[Any]()

    def make(job: Any, path: Path) -> dict[str, Any]:
        if len(made) == 1:
            raise KeyboardInterrupt
        made.append(path)
        return original(job, path)

    with monkeypatch.context() as patch:
        patch.setattr(builds, "make_shard", make)
        with pytest.raises(KeyboardInterrupt):
            build(tree, tmp_path / "out", write_card=write_card, shard_format="webdataset", **MISSING)
    assert [path.suffix for path in (tmp_path / "out" / "data").iterdir()] == [".tar"]
    build(tree, tmp_path / "out", workers=2, write_card=write_card, shard_format="webdataset", **MISSING)
    assert contents(tmp_path / "out") == contents(tars)


def test_a_directory_belongs_to_one_format(tree: Path, tars: Path) -> None:
    with pytest.raises(OutputError, match=r"spec.format: 'parquet', not 'webdataset'"):
        build(tree, tars, **MISSING)


def test_datasets_opens_it_with_types_and_gaps(tars: Path, parquet: Path, tmp_path: Path) -> None:
    opened = load_dataset(str(tars), cache_dir=str(tmp_path))
    assert {split: len(part) for split, part in opened.items()} == {"train": 12, "validation": 4, "test": 4}
    assert opened["train"].features["json"]["cls_id"].num_classes == 1000
    for split in opened:
        expected = rows_of(parquet, split)
        for row, want in zip(opened[split].with_format(None), expected, strict=True):
            check_row(row, want)


def check_row(row: dict[str, Any], want: dict[str, Any]) -> None:
    fields = {name: want[name] for name in row["json"]}
    assert row["json"] == fields
    assert row["txt"] == want["text"]
    assert row["flac"] == want["audio"]
    assert (row["jpg"] is None) == want["image_missing"]
    if row["jpg"] is not None:
        assert np.array_equal(np.asarray(row["jpg"]), np.asarray(Pillow.open(io.BytesIO(want["image"]))))


def test_datasets_streams_it(tars: Path, parquet: Path) -> None:
    stream = load_dataset(str(tars), split="train", streaming=True)
    for row, want in zip(stream, rows_of(parquet, "train"), strict=True):
        check_row(row, want)
        assert row["__key__"] == f"{want['sample_id']:09d}"


def test_webdataset_opens_it(tars: Path, parquet: Path) -> None:
    url = str(tars / f"{TRAIN}.tar")
    samples = webdataset.WebDataset(url, shardshuffle=False).decode(
        "pil", webdataset.handle_extension("flac", lambda data: soundfile.read(io.BytesIO(data), dtype="float32"))
    )
    seen = 0
    for sample, want in zip(samples, rows_of(parquet, "train"), strict=True):
        assert sample["json"] == {name: want[name] for name in sample["json"]}
        assert ("jpg" in sample, "flac" in sample, "txt" in sample) == (
            not want["image_missing"],
            not want["audio_missing"],
            not want["text_missing"],
        )
        if "flac" in sample:
            assert sample["flac"][1] == 16_000 and len(sample["flac"][0]) > 1000
        if "jpg" in sample:
            assert sample["jpg"].mode == "RGB"
        seen += 1
    assert seen == 12


@pytest.fixture
def copied(tars: Path, tmp_path: Path) -> Path:
    """A copy to damage."""
    import shutil

    return shutil.copytree(tars, tmp_path / "copy")


def damaged(directory: Path, old: bytes, new: bytes) -> list[str]:
    """Problems after a change of the training shard that the manifest does not give away."""
    path = directory / f"{TRAIN}.tar"
    data = path.read_bytes()
    assert len(old) == len(new) and old in data
    path.write_bytes(data.replace(old, new, 1))
    found = problems(directory)
    assert any("SHA-256" in problem for problem in found)
    reindex(path)
    relist(directory)
    return problems(directory)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (b'"image_missing":true', b'"image_missing":null', "image_missing has 1 nulls"),
        (b'"image_missing":false', b'"image_missing":true ', "image is not null but image_missing is True"),
        (b'"sample_id":1,', b'"sample_id":2,', "sample_id 2 occurs twice"),
        (b'"words":[{"text":"', b'"words":[{"text":1', "the .json member of a row cannot be read"),
        (b"000000003.json", b"000000002.json", "row 3: the archive's headers end before it"),
    ],
)
def test_verify_finds_what_is_wrong_in_a_tar(copied: Path, old: bytes, new: bytes, words: str) -> None:
    found = damaged(copied, old, new)
    assert any(problem.startswith(f"{TRAIN}.tar: ") and words in problem for problem in found), found


def test_verify_finds_a_tar_that_was_cut_or_is_gone(copied: Path) -> None:
    path = copied / f"{TRAIN}.tar"
    data = path.read_bytes()
    path.write_bytes(data[:-1000])
    assert any(re.match(rf"{TRAIN}.tar: [\d,]+ bytes, the manifest says", problem) for problem in problems(copied))
    relist(copied)
    assert any("a shard is truncated or no tar shard" in problem for problem in problems(copied))
    path.write_bytes(data)
    relist(copied)
    path.unlink()
    assert f"{TRAIN}.tar: missing" in problems(copied)


def test_xor_in_tars(tmp_path: Path) -> None:
    spec = XorSpec(rows={"train": 30, "validation": 5, "test": 5}, missing={"a": 0.4}, shard_format="webdataset")
    for name in ("1", "2"):
        build_xor(spec, tmp_path / name, workers=1, write_card=write_card)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
    assert problems(tmp_path / "1") == []
    build_xor(replace(spec, shard_format="parquet"), tmp_path / "3", workers=1, write_card=no_card)
    opened = load_dataset(str(tmp_path / "1"), cache_dir=str(tmp_path / "cache"), split="train")
    expected = open_shard(Location.of(tmp_path / "3"), f"{TRAIN}.parquet").read_all(["a", "b", "a_missing"])
    assert opened["a.npy"] == expected["a"].to_pylist() and opened["b.npy"] == expected["b"].to_pylist()
    assert None in opened["a.npy"]
    assert [row["a_missing"] for row in opened["json"]] == expected["a_missing"].to_pylist()


CLINICAL = DatasetSchema(
    features=Features(
        {
            "sample_id": Value("int64"),
            "cxr": Image(),
            "ecg": List(Value("int16"), length=600),
            "labs": List(Value("float32"), length=4),
            "labs_missing": List(Value("bool"), length=4),
            **{name: Value("bool") for name in ("cxr_missing", "ecg_missing", "labs_all_missing")},
            "candidates": List(Value("int64")),
        }
    ),
    modalities=(
        Modality(name="cxr", kind="image", column="cxr", null_columns=("cxr",), suffix="png"),
        Modality(name="ecg", kind="ecg", column="ecg", null_columns=("ecg",)),
        Modality(name="labs", kind="labs", column="labs", null_columns=("labs",), mask="labs_all_missing"),
    ),
)


def clinical_rows() -> Iterator[dict[str, Any]]:
    """A row with everything, and rows that lack one modality each."""
    buffer = io.BytesIO()
    Pillow.new("L", (9, 7), 80).save(buffer, "PNG")
    for index, lacks in enumerate(("", "cxr", "ecg", "labs")):
        yield {
            "sample_id": index,
            "cxr": None if lacks == "cxr" else {"bytes": buffer.getvalue(), "path": None},
            "ecg": None if lacks == "ecg" else list(range(-300, 300)),
            "labs": None if lacks == "labs" else [1.5, None, 3.0, None],
            "labs_missing": [False, True, False, True],
            "cxr_missing": lacks == "cxr",
            "ecg_missing": lacks == "ecg",
            "labs_all_missing": lacks == "labs",
            "candidates": None if index else [0, 3],
        }


def test_signals_and_tables_of_numbers_in_tars(tmp_path: Path) -> None:
    path = tmp_path / shard_path("train", 0, 1, "webdataset")
    batch = pa.RecordBatch.from_pylist(list(clinical_rows()), schema=CLINICAL.arrow)
    write_shard(path, CLINICAL, iter([batch]))
    manifest = Manifest(
        identity=BuildFingerprint(dataset="clinical", spec={}, sources={}, versions={}),
        modalities=CLINICAL.modalities,
        splits={"train": 4},
        files=[file_entry(tmp_path, path, rows=4, split="train")],
    )
    documents = [file_entry(tmp_path, path) for path in write_card(tmp_path, manifest, CLINICAL)]
    manifests.write(tmp_path, replace(manifest, files=[*manifest.files, *documents]))
    assert problems(tmp_path) == []
    opened = load_dataset(str(tmp_path), cache_dir=str(tmp_path.parent / "cache"), split="train")
    streamed = load_dataset(str(tmp_path), split="train", streaming=True)
    for rows in (opened, streamed):
        for row, want in zip(rows, clinical_rows(), strict=True):
            assert (row["png"] is None) == want["cxr_missing"] and (row["png"] is None or row["png"].mode == "L")
            assert row["ecg.npy"] == want["ecg"]
            if want["labs"] is None:
                assert row["labs.npy"] is None
            else:  # NaN where a number is null
                np.testing.assert_array_equal(row["labs.npy"], np.array(want["labs"], dtype=np.float32))
            assert row["json"]["labs_missing"] == want["labs_missing"]
            assert row["json"]["candidates"] == want["candidates"]


def test_an_unknown_format_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown `shard_format`; got 'zip'. Choose parquet or webdataset"):
        XorSpec(shard_format="zip")
    result = CliRunner().invoke(app, ["build", "xor", "--out", "x", "--format", "zip"])
    assert result.exit_code != 0


def test_the_command_line_takes_it(tmp_path: Path) -> None:
    words = ["--train", "6", "--validation", "2", "--test", "2", "--format", "webdataset"]
    result = CliRunner().invoke(app, ["build", "xor", "--out", str(tmp_path / "x"), *words])
    assert result.exit_code == 0
    assert sorted(path.name for path in (tmp_path / "x" / "data").iterdir()) == [
        f"{split}-00000-of-00001.tar" for split in ("test", "train", "validation")
    ]
    assert manifests.read(tmp_path / "x").identity.spec["format"] == "webdataset"


def test_mimic_in_tars_holds_the_rows_of_parquet(tmp_path: Path) -> None:
    for shard_format in ("parquet", "webdataset"):
        sample = MimicSpec(patients=32, candidates=2, allow_missing=True, shard_format=shard_format)
        build_mimic(sample, tmp_path / shard_format, workers=1, write_card=write_card)
    assert problems(tmp_path / "webdataset") == []
    for split in ("train", "validation", "test"):
        tables = []
        for shard_format in ("parquet", "webdataset"):
            entries = manifests.read(tmp_path / shard_format).shards(split)
            shards = [open_shard(Location.of(tmp_path / shard_format), entry.path) for entry in entries]
            columns = [name for name in shards[0].schema.names if name != "cxr"]
            tables.append(pa.concat_tables(shard.read_all(columns) for shard in shards).to_pylist())
            pictures = pa.concat_tables(shard.read_all(["cxr"]) for shard in shards)["cxr"].to_pylist()
            tables.append([picture and picture["bytes"] for picture in pictures])
        assert tables[:2] == tables[2:]
    opened = load_dataset(str(tmp_path / "webdataset"), split="train", streaming=True)
    row = next(row for row in list(opened) if row["png"] is not None and row["ecg.npy"] is not None)
    assert row["png"].mode == "L" and len(row["ecg.npy"]) == 60_000
