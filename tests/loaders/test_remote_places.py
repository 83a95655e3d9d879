"""Remote datasets through a local cache: over HTTP, from the Hub and from S3, each byte is fetched once."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import fsspec
import huggingface_hub
import numpy as np
import pyarrow as pa
import pytest
from factories import build
from hub_stand_in import hub
from range_server import serving
from s3_stand_in import s3
from small_datasets import write_m3, write_vectors

from symile_data.builders.features.beside import build_beside
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.errors import DamageError
from symile_data.format import location as locations
from symile_data.format.shards import deduplicated
from symile_data.loaders import BatchLoader, ImageSettings, RemoteCache, Resources, Split, open_split
from symile_data.loaders.cache import fetch_ahead

ROWS = 40
SETTINGS = {"image": ImageSettings(size=4)}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 rows in four shards, whose large texts make every row group longer than a small read."""

    def longer(_: int, value: dict[str, Any]) -> dict[str, Any]:
        noise = np.random.default_rng(value["sample_id"]).integers(97, 123, 60_000, dtype=np.uint8)
        return value | {"target_text": noise.tobytes().decode()}

    return write_m3(tmp_path_factory.mktemp("m3"), ROWS, shards=4, change=longer)


def epoch(place: str | Path, cache: RemoteCache | None, **options: Any) -> list[list[int]]:
    """The ids of one epoch's batches, each of whose texts is as long as it was written."""
    split = open_split(place, "train", remote_cache=cache)
    loader = BatchLoader(
        split, 6, modalities=["image", "text"], columns=["target_text"], transforms=SETTINGS, **options
    )
    found = []
    for batch in loader:
        assert {len(text) for text in batch["target_text"]} == {60_000}
        found.append(batch["sample_id"].tolist())
    return found


def test_a_second_epoch_asks_the_server_for_nothing_but_the_manifest(dataset: Path, tmp_path: Path) -> None:
    expected = epoch(dataset, None)
    with serving(dataset) as (address, served):
        assert epoch(address, RemoteCache(tmp_path, limit="100MB")) == expected
        fetched = len(served)
        assert fetched
        for name in {name for name, _, _ in served}:  # no block twice, by however many threads
            spans = [(first, end) for served_name, first, end in served if served_name == name and end - first > 2**17]
            assert len(spans) == len(set(spans))
        assert epoch(address, RemoteCache(tmp_path, limit="100MB")) == expected
        assert len(served) == fetched


def test_an_interrupted_epoch_continues_with_what_is_there(dataset: Path, tmp_path: Path) -> None:
    whole = [row for batch in epoch(dataset, None, drop_last=False) for row in batch]
    with serving(dataset) as (address, served):

        def loader() -> BatchLoader:
            split = open_split(address, "train", remote_cache=RemoteCache(tmp_path, limit="100MB"))
            resources = Resources(window=2, prefetch=0)
            options: dict[str, Any] = {"drop_last": False, "modalities": ["text"], "columns": ["target_text"]}
            return BatchLoader(split, 6, resources=resources, **options)

        first = loader()
        seen = []
        for batch in first:
            seen += batch["sample_id"].tolist()
            if len(seen) > 15:
                break
        before = list(served)
        rest = loader()
        rest.load_state_dict(first.state_dict())
        seen += [row for batch in rest for row in batch["sample_id"].tolist()]
        assert sorted(seen) == sorted(whole) and len(seen) == ROWS
        assert len(set(served[len(before) :]) & set(before)) == 0


