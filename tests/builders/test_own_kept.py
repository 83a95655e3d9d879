"""A finished dataset of one's own is kept where it is what is asked for, and another one is named."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from datasets import Features, Image, List, Value
from factories import contents, encoded, picture

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.errors import OutputError
from symile_data.loaders import BatchLoader, Split, open_split
from symile_data.reliability import Reliability

FEATURES = {"photo": Image(), "sensor": List(Value("float32"), length=2), "note": Value("string")}
KINDS = {"photo": "image", "sensor": "vector"}


def row(number: int, **changes: Any) -> dict[str, Any]:
    photo = encoded(picture(number), "PNG") if number % 3 else None
    return {"photo": photo, "sensor": [number, float("nan")], "note": f"note {number}", **changes}


def rows(count: int) -> list[dict[str, Any]]:
    return [row(number) for number in range(count)]


def write(out: Path, splits: Mapping[str, Any], features: Mapping[str, Any] = FEATURES, **options: Any) -> None:
    schema = own_schema(Features(features), KINDS)
    write_dataset(out, name="mine", schema=schema, splits=splits, spec={"version": 1}, rows_per_shard=3, **options)


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_the_same_rows_are_kept_however_they_are_given(shard_format: str, tmp_path: Path) -> None:
    write(tmp_path / "out", {"train": rows(7), "test": iter(rows(2))}, shard_format=shard_format)
    before = contents(tmp_path / "out")
    write(tmp_path / "out", {"train": iter(rows(7)), "test": rows(2)}, shard_format=shard_format)
    named = [
        row(0),
        *rows(7)[1:6],
        row(6, photo={"bytes": row(6)["photo"], "path": "a.png"} if row(6)["photo"] else None),
    ]
    write(tmp_path / "out", {"train": named, "test": rows(2)}, shard_format=shard_format)
    assert contents(tmp_path / "out") == before


@pytest.mark.parametrize(
    ("splits", "features", "said"),
    [
        ({"train": rows(7)}, FEATURES, "splits train, not train, test"),
        ({"test": rows(2), "train": rows(7)}, FEATURES, "splits test, train, not train, test"),
        ({"train": rows(7), "test": rows(3)}, FEATURES, "3 rows of test, not 2"),
        (
            {"train": [*rows(6), row(6, note="other")], "test": rows(2)},
            FEATURES,
            "another value of note in row 6 of train",
        ),
        ({"train": rows(7), "test": [row(1), row(1)]}, FEATURES, "another value of photo in row 0 of test"),
        (
            {"train": rows(7), "test": [row(0, sensor=[0, 1]), row(1)]},
            FEATURES,
            "another value of sensor in row 0 of test",
        ),
        (
            {"train": [row(0, sample_id=7), *rows(7)[1:]], "test": rows(2)},
            FEATURES,
            "another value of sample_id in row 0",
        ),
        ({"train": rows(7), "test": rows(2)}, {**FEATURES, "age": Value("int64")}, "column age is int64, not there"),
        (
            {"train": rows(7), "test": rows(2)},
            {**FEATURES, "note": Value("large_string")},
            "column note is large_string, not string",
        ),
        (
            {"train": rows(7), "test": rows(2)},
            {"photo": Image(), "sensor": FEATURES["sensor"]},
            "no column note, not one",
        ),
    ],
)
def test_another_dataset_of_the_same_spec_is_named(
    splits: Mapping[str, Any], features: Mapping[str, Any], said: str, tmp_path: Path
) -> None:
    write(tmp_path / "out", {"train": rows(7), "test": rows(2)})
    with pytest.raises(OutputError) as caught:
        write(tmp_path / "out", splits, features)
    message = str(caught.value)
    assert "holds a finished dataset with the same `spec`, but of other rows or columns" in message
    assert f"got {said}" in message and message.endswith("choose another `out`, or remove the directory.")


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_other_rows_under_the_same_spec_have_another_fingerprint(shard_format: str, tmp_path: Path) -> None:
    changed = [*rows(3), row(3, sensor=[7, 8]), *rows(7)[4:]]
    for name, some in (("one", rows(7)), ("same", iter(rows(7))), ("other", changed)):
        write(tmp_path / name, {"train": some}, shard_format=shard_format)
    one, same, other = (open_split(tmp_path / name, "train") for name in ("one", "same", "other"))
    assert one.fingerprint == same.fingerprint != other.fingerprint

    def sensors(split: Split) -> list[float]:
        loader = BatchLoader(split, 7, shuffle=False, modalities=["sensor"], cache=tmp_path / "cache")
        found: list[float] = next(iter(loader))["sensor"][:, 0].tolist()
        return found

    assert sensors(one) == [0, 1, 2, 3, 4, 5, 6]
    assert sensors(other) == [0, 1, 2, 7, 4, 5, 6]  # not the values that the cache has of the other rows


def test_other_modalities_are_another_dataset(tmp_path: Path) -> None:
    write(tmp_path / "out", {"train": rows(4)})
    schema = own_schema(Features(FEATURES), {**KINDS, "note": "text"})
    with pytest.raises(OutputError, match=r"modalities photo \(image\), sensor \(vector\), note \(text\), not photo"):
        write_dataset(tmp_path / "out", name="mine", schema=schema, splits={"train": rows(4)}, spec={"version": 1})


def test_rows_that_are_made_unreliable_are_kept(tmp_path: Path) -> None:
    unreliable = Reliability(misaligned={"sensor": 0.5})
    for _ in range(2):
        write(tmp_path / "out", {"train": rows(8)}, reliability=unreliable)
    with pytest.raises(OutputError, match="9 rows of train, not 8"):
        write(tmp_path / "out", {"train": rows(9)}, reliability=unreliable)
