"""The pooled layout: the same rows as the self-contained one, every medium once, whole, documented and checked."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Audio, load_dataset
from factories import build, contents, imagenet_tree, problems, relist, rows_of
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3 import deduplicated as pooled
from symile_data.cards import write_card
from symile_data.datasets.m3.schema import m3_schema
from symile_data.errors import DamageError, OutputError, SourceError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.shards import deduplicated as shards
from symile_data.format.shards.deduplicated import PoolReader
from symile_data.loaders import BatchLoader, ImageSettings, Split, open_split

ROWS = {"train": 70, "validation": 12, "test": 9}
CHANGES: dict[str, Any] = {"rows": ROWS, "missing": {"image": 0.3, "audio": 0.3, "text": 0.3}}


@pytest.fixture(scope="module", autouse=True)
def small(no_figures: None) -> Any:
    """Several files, several row groups of a file, several groups of a row group."""
    with pytest.MonkeyPatch.context() as patch:
        for owner, name, size in (
            (pooled, "ROWS_PER_TABLE", 40),
            (pooled, "ROWS_PER_TABLE_GROUP", 16),
            (pooled, "MEDIA_PER_FILE", 7),
            (pooled, "MEDIA_PER_GROUP", 3),
            (shards, "ROWS_PER_GROUP", 5),
        ):
            patch.setattr(owner, name, size)
        yield


@pytest.fixture(scope="module", params=["disjoint", "shared"])
def pair(request: pytest.FixtureRequest, tree: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The same build in both layouts, with cards; not to be changed."""
    root = tmp_path_factory.mktemp("layouts")
    for layout in ("shards", "pooled"):
        build(tree, root / layout, layout=layout, split_policy=request.param, write_card=write_card, **CHANGES)
    return root / "shards", root / "pooled"


@pytest.mark.parametrize("split", ROWS)
def test_an_opened_split_has_the_same_columns_types_and_rows(pair: tuple[Path, Path], split: str) -> None:
    whole, parts = (open_split(directory, split) for directory in pair)
    assert parts.schema.equals(whole.schema)
    assert parts.schema.metadata == whole.schema.metadata
    assert (parts.rows, parts.columns, parts.modalities) == (whole.rows, whole.columns, whole.modalities)
    expected = whole.read_all(whole.columns).replace_schema_metadata(None)
    assert parts.read_all(parts.columns).replace_schema_metadata(None).equals(expected)
    assert len(parts.group_rows) > len(parts.shards) > (1 if split == "train" else 0)


@pytest.fixture(scope="module")
def opened(pair: tuple[Path, Path]) -> tuple[Split, Split]:
    """The training rows of both."""
    whole, parts = (open_split(directory, "train") for directory in pair)
    return whole, parts


@given(data=st.data())
def test_any_columns_of_any_group_are_those_of_the_rows(opened: tuple[Split, Split], data: st.DataObject) -> None:
    whole, parts = opened
    columns = data.draw(st.lists(st.sampled_from(whole.columns), min_size=1, unique=True))
    group = data.draw(st.integers(0, len(parts.group_rows) - 1))
    first, count = int(parts.group_starts[group]), int(parts.group_rows[group])
    assert count <= 5
    table = parts.read(columns, group)
    assert table.column_names == columns
    assert table.to_pylist() == whole.read_all(columns).slice(first, count).to_pylist()


def test_batches_are_the_same_in_file_order(pair: tuple[Path, Path]) -> None:
    transforms = {"image": ImageSettings(size=16)}
    loaders = [
        BatchLoader(open_split(directory, "test"), batch_size=9, seed=0, shuffle=False, transforms=transforms)
        for directory in pair
    ]
    (one,), (other,) = (list(loader) for loader in loaders)
    assert sorted(one) == sorted(other)
    for name in one:
        if hasattr(one[name], "numpy"):
            np.testing.assert_array_equal(one[name].numpy(), other[name].numpy())
        else:
            assert list(one[name]) == list(other[name])


