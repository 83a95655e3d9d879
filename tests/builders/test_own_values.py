"""What `write_dataset` takes, it stores: each value reads back as it was given, or its row is refused."""

from __future__ import annotations

import datetime
import io
import json
import math
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import soundfile
import torch
from datasets import Array2D, Array3D, Audio, ClassLabel, Features, Image, LargeList, List, Value
from factories import encoded, picture, rotated, rows_of
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image as Pillow

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.builders.custom.encoded_media import UnfitValueError
from symile_data.builders.custom.values import count_non_finite, stored, stores_of
from symile_data.cards import write_card
from symile_data.cards.preview import write_preview
from symile_data.errors import SourceError, UsageError
from symile_data.format.schema import Modality
from symile_data.format.verify import verify
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, open_split

NOTE = {"note": Value("string")}
PNG = encoded(picture(), "PNG")
WAVE = (0.5 * np.sin(np.arange(8000) / 9)).astype(np.float32)
INTEGERS = ("int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64")


def write(
    out: Path, features: dict[str, Any], modalities: dict[str, Any], *rows: dict[str, Any], **options: Any
) -> Any:
    schema = own_schema(Features({**features, **NOTE}), {**modalities, "note": "text"})
    given_rows = [{"note": "a", **row} for row in rows]
    return write_dataset(out, name="mine", schema=schema, splits={"train": given_rows}, spec={}, **options)


def photo(out: Path, value: object) -> bytes:
    write(out, {"photo": Image()}, {"photo": "image"}, {"photo": value})
    assert list(verify(out, deep=True)) == []
    data = rows_of(out, "train")[0]["photo"]["bytes"]
    assert isinstance(data, bytes)
    return data


@pytest.mark.parametrize(
    "wrap", [bytes, bytearray, memoryview, lambda data: {"bytes": bytearray(data), "path": "x.png"}]
)
def test_the_bytes_of_a_file_stay(tmp_path: Path, wrap: Any) -> None:
    assert photo(tmp_path, wrap(PNG)) == PNG


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_pillow_images_keep_every_pixel(tmp_path: Path, mode: str) -> None:
    deep = Pillow.fromarray(np.arange(480, dtype=np.uint16).reshape(20, 24) * 130)
    image = deep if mode == "I;16" else picture().convert(mode)
    with Pillow.open(io.BytesIO(photo(tmp_path, image))) as read:
        assert (read.format, read.mode) == ("PNG", mode)
        assert np.array_equal(np.asarray(read), np.asarray(image))


def test_a_pillow_image_is_stored_upright(tmp_path: Path) -> None:
    turned = Pillow.open(io.BytesIO(rotated(picture(), 6)))
    with Pillow.open(io.BytesIO(photo(tmp_path, turned))) as read:
        assert read.size == (turned.height, turned.width)


@pytest.mark.parametrize("shape", [(5, 4), (5, 4, 3), (5, 4, 4)])
def test_arrays_are_images(tmp_path: Path, shape: tuple[int, ...]) -> None:
    pixels = np.arange(np.prod(shape), dtype=np.uint8).reshape(shape)[::-1]
    with Pillow.open(io.BytesIO(photo(tmp_path, pixels))) as read:
        assert np.array_equal(np.asarray(read), pixels)


def test_an_image_may_have_as_many_pixels_as_loaders_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.builders.custom.encoded_media.MOST_PIXELS", 20)
    photo(tmp_path / "most", np.zeros((5, 4), dtype=np.uint8))
    with pytest.raises(SourceError, match=r"an image of mode L, 7 x 3 pixels; .* of at most 20 pixels"):
        photo(tmp_path / "more", np.zeros((3, 7), dtype=np.uint8))


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"bytes": None, "path": "x.png"}, r"got no bytes, only the path 'x\.png'; give the bytes of a file"),
        ({"bytes": None, "path": None}, "got no bytes"),
        ({"path": "x.png"}, "no bytes, only the path"),
        ({"bytes": PNG, "data": PNG}, "an unknown key 'data'"),
        ({"bytes": PNG, "path": 5}, "a path of type int"),
        (b"", "no bytes: the file is empty"),
        ("x.png", "a value of type str; give the bytes"),
        (Path("x.png"), "a value of type PosixPath"),
        (np.zeros((4, 4)), r"an array of float64, shape \(4, 4\); give uint8"),
        (np.zeros((3, 4, 5), dtype=np.uint8), r"an array of uint8, shape \(3, 4, 5\)"),
        (np.zeros((0, 4), dtype=np.uint8), "an array of uint8"),
        (np.ma.masked_array(np.zeros((2, 2), dtype=np.uint8), mask=True), "an array of uint8"),
        (picture().convert("CMYK"), "an image of mode CMYK"),
        (Pillow.new("I", (2, 2), 1 << 20), "an image of mode I"),
        (Pillow.new("F", (2, 2)), "an image of mode F"),
    ],
)
def test_what_is_no_image_is_refused_at_its_row(tmp_path: Path, value: Any, sentence: str) -> None:
    rows: list[dict[str, Any]] = [{"photo": PNG}, {"photo": value}]
    with pytest.raises(SourceError, match=rf"a value of column photo is not an image \(train, row 1\); .*{sentence}"):
        write(tmp_path, {"photo": Image()}, {"photo": "image"}, *rows)
    assert not list(tmp_path.rglob("train-*"))


