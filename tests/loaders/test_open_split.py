import json
import shutil

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from small_datasets import M3_FEATURES, m3_row, write_m3, write_vectors

from symile_data.errors import DamageError, UsageError
from symile_data.files import digest
from symile_data.format import manifest as manifests
from symile_data.loaders import open_split


def test_a_split_knows_its_rows_groups_and_modalities(tmp_path):
    split = open_split(write_m3(tmp_path, 23, group=5, shards=2), "train")
    assert split.rows == 23
    assert split.group_rows.tolist() == [5, 5, 1, 5, 5, 2]
    assert [modality.name for modality in split.modalities] == ["image", "audio", "text"]
    assert split.spec == {"mode": "disjoint", "words": 3}


def test_reading_gives_the_asked_columns_of_one_row_group(tmp_path):
    split = open_split(write_m3(tmp_path, 23, group=5, shards=2), "train")
    table = split.read(["sample_id", "text"], 3)
    assert table.column_names == ["sample_id", "text"]
    assert table["sample_id"].to_pylist() == [1011, 1012, 1013, 1014, 1015]
    assert split.read_all(["sample_id"])["sample_id"].to_pylist() == list(range(1000, 1023))


def test_a_row_has_a_place_in_a_file(tmp_path):
    split = open_split(write_m3(tmp_path, 23, group=5, shards=2), "train")
    assert split.place(11) == "data/train-00001-of-00002.parquet, row 0"
    assert split.place(10) == "data/train-00000-of-00002.parquet, row 10"
    with pytest.raises(UsageError, match=r"no such row \(.*Choose from 0 to"):
        split.place(23)


def test_unknown_names_are_refused_with_those_that_exist(tmp_path):
    write_m3(tmp_path, 10)
    with pytest.raises(UsageError, match=r"no such split.*got 'tets'.*Choose among train"):
        open_split(tmp_path, "tets")
    split = open_split(tmp_path, "train")
    with pytest.raises(UsageError, match=r"no such column.*got pictures.*image"):
        split.read(["pictures"], 0)
    with pytest.raises(UsageError, match="no such row group"):
        split.read(["text"], 99)
    with pytest.raises(UsageError, match="does not exist"):
        open_split(tmp_path / "nowhere", "train")


def test_a_missing_shard_is_named(tmp_path):
    shard = write_m3(tmp_path, 10) / "data/train-00001-of-00002.parquet"
    shard.unlink()
    with pytest.raises(DamageError, match=r"a shard is missing.*train-00001-of-00002"):
        open_split(tmp_path, "train")


def test_a_shard_that_vanishes_after_opening_is_named(tmp_path):
    split = open_split(write_m3(tmp_path, 10, shards=1), "train")
    (tmp_path / "data/train-00000-of-00001.parquet").unlink()
    with pytest.raises(DamageError, match="a shard is missing"):
        split.read(["text"], 0)


def test_a_truncated_shard_is_named(tmp_path):
    shard = write_m3(tmp_path, 10) / "data/train-00001-of-00002.parquet"
    shard.write_bytes(shard.read_bytes()[:-100])
    with pytest.raises(DamageError, match=r"truncated or replaced.*train-00001.*the manifest says"):
        open_split(tmp_path, "train")
    (tmp_path / manifests.FILE_NAME).unlink()
    with pytest.raises(DamageError, match=r"truncated or no Parquet.*train-00001"):
        open_split(tmp_path, "train")


def edit_manifest(directory, change):
    path = directory / manifests.FILE_NAME
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps({**value, "digest": digest({name: value[name] for name in value if name != "digest"})}))


def test_other_rows_than_the_manifest_says_are_named(tmp_path):
    write_m3(tmp_path, 10)
    edit_manifest(tmp_path, lambda value: value["files"][0].update(rows=6))
    with pytest.raises(DamageError, match=r"another number of rows.*train-00000.*got 5 rows, the manifest says 6"):
        open_split(tmp_path, "train")
    edit_manifest(tmp_path, lambda value: (value["files"][0].update(rows=5), value["splits"].update(train=11)))
    with pytest.raises(DamageError, match="shards of split train have other rows"):
        open_split(tmp_path, "train")


