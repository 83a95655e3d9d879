"""Own datasets: ids, masks and nulls are added, rows that do not fit are named, everything else works on them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import webdataset
from datasets import ClassLabel, Features, Image, List, Value, load_dataset
from factories import contents, encoded, picture, rows_of

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import refresh_card, write_card
from symile_data.errors import OutputError, SourceError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.location import Location
from symile_data.format.schema import Modality
from symile_data.format.shards import FORMATS, open_shard
from symile_data.format.verify import verify

FEATURES = Features(
    {
        "photo": Image(),
        "note": Value("string"),
        "author": Value("string"),
        "sensor": List(Value("float32"), length=3),
        "label": ClassLabel(names=["a", "b"]),
    }
)
NOTE = Modality(name="note", kind="text", column="note", null_columns=("note", "author"))
SCHEMA = own_schema(FEATURES, {"photo": "image", "note": NOTE, "sensor": "vector"})
PICTURE = encoded(picture(), "PNG")


def row(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "photo": PICTURE if number % 3 else None,
        "note": f"note {number}" if number % 4 else None,
        "author": "somebody",
        "sensor": np.arange(3) + number,
        "label": number % 2,
        **changes,
    }


def rows(count: int) -> Iterator[dict[str, Any]]:
    return (row(number) for number in range(count))


def write(out: Path, splits: dict[str, Any] | None = None, **options: Any) -> manifests.Manifest:
    given = {"train": rows(12), "test": rows(5)} if splits is None else splits
    settings: dict[str, Any] = {"name": "mine", "schema": SCHEMA, "spec": {"version": 1}, **options}
    return write_dataset(out, splits=given, **settings)


def test_ids_masks_and_nulls_are_added(tmp_path: Path) -> None:
    manifest = write(tmp_path / "out")
    assert manifest.splits == {"train": 12, "test": 5}
    written = rows_of(tmp_path / "out", "train") + rows_of(tmp_path / "out", "test")
    assert [one["sample_id"] for one in written] == list(range(17))
    for number, one in zip([*range(12), *range(5)], written, strict=True):
        given = row(number)
        assert one["photo_missing"] is (given["photo"] is None)
        assert one["photo"] == (given["photo"] and {"bytes": PICTURE, "path": None})
        assert (one["note"], one["note_missing"]) == (given["note"], given["note"] is None)
        assert one["author"] == ("somebody" if given["note"] else None)  # goes with the note
        assert one["sensor"] == list(given["sensor"])
    assert list(verify(tmp_path / "out")) == []


def test_shards_hold_as_many_rows_as_asked_and_the_bytes_repeat(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write(tmp_path / name, rows_per_shard=5, write_card=write_card)
    shards = manifests.read(tmp_path / "one").shards("train")
    assert [(entry.path, entry.rows) for entry in shards] == [
        ("data/train-00000.parquet", 5),
        ("data/train-00001.parquet", 5),
        ("data/train-00002.parquet", 2),
    ]
    assert contents(tmp_path / "one") == contents(tmp_path / "two")


def test_datasets_opens_it(tmp_path: Path) -> None:
    write(tmp_path / "out", write_card=write_card)
    dataset = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert dataset["train"].features == SCHEMA.features
    assert dataset["train"][1]["photo"].size == picture().size
    assert dataset["train"].features["label"].names == ["a", "b"]


def test_rows_are_taken_one_by_one(tmp_path: Path) -> None:
    """No split is ever whole in memory: a shard is on disk before the next one's rows are asked for."""
    seen = []

    def lazily() -> Iterator[dict[str, Any]]:
        for number in range(12):
            seen.append(len(list((tmp_path / "out" / "data").glob("*.parquet"))) if number else 0)
            yield row(number)

    write(tmp_path / "out", {"train": lazily()}, rows_per_shard=5)
    assert seen == [0] * 5 + [1] * 5 + [2] * 2