def test_every_medium_lies_there_once_and_nothing_else(pair: tuple[Path, Path]) -> None:
    whole, parts = pair
    manifest = manifests.read(parts)
    assert manifest.pooled is not None
    for pool in manifest.pooled.pools:
        for key in pool.keys:
            table = pa.concat_tables(pq.read_table(parts / entry.path) for entry in manifest.pool_files(key))
            ids = table[pool.id_column].to_pylist()
            assert len(set(ids)) == len(ids)
            used = {
                row[pool.id_column]: row[pool.column]
                for split in ROWS
                if pool.key(split) == key
                for row in rows_of(whole, split)
                if row[pool.id_column] is not None
            }
            found = dict(zip(ids, table[pool.column].to_pylist(), strict=True))
            assert {medium_id: found[medium_id] for medium_id in used} == used
    for row in rows_of(parts, "train"):
        assert (row["image_row"] is None) == (row["image_id"] is None) == row["image_missing"]
        assert (row["clip_row"] is None) == (row["clip_id"] is None) == row["audio_missing"]


def test_it_verifies_and_load_dataset_opens_all_three_tables(
    pair: tuple[Path, Path], tmp_path: Path, no_network: None
) -> None:
    whole, parts = pair
    assert problems(parts) == []
    pairs = load_dataset(str(parts), cache_dir=str(tmp_path))
    assert {split: table.num_rows for split, table in pairs.items()} == ROWS
    expected = {name: f for name, f in m3_schema().features.items() if name not in ("image", "audio")}
    assert {name: pairs["train"].features[name] for name in expected} == expected
    pooled = manifests.read(parts).pooled
    assert pooled
    names = pooled.pools[0].names
    images = load_dataset(str(parts), "images", split=names["train"], cache_dir=str(tmp_path))
    clips = load_dataset(str(parts), "clips", split=names["train"], cache_dir=str(tmp_path))
    clips = clips.cast_column("audio", Audio(decode=False))
    for row, original in zip(pairs["train"], rows_of(whole, "train"), strict=True):
        if row["image_row"] is not None:
            found = images[row["image_row"]]
            assert (found["image_id"], found["cls_id"]) == (original["image_id"], original["cls_id"])
        if row["clip_row"] is not None:
            found = clips[row["clip_row"]]
            assert (found["audio"]["bytes"], found["lang"]) == (original["audio"]["bytes"], original["lang"])


def test_the_card_says_how_to_join_and_its_statistics_are_the_rows(pair: tuple[Path, Path], tmp_path: Path) -> None:
    _, parts = pair
    text = (parts / "README.md").read_text(encoding="utf-8")
    assert "`image_row` (row of the table `images`)" in text
    assert "images/" in text[text.index("## Files and checksums") :]
    block = text[text.index("```python\n") + 10 :].partition("```")[0]
    found: dict[str, Any] = {}
    exec(compile(block.replace("path/to/this/directory", str(parts)), "README.md", "exec"), found)
    assert found["row"]["clip_row"] is None or (found["rate"] == 16_000 and found["wave"].size)
    assert found["row"]["image_row"] is None or found["image"].size
    one, other = (json.loads((directory / "stats.json").read_text()) for directory in pair)
    for name in ("rows", "missing", "categories", "identifiers", "words", "samples"):
        assert one[name] == other[name]
    pooled = manifests.read(parts).pooled
    assert pooled and other["pools"].keys() >= {f"images/{name}" for name in pooled.pools[0].names.values()}


def test_the_croissant_description_names_every_table(pair: tuple[Path, Path]) -> None:
    import mlcroissant

    description = mlcroissant.Dataset(jsonld=str(pair[1] / "croissant.json"))
    assert {records.id for records in description.metadata.record_sets} == {"splits", "default", "images", "clips"}
    rows = [row for row, _ in zip(description.records("images"), range(3), strict=False)]
    assert all("images/image_id" in row for row in rows)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.usefixtures("shared_workers")