def test_an_image_that_breaks_off_is_refused(tmp_path: Path) -> None:
    broken = Pillow.open(io.BytesIO(encoded(picture(), "PNG")[:-40]))
    with pytest.raises(SourceError, match=r"cannot be encoded .*\(train, row 0\)|row 0.*cannot be encoded"):
        write(tmp_path, {"photo": Image()}, {"photo": "image"}, {"photo": broken})


def clip(out: Path, value: object) -> tuple[np.ndarray[Any, Any], int]:
    write(out, {"clip": Audio(sampling_rate=16_000)}, {"clip": "audio"}, {"clip": value})
    assert list(verify(out, deep=True)) == []
    data = rows_of(out, "train")[0]["clip"]["bytes"]
    assert soundfile.info(io.BytesIO(data)).format == "FLAC"
    return soundfile.read(io.BytesIO(data), dtype="float64")


@pytest.mark.parametrize("rate", [4_000, 16_000, np.int64(44_100), 384_000])
@pytest.mark.parametrize("kind", [list, np.float32, np.float64, np.float16])
def test_decoded_recordings_are_encoded(tmp_path: Path, rate: int, kind: Any) -> None:
    samples = WAVE.tolist() if kind is list else WAVE.astype(kind)
    read, read_rate = clip(tmp_path, {"array": samples, "sampling_rate": rate, "path": None})
    assert read_rate == rate
    assert np.abs(read - np.asarray(samples, dtype=np.float64)).max() <= 2.0**-23


def test_samples_of_16_bits_come_back_exactly(tmp_path: Path) -> None:
    steps = np.array([-32768, -32767, -1, 0, 1, 12345, 32767] * 100, dtype=np.int16)
    for name, samples in (("ints", steps), ("floats", steps / 32768)):
        read, _ = clip(tmp_path / name, {"array": samples, "sampling_rate": 16_000})
        assert np.array_equal(read * 32768, steps)


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ({"bytes": None, "path": "x.wav"}, r"no bytes, only the path 'x\.wav'"),
        ({"array": WAVE}, "a sampling_rate of None; give whole Hz"),
        ({"array": WAVE, "sampling_rate": 16_000.5}, "a sampling_rate of 16000.5"),
        ({"array": WAVE, "sampling_rate": 3_999}, "a sampling_rate of 3999"),
        ({"array": WAVE, "sampling_rate": 384_001}, "a sampling_rate of 384001"),
        ({"array": WAVE, "sampling_rate": 16_000, "bytes": b"x"}, "both bytes and an array"),
        ({"array": WAVE, "sampling_rate": 16_000, "rate": 8_000}, "an unknown key 'rate'"),
        ({"array": np.ma.masked_less(WAVE, 0), "sampling_rate": 16_000}, "a masked array"),
        ({"array": WAVE * 4, "sampling_rate": 16_000}, r"samples beyond \[-1, 1\]"),
        ({"array": [math.nan, 0.0], "sampling_rate": 16_000}, "not finite"),
        ({"array": [], "sampling_rate": 16_000}, r"samples of shape \(0,\)"),
        ({"array": WAVE.reshape(2, -1), "sampling_rate": 16_000}, r"samples of shape \(2, 4000\); give one channel"),
        ({"array": WAVE.astype(np.int64), "sampling_rate": 16_000}, "samples of int64"),
        (WAVE, "a value of type ndarray"),
    ],
)
def test_what_is_no_recording_is_refused_at_its_row(tmp_path: Path, value: Any, sentence: str) -> None:
    with pytest.raises(SourceError, match=rf"a value of column clip is not audio \(train, row 0\); .*{sentence}"):
        write(tmp_path, {"clip": Audio(sampling_rate=16_000)}, {"clip": "audio"}, {"clip": value})