def test_a_finished_dataset_is_kept_and_another_refused(tmp_path: Path) -> None:
    write(tmp_path / "out")

    def never() -> Iterator[dict[str, Any]]:
        yield pytest.fail("rows were asked for")

    write(tmp_path / "out", {"train": never(), "test": never()})
    with pytest.raises(OutputError, match=r"a finished dataset with other settings .*spec.version: 2, not 1"):
        write(tmp_path / "out", spec={"version": 2})


def test_an_interrupted_writing_begins_anew(tmp_path: Path) -> None:
    def broken() -> Iterator[dict[str, Any]]:
        yield from rows(7)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write(tmp_path / "out", {"train": broken()}, rows_per_shard=5)
    assert not (tmp_path / "out" / "manifest.json").exists()
    write(tmp_path / "out", {"train": rows(12)}, rows_per_shard=5)
    assert list(verify(tmp_path / "out")) == []


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"extra": 1}, r"a row has a column that is not in the schema \(train, row 2\); got extra"),
        ({"label": "c" * 3}, r"a value of column label is not int64 \(train, row 2\)"),
        ({"sensor": [1.0]}, r"a value of column sensor is not fixed_size_list.* \(train, row 2\)"),
        ({"note": 5}, r"a value of column note is not string \(train, row 2\)"),
        ({"sample_id": 1}, r"a sample_id is not a whole .* used twice \(train, row 2\); got 1\. Leave sample_id out"),
        ({"sample_id": -1}, r"a sample_id is not a whole number from 0 up.* \(train, row 2\); got -1\."),
        ({"sample_id": None}, r"a sample_id is not a whole number from 0 up.* \(train, row 2\); got None\."),
    ],
)
@pytest.mark.parametrize("shard_format", FORMATS)
def test_a_row_that_does_not_fit_is_named(
    tmp_path: Path, changes: dict[str, Any], sentence: str, shard_format: str
) -> None:
    given = iter([row(0), row(1), row(2, **changes), row(3)])
    with pytest.raises(SourceError, match=sentence):
        write(tmp_path / "out", {"train": given}, shard_format=shard_format)
    assert not list(tmp_path.rglob("train-*"))


def test_tars_hold_the_rows_of_the_parquet_files(tmp_path: Path) -> None:
    for shard_format in FORMATS:
        write(tmp_path / shard_format, rows_per_shard=5, write_card=write_card, shard_format=shard_format)
    tars = manifests.read(tmp_path / "webdataset")
    assert tars.identity.spec == {"version": 1, "format": "webdataset"}
    assert [(entry.path, entry.rows) for entry in tars.shards("train")] == [
        ("data/train-00000.tar", 5),
        ("data/train-00001.tar", 5),
        ("data/train-00002.tar", 2),
    ]
    assert list(verify(tmp_path / "webdataset")) == []
    for split in ("train", "test"):
        one, two = (opened(tmp_path / shard_format, split) for shard_format in FORMATS)
        assert one == two
        assert len(one) == tars.splits[split]
    write(tmp_path / "again", rows_per_shard=5, write_card=write_card, shard_format="webdataset")
    assert contents(tmp_path / "again") == contents(tmp_path / "webdataset")


def opened(directory: Path, split: str) -> list[dict[str, Any]]:
    """Rows of either format."""
    shards = [open_shard(Location.of(directory), entry.path) for entry in manifests.read(directory).shards(split)]
    return [one for shard in shards for one in shard.read_all(shard.schema.names).to_pylist()]


def test_the_webdataset_library_reads_the_tars(tmp_path: Path) -> None:
    write(tmp_path / "out", shard_format="webdataset", rows_per_shard=5)
    paths = sorted(str(path) for path in (tmp_path / "out" / "data").glob("train-*.tar"))
    samples = list(webdataset.WebDataset(paths, shardshuffle=False).decode())
    assert [sample["__key__"] for sample in samples] == [f"{number:09d}" for number in range(12)]
    for number, sample in enumerate(samples):
        given = row(number)
        assert sample["json"]["label"] == given["label"]
        assert sample["json"]["note_missing"] is (given["note"] is None)
        assert sample.get("txt") == given["note"]
        assert ("jpg" in sample) == (given["photo"] is not None)
        assert np.array_equal(sample["sensor.npy"], given["sensor"])