def test_neither_workers_nor_interruptions_change_a_byte(
    tree: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    if workers == 1:
        build(tree, tmp_path / "straight", layout="pooled", **CHANGES)
        original, calls = pooled.make_media_file, iter(range(2))

        def failing(*arguments: Any) -> Any:
            if next(calls, None) is None:
                raise SourceError("stopped")
            return original(*arguments)

        monkeypatch.setattr(pooled, "make_media_file", failing)
        with pytest.raises(SourceError, match="stopped"):
            build(tree, tmp_path / "out", layout="pooled", **CHANGES)
        monkeypatch.setattr(pooled, "make_media_file", original)
        kept = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").glob("*/*.parquet")}
        assert len(kept) == 6
        build(tree, tmp_path / "out", layout="pooled", **CHANGES)
        assert {path: path.stat().st_mtime_ns for path in kept} == kept
        assert contents(tmp_path / "out") == contents(tmp_path / "straight")
        return
    sizes: dict[str, Any] = {
        "rows": {"train": 7, "validation": 2, "test": 2}
    }  # workers know nothing of this module's small sizes
    build(tree, tmp_path / "one", layout="pooled", **sizes)
    build(tree, tmp_path / "two", layout="pooled", workers=2, **sizes)
    one, two = contents(tmp_path / "one"), contents(tmp_path / "two")
    assert sorted(one) == sorted(two)
    assert {path: pq.read_table(tmp_path / "one" / path) for path in one if path.endswith("parquet")} == {
        path: pq.read_table(tmp_path / "two" / path) for path in two if path.endswith("parquet")
    }


def doctored(directory: Path, path: str, column: str, change: Callable[[list[Any]], None]) -> None:
    """Change a column of one file, hashes and all."""
    table = pq.read_table(directory / path)
    values = table[column].to_pylist()
    change(values)
    field = table.schema.field(column)
    table = table.set_column(table.column_names.index(column), field, pa.array(values, field.type))
    pq.write_table(table, directory / path)
    relist(directory)


@pytest.fixture(scope="module")
def sound(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A build without a card; not to be changed."""
    out = tmp_path_factory.mktemp("sound") / "out"
    build(tree, out, layout="pooled", rows={"train": 30, "validation": 0, "test": 6})
    return out


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to change."""
    return shutil.copytree(sound, tmp_path / "copy")


def test_verify_finds_rows_that_lead_to_another_medium(copy: Path) -> None:
    path = "data/train-00000-of-00001.parquet"

    def change(values: list[int]) -> None:
        values[4] = (values[4] + 1) % 5

    doctored(copy, path, "image_row", change)
    found = problems(copy)
    assert len(found) == 1, found
    (problem,) = found
    assert problem.startswith(f"{path}: row 4: image_id is 'n0")
    assert problem.endswith(" there")


def swapped(directory: Path, one: str, other: str) -> None:
    first, second = (directory / one).read_bytes(), (directory / other).read_bytes()
    (directory / one).write_bytes(second)
    (directory / other).write_bytes(first)


def pool_file(directory: Path, folder: str, name: str = "train") -> str:
    return sorted((directory / folder).glob(f"{name}-*"))[0].relative_to(directory).as_posix()


@pytest.mark.parametrize("listed", [False, True])
@pytest.mark.parametrize(
    ("one", "other"),
    [("images", "clips"), ("images", "data"), ("clips", "data"), ("images", "images"), ("data", "data")],
)
def test_swapped_files_are_named(copy: Path, one: str, other: str, listed: bool) -> None:
    """Also where somebody made the manifest fit. Files of one kind are those of two splits."""
    first, second = pool_file(copy, one), pool_file(copy, other, "test" if one == other else "train")
    swapped(copy, first, second)
    if not listed:
        assert sorted(problem.partition(":")[0] for problem in problems(copy)) == sorted({first, second})
        return
    relist(copy)
    told = {problem.partition(":")[0] for problem in problems(copy)}
    assert told & {first, second} or {"images/train", "images/test"} & told, told
    assert not any("KeyError" in problem for problem in problems(copy))


@pytest.mark.parametrize(("folder", "column"), [("images", "image"), ("clips", "audio"), ("data", "clip_row")])
def test_a_loader_names_a_file_that_lacks_a_column(copy: Path, folder: str, column: str) -> None:
    path = pool_file(copy, folder)
    pq.write_table(pq.read_table(copy / path).drop_columns([column]), copy / path)
    relist(copy)
    with pytest.raises(DamageError, match=rf"lacks a column .*{path}.* got no column {column}"):
        open_split(copy, "train")
    assert any(problem.startswith(f"{path}: ") and f"no column {column}" in problem for problem in problems(copy))


@pytest.mark.parametrize(
    ("folder", "column", "value"), [("images", "cls_id", 7), ("images", "wnid", "n00000000"), ("clips", "lang", "uk")]
)
def test_verify_finds_pools_that_say_other_things_of_a_medium_than_its_rows(
    copy: Path, folder: str, column: str, value: Any
) -> None:
    doctored(copy, pool_file(copy, folder), column, lambda values: values.__setitem__(0, value))
    (problem,) = problems(copy)
    assert problem.startswith("data/train-00000-of-00001.parquet: row ")
    assert f": {column} is " in problem and problem.endswith(f"the pool has {value!r} there")


def test_a_deep_look_finds_bytes_of_a_medium_in_the_pools_of_two_splits(tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    rows = {"train": 12, "validation": 0, "test": 4}
    build(imagenet_tree(tmp_path / "tree", odd=False), copy, layout="pooled", rows=rows)
    assert problems(copy, deep=True) == []
    train, test = pool_file(copy, "images"), pool_file(copy, "images", "test")
    taken = pq.read_table(copy / train)["image"].to_pylist()[2]["bytes"]
    doctored(copy, test, "image", lambda values: values[0].update(bytes=taken))
    assert problems(copy) == []
    expected = f"{test}: row 0 and {train}: row 2 have the same image, and 0 more occur in both test and train"
    assert problems(copy, deep=True) == [expected]


def test_verify_finds_paths_that_are_not_the_media_s(copy: Path) -> None:
    path = pool_file(copy, "clips")
    doctored(copy, path, "audio", lambda values: values[1].update(path=None))
    (problem,) = problems(copy)
    assert problem.startswith(f"{path}: row 1: the path of audio is None, not 'espeak-train-")


def test_verify_finds_rows_outside_the_pool_and_media_that_are_not_whole(copy: Path) -> None:
    path = "data/test-00000-of-00001.parquet"
    (clips,) = (pq.read_metadata(file).num_rows for file in (copy / "clips").glob("test-*"))
    doctored(copy, path, "clip_row", lambda values: values.__setitem__(0, clips))  # one past the last
    assert next(problem for problem in problems(copy) if "clip_row" in problem).startswith(
        f"{path}: clip_row points outside the pool of {clips}"
    )
    with pytest.raises(DamageError, match=r"a row points outside its pool of the column audio"):
        open_split(copy, "test").read(["audio"], 0)
    pool = sorted((copy / "images").glob("train-*"))[0].relative_to(copy).as_posix()
    doctored(copy, pool, "image", lambda values: values.__setitem__(0, None))
    assert f"{pool}: a pool's image or image_id is null" in problems(copy)
    doctored(copy, pool, "image_id", lambda values: values.__setitem__(0, values[1]))
    assert any(problem == "images/train: a image_id occurs twice in the pool" for problem in problems(copy))


def test_a_pool_file_that_is_missing_or_cut_is_named(copy: Path, tmp_path: Path) -> None:
    path = sorted((copy / "clips").glob("train-*"))[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-20])
    with pytest.raises(DamageError, match=r"a shard was truncated or replaced .*clips/train-00000"):
        open_split(copy, "train")
    assert any(problem.startswith(path.relative_to(copy).as_posix()) for problem in problems(copy))
    path.unlink()
    with pytest.raises(DamageError, match=r"a shard is missing .*clips/train-00000"):
        open_split(copy, "train")
    path.write_bytes(b"\0" * len(whole))
    with pytest.raises(DamageError, match=r"a shard is truncated or no Parquet file .*clips/train-00000"):
        open_split(copy, "train")


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> PoolReader:
    """A reader of 20 rows in two files with several row groups."""
    directory = tmp_path_factory.mktemp("pool")
    entries = []
    for index, (start, stop) in enumerate(((0, 9), (9, 20))):
        path = directory / f"{index}.parquet"
        pq.write_table(pa.table({"x": [f"value {row}" for row in range(start, stop)]}), path, row_group_size=4)
        entries.append(manifests.file_entry(directory, path, rows=stop - start, pool="x/all"))
    return PoolReader(Location.of(directory), "x", entries)


@given(st.lists(st.one_of(st.none(), st.integers(0, 19)), max_size=30))
def test_a_reader_gives_any_rows_in_any_order(reader: PoolReader, rows: list[int | None]) -> None:
    found = reader.take(pa.array(rows, pa.int64()))
    assert found.to_pylist() == [None if row is None else f"value {row}" for row in rows]
    for outside in (-1, 20):
        with pytest.raises(DamageError, match=rf"a row points outside its .*; got rows .*{outside}.* has 20"):
            reader.take(pa.array([*rows, outside], pa.int64()))


def test_an_unknown_layout_is_refused(tree: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"unknown `layout`; got 'heap'. Choose shards or pooled"):
        build(tree, tmp_path / "out", layout="heap")


def test_the_layout_belongs_to_the_build(tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "out", layout="pooled")
    with pytest.raises(OutputError, match=r"spec.layout: 'shards', not 'pooled'"):
        build(tree, tmp_path / "out")