def test_encoded_media_reach_a_batch_and_repeat(tmp_path: Path) -> None:
    pixels = np.full((8, 8, 3), (200, 10, 60), dtype=np.uint8)
    features = {"photo": Image(), "clip": Audio(sampling_rate=16_000)}
    row = {"photo": pixels, "clip": {"array": WAVE, "sampling_rate": 16_000}}
    for name in ("one", "two"):
        write(tmp_path / name, features, {"photo": "image", "clip": "audio"}, row)
    assert rows_of(tmp_path / "one", "train") == rows_of(tmp_path / "two", "train")
    settings = {"photo": ImageSettings(size=8), "clip": AudioSettings(seconds=0.5)}
    batch = next(iter(BatchLoader(open_split(tmp_path / "one", "train"), 1, transforms=settings)))
    assert np.array_equal(batch["photo"][0].numpy(), pixels)
    assert np.abs(batch["clip"][0].numpy() - WAVE).max() < 1e-6


def kept(feature: Any, value: Any) -> Any:
    """A value of one column as a shard would hold it."""
    column = pa.array([stored(stores_of({"x": feature})["x"], value)], Features({"x": feature}).arrow_schema[0].type)
    return column.to_pylist()[0]


REFUSALS = (UnfitValueError, pa.ArrowException, TypeError, ValueError, OverflowError)


@pytest.mark.parametrize(
    ("feature", "value"),
    [
        *[(Value(kind), value) for kind in INTEGERS for value in (1.9, 2.0, True, np.True_, "3", math.nan, 1 << 64)],
        *[(Value(kind), -1) for kind in INTEGERS if kind[0] == "u"],
        (Value("int8"), 128),
        (Value("int64"), np.uint64(1 << 63)),
        (Value("int64"), np.array(3)),
        (Value("float32"), 1e39),
        (Value("float16"), 70_000.0),
        (Value("float32"), True),
        (Value("float32"), "1"),
        (Value("float64"), Decimal("0.1")),
        (Value("float64"), 1j),
        (Value("bool"), 1),
        (Value("bool"), "true"),
        (Value("string"), b"bytes"),
        (Value("string"), math.nan),
        (Value("string"), "\ud800"),
        (Value("binary"), "text"),
        (Value("date32"), datetime.datetime(2020, 1, 1, 5)),
        (Value("timestamp[s]"), datetime.datetime(2020, 1, 1, 0, 0, 0, 7)),
        (ClassLabel(names=["a", "b"]), 2),
        (ClassLabel(names=["a", "b"]), -2),
        (ClassLabel(names=["a", "b"]), 0.0),
        (List(Value("int16")), [1, 1.9]),
        (List(Value("int16")), np.array([1.0])),
        (List(Value("int16")), np.array([40_000])),
        (List(Value("int16")), [True]),
        (List(Value("uint8")), b"ab"),
        (List(Value("float32"), length=1), np.array([1e39])),
        (List(Value("float32"), length=2), [1.0]),
        (List(Value("float32"), length=2), np.zeros((1, 2))),
        (List(Value("float32"), length=2), np.array([True, False])),
        (List(Value("string")), "ab"),
        (List(Value("int8")), {1, 2}),
        (List(Value("string")), ["a", 1]),
        (LargeList(Value("int8")), [300]),
        (List({"a": Value("int8")}), [{"a": 1, "b": 2}]),
        (List({"a": Value("int8")}), [{"a": 1.5}]),
        ({"a": Value("int8")}, [1]),
        (Array2D((2, 2), "int8"), [[1, 2], [3, 4.5]]),
        (Array2D((2, 3), "int8"), np.ones((3, 2), dtype=np.int8)),
        (Array2D((2, 3), "int8"), [[1, 2, 3], [1, 2]]),
        (Array2D((None, 3), "int8"), [[1, 2, 3], [1, 2]]),
        (Array2D((2, 2), "int8"), [[1, 2], None]),
        (Array2D((2, 2), "float32"), [[1, 2], [3, None]]),
        (Array2D((2, 2), "int8"), [[1, 2]] * 3),
        (Array3D((1, 2, 2), "float32"), np.ones((1, 2, 3), dtype=np.float32)),
    ],
)
def test_what_would_be_stored_as_something_else_is_refused(feature: Any, value: Any) -> None:
    with pytest.raises(REFUSALS):
        kept(feature, value)


