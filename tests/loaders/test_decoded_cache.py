import os
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_datasets import CLASSES, CLIPS, IMAGES, write_m3, write_vectors

from symile_data.errors import DamageError
from symile_data.format import manifest as manifests
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, MediaCache, VectorSettings, open_split
from symile_data.loaders.cache import decode_split as cache
from symile_data.loaders.cache import folder as cache_folder

SMALL = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05, n_mels=20)}


def test_each_unique_medium_is_decoded_once(tmp_path):
    loader = BatchLoader(open_split(write_m3(tmp_path, 60), "train"), 10, transforms=SMALL, cache=True)
    list(loader)
    assert loader._decoded
    assert len(loader._decoded.media["image"]) == len(IMAGES)
    assert len(loader._decoded.media["audio"]) == len(CLIPS)
    decoded = loader._decoded
    list(loader)
    assert loader._decoded is decoded


def test_the_schema_says_which_column_tells_images_apart(tmp_path):
    split = open_split(write_m3(tmp_path, 60), "train")
    named = {"cls": "cls_id", "none": None}
    for name, column in named.items():
        modalities = tuple(replace(m, id_column=column) if m.name == "image" else m for m in split.modalities)
        loader = BatchLoader(replace(split, modalities=modalities), 10, transforms=SMALL, cache=True)
        list(loader)
        assert loader._decoded and len(loader._decoded.media["image"]) == {"cls": len(CLASSES), "none": 60}[name]


def test_half_precision_is_for_keeping_only(tmp_path):
    split = open_split(write_m3(tmp_path, 20), "train")
    half = SMALL | {"audio": AudioSettings(seconds=0.05, n_mels=20, store="float16")}
    one, two = (BatchLoader(split, 20, transforms=transforms, cache=True) for transforms in (SMALL, half))
    (full,), (rounded,) = one, two
    assert two._decoded and two._decoded.media["audio"].dtype == torch.float16
    assert rounded["audio"].dtype == torch.float32
    assert torch.allclose(full["audio"], rounded["audio"], atol=2e-3)


