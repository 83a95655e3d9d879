"""Splits of rows that are chosen from other splits: the rows, their order, batches, places and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
import torch
from factories import build, rows_of

from symile_data.errors import DamageError
from symile_data.loaders import BatchLoader, ImageSettings, Split, open_split
from symile_data.loaders.selection import select_rows

SPLITS = ("train", "validation", "test")
CHOSEN = [1, 2, 7, 11, 13, 18]  # of 12, 4 and 4 rows, numbered through all splits


@pytest.fixture(scope="module", params=["shards", "pooled", "webdataset"])
def directory(request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twenty rows of Symile-M3 in each layout and format; not to be changed."""
    out = tmp_path_factory.mktemp("m3") / "data"
    change = {"shard_format": "webdataset"} if request.param == "webdataset" else {"layout": request.param}
    build(tree, out, **change)
    return out


def chosen(directory: Path, ids: list[int], **options: pa.Array) -> Split:
    splits = [open_split(directory, name) for name in SPLITS]
    return select_rows(splits, "validation", np.array(ids), key="k", columns=options)


def test_rows_come_from_all_splits_in_their_order(directory: Path) -> None:
    split = chosen(directory, CHOSEN[::-1])
    columns = ["sample_id", "text", "image_id"]
    whole = pa.concat_tables(open_split(directory, name).read_all(columns) for name in SPLITS).to_pylist()
    assert split.rows == len(CHOSEN) and split.name == "validation"
    assert split.read_all(columns).to_pylist() == [row for row in whole if row["sample_id"] in CHOSEN]
    groups = [row for group in range(len(split.group_rows)) for row in split.read(columns, group).to_pylist()]
    assert groups == split.read_all(columns).to_pylist()


def test_batches_hold_the_same_values_as_those_of_the_whole_splits(directory: Path) -> None:
    settings = {"image": ImageSettings(size=16)}

    def values(split: Split) -> dict[int, torch.Tensor]:
        loader = BatchLoader(split, 4, shuffle=False, transforms=settings)
        return {
            int(number): image
            for batch in loader
            for number, image in zip(batch["sample_id"], batch["image"], strict=True)
        }

    expected = {number: image for name in SPLITS for number, image in values(open_split(directory, name)).items()}
    found = values(chosen(directory, CHOSEN))
    assert list(found) == CHOSEN
    assert all(torch.equal(found[number], expected[number]) for number in CHOSEN)


def test_a_place_is_that_of_the_row_in_its_file(directory: Path) -> None:
    split, numbers = chosen(directory, CHOSEN), dict[str, int]()
    for name in SPLITS:
        whole = open_split(directory, name)
        ids = whole.read_all(["sample_id"])["sample_id"].to_pylist()
        numbers |= {whole.place(row): number for row, number in enumerate(ids)}
    assert [numbers[split.place(row)] for row in range(split.rows)] == CHOSEN


def test_values_stand_in_the_place_of_stored_ones(directory: Path) -> None:
    words = pa.array([f"t{number}" for number in CHOSEN])
    split = chosen(directory, CHOSEN, cls=words)
    assert split.read_all(["cls"])["cls"].to_pylist() == words.to_pylist()
    table = split.read_all(["sample_id", "cls", "lang"])
    assert table.column_names == ["sample_id", "cls", "lang"] and table["cls"].to_pylist() == words.to_pylist()


def test_the_fingerprint_follows_from_the_selection(directory: Path) -> None:
    splits = [open_split(directory, name) for name in SPLITS]
    ids = np.array(CHOSEN)
    prints = {select_rows(splits, name, ids, key=key).fingerprint for name in ("train", "test") for key in ("a", "b")}
    assert len(prints | {split.fingerprint for split in splits}) == 7


@pytest.mark.parametrize("ids", [[1, 99], [-1]], ids=["one of two", "none"])
def test_ids_of_no_row_are_refused(directory: Path, ids: list[int]) -> None:
    with pytest.raises(DamageError, match="not rows of the dataset, each once"):
        chosen(directory, ids)


def test_the_stored_rows_are_those_of_the_files(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path)
    row = next(row for row in rows_of(tmp_path, "test") if row["sample_id"] == 18)
    assert chosen(tmp_path, [18]).read_all(["wnid", "text"]).to_pylist() == [{"wnid": row["wnid"], "text": row["text"]}]