def test_a_file_that_is_replaced_is_fetched_anew(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")

    def put(rows: int) -> None:
        directory = write_vectors(tmp_path / "data", rows, shards=1)
        if system.exists("/replaced"):
            system.rm("/replaced", recursive=True)
        system.put(str(directory), "/replaced", recursive=True)

    cache = tmp_path / "cache"
    try:
        for rows in (40, 30):
            put(rows)
            split = open_split("memory://replaced", "train", remote_cache=RemoteCache(cache, limit="20MB"))
            assert split.read_all(["sample_id"])["sample_id"].to_pylist() == list(range(rows))
    finally:
        system.rm("/replaced", recursive=True)


class _AtOnce:
    """An executor that runs each task when it is submitted."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def submit(self, task: Callable[..., Any], *arguments: Any) -> Future[Any]:
        task(*arguments)
        return Future()

    def shutdown(self, **_: Any) -> None: ...


@pytest.mark.parametrize("layout", ["parquet", "webdataset", "pooled", "features", "filtered"])
def test_the_next_window_is_fetched_before_it_is_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, layout: str, tree: Path
) -> None:
    monkeypatch.setattr(fetch_ahead, "ThreadPoolExecutor", _AtOnce)
    directory = tmp_path / "m3"
    if layout == "pooled":
        monkeypatch.setattr(deduplicated, "ROWS_PER_GROUP", 5)
        build(tree, directory, layout="pooled", rows={"train": ROWS, "validation": 4, "test": 4})
    else:
        write_m3(directory, ROWS, shard_format=layout if layout == "webdataset" else "parquet")
    options: dict[str, Any] = {}
    if layout == "features":
        spec = FeatureSpec(models=(FrozenModel(modality="image", name="one", size=4, fingerprint="1"),))

        def encode(_: FeatureSpec, model: FrozenModel, media: Media) -> Any:
            return np.ones((len(media.values), model.size), dtype=np.float32)

        build_beside(directory, "one", spec, encode, workers=1)
        options["features"] = ["one"]
    if layout == "filtered":
        options["where"] = "lang != 'hi'"
    asked: list[int] = []
    fetch, read = fetch_ahead.fetch, Split.read

    def noted(split: Split, columns: Sequence[str], row_group: int) -> None:
        asked.append(row_group)
        fetch(split, columns, row_group)

    monkeypatch.setattr(fetch_ahead, "fetch", noted)
    with serving(directory) as (address, served):

        def free(self: Split, columns: Sequence[str], row_group: int) -> pa.Table:
            before = len(served)
            table = read(self, columns, row_group)
            assert len(served) == before, "a row group had to be fetched when it was read"
            return table

        monkeypatch.setattr(Split, "read", free)
        split = open_split(address, "train", remote_cache=RemoteCache(tmp_path / "cache", limit="100MB"), **options)
        names = ["image_one"] if layout == "features" else ["image"]
        transforms = {} if layout == "features" else SETTINGS
        resources = Resources(window=2, prefetch=0, threads=1)
        loader = BatchLoader(split, 3, modalities=names, transforms=transforms, resources=resources, drop_last=False)
        order = split.order(0, 0, 2, True)
        windows = order.window_of_groups()
        for index, _ in enumerate(loader):
            here = order.window_at(index * 3)
            assert set(np.flatnonzero(windows <= here + 1).tolist()) <= set(asked)
            assert windows[asked].max() <= here + 3
        assert sorted(asked) == list(range(len(windows)))


@pytest.fixture
def the_hub(dataset: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The dataset in a repository of a stand-in for the Hub."""
    with hub() as server:
        paths = [path for path in dataset.rglob("*") if path.is_file()]
        server.files["me/small"] = {path.relative_to(dataset).as_posix(): path.read_bytes() for path in paths}
        template = server.endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", server.endpoint)
        monkeypatch.setattr(huggingface_hub.constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", False)
        huggingface_hub.HfFileSystem.clear_instance_cache()
        yield "hf://datasets/me/small"
    huggingface_hub.HfFileSystem.clear_instance_cache()


def test_a_dataset_of_the_hub_is_read_through_the_cache(
    dataset: Path, the_hub: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = epoch(dataset, None)
    assert epoch(the_hub, None) == expected
    assert epoch(the_hub, RemoteCache(tmp_path, limit="100MB")) == expected
    monkeypatch.setattr(locations.Location, "_fetch", lambda *_: pytest.fail("it was fetched again"))
    assert epoch(the_hub, RemoteCache(tmp_path, limit="100MB")) == expected


def test_the_hub_sends_what_is_asked_for_and_no_more(the_hub: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    fetch = huggingface_hub.hf_file_system.HfFileSystemFile._fetch_range

    def noted(self: Any, start: int, end: int) -> bytes:
        asked.append((start, end))
        return fetch(self, start, end)

    monkeypatch.setattr(huggingface_hub.hf_file_system.HfFileSystemFile, "_fetch_range", noted)
    pieces = locations.Location.of(the_hub).read_ranges("data/train-00000-of-00004.parquet", [(4, 9), (100, 120)])
    assert [len(piece) for piece in pieces] == [5, 20] and asked == [(4, 9), (100, 120)]


def test_a_dataset_in_s3_is_read_through_the_cache(
    dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("s3fs", reason="s3fs, with which fsspec reads s3://, is not installed")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "somebody")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    expected = epoch(dataset, None)
    with s3("bucket", dataset) as server:
        monkeypatch.setenv("AWS_ENDPOINT_URL", server.endpoint)
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        assert epoch("s3://bucket", None) == expected
        assert epoch("s3://bucket", RemoteCache(tmp_path, limit="100MB")) == expected
        fetched = len(server.served)
        assert epoch("s3://bucket", RemoteCache(tmp_path, limit="100MB")) == expected
        assert len([span for span in server.served[fetched:] if span[0] != "manifest.json"]) == 0
        manifest = json.loads(server.files["manifest.json"])
        del server.files[manifest["files"][0]["path"]]
        monkeypatch.setattr(locations, "RETRY_PAUSES_S", ())
        fsspec.get_filesystem_class("s3").clear_instance_cache()
        with pytest.raises(DamageError, match=r"s3://bucket/data/train-00000"):
            open_split("s3://bucket", "train", remote_cache=RemoteCache(tmp_path / "other", limit="100MB"))
    fsspec.get_filesystem_class("s3").clear_instance_cache()


def test_a_local_directory_needs_no_cache(dataset: Path, tmp_path: Path) -> None:
    assert epoch(dataset, RemoteCache(tmp_path / "cache", limit="100MB")) == epoch(dataset, None)
    assert sorted(path.name for path in (tmp_path / "cache").iterdir()) == ["lock"]
