"""Shards that others wrote: their types, masks, ids and order of columns are served, or one sentence names them."""

import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_datasets import flac, jpeg

from symile_data.errors import DamageError, UsageError
from symile_data.loaders import AudioSettings, BatchLoader, EcgSettings, ImageSettings, open_split
from symile_data.loaders.decoders.base import UndecodableError, fixed_lists
from symile_data.loaders.decoders.ecg import decode_ecg
from symile_data.loaders.discover.columns import plain_type

SETTINGS = {"image": ImageSettings(size=8), "jpg": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}
VECTORS = pa.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]], pa.list_(pa.float32(), 2))


def write(directory, name="train.parquet", **columns):
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), path)
    return directory


def batch_of(directory, columns=(), **options):
    split = open_split(directory, "train")
    names = [modality.name for modality in split.modalities]
    settings = {name: SETTINGS[name] for name in names if name in SETTINGS}
    return next(iter(BatchLoader(split, split.rows, shuffle=False, columns=columns, transforms=settings, **options)))


def test_a_truth_value_that_is_null_is_named_with_what_to_do(tmp_path):
    write(tmp_path, vec=VECTORS, lab=pa.array([True, None, False]))
    with pytest.raises(DamageError, match=r"lab is null \(.*row 1\)\. Truth values have no null in a batch: leave"):
        batch_of(tmp_path, ["lab"])
    split = open_split(tmp_path, "train", where="lab is not null")
    assert next(iter(BatchLoader(split, 2, shuffle=False, columns=["lab"])))["lab"].tolist() == [True, False]


@pytest.mark.parametrize("kind", [*(f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32, 64))])
@pytest.mark.parametrize("cache", [False, True])
def test_whole_labels_of_any_width_are_int64(tmp_path, kind, cache):
    write(tmp_path, vec=VECTORS, lab=pa.array([3, None, 100], kind))
    batch = batch_of(tmp_path, ["lab"], cache=cache)
    assert batch["lab"].tolist() == [3, -100, 100]
    assert str(batch["lab"].dtype) == "torch.int64"


@given(st.lists(st.one_of(st.none(), st.integers(0, (1 << 64) - 1)), min_size=3, max_size=3))
def test_uint64_labels_are_exact_or_named(tmp_path_factory, values):
    directory = write(tmp_path_factory.mktemp("labels"), vec=VECTORS, lab=pa.array(values, pa.uint64()))
    large = [row for row, value in enumerate(values) if value is not None and value >= 1 << 63]
    if large:
        with pytest.raises(
            DamageError, match=rf"lab does not fit into int64 .*row {large[0]}\); got {values[large[0]]}"
        ):
            batch_of(directory, ["lab"])
    else:
        assert batch_of(directory, ["lab"])["lab"].tolist() == [-100 if value is None else value for value in values]


def test_labels_of_lists_name_the_row_that_does_not_fit(tmp_path):
    labels = pa.array([[1, 2], None, [3, 1 << 63]], pa.list_(pa.uint64(), 2))
    write(tmp_path, vec=VECTORS, lab=labels)
    with pytest.raises(DamageError, match=r"lab does not fit into int64 .*row 2\)"):
        batch_of(tmp_path, ["lab"])
    write(tmp_path, vec=VECTORS, lab=pa.array([[1, None], None, [3, 4]], pa.list_(pa.uint16(), 2)))
    assert batch_of(tmp_path, ["lab"])["lab"].tolist() == [[1, -100], [-100, -100], [3, 4]]
    write(tmp_path, vec=VECTORS, lab=pa.array([[True, False], [True, None], [True, True]], pa.list_(pa.bool_(), 2)))
    with pytest.raises(DamageError, match=r"lab is null .*row 1\)"):
        batch_of(tmp_path, ["lab"])


@pytest.mark.parametrize("kind", ["float16", "float32", "float64"])
def test_float_labels_keep_what_is_not_finite(tmp_path, kind):
    write(tmp_path, vec=VECTORS, lab=pa.array([np.nan, None, -np.inf]).cast(kind))
    assert np.array_equal(batch_of(tmp_path, ["lab"])["lab"].numpy(), [np.nan, np.nan, -np.inf], equal_nan=True)


