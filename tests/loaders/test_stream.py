"""Streaming from the shards: what is in memory, how often a row group is read, and what a batch was before."""

from typing import Any

import numpy as np
import pytest
from small_datasets import write_m3, write_vectors

from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    Distribution,
    ImageSettings,
    Resources,
    mix,
    open_split,
    stream,
)
from symile_data.loaders.batches import BatchSpec

SMALL = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}


def some_missing(row: int) -> tuple[str, ...]:
    return ("image",) if row % 4 == 1 else ("audio", "text") if row % 4 == 3 else ()


class Watched(stream._Groups):
    """Remembers which row groups were read, and how many were in memory at most."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.read: list[int] = []
        self.most = 0

    def _get(self, index):
        known = index in self._known
        group = super()._get(index)
        self.read += [] if known else [index]
        self.most = max(self.most, len(self._known))
        return group


@pytest.fixture
def watched(monkeypatch):
    made = []

    def make(*arguments, **options):
        made.append(Watched(*arguments, **options))
        return made[-1]

    monkeypatch.setattr(stream, "_Groups", make)
    return made


def only_last_window(groups: Watched) -> bool:
    """Nothing of the windows before it is in memory after an epoch."""
    return all(groups.window_of[index] == groups.window_of.max() for index in groups._known)


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("shuffle", [True, False])
def test_each_row_group_is_read_once_and_forgotten(tmp_path, watched, threads, shuffle):
    split = open_split(write_vectors(tmp_path, 203, group=5), "train")
    loader = BatchLoader(split, 7, shuffle=shuffle, drop_last=False, resources=Resources(threads=threads, window=4))
    for _ in loader:
        pass
    assert sorted(watched[0].read) == list(range(len(split.group_rows)))
    assert only_last_window(watched[0])


def test_one_window_leaves_memory_as_the_next_one_comes(tmp_path, watched):
    """One thread meets the rows of the old window first; two whole windows would be 8 row groups."""
    split = open_split(write_vectors(tmp_path, 200, group=5), "train")
    for _ in BatchLoader(split, 8, resources=Resources(threads=1, window=4, prefetch=0)):
        pass
    assert watched[0].most == 4


def test_ranks_and_mixes_forget_row_groups_too(tmp_path, watched):
    splits = [open_split(write_vectors(tmp_path / name, 60), "train") for name in ("one", "two")]
    for rank in (0, 1):
        distribution = Distribution(rank=rank, world_size=2)
        for _ in BatchLoader(mix(splits, [2, 1]), 6, distribution=distribution, resources=Resources(window=2)):
            pass
    assert [len(groups.read) == len(set(groups.read)) for groups in watched] == [True, True]
    assert all(len(groups._known) <= 2 * 2 for groups in watched)  # a window of each split


def test_nothing_of_what_was_in_memory_before_shows(tmp_path, monkeypatch):
    split = open_split(write_m3(tmp_path, 24, missing=some_missing), "train")
    options: dict[str, Any] = {"transforms": SMALL, "missingness": 0.3, "shuffle": False}
    sound = list(BatchLoader(split, 6, **options))
    whole = BatchSpec.allocate

    def used_before(spec, rows):
        batch = whole(spec, rows)
        for reader in spec.readers:
            if batch[reader.name].dtype != object:
                batch[reader.name].fill(77)
        return batch

    monkeypatch.setattr(BatchSpec, "allocate", used_before)
    for one, other in zip(BatchLoader(split, 6, **options), sound, strict=True):
        assert one["text"] == other["text"]
        assert all(np.array_equal(one[name], other[name]) for name in ("image", "audio", "missing"))
        assert not one["image"][one["missing"][:, 0]].any()
