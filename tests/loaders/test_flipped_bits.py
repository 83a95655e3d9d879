"""A bit that flips in a shard never reaches a batch: the loader raises our error, or the batch is the same."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Features, List, Value
from factories import build
from hypothesis import given, settings
from hypothesis import strategies as st
from small_datasets import write_m3, write_split, write_vectors

from symile_data.errors import DamageError
from symile_data.format import manifest as manifests
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, open_split

SPLIT = "train"
TRANSFORMS = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}


def some_missing(row: int) -> tuple[str, ...]:
    return ("image",) if row % 4 == 1 else ("audio", "text") if row % 4 == 3 else ()


def m3(directory: Path, shard_format: str) -> Path:
    return write_m3(directory, rows=12, group=4, shards=1, missing=some_missing, shard_format=shard_format)


def features(directory: Path, shard_format: str) -> Path:
    return write_vectors(directory, rows=12, group=4, shards=1, length=16, kind="features", shard_format=shard_format)


def clinical(directory: Path, shard_format: str) -> Path:
    """Signals and laboratory values; Parquet stores signals as differences."""
    columns = {
        "sample_id": Value("int64"),
        "ecg": List(Value("int16"), length=12 * 5000),
        "labs": List(Value("float32"), length=4),
        "ecg_missing": Value("bool"),
        "labs_missing": Value("bool"),
    }
    schema = DatasetSchema(
        features=Features(columns),
        modalities=(
            Modality(name="ecg", kind="ecg", column="ecg", null_columns=("ecg",)),
            Modality(name="labs", kind="vector", column="labs", null_columns=("labs",)),
        ),
    )
    signals = np.random.default_rng(0).integers(-3, 4, size=(3, 60_000)).cumsum(axis=1).astype(np.int16)
    rows = [
        {
            "sample_id": row,
            "ecg": None if row == 1 else signals[row].tolist(),
            "labs": [0.25 * row, 1.0, 2.0, 3.0],
            "ecg_missing": row == 1,
            "labs_missing": False,
        }
        for row in range(3)
    ]
    return write_split(directory, schema, rows, group=2, shards=1, shard_format=shard_format)


KINDS: dict[str, Callable[[Path, str], Path]] = {"m3": m3, "features": features, "clinical": clinical}
LOOKS = [f"{kind} {shard_format}" for kind in KINDS for shard_format in ("parquet", "webdataset")]


Delivered = list[tuple[str, Any]]


@pytest.fixture(scope="module", params=[*LOOKS, "pooled"])
def sound(
    request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Path, Delivered]:
    directory = tmp_path_factory.mktemp("sound")
    if request.param == "pooled":
        rows = {"train": 6, "validation": 2, "test": 2}
        build(tree, directory, layout="pooled", rows=rows, missing={"image": 0.3})
    else:
        kind, shard_format = request.param.split()
        KINDS[kind](directory, shard_format)
    return directory, delivered(directory)


def delivered(directory: Path) -> Delivered:
    """Everything that a loader makes of a split, and the types it tells."""
    split = open_split(directory, SPLIT)
    transforms = {m.name: TRANSFORMS[m.name] for m in split.modalities if m.name in TRANSFORMS}
    columns = [name for name in ("lang", "cls_id", "target_text", "image_id") if name in split.columns]
    loader = BatchLoader(split, 5, shuffle=False, transforms=transforms, columns=columns)
    found: Delivered = [("types", split.schema.metadata), ("rows", split.read_all(split.columns))]
    return found + [(name, value) for batch in loader for name, value in sorted(batch.items())]


def same(one: Delivered, other: Delivered) -> bool:
    return len(one) == len(other) and all(
        a == b and (torch.equal(mine, theirs) if isinstance(mine, torch.Tensor) else mine == theirs)
        for (a, mine), (b, theirs) in zip(one, other, strict=True)
    )


def shards_of(directory: Path) -> list[str]:
    manifest = manifests.read(directory)
    keys = [pool.key(SPLIT) for pool in manifest.pooled.pools] if manifest.pooled else []
    return [entry.path for entry in manifest.files if entry.split == SPLIT or entry.pool in keys]


@settings(max_examples=30)
@given(data=st.data())
def test_damage_reaches_no_batch(sound: tuple[Path, Delivered], data: st.DataObject) -> None:
    """Flipped bits anywhere in a shard, and most often near its ends, where pages begin and the footer or index lies;
    and bursts of other bytes, as when a sector is lost.
    """
    directory, expected = sound
    path = directory / data.draw(st.sampled_from(shards_of(directory)))
    whole = path.read_bytes()
    size = len(whole)
    anywhere, head, tail = st.integers(0, size - 1), st.integers(0, 400), st.integers(max(size - 1500, 0), size - 1)
    at = data.draw(anywhere | head | tail)
    noise = data.draw(st.integers(0, 7).map(lambda bit: bytes([whole[at] ^ 1 << bit])) | st.binary(max_size=64))
    path.write_bytes((whole[:at] + noise + whole[at + len(noise) :])[:size])
    try:
        assert same(delivered(directory), expected)
    except DamageError as error:
        assert path.name in str(error)
    finally:
        path.write_bytes(whole)