@pytest.mark.parametrize(
    "mask",
    [pa.nulls(3), pa.array([0, 1, 0]), pa.array([0.0, 1.0, 0.0]), pa.array(["False", "True", "False"])],
    ids=lambda mask: str(mask.type),
)
def test_masks_that_are_not_bool_are_named(tmp_path, mask):
    write(tmp_path, vec=VECTORS, vec_missing=mask)
    with pytest.raises(DamageError, match=rf"the mask column vec_missing is not bool .*got {mask.type}\. Store it as"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("cache", [False, True])
def test_a_mask_that_is_null_in_a_row_is_named(tmp_path, cache):
    write(tmp_path, vec=VECTORS, vec_missing=pa.array([False, True, None]))
    with pytest.raises(DamageError, match=r"vec_missing is null \(train\.parquet, row 2\)"):
        batch_of(tmp_path, cache=cache)


def test_a_mask_that_is_null_throughout_one_shard_is_named_by_its_row(tmp_path):
    write(tmp_path, "train-0.parquet", vec=VECTORS, vec_missing=pa.array([False] * 3))
    write(tmp_path, "train-1.parquet", vec=VECTORS, vec_missing=pa.nulls(3))
    with pytest.raises(DamageError, match=r"vec_missing is null \(train-1\.parquet, row 0\)"):
        batch_of(tmp_path)


@pytest.mark.parametrize("kind", ["uint8", "int32", "uint64"])
def test_whole_ids_of_any_width_are_served(tmp_path, kind):
    write(tmp_path, vec=VECTORS, sample_id=pa.array([7, 8, 200], kind))
    assert batch_of(tmp_path)["sample_id"].tolist() == [7, 8, 200]


@pytest.mark.parametrize("ids", [["1", "2", "3"], [1.0, 2.5, 3.0], [None] * 3, [True, False, True]])
def test_ids_that_are_no_whole_numbers_are_named(tmp_path, ids):
    write(tmp_path, vec=VECTORS, sample_id=pa.array(ids))
    with pytest.raises(
        DamageError, match=r"column sample_id does not hold whole numbers .*Rename it: rows without ids"
    ):
        open_split(tmp_path, "train")


def test_ids_that_are_too_large_are_named(tmp_path):
    write(tmp_path, vec=VECTORS, sample_id=pa.array([1, 2, 1 << 63], pa.uint64()))
    with pytest.raises(DamageError, match=r"sample_id does not fit into int64 .*row 2\)"):
        batch_of(tmp_path)


def test_a_column_that_occurs_twice_is_named(tmp_path):
    pq.write_table(pa.table([VECTORS, VECTORS], names=["vec", "vec"]), tmp_path / "train.parquet")
    with pytest.raises(DamageError, match=r"a shard has a column twice .*train\.parquet\); got vec"):
        open_split(tmp_path, "train")


def test_columns_may_stand_in_another_order(tmp_path):
    other = pa.array([[10.0, 20.0]] * 3, pa.list_(pa.float32(), 2))
    write(tmp_path, "train-0.parquet", a=VECTORS, b=other, lab=pa.array([1, 2, 3]))
    write(tmp_path, "train-1.parquet", lab=pa.array([4, 5, 6]), b=other, a=VECTORS)
    batch = batch_of(tmp_path, ["lab"])
    assert batch["lab"].tolist() == [1, 2, 3, 4, 5, 6]
    assert batch["a"].tolist() == VECTORS.to_pylist() * 2
    assert batch["b"].tolist() == other.to_pylist() * 2
    split = open_split(tmp_path, "train")
    assert split.read_all(["b", "lab", "a"]).column_names == ["b", "lab", "a"]
    assert split.read(["b", "a"], 0).column_names == ["b", "a"]


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"lab": pa.array([1.0, 2.0, 3.0])}, "lab as double, the first has int64"),
        ({"extra": pa.array([1, 2, 3])}, "extra as int64, the first has no such column"),
        ({"lab": None}, "no column lab"),
    ],
)
def test_other_columns_or_types_in_a_later_shard_are_named(tmp_path, change, sentence):
    columns = {"vec": VECTORS, "lab": pa.array([1, 2, 3])}
    write(tmp_path, "train-0.parquet", **columns)
    later = {name: column for name, column in {**columns, **change}.items() if column is not None}
    write(tmp_path, "train-1.parquet", **later)
    with pytest.raises(DamageError, match=rf"other columns or types .*train-1\.parquet\); got {sentence}"):
        open_split(tmp_path, "train")


FILES = [jpeg(), None, jpeg(colour=(0, 0, 250))]
TEXTS = ["a", None, "b"]