NOW = datetime.datetime(2020, 1, 2, 3, 4, 5)


@pytest.mark.parametrize(
    ("feature", "value", "expected"),
    [
        (Value("int8"), np.int64(-128), -128),
        (Value("uint64"), (1 << 64) - 1, (1 << 64) - 1),
        (Value("float32"), 3, 3.0),
        (Value("float16"), np.float16(0.5), 0.5),
        (Value("bool"), np.True_, True),
        (Value("large_string"), np.str_("a"), "a"),
        (Value("binary"), memoryview(b"ab"), b"ab"),
        (Value("timestamp[s]"), NOW, NOW),
        (ClassLabel(names=["a", "b"]), -1, -1),
        (List(Value("int64")), range(3), [0, 1, 2]),
        (List(Value("int64")), (1, None, np.int8(3)), [1, None, 3]),
        (List(Value("float32")), np.ma.masked_array([1.0, 2.0], mask=[False, True]), [1.0, None]),
        (List(Value("float32")), np.array([1, 2], dtype=">i4"), [1.0, 2.0]),
        (List(Value("float64")), np.arange(6.0)[::2], [0.0, 2.0, 4.0]),
        (List(List(Value("float32"))), np.ones((2, 2)), [[1.0, 1.0], [1.0, 1.0]]),
        (List({"a": Value("int8"), "b": Value("string")}), [{"a": 1}, None], [{"a": 1, "b": None}, None]),
        (List(Image()), [PNG], [{"bytes": PNG, "path": None}]),
        (Array2D((2, 2), "int8"), np.array([[1, 2], [3, 4]]), [[1, 2], [3, 4]]),
        (Array2D((None, 2), "int8"), [[1, 2], [3, 4], [5, 6]], [[1, 2], [3, 4], [5, 6]]),
        (Value("string"), None, None),
    ],
)
def test_what_fits_is_stored(feature: Any, value: Any, expected: Any) -> None:
    assert kept(feature, value) == expected


@given(
    st.sampled_from([*INTEGERS, "float16", "float32", "float64", "bool"]),
    st.lists(st.one_of(st.integers(), st.floats(), st.booleans(), st.text(max_size=2)), min_size=1, max_size=3),
    st.booleans(),
)
def test_numbers_are_stored_as_they_are_or_refused(kind: str, values: list[Any], as_list: bool) -> None:
    """A list by its items and an item alone: the same rule."""
    feature, value = (List(Value(kind)), values) if as_list else (Value(kind), values[0])
    try:
        found = kept(feature, value)
    except REFUSALS:
        return
    for given_value, read in zip(values, found if as_list else [found], strict=False):
        assert isinstance(given_value, bool) == isinstance(read, bool)
        expected = np.dtype(kind).type(given_value) if kind.startswith("float") else given_value
        assert read == expected or (math.isnan(read) and math.isnan(given_value))
        assert math.isfinite(read) == math.isfinite(given_value)


@pytest.mark.parametrize(("value", "row"), [(-1, 0), ((1 << 63), 1), (True, 2), (1.0, 3), ("4", 4)])
def test_ids_are_whole_numbers(tmp_path: Path, value: Any, row: int) -> None:
    rows: list[dict[str, Any]] = [{"vec": [0.0]} for _ in range(5)]
    rows[row]["sample_id"] = value
    with pytest.raises(SourceError, match=rf"a sample_id is not a whole number .*\(train, row {row}\)"):
        write(tmp_path, {"vec": List(Value("float32"), length=1)}, {"vec": "vector"}, *rows)


@pytest.mark.parametrize(("label", "got"), [(1.9, r"1\.9"), (True, "True"), ("3", "'3'"), (1 << 64, ".*")])
def test_the_row_and_the_value_are_named(tmp_path: Path, label: Any, got: str) -> None:
    rows: list[dict[str, Any]] = [{"vec": [0.0], "label": 1}, {"vec": [0.0], "label": label}]
    features = {"vec": List(Value("float32"), length=1), "label": Value("int64")}
    with pytest.raises(SourceError, match=rf"a value of column label is not int64 \(train, row 1\); got {got}"):
        write(tmp_path, features, {"vec": "vector"}, *rows)