def test_datasets_opens_the_tars(tmp_path: Path) -> None:
    write(tmp_path / "out", write_card=write_card, shard_format="webdataset")
    dataset = load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    assert {split: len(part) for split, part in dataset.items()} == {"train": 12, "test": 5}
    assert dataset["train"][1]["jpg"].size == picture().size
    assert dataset["train"][1]["json"]["label"] == 1
    assert dataset["train"][3]["jpg"] is None


def test_ids_that_are_given_name_the_rows(tmp_path: Path) -> None:
    ids = [7, np.int64(3), 10**10]
    given = [row(number, sample_id=sample_id) for number, sample_id in enumerate(ids)]
    write(tmp_path / "out", {"train": given}, shard_format="webdataset")
    assert [one["sample_id"] for one in opened(tmp_path / "out", "train")] == [7, 3, 10**10]
    assert list(verify(tmp_path / "out")) == []


def test_an_unknown_format_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="zip"):
        write(tmp_path / "out", shard_format="zip")
    assert not (tmp_path / "out").exists()


def test_a_row_without_a_column_is_named(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a row lacks a column \(train, row 0\); got label. Give None"):
        write(tmp_path / "out", {"train": [{name: value for name, value in row(0).items() if name != "label"}]})


def test_schemas_that_make_no_sense_are_refused() -> None:
    with pytest.raises(UsageError, match="at least two modalities; got photo"):
        own_schema(FEATURES, {"photo": "image"})
    with pytest.raises(UsageError, match=r"column is not among the features; got sound\. There are photo"):
        own_schema(FEATURES, {"photo": "image", "sound": "audio"})
    with pytest.raises(UsageError, match=r"`modalities` is a table of names and kinds; got .* Write it like"):
        own_schema(FEATURES, ["photo"])  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"schema": FEATURES}, "`schema` is not a schema; got a value of type Features. Make it of your features"),
        ({"splits": [{}]}, "`splits` is a table of names and rows; got a value of type list. Write it like"),
        ({"spec": None}, "`spec` is a table of settings; got a value of type NoneType. Write it like"),
        ({"spec": {"source": Path("x")}}, "`spec` holds a value that JSON cannot; got Object of type .*Path is not"),
    ],
)
def test_arguments_of_other_types_are_refused_before_anything_is_written(
    tmp_path: Path, change: dict[str, Any], sentence: str
) -> None:
    given: dict[str, Any] = {"name": "mine", "schema": SCHEMA, "splits": {"train": []}, "spec": {}, **change}
    with pytest.raises(UsageError, match=sentence):
        write_dataset(tmp_path / "out", **given)
    assert not (tmp_path / "out").exists()


def test_splits_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"a split has no rows \(train\)"):
        write(tmp_path / "empty", {"train": []})
    with pytest.raises(UsageError, match="a split's name is letters, digits and _; got 'train-a'"):
        write(tmp_path / "dash", {"train-a": rows(2)})


def test_a_card_can_be_written_anew(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(out)  # without a card
    written = refresh_card(out)
    assert out / "README.md" in written
    assert list(verify(out)) == []
    before = contents(out)
    refresh_card(out)
    assert contents(out) == before


def test_the_former_name_of_the_argument_still_writes_the_card_and_warns(tmp_path: Path) -> None:
    with pytest.warns(DeprecationWarning, match="document is now called write_card"):
        write(tmp_path / "out", document=write_card)
    assert (tmp_path / "out" / "README.md").is_file()


def test_an_id_column_must_be_null_where_its_modality_is_missing() -> None:
    with pytest.raises(UsageError, match=r"must be among its null_columns.*author of photo"):
        own_schema(
            FEATURES,
            {
                "photo": Modality(
                    name="photo", kind="image", column="photo", null_columns=("photo",), id_column="author"
                ),
                "note": NOTE,
            },
        )