@pytest.mark.parametrize("kind", [pa.string(), pa.large_string(), pa.dictionary(pa.int8(), pa.string())], ids=str)
@pytest.mark.parametrize("files", [pa.binary(), pa.large_binary()], ids=str)
@pytest.mark.parametrize("cache", [False, True])
def test_texts_and_files_of_any_arrow_type_are_served(tmp_path, kind, files, cache):
    texts = pa.array(TEXTS, pa.string()).cast(kind)
    structs = pa.array([file and {"bytes": file, "path": "x"} for file in FILES], pa.struct([("bytes", files)]))
    write(tmp_path, text=texts, image=structs, jpg=pa.array(FILES, files), lang=texts)
    split = open_split(tmp_path, "train")
    assert [(m.name, m.kind) for m in split.modalities] == [("text", "text"), ("image", "image"), ("jpg", "image")]
    batch = batch_of(tmp_path, ["lang"], cache=cache)
    assert batch["text"] == batch["lang"] == TEXTS
    assert batch["missing"].tolist() == [[False] * 3, [True] * 3, [False] * 3]
    assert np.array_equal(batch["image"].numpy(), batch["jpg"].numpy())
    assert batch["image"][2, 4, 4, 2] > 200 > batch["image"][0, 4, 4, 2]


def test_shards_of_several_writers_are_read_as_one_split(tmp_path):
    kinds = [pa.string(), pa.large_string(), pa.dictionary(pa.int32(), pa.large_string()), pa.null()]
    for number, kind in enumerate(kinds):
        texts = pa.nulls(3) if pa.types.is_null(kind) else pa.array(TEXTS, pa.large_string()).cast(kind)
        write(tmp_path, f"train-{number}.parquet", text=texts, vec=VECTORS)
    assert batch_of(tmp_path)["text"] == [*TEXTS * 3, None, None, None]
    assert open_split(tmp_path, "train").schema.field("text").type == pa.string()


def test_large_lists_are_served_as_labels(tmp_path):
    tags = pa.array([["a"], [], None], pa.large_list(pa.large_string()))
    write(tmp_path, vec=VECTORS, tags=tags)
    assert batch_of(tmp_path, ["tags"])["tags"] == [["a"], [], None]


KINDS = st.recursive(
    st.sampled_from([pa.string(), pa.large_string(), pa.binary(), pa.large_binary(), pa.int8(), pa.float64()]),
    lambda inner: st.one_of(
        inner.map(pa.list_),
        inner.map(pa.large_list),
        inner.map(lambda kind: pa.list_(kind, 2)),
        inner.map(lambda kind: pa.struct([pa.field("a", kind, nullable=False)])),
    ),
    max_leaves=3,
)


@given(KINDS, st.data())
def test_plain_types_hold_the_same_values(kind, data):
    def value(of):
        if pa.types.is_struct(of):
            return st.fixed_dictionaries({"a": value(of.field(0).type)})
        if pa.types.is_fixed_size_list(of):
            return st.lists(value(of.value_type), min_size=2, max_size=2)
        if pa.types.is_nested(of):
            return st.lists(value(of.value_type), max_size=3)
        if pa.types.is_integer(of):
            return st.integers(-128, 127)
        if pa.types.is_floating(of):
            return st.floats(allow_nan=False)
        return st.text(max_size=2) if "string" in str(of) else st.binary(max_size=2)

    column = pa.chunked_array([pa.array(data.draw(st.lists(value(kind), max_size=3)), kind)])
    plain = plain_type(kind)
    assert column.cast(plain).to_pylist() == column.to_pylist()
    assert plain_type(plain) == plain
    assert "large" not in str(plain)


@pytest.mark.parametrize(
    ("column", "reason"),
    [
        (pa.array(FILES, pa.binary()), "it holds files of an unknown kind, name it image or audio"),
        (pa.array([{"bytes": b"x", "path": "x"}] * 3), "it holds files of an unknown kind, name it image or audio"),
        (pa.array([[1.0, 2.0], [3.0], []]), "its lists have no fixed length"),
        (pa.array([[1.0]] * 3, pa.large_list(pa.float32())), "its lists have no fixed length"),
    ],
    ids=["files", "structs", "lists", "large lists"],
)
def test_a_column_that_might_be_a_modality_is_told(tmp_path, column, reason):
    write(tmp_path, photo=column, vec=VECTORS)
    with pytest.warns(UserWarning, match=rf"train\.parquet: column photo is not used: {reason}"):
        assert [modality.name for modality in open_split(tmp_path, "train").modalities] == ["vec"]
    write(tmp_path, photo=column)
    with pytest.raises(DamageError, match=rf"no column is of a kind .*got column photo is not used: {reason}"):
        open_split(tmp_path, "train")