@pytest.mark.parametrize(
    ("feature", "value", "sentence"),
    [
        (
            List(Value("float32"), length=2),
            torch.ones(2),
            "a value of type Tensor; give a list or an array, as numpy()",
        ),
        (List(Value("int8")), pd.Series([1]), "a value of type Series; give .* to_numpy() of a table do"),
        (Value("int8"), torch.tensor(3), "x is not int8 .*a value of type Tensor; give a number, as value.item() does"),
        (Image(), torch.zeros(2, 2), "a value of type Tensor; give the bytes of a file, a Pillow image or an array"),
        (Audio(), WAVE, 'a value of type ndarray; give the bytes of a file, or {"array": ..., "sampling_rate": ...}'),
        (Array2D((2, 3), "int8"), [[1, 2, 3]], "x is not Array2D of shape (2, 3) .*got 1 values in a dimension of 2"),
    ],
)
def test_the_message_says_what_to_give_in_its_place(tmp_path: Path, feature: Any, value: Any, sentence: str) -> None:
    with pytest.raises(SourceError, match=re.escape(sentence).replace(r"\.\*", ".*")):
        write(tmp_path, {"x": feature, "second": Value("string")}, {"second": "text"}, {"x": value, "second": None})


def test_a_row_that_is_no_mapping_is_named(tmp_path: Path) -> None:
    schema = own_schema(Features({**VECTOR, **NOTE}), {"vec": "vector", "note": "text"})
    with pytest.raises(
        SourceError, match=r"a row is not a dictionary of columns \(train, row 0\); got a value of type list"
    ):
        write_dataset(tmp_path, name="mine", schema=schema, splits={"train": [["a"]]}, spec={})  # type: ignore[list-item]


def test_an_id_of_another_shard_is_not_used_again(tmp_path: Path) -> None:
    rows = [{"vec": [0.0], "sample_id": number % 4} for number in range(5)]
    with pytest.raises(SourceError, match=r"used twice \(train, row 4\); got 0"):
        write(tmp_path, {"vec": List(Value("float32"), length=1)}, {"vec": "vector"}, *rows, rows_per_shard=2)


VECTOR = {"vec": List(Value("float32"), length=2), "score": Value("float64")}


@pytest.mark.parametrize("shard_format", ["parquet", "webdataset"])
def test_numbers_that_are_not_finite_are_stored_and_counted(tmp_path: Path, shard_format: str) -> None:
    scores = [math.nan, math.inf, None, 0.5] if shard_format == "parquet" else [0.5] * 4
    rows = [{"vec": [1.0, 2.0], "score": score} for score in scores]
    rows[1]["vec"], rows[3]["vec"] = [math.nan, -math.inf], [math.inf, 3.0]
    manifest = write(tmp_path, VECTOR, {"vec": "vector"}, *rows, write_card=write_card, shard_format=shard_format)
    assert "Column vec has 3 numbers that are NaN or infinite, as the source gave them." in manifest.notes
    assert (len(manifest.notes) == 2) is (shard_format == "parquet")
    split = open_split(tmp_path, "train")
    batch = next(iter(BatchLoader(split, 4, shuffle=False, columns=["score"])))
    vectors = [row["vec"] for row in rows]
    assert np.array_equal(batch["vec"].numpy(), np.array(vectors, dtype=np.float32), equal_nan=True)
    expected = [math.nan if score is None else score for score in scores]
    assert np.array_equal(batch["score"].numpy(), np.array(expected, dtype=np.float32), equal_nan=True)
    card, statistics = (tmp_path / "README.md").read_text(), json.loads((tmp_path / "stats.json").read_text())
    counted = statistics["vectors"]["vec"]["train"]
    assert counted["mean"] is None
    # A tar has one sign for NaN and null.
    assert counted["non_finite"] == (3 if shard_format == "parquet" else 2)
    assert "numbers NaN or infinite in train" in card and manifest.notes[0] in card
    assert list(verify(tmp_path)) == []
    write_preview(tmp_path, tmp_path.parent / f"{tmp_path.name}.html")


def test_finite_numbers_are_not_mentioned(tmp_path: Path) -> None:
    manifest = write(tmp_path, VECTOR, {"vec": "vector"}, {"vec": [1, 2], "score": None}, write_card=write_card)
    assert manifest.notes == []
    assert "non_finite" not in (tmp_path / "stats.json").read_text()


