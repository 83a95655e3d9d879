"""An epoch over a remote file system that stumbles, or loses a file on the way."""

from typing import Any

import fsspec
import pytest
from small_datasets import write_vectors

from symile_data.errors import DamageError
from symile_data.format import location
from symile_data.loaders import BatchLoader, Resources, open_split


@pytest.fixture
def remote(tmp_path, monkeypatch):
    """A dataset of four shards in fsspec's memory file system, and the pauses between attempts left out."""
    monkeypatch.setattr(location, "RETRY_PAUSES_S", (0.0, 0.0, 0.0))
    system = fsspec.filesystem("memory")
    system.put(str(write_vectors(tmp_path / "data", 40, shards=4)), "/epoch", recursive=True)
    yield "memory://epoch"
    system.rm("/epoch", recursive=True)


def stumbling(monkeypatch, failures):
    """Let every call that fetches bytes fail so many times before it succeeds."""
    system, counts = type(fsspec.filesystem("memory")), dict[Any, Any]()
    for name in ("cat_file", "cat_ranges"):
        whole = getattr(system, name)

        def fetch(self, path, *arguments, _whole=whole, **options):
            key = (str(path), str(arguments), str(options))
            counts[key] = counts.get(key, 0) + 1
            if counts[key] <= failures:
                raise ConnectionError("the line is dead")
            return _whole(self, path, *arguments, **options)

        monkeypatch.setattr(system, name, fetch)


def test_failed_reads_are_repeated_and_the_epoch_is_exact(remote, monkeypatch):
    whole = [batch["sample_id"].tolist() for batch in BatchLoader(open_split(remote, "train"), 7)]
    split = open_split(remote, "train")
    stumbling(monkeypatch, failures=1)
    assert [batch["sample_id"].tolist() for batch in BatchLoader(split, 7)] == whole


def test_a_dead_line_is_a_sentence(remote, monkeypatch):
    split = open_split(remote, "train")
    stumbling(monkeypatch, failures=100)
    with pytest.raises(DamageError, match=r"memory://epoch/data/train-0000.*the line is dead"):
        list(BatchLoader(split, 7))


def test_a_file_that_disappears_in_mid_epoch_is_named_and_a_repaired_one_is_continued(remote, tmp_path):
    loader = BatchLoader(open_split(remote, "train"), 5, resources=Resources(window=1, prefetch=0))
    system, seen = fsspec.filesystem("memory"), []
    for batch in loader:
        seen += batch["sample_id"].tolist()
        state = loader.state_dict()
        break
    system.rm("/epoch/data", recursive=True)
    broken = BatchLoader(loader.split, 5, resources=Resources(window=1))
    broken.load_state_dict(state)
    with pytest.raises(DamageError, match=r"memory://epoch/data/train-0000"):
        list(broken)
    system.put(str(tmp_path / "data/data"), "/epoch/data", recursive=True)
    mended = BatchLoader(open_split(remote, "train"), 5, resources=Resources(window=1))
    mended.load_state_dict(state)
    seen += [row for batch in mended for row in batch["sample_id"].tolist()]
    assert sorted(seen) == list(range(40))
