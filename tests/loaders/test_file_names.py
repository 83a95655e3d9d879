"""Splits are found where the Hub, `datasets` and their users put files, and a shard that is missing is named."""

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from range_server import serving

from symile_data.errors import DamageError, UsageError
from symile_data.format.location import Location
from symile_data.loaders import open_split
from symile_data.loaders.discover import discover_shards


def files(directory, *names):
    for number, name in enumerate(names):
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"vec": pa.array([[float(number)]], pa.list_(pa.float32(), 1))}), path)
    return directory


def card(directory, *lines):
    (directory / "README.md").write_text("\n".join(["---", "configs:", *lines, "---", ""]))
    return directory


def found(directory, split, config=None):
    return discover_shards(Location.of(directory), split, config)


@pytest.mark.parametrize("prefix", ["", "data/", "default/", "data/plain/"])
def test_the_hubs_converted_layout_opens(tmp_path, prefix):
    files(tmp_path, f"{prefix}train/0000.parquet", f"{prefix}train/0001.parquet", f"{prefix}test/0000.parquet")
    assert found(tmp_path, "train") == [f"{prefix}train/0000.parquet", f"{prefix}train/0001.parquet"]
    assert open_split(tmp_path, "test").rows == 1
    with pytest.raises(UsageError, match=r"no such split.*Choose among test, train"):
        found(tmp_path, "validation")


def test_the_converted_layout_of_several_configurations(tmp_path):
    files(tmp_path, "en/train/0000.parquet", "el/train/0000.parquet", "el/partial-test/0000.parquet")
    assert found(tmp_path, "train", "el") == ["el/train/0000.parquet"]
    assert found(tmp_path, "partial-test", "el") == ["el/partial-test/0000.parquet"]
    with pytest.raises(UsageError, match=r"several configurations .*one of el, en"):
        found(tmp_path, "train")
    with serving(tmp_path) as (address, _):
        assert open_split(address, "train", config="en").rows == 1


def test_files_of_any_name_in_a_folder_named_like_a_split(tmp_path):
    files(tmp_path, "train/part-a.parquet", "train/part-b.parquet", "validation/x.parquet")
    assert found(tmp_path, "train") == ["train/part-a.parquet", "train/part-b.parquet"]
    assert found(tmp_path, "validation") == ["validation/x.parquet"]


def test_names_of_files_go_before_names_of_folders(tmp_path):
    files(tmp_path, "train-0.parquet", "test/0000.parquet")
    assert found(tmp_path, "train") == ["train-0.parquet"]
    with pytest.raises(UsageError, match="no such split"):
        found(tmp_path, "test")


@pytest.mark.parametrize(
    ("present", "missing", "got"),
    [
        ([0], "train-00001-of-00002", "1 of the 2 that the name data/train-00000-of-00002.parquet counts"),
        ([1], "train-00000-of-00002", "1 of the 2"),
        ([0, 2, 3], "train-00001-of-00004", "3 of the 4"),
        ([0, 1], "train-00002-of-99999", "2 of the 99999"),
    ],
)
def test_a_shard_that_is_missing_among_numbered_ones_is_named(tmp_path, present, missing, got):
    count = missing.rpartition("-")[2]
    files(tmp_path, *(f"data/train-{index:05d}-of-{count}.parquet" for index in present))
    files(tmp_path, "data/test-00000-of-00001.parquet")
    with pytest.raises(DamageError, match=rf"a shard is missing .*data/{missing}\); got {got}"):
        open_split(tmp_path, "train")
    assert open_split(tmp_path, "test").rows == 1


def test_a_lone_shard_is_named_where_the_card_lists_it(tmp_path):
    files(tmp_path, "train-00000-of-00002.parquet")
    card(tmp_path, "- config_name: default", "  data_files: train-*.parquet")
    with pytest.raises(DamageError, match=r"a shard is missing .*train-00001-of-00002"):
        open_split(tmp_path, "train")
    files(tmp_path, "train-00001-of-00002.parquet")
    card(tmp_path, "- config_name: default", "  data_files: train-00000-of-00002.parquet")
    assert open_split(tmp_path, "train").rows == 1  # a card may name some of the files that are there