@pytest.mark.parametrize("name", ["image", "audio", "text"])
def test_a_modality_of_a_type_that_cannot_be_one_is_told(tmp_path, name):
    write(tmp_path, **{name: pa.array([1, 2, 3])}, vec=VECTORS)
    with pytest.warns(UserWarning, match=f"column {name} is not used: it is int64"):
        open_split(tmp_path, "train")


def test_a_file_without_a_mask_among_masked_columns_is_told(tmp_path):
    write(tmp_path, vec=VECTORS, vec_missing=pa.array([False] * 3), image=pa.array(FILES), note=pa.array(TEXTS))
    with pytest.warns(
        UserWarning, match="column image is not used: other columns have a mask, and there is no image_mi"
    ):
        assert [modality.name for modality in open_split(tmp_path, "train").modalities] == ["vec"]


def test_columns_that_describe_a_sample_are_not_told_of(tmp_path):
    write(tmp_path, vec=VECTORS, note=pa.array(TEXTS), lab=pa.array([1, 2, 3]), tags=pa.array([["a"]] * 3))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_split(tmp_path, "train")


def test_whole_numbers_with_a_mask_are_vectors(tmp_path):
    numbers = pa.array([[1, 2], None, [3, 4]], pa.list_(pa.int16(), 2))
    write(tmp_path, counts=numbers, counts_missing=pa.array([False, True, False]))
    assert batch_of(tmp_path)["counts"].tolist() == [[1, 2], [0, 0], [3, 4]]


def test_strings_with_a_mask_are_texts(tmp_path):
    write(
        tmp_path,
        vec=VECTORS,
        caption=pa.array(TEXTS),
        caption_missing=pa.array([False, True, False]),
        vec_missing=pa.array([False] * 3),
    )
    assert [(m.name, m.kind) for m in open_split(tmp_path, "train").modalities] == [
        ("vec", "vector"),
        ("caption", "text"),
    ]
    assert batch_of(tmp_path)["caption"] == TEXTS


@pytest.mark.parametrize("cache", [False, True])
def test_a_medium_without_bytes_is_named_at_its_row(tmp_path, cache):
    files = [{"bytes": flac(), "path": None}, {"bytes": None, "path": "clips/1.flac"}]
    write(tmp_path, audio=pa.array(files), vec=VECTORS[:2])
    with pytest.raises(
        DamageError, match=r"column audio cannot be decoded \(train\.parquet, row 1\); got there are no by"
    ):
        batch_of(tmp_path, cache=cache)
    assert batch_of(tmp_path, cache=cache, on_error="skip")["sample_id"].tolist() == [0]


def test_nulls_among_whole_numbers_are_nan_and_not_zero():
    column = pa.array([[1, None], None, [3, 4]], pa.list_(pa.int16(), 2))
    assert np.array_equal(fixed_lists(column)[[0, 2]], np.array([[1, np.nan], [3, 4]]), equal_nan=True)
    assert fixed_lists(column[1:]).dtype == np.int16
    assert fixed_lists(pa.array([[True, False], None], pa.list_(pa.bool_(), 2)))[0].tolist() == [True, False]
    with pytest.raises(UndecodableError, match="samples that are null"):
        decode_ecg(fixed_lists(column)[0], EcgSettings(leads=2))
    assert decode_ecg(fixed_lists(column)[2], EcgSettings(leads=2, scale=False)).dtype == np.int16


@pytest.mark.parametrize(
    ("kind", "column", "sentence"),
    [
        ("image", pa.array(["x.png"] * 3), "images or audio must hold the bytes of files; got string"),
        ("audio", pa.array([{"path": "x.wav"}] * 3), "images or audio must hold the bytes of files; got struct"),
        ("text", pa.array([1, 2, 3]), "a text column must hold strings; got int64"),
        ("vector", pa.array([["a", "b"]] * 3, pa.list_(pa.string(), 2)), "a fixed-size list of numbers; got fixed"),
    ],
)
def test_a_modality_that_shards_declare_wrongly_is_named(tmp_path, kind, column, sentence):
    declared = f'[{{"name": "x", "kind": "{kind}", "column": "x", "null_columns": ["x"]}}]'
    table = pa.table({"x": column}).replace_schema_metadata({b"symile_data.modalities": declared})
    pq.write_table(table, tmp_path / "train.parquet")
    with pytest.raises(UsageError, match=sentence):
        BatchLoader(open_split(tmp_path, "train"), 3)
