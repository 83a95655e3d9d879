"""A shard in the place of another one of its size and rows is not read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from datasets import Features, List, Value
from factories import build

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.errors import DamageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import FileEntry
from symile_data.loaders import open_split

SCHEMA = own_schema(
    Features({name: List(Value("float32"), length=3) for name in ("a", "b")}), {"a": "vector", "b": "vector"}
)
SAID = "a shard was replaced by another one, or damaged"


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_shards_of_equal_size_that_changed_places_are_named(shard_format: str, tmp_path: Path) -> None:
    splits = {
        name: [{"sample_id": first + number, "a": [number, 1, 2], "b": [2, number, 3]} for number in range(50)]
        for name, first in (("train", 3_000_000), ("validation", 3_001_000), ("test", 3_002_000))
    }
    manifest = write_dataset(
        tmp_path, name="mine", schema=SCHEMA, splits=splits, spec={"version": 1}, shard_format=shard_format
    )
    one, two = (manifest.shards(split)[0] for split in ("validation", "test"))
    assert (one.bytes, one.rows) == (two.bytes, two.rows)
    first, second = tmp_path / one.path, tmp_path / two.path
    data = first.read_bytes()
    first.write_bytes(second.read_bytes())
    second.write_bytes(data)
    for entry in (one, two):
        with pytest.raises(DamageError, match=f"{SAID} .*{entry.path}"):
            open_split(tmp_path, str(entry.split))
    assert open_split(tmp_path, "train").rows == 50


@pytest.mark.parametrize("layout", ["shards", "pooled"])
def test_every_file_with_rows_is_known_by_its_footer(layout: str, tree: Path, tmp_path: Path) -> None:
    out = tmp_path / "data"
    build(tree, out, layout=layout)
    manifest = manifests.read(out)
    listed = [entry for entry in manifest.files if entry.rows is not None]
    assert [entry for entry in manifest.files if entry.footer] == listed

    def read_with(changed: FileEntry, footer: str | None) -> None:
        files = [replace(entry, footer=footer) if entry == changed else entry for entry in manifest.files]
        manifests.write(out, replace(manifest, files=files))
        for name in manifest.splits:
            split = open_split(out, name)
            split.read_all(split.columns)

    for entry in listed:
        read_with(entry, None)  # as in a dataset of an older version
        with pytest.raises(DamageError, match=f"{SAID} .*{entry.path}"):
            read_with(entry, "0" * 64)