def test_names_of_older_versions_of_datasets_are_numbered_too(tmp_path):
    files(tmp_path, "train-00000-of-00002-0123456789abcdef.parquet")
    with pytest.raises(DamageError, match=r"a shard is missing .*train-00001-of-00002"):
        open_split(tmp_path, "train")
    files(tmp_path, "train-00001-of-00002-fedcba9876543210.parquet")
    assert open_split(tmp_path, "train").rows == 2


def test_two_numberings_in_one_split_are_refused(tmp_path):
    files(tmp_path, "train-00000-of-00001.parquet", "train-00000-of-00002.parquet", "train-00001-of-00002.parquet")
    with pytest.raises(DamageError, match=r"shards of two numberings .*got also train-00000-of-00001\.parquet"):
        open_split(tmp_path, "train")


def test_the_cards_data_dir_is_used(tmp_path):
    files(tmp_path, "data/train-0.parquet", "v2/train-0.parquet", "v3/data/train/0000.parquet")
    names = ["- config_name: two", "  data_dir: v2", "- config_name: three", "  data_dir: ./v3", "  default: true"]
    card(tmp_path, *names)
    assert found(tmp_path, "train") == ["v3/data/train/0000.parquet"]
    assert found(tmp_path, "train", "two") == ["v2/train-0.parquet"]
    with pytest.raises(UsageError, match=r"no such configuration .*Choose among two, three"):
        found(tmp_path, "train", "data")


def test_data_files_are_relative_to_data_dir(tmp_path):
    files(tmp_path, "x.parquet", "v2/x.parquet", "v2/y.parquet")
    card(tmp_path, "- data_dir: v2", "  data_files:", "    train: x.parquet", "    test: [y.parquet]")
    assert found(tmp_path, "train") == ["v2/x.parquet"]
    assert found(tmp_path, "test") == ["v2/y.parquet"]


@pytest.mark.parametrize("folder", ["../other", "/etc", "v2/../../other"])
def test_a_data_dir_that_leads_out_is_refused(tmp_path, folder):
    files(tmp_path / "other", "train-0.parquet")
    files(tmp_path / "here", "train-0.parquet")
    card(tmp_path / "here", f"- data_dir: {folder}")
    with pytest.raises(DamageError, match="leads out of the directory"):
        found(tmp_path / "here", "train")


@pytest.mark.parametrize("pattern", ["../other/train-0.parquet", "{}/other/*.parquet", "data/../../other/*", "*/../*"])
def test_a_pattern_that_leads_out_finds_nothing(tmp_path, pattern):
    files(tmp_path / "other", "train-0.parquet")
    card(
        files(tmp_path / "here", "data/train-0.parquet", "train-1.parquet"),
        f'- data_files: "{pattern.format(tmp_path)}"',
    )
    with pytest.raises(UsageError, match="no such configuration is there"):
        found(tmp_path / "here", "train")


@pytest.mark.parametrize("line", ["data_dir: absent", "data_files: absent-*.parquet"])
def test_other_files_do_not_stand_in_for_those_that_the_card_names(tmp_path, line):
    card(files(tmp_path, "data/train-0.parquet"), f"- {line}")
    with pytest.raises(UsageError, match=r"no such configuration is there, though README\.md names files of it"):
        found(tmp_path, "train")


def test_a_data_dir_that_is_no_text_is_refused(tmp_path):
    card(files(tmp_path, "train-0.parquet"), "- data_dir: [a]")
    with pytest.raises(DamageError, match=r"configs\[0\]\.data_dir of its front matter is no text"):
        found(tmp_path, "train")


def test_a_message_lists_few_of_many_configurations(tmp_path):
    files(tmp_path, "data/train-0.parquet")
    names = [line for number in range(900) for line in (f"- config_name: c{number}", "  data_dir: data")]
    card(tmp_path, *names)
    with pytest.raises(UsageError, match=r"Choose among c0, c1, .*c19 and 880 more\.$"):
        found(tmp_path, "train", "data")