def test_a_directory_is_filled_once_and_then_shared(tmp_path, monkeypatch):
    split = open_split(write_m3(tmp_path / "data", 40), "train")

    def run():
        return [batch["image"] for batch in BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept")]

    first = run()
    folders = sorted(path.name for path in (tmp_path / "kept").iterdir())
    assert [name.split("-")[0] for name in folders] == ["audio", "image"]
    usual = (tmp_path / "kept").stat().st_mode  # other users may read what this umask lets them read
    assert {path.stat().st_mode for path in (tmp_path / "kept").iterdir()} == {usual}
    monkeypatch.setattr(cache._DecodeTask, "decode", None)
    assert all(torch.equal(one, two) for one, two in zip(first, run(), strict=True))


def test_other_settings_get_another_folder(tmp_path):
    split = open_split(write_m3(tmp_path / "data", 20), "train")
    for size in (8, 9):
        list(BatchLoader(split, 10, transforms=SMALL | {"image": ImageSettings(size=size)}, cache=tmp_path / "kept"))
    assert len([path for path in (tmp_path / "kept").iterdir() if path.name.startswith("image")]) == 2


def test_an_interrupted_filling_leaves_nothing_behind(tmp_path):
    def bad(row, value):
        return value | {"audio": {"bytes": b"junk", "path": None}, "clip_id": f"bad{row}"}

    split = open_split(write_m3(tmp_path / "data", 20, change=bad), "train")
    with pytest.raises(Exception, match="column audio"):
        list(BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept"))
    assert [path.name.split("-")[0] for path in (tmp_path / "kept").iterdir()] == ["image"]


def test_what_a_killed_process_left_is_removed_and_what_a_living_one_makes_is_not(tmp_path, monkeypatch):
    split = open_split(write_m3(tmp_path / "data", 20), "train")
    list(BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept"))
    names = [path.name for path in (tmp_path / "kept").iterdir()]
    image = next(name for name in names if name.startswith("image"))
    shutil.rmtree(tmp_path / "kept" / image)
    dead, living, young = (tmp_path / f"kept/.{image}.{end}" for end in ("dead", "living", "young"))
    for folder in (dead, living, young):
        folder.mkdir()
        (folder / "values.npy").write_bytes(b"half")
    for folder in (dead, living):
        os.utime(folder, (0, 0))
    held = cache_folder._lock(living)
    listed = Path.glob  # the dead one comes last: those that stay must not end the search
    monkeypatch.setattr(Path, "glob", lambda *arguments: sorted(listed(*arguments), reverse=True))
    list(BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept"))
    os.close(held)
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {*names, living.name, young.name}


@pytest.mark.parametrize("has_call", [True, False])
def test_the_space_of_a_mapped_file_is_there_before_it_is_filled(tmp_path, monkeypatch, has_call):
    if not has_call:  # as on macOS
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    path = tmp_path / "values.npy"
    array = cache_folder.mapped(path, (3, 1 << 20), np.dtype(np.float32))
    assert not array.any() and np.load(path).shape == array.shape
    with path.open("rb") as file:
        os.fsync(file.fileno())
    assert path.stat().st_blocks * 512 >= array.nbytes


def test_a_directory_holds_what_only_this_run_leaves_out(tmp_path):
    split = open_split(write_m3(tmp_path / "data", 20), "train")
    list(BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept", missingness=0.9))
    for batch in BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept"):
        assert batch["image"].flatten(1).any(dim=1).all() and not batch["missing"].any()


@pytest.mark.parametrize("kept", [True, "directory"])
def test_features_come_out_of_memory_maps_as_they_are(tmp_path, kept):
    split = open_split(write_vectors(tmp_path / "data", 50, kind="features"), "train")
    where = tmp_path / "kept" if kept == "directory" else kept
    transforms = {"a": VectorSettings(dtype="float16")}
    loader = BatchLoader(split, 8, cache=where, transforms=transforms, drop_last=False)
    for batch in loader:
        expected = batch["sample_id"][:, None] + torch.arange(4) / 10
        assert batch["a"].dtype == torch.float16 and torch.allclose(batch["a"].float(), expected, atol=0.05)
        assert batch["b"].dtype == torch.float32 and torch.allclose(batch["b"], 100 + expected)


def test_nulls_without_masks_are_missing(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    write_vectors(tmp_path, 10, masks=False, shards=1)
    (tmp_path / manifests.FILE_NAME).unlink()
    (path,) = (tmp_path / "data").iterdir()
    table = pq.read_table(path)
    values = [None if row in (2, 5) else value for row, value in enumerate(table["b"].to_pylist())]
    pq.write_table(table.set_column(2, "b", pa.array(values, table.schema.field("b").type)), path)
    for kept in (False, True):
        (batch,) = BatchLoader(open_split(tmp_path, "train"), 10, shuffle=False, cache=kept)
        assert torch.nonzero(batch["missing"]).tolist() == [[2, 1], [5, 1]]
        assert not batch["b"][[2, 5]].any()


def test_loaders_that_are_given_one_cache_decode_and_encode_once(tmp_path, monkeypatch):
    split, memory = open_split(write_m3(tmp_path, 40), "train"), MediaCache()
    encoding = Encoding("mean")

    def run(encode, **options):
        settings: dict[str, Any] = {
            "transforms": SMALL,
            "shuffle": False,
            "cache": memory,
            "encoders": {"image": encode},
        }
        return list(BatchLoader(split, 10, **(settings | options)))

    first = run(encoding)
    assert encoding.calls == 1
    monkeypatch.setattr(cache._DecodeTask, "decode", None)
    for one, two in zip(first, run(Encoding("mean")), strict=True):
        assert torch.equal(one["image"], two["image"]) and torch.equal(one["audio"], two["audio"])
    other = Encoding("other")
    run(other)
    assert (encoding.calls, other.calls) == (1, 1)
    # What one loader takes away the others still have.
    taken = run(Encoding("mean"), missingness=0.5)
    assert any(batch["missing"].any() for batch in taken) and not any(batch["missing"].any() for batch in first)
    with pytest.raises(TypeError):
        run(encoding, transforms=SMALL | {"image": ImageSettings(size=9)})


def test_damage_is_met_again_by_every_loader_of_a_cache(tmp_path):
    def bad(row, value):
        return value | {"audio": {"bytes": b"junk", "path": None}, "clip_id": "bad"} if row == 3 else value

    split, memory = open_split(write_m3(tmp_path, 20, change=bad), "train"), MediaCache()
    for _ in range(2):
        loader = BatchLoader(split, 10, transforms=SMALL, cache=memory, on_error="skip", drop_last=False)
        assert sum(len(batch["sample_id"]) for batch in loader) == 19
        assert loader.skipped == 1
    with pytest.raises(DamageError, match="column audio cannot be decoded"):
        list(BatchLoader(split, 10, transforms=SMALL, cache=memory))


class Encoding:
    """Mean colour of a chunk of images, counting its calls."""

    def __init__(self, key):
        self.key, self.calls = key, 0

    def __call__(self, media):
        self.calls += 1
        return media.float().mean(dim=(1, 2))


@pytest.mark.parametrize("shuffle", [True, False])
def test_damage_of_a_cache_directory_reaches_no_batch(tmp_path, shuffle):
    """Any flipped bit of any of its files, in the same run or a later one."""
    split = open_split(write_m3(tmp_path / "data", 20, shards=1), "train")

    def run():
        loader = BatchLoader(split, 10, seed=0, transforms=SMALL, cache=tmp_path / "kept", shuffle=shuffle)
        return [batch[name] for batch in loader for name in ("image", "audio", "missing")]

    whole = run()
    rng = np.random.default_rng(0)
    files = sorted((tmp_path / "kept").glob("*/*.npy"))
    assert {file.name for file in files} == {"values.npy", "where.npy", "checksums.npy"}
    refused = 0
    for file in files:
        data = file.read_bytes()
        for place in (*rng.integers(0, len(data), 12).tolist(), *rng.integers(0, 128, 6).tolist()):
            damaged = bytearray(data)
            damaged[place] ^= 1 << int(rng.integers(8))
            file.write_bytes(damaged)
            try:
                assert all(torch.equal(one, other) for one, other in zip(whole, run(), strict=True))
            except DamageError as error:
                refused += 1
                assert "a folder of decoded media was damaged or changed" in str(error)
                assert str(file.parent) in str(error)
        file.write_bytes(data)
    assert refused > 70


def test_each_medium_of_a_cache_directory_is_compared_once(tmp_path, monkeypatch):
    split = open_split(write_m3(tmp_path / "data", 20, shards=1), "train")
    loader = BatchLoader(split, 5, transforms=SMALL, cache=tmp_path / "kept")
    list(loader)
    monkeypatch.setattr("symile_data.loaders.cache.stored_media.zlib", None)
    list(loader)  # nothing is compared again


def test_features_are_made_of_whole_media_only(tmp_path):
    split = open_split(write_m3(tmp_path / "data", 20, shards=1), "train")
    list(BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept"))
    (path,) = (tmp_path / "kept").glob("image-*/values.npy")
    data = path.read_bytes()
    path.write_bytes(data[:-1] + bytes([data[-1] ^ 8]))
    loader = BatchLoader(split, 10, transforms=SMALL, cache=tmp_path / "kept", encoders={"image": Encoding("mean")})
    with pytest.raises(DamageError, match="does not match its checksum"):
        list(loader)