def test_non_finite_numbers_are_counted_at_any_depth() -> None:
    odd = [math.nan, 1.0, None, math.inf]
    nested = pa.array([{"a": [odd, odd], "b": 1}, None])
    assert count_non_finite(nested) == 4
    assert count_non_finite(pa.array([odd, None], pa.list_(pa.float16(), 4))) == 2
    assert count_non_finite(pa.array([odd], pa.list_(pa.float32(), 4))[:0]) == 0


@pytest.mark.parametrize(
    ("feature", "value", "sentence"),
    [
        (Value("float32"), math.nan, r"the JSON of a tar cannot hold a value of column extra \(sample_id 1\); got nan"),
        (Value("binary"), b"x", r"cannot hold a value of column extra \(sample_id 1\); got b'x'"),
        (Image(), PNG, "cannot hold a value of column extra"),
        (Value("date32"), datetime.date(2020, 1, 1), "cannot hold a value of column extra"),
    ],
)
def test_what_json_has_no_word_for_is_refused_in_tars(tmp_path: Path, feature: Any, value: Any, sentence: str) -> None:
    features = {**VECTOR, "extra": feature}
    rows = [{"vec": [1, 2], "score": 1, "extra": extra} for extra in (None, value)]
    with pytest.raises(SourceError, match=sentence):
        write(tmp_path / "tar", features, {"vec": "vector"}, *rows, shard_format="webdataset")
    write(tmp_path / "parquet", features, {"vec": "vector"}, *rows)


def test_a_null_among_whole_numbers_is_refused_in_tars(tmp_path: Path) -> None:
    features = {"vec": List(Value("int16"), length=2)}
    with pytest.raises(SourceError, match=r"a null among the whole numbers of column vec .*\(sample_id 0\)"):
        write(tmp_path, features, {"vec": "vector"}, {"vec": [1, None]}, shard_format="webdataset")


def test_masks_and_nulls_agree_with_the_modality(tmp_path: Path) -> None:
    photo_kind = Modality(name="photo", kind="image", column="photo", null_columns=("photo", "file"))
    features, modalities = {"photo": Image(), "file": Value("string")}, {"photo": photo_kind}
    with pytest.raises(SourceError, match=r"photo_missing contradicts column photo \(train, row 0\); got True"):
        write(tmp_path, features, modalities, {"photo": PNG, "file": "a", "photo_missing": True})
    with pytest.raises(
        SourceError, match=r"column file belongs to photo and is None although photo is present \(train, row"
    ):
        write(tmp_path, features, modalities, {"photo": PNG, "file": None})
    write(tmp_path, features, modalities, {"photo": None, "file": "a", "photo_missing": np.True_})
    assert rows_of(tmp_path, "train")[0]["file"] is None


@pytest.mark.parametrize(
    ("kind", "feature", "sentence"),
    [
        ("image", Value("binary"), r"column x cannot be of kind image; got binary\. Declare it as Image\(\)"),
        ("image", Audio(), "cannot be of kind image; got audio"),
        ("audio", Image(), "cannot be of kind audio; got an image"),
        ("text", Value("int32"), "cannot be of kind text; got int32"),
        ("vector", List(Value("float32")), r"cannot be of kind vector; got list.*length=\.\.\."),
        ("vector", List(Value("string"), length=2), "cannot be of kind vector"),
        ("ecg", List(Value("float32"), length=24), "cannot be of kind ecg"),
    ],
)
def test_a_column_that_is_not_of_its_kind_is_refused(kind: str, feature: Any, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        own_schema(Features({"x": feature, **NOTE}), {"x": kind, "note": "text"})


@pytest.mark.filterwarnings("ignore:x is of kind mine")
def test_a_kind_of_ones_own_has_any_column() -> None:
    assert (
        own_schema(Features({"x": Value("int8"), **NOTE}), {"x": "mine", "note": "text"}).modalities[0].kind == "mine"
    )


def test_columns_that_are_added_keep_their_types() -> None:
    for name, feature in (("sample_id", Value("string")), ("note_missing", Value("int8"))):
        features = Features({**VECTOR, **NOTE, name: feature})
        with pytest.raises(UsageError, match=rf"column {name} must be .*; got {feature.dtype}"):
            own_schema(features, {"vec": "vector", "note": "text"})