def test_an_empty_split_and_an_unfinished_build_are_refused(tmp_path):
    write_m3(tmp_path / "a", 10)
    edit_manifest(tmp_path / "a", lambda value: value["splits"].update(test=0))
    with pytest.raises(DamageError, match="split test has no rows"):
        open_split(tmp_path / "a", "test")
    (tmp_path / "b/.build").mkdir(parents=True)
    with pytest.raises(DamageError, match="unfinished build"):
        open_split(tmp_path / "b", "train")
    (tmp_path / "c").mkdir()
    with pytest.raises(DamageError, match="neither a manifest"):
        open_split(tmp_path / "c", "train")


def test_shards_of_another_kind_are_refused(tmp_path):
    write_m3(tmp_path, 10)
    edit_manifest(tmp_path, lambda value: value["files"][0].update(path="data/train-0.arrow"))
    with pytest.raises(UsageError, match=r"no shard of a known format.*train-0.arrow.*\.parquet, \.tar"):
        open_split(tmp_path, "train")


def test_without_a_manifest_types_tell_the_modalities(tmp_path):
    write_m3(tmp_path, 10)
    built = open_split(tmp_path, "train")
    (tmp_path / manifests.FILE_NAME).unlink()
    found = open_split(tmp_path, "train")
    assert {modality.name: modality for modality in found.modalities} == {m.name: m for m in built.modalities}
    assert found.spec == {} and found.rows == 10
    with pytest.raises(UsageError, match="Choose among train"):
        open_split(tmp_path, "validation")


def test_without_masks_or_metadata_names_and_structs_are_enough(tmp_path):
    names = ["lang", "audio", "image", "text", "cls_id"]
    features = M3_FEATURES.arrow_schema
    schema = pa.schema([features.field(name) for name in names])
    rows = [{name: m3_row(row)[name] for name in names} for row in range(4)]
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "train.parquet")
    split = open_split(tmp_path, "train")
    assert [(modality.name, modality.kind) for modality in split.modalities] == [
        ("audio", "audio"),
        ("image", "image"),
        ("text", "text"),
    ]


def test_only_masked_columns_are_modalities_where_masks_exist(tmp_path):
    write_vectors(tmp_path, 10)
    (tmp_path / manifests.FILE_NAME).unlink()
    for path in (tmp_path / "data").iterdir():
        table = pq.read_table(path)
        pq.write_table(table.append_column("extra", table["a"]), path)
    assert [modality.name for modality in open_split(tmp_path, "train").modalities] == ["a", "b", "c"]


def test_a_column_free_of_media_is_refused(tmp_path):
    pq.write_table(pa.table({"n": [1, 2]}), tmp_path / "train.parquet")
    with pytest.raises(DamageError, match="no column is of a kind"):
        open_split(tmp_path, "train")


def test_fingerprints_follow_the_data_not_the_place(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    write_m3(one, 10)
    shutil.copytree(one, two)
    other = write_m3(tmp_path / "other", 10, change=lambda row, value: value | {"lang": "en"})
    assert open_split(one, "train").fingerprint == open_split(two, "train").fingerprint
    for directory in (one, two, other):
        (directory / manifests.FILE_NAME).unlink()
    assert open_split(one, "train").fingerprint == open_split(two, "train").fingerprint
    assert open_split(one, "train").fingerprint != open_split(other, "train").fingerprint


def test_shards_that_differ_in_columns_are_refused(tmp_path):
    write_vectors(tmp_path, 10)
    (tmp_path / manifests.FILE_NAME).unlink()
    path = tmp_path / "data/train-00001-of-00002.parquet"
    pq.write_table(pq.read_table(path).drop_columns(["b"]), path)
    with pytest.raises(DamageError, match=r"other columns or types.*train-00001"):
        open_split(tmp_path, "train")
