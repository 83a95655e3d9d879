"""The pipeline of the webdataset library over our tars: its batches are those of `BatchLoader`."""

from __future__ import annotations

import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
import torch
import webdataset
from range_server import serving
from small_datasets import write_m3, write_vectors

from symile_data.errors import DamageError, MissingPackageError, UsageError
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, open_split
from symile_data.loaders.webdataset import pipeline

ROWS = 30
SETTINGS = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}
COLUMNS = ["lang", "words", "image_id", "image_missing"]


def lacking(row: int) -> tuple[str, ...]:
    return ("audio",) if row % 4 == 1 else ("image", "text") if row % 7 == 3 else ()


@pytest.fixture(scope="module")
def tars(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_m3(tmp_path_factory.mktemp("m3"), ROWS, shards=3, missing=lacking, shard_format="webdataset")


def rows_of(batches: Any) -> dict[int, dict[str, Any]]:
    """The entries of each row, by its id."""
    found: dict[int, dict[str, Any]] = {}
    for batch in batches:
        for place, sample_id in enumerate(batch["sample_id"].tolist()):
            assert sample_id not in found
            found[sample_id] = {
                name: values[place].tolist() if isinstance(values, torch.Tensor) else values[place]
                for name, values in batch.items()
            }
    return found


def test_its_batches_hold_what_the_loaders_hold(tars: Path) -> None:
    split = open_split(tars, "train")
    expected = rows_of(BatchLoader(split, 7, transforms=SETTINGS, columns=COLUMNS, drop_last=False))
    made = pipeline(split, 7, transforms=SETTINGS, columns=COLUMNS)
    batches = list(made)
    assert [len(batch["sample_id"]) for batch in batches] == [7, 7, 7, 7, 2]
    assert batches[0]["image"].dtype == torch.uint8 and batches[0]["audio"].shape == (7, 800)
    assert rows_of(batches) == expected and len(expected) == ROWS


def test_the_order_follows_from_the_seed_and_the_epoch(tars: Path) -> None:
    def orders(seed: int) -> list[list[int]]:
        made = pipeline(open_split(tars, "train").with_modalities(["text"]), 30, seed=seed)
        return [[row for batch in made for row in batch["sample_id"].tolist()] for _ in range(2)]

    first = orders(0)
    assert first == orders(0) and first[0] != first[1] and first[0] != orders(1)[0]
    assert all(sorted(order) == list(range(1000, 1000 + ROWS)) for order in first)
    plain = pipeline(open_split(tars, "train"), 30, buffer=0, transforms=SETTINGS)
    assert next(iter(plain))["sample_id"].tolist() == list(range(1000, 1000 + ROWS))


def test_stages_and_loaders_of_the_library_follow(tars: Path) -> None:
    made = pipeline(open_split(tars, "train").with_modalities(["text"]), 4, drop_last=True)
    loader = webdataset.WebLoader(made.map(lambda batch: batch["sample_id"].tolist()), batch_size=None, num_workers=0)
    assert [len(batch) for batch in loader] == [4] * 7


def test_a_batch_is_made_in_worker_processes(tars: Path) -> None:
    split = open_split(tars, "train")
    made = pipeline(split, 5, transforms=SETTINGS)
    expected = rows_of(made)
    loader = webdataset.WebLoader(made, batch_size=None, num_workers=2)
    assert rows_of(loader) == expected


def test_vectors_are_read_too(tmp_path: Path) -> None:
    write_vectors(tmp_path, 20, shard_format="webdataset")
    split = open_split(tmp_path, "train")
    assert rows_of(pipeline(split, 6)) == rows_of(BatchLoader(split, 6, drop_last=False))


@pytest.mark.parametrize("damage", [b"no image", None], ids=["image", "json"])
def test_a_damaged_member_is_named_with_tar_and_key(tmp_path: Path, damage: bytes | None) -> None:
    write_m3(tmp_path, 4, shards=1, shard_format="webdataset")
    split = open_split(tmp_path, "train")
    path = tmp_path / split.shards[0].name
    data = bytearray(path.read_bytes())
    with tarfile.open(path) as archive:
        member = archive.getmember("000001002.jpg" if damage else "000001002.json")
    data[member.offset_data : member.offset_data + member.size] = (damage or b"{").ljust(member.size, b" ")
    path.write_bytes(bytes(data))
    with pytest.raises(DamageError, match=r"a row of a tar cannot be read \(.*train-00000-of-00001\.tar, 000001002\)"):
        list(pipeline(split, 4, buffer=0, transforms=SETTINGS))


def test_what_it_cannot_read_is_refused(tars: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    split = open_split(tars, "train")
    with pytest.raises(UsageError, match=r"reads whole local tars .*SelectedShard"):
        pipeline(open_split(tars, "train", where="lang = 'el'"), 4)
    with pytest.raises(UsageError, match=r"reads whole local tars .*ParquetShard.*`shard_format='webdataset'`"):
        pipeline(open_split(write_m3(tmp_path, 8), "train"), 4)
    with (
        serving(tars) as (address, _),
        pytest.raises(UsageError, match="reads whole local tars"),
    ):
        pipeline(open_split(address, "train"), 4)
    with pytest.raises(UsageError, match="a batch needs rows"):
        pipeline(split, 0)
    with pytest.raises(UsageError, match="`columns` names no column"):
        pipeline(split, 4, columns=["no such"])
    monkeypatch.setitem(sys.modules, "webdataset", None)
    with pytest.raises(MissingPackageError, match="needs the Python package webdataset"):
        pipeline(split, 4)
