"""Tests of the groups of a loader's arguments, and of the keywords that stood in their place before."""

from typing import Any

import pytest
from small_datasets import write_m3, write_vectors

from symile_data.errors import UsageError
from symile_data.loaders import BatchLoader, Distribution, Resources, Variation, mix, open_split
from symile_data.loaders.arguments import OlderArguments, grouped


@pytest.mark.parametrize(
    ("kind", "fields", "message"),
    [
        (Resources, {"threads": 0}, "threads must be at least 1; got 0"),
        (Resources, {"prefetch": -1}, "prefetch must be at least 0; got -1"),
        (Resources, {"window": 0}, "window must be at least 1; got 0"),
        (Resources, {"memory": "much"}, "is no number of bytes; got 'much'"),
        (Resources, {"memory": -5}, "is no number of bytes; got -5"),
        (Resources, {"memory": "0.5 B"}, "memory must be at least 1 byte; got 0.5 B"),
        (Distribution, {"rank": 2, "world_size": 2}, "rank must be from 0 to world_size - 1; got rank 2 of 2"),
        (Distribution, {"rank": -1, "world_size": 2}, "rank must be .*; got rank -1 of 2"),
        (Distribution, {"world_size": 0}, "rank must be .*; got rank 0 of 0"),
    ],
)
def test_impossible_groups_are_refused(kind, fields, message):
    with pytest.raises(UsageError, match=message):
        kind(**fields)


@pytest.mark.parametrize(
    ("memory", "window"), [(None, 4), ("1 KiB", 4), (480, 2), ("0.479kB", 1), ("1B", 1), ("1GB", 4)]
)
def test_a_window_holds_as_many_row_groups_as_fit(tmp_path, memory, window):
    """Row groups of five rows with three vectors of four float32: 240 bytes."""
    split = open_split(write_vectors(tmp_path, 40), "train")
    bounded = BatchLoader(split, 4, resources=Resources(window=4, memory=memory))
    same = BatchLoader(split, 4, resources=Resources(window=window))
    assert bounded.state_dict() == same.state_dict()
    assert [batch["sample_id"].tolist() for batch in bounded] == [batch["sample_id"].tolist() for batch in same]


def test_a_window_of_a_mix_has_row_groups_of_each_split(tmp_path):
    splits = [open_split(write_vectors(tmp_path / name, 40), "train") for name in ("one", "two")]
    loader = BatchLoader(mix(splits, [1, 1]), 4, resources=Resources(window=4, memory=960))
    assert loader.state_dict()["settings"]["window"] == 2


def test_the_bounded_window_is_the_same_in_every_format(tmp_path):
    """The images, audio and texts of rows; what a file format needs beside them does not count."""
    windows = set()
    for shard_format in ("parquet", "webdataset"):
        split = open_split(write_m3(tmp_path / shard_format, 60, shard_format=shard_format), "train")
        size = max(
            sum(len(row["image"]["bytes"]) + len(row["audio"]["bytes"]) + len(row["text"].encode()) for row in rows)
            for group in (0, 5, 11)
            for rows in [split.read(["image", "audio", "text"], group).to_pylist()]
        )
        loaders = [BatchLoader(split, 4, resources=Resources(memory=size * 3 - less)) for less in (0, 1)]
        windows.add(tuple(loader.state_dict()["settings"]["window"] for loader in loaders))
    assert windows == {(3, 2)}


def test_older_keywords_go_into_their_groups_with_a_warning():
    older: OlderArguments = {"redraw_words": True, "augment": None, "threads": 5, "rank": 1, "world_size": 3}
    with pytest.warns(DeprecationWarning) as warned:
        found = grouped(older, None, Resources(window=4), None)
    assert found == (
        Variation(redraw_words=True),
        Resources(threads=5, window=4),
        Distribution(rank=1, world_size=3),
    )
    assert [str(warning.message) for warning in warned] == [
        "pass variation=Variation(redraw_words=..., augment=...) in place of redraw_words=..., augment=...",
        "pass resources=Resources(threads=...) in place of threads=...",
        "pass distribution=Distribution(rank=..., world_size=...) in place of rank=..., world_size=...",
    ]


def test_an_older_keyword_of_another_name_goes_into_its_field():
    swap = {"image": "cls_id"}
    with pytest.warns(DeprecationWarning) as warned:
        variation = grouped({"redraw_media": swap}, None, None, None)[0]
    assert variation == Variation(resample_within_class=swap)
    assert [str(warning.message) for warning in warned] == [
        "pass variation=Variation(resample_within_class=...) in place of redraw_media=..."
    ]


def test_a_loader_takes_groups_and_older_keywords_alike(tmp_path, recwarn):
    split = open_split(write_vectors(tmp_path, 40), "train")
    groups: dict[str, Any] = {"resources": Resources(window=1), "distribution": Distribution(rank=1, world_size=2)}
    loader = BatchLoader(split, 4, **groups)
    assert not [warning for warning in recwarn if warning.category is DeprecationWarning]
    with pytest.warns(DeprecationWarning) as warned:
        older = BatchLoader(split, 4, window=1, rank=1, world_size=2)
    assert {warning.filename for warning in warned} == {__file__}
    assert older.state_dict() == loader.state_dict()
    assert [b["sample_id"].tolist() for b in older] == [b["sample_id"].tolist() for b in loader]


def test_unknown_keywords_are_refused(tmp_path):
    split = open_split(write_vectors(tmp_path, 40), "train")
    with pytest.raises(TypeError, match="unexpected keyword argument 'thread'"):
        BatchLoader(split, 4, thread=2)  # type: ignore[call-arg]


def test_a_path_in_place_of_a_split_is_refused(tmp_path):
    for path in (tmp_path, str(tmp_path)):
        with pytest.raises(UsageError, match=r"a loader takes an opened split; got .* Call open_split"):
            BatchLoader(path, 4)  # type: ignore[arg-type]
