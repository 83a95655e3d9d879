"""The local cache of remote data: its limit holds for all processes, the last used stays, damage is fetched anew."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import fsspec
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symile_data.errors import OutputError, UsageError
from symile_data.format import remote_cache as caches
from symile_data.format.location import Location
from symile_data.format.remote_cache import BLOCK_BYTES, SMALL_BYTES, RemoteCache
from symile_data.format.remote_cache.store import BlockStore

SIZE = 3 * BLOCK_BYTES + 12_345
CONTENTS = np.random.default_rng(0).bytes(SIZE)


@pytest.fixture(scope="module")
def remote() -> Iterator[Location]:
    """A directory in fsspec's memory with one file of more than three blocks."""
    system = fsspec.filesystem("memory")
    system.pipe_file("/remote/a.bin", CONTENTS)
    yield Location.of("memory://remote")
    system.rm("/remote", recursive=True)


@pytest.fixture
def requests(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, int]]:
    """The ranges that are fetched, as they are fetched."""
    asked: list[tuple[int, int]] = []
    fetch = Location._fetch

    def noted(self: Location, name: str, ranges: list[tuple[int, int]]) -> Any:
        asked.extend(ranges)
        return fetch(self, name, ranges)

    monkeypatch.setattr(Location, "_fetch", noted)
    return asked


def room(directory: Path) -> int:
    """The bytes of the blocks in a folder."""
    return sum(path.stat().st_size for path in directory.glob("??/*"))


@given(ranges=st.lists(st.tuples(st.integers(0, SIZE), st.integers(0, SIZE)).map(sorted).map(tuple), max_size=5))
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_ranges_are_those_of_the_file(remote: Location, tmp_path: Path, ranges: list[tuple[int, int]]) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    for _ in range(2):
        assert [bytes(piece) for piece in cached.read_ranges("a.bin", ranges)] == [CONTENTS[a:b] for a, b in ranges]
    assert cached.size("a.bin") == SIZE


def test_small_reads_are_kept_as_they_are_and_large_ones_in_blocks(
    remote: Location, tmp_path: Path, requests: list[tuple[int, int]]
) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    cached.read("a.bin", 5, 5 + SMALL_BYTES)
    cached.read_ranges("a.bin", [(BLOCK_BYTES + 7, 2 * BLOCK_BYTES + 9), (SIZE - SMALL_BYTES - 1, SIZE)])
    assert requests == [(5, 5 + SMALL_BYTES), (BLOCK_BYTES, SIZE)]  # three blocks that touch are one request
    cached.read("a.bin", BLOCK_BYTES, SIZE)
    assert len(requests) == 2


def test_what_is_beyond_the_file_is_an_error(remote: Location, tmp_path: Path) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    with pytest.raises(OSError, match="the file is shorter"):
        cached.read("a.bin", SIZE - 5, SIZE + 1)
    with pytest.raises(FileNotFoundError):
        cached.read("b.bin", 0, 1)


def test_threads_fetch_each_block_once(remote: Location, tmp_path: Path, requests: list[tuple[int, int]]) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    together = threading.Barrier(8)

    def read(index: int) -> bytes:
        together.wait()
        return cached.read("a.bin", index * 1000, index * 1000 + 2 * BLOCK_BYTES)

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(read, range(8)))
    assert found == [CONTENTS[index * 1000 : index * 1000 + 2 * BLOCK_BYTES] for index in range(8)]
    assert sum(stop - start for start, stop in requests) == 3 * BLOCK_BYTES


def test_a_failed_fetch_is_told_to_all_and_tried_again_later(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    monkeypatch.setattr("symile_data.format.location.RETRY_PAUSES_S", ())
    with monkeypatch.context() as broken:
        broken.setattr(Location, "_fetch", lambda *_: (_ for _ in ()).throw(ConnectionError("the line is dead")))
        with pytest.raises(OSError, match="the line is dead"):
            cached.read("a.bin", 0, 10)
    assert cached.read("a.bin", 0, 10) == CONTENTS[:10]


def test_a_damaged_or_cut_block_is_fetched_again(
    remote: Location, tmp_path: Path, requests: list[tuple[int, int]]
) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))
    cached.read("a.bin", 0, 1000)
    (path,) = tmp_path.glob("??/*")
    whole = path.read_bytes()
    for damaged in (bytes([whole[0] ^ 1]) + whole[1:], whole[:-1], b""):
        path.write_bytes(damaged)
        assert cached.read("a.bin", 0, 1000) == CONTENTS[:1000]
        assert path.read_bytes() == whole
    assert len(requests) == 4


def test_what_was_used_last_stays(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, 10 * 8192)
    blocks = {f"{number:02d}-block": bytes([number]) * 8000 for number in range(20)}
    for number, (name, data) in enumerate(blocks.items()):
        store.put(name, data)
        if number >= 4:
            assert store.get("03-block", 8000) is not None  # asked for again and again
    kept = {name for name in blocks if store.get(name, 8000) is not None}
    assert "03-block" in kept and "19-block" in kept and "00-block" not in kept
    assert room(tmp_path) <= 10 * 8192
    store.put("aa-large", bytes(11 * 8192))  # larger than everything together
    assert store.get("aa-large", 11 * 8192) is None and store.get("19-block", 8000) is not None


WORKER = """
import sys
from pathlib import Path
from symile_data.format.remote_cache.store import BlockStore
store, worker = BlockStore(Path(sys.argv[1]), int(sys.argv[2])), int(sys.argv[3])
for number in range(60):
    name = f"{(number * 7 + worker) % 40:02d}-block"
    data = name.encode() * 800
    found = store.get(name, len(data))
    assert found in (None, data)
    if found is None:
        store.put(name, data)
    with store._locked():  # else another process removes a block that was counted, and adds one that comes later
        used = sum(path.stat().st_size for path in Path(sys.argv[1]).glob("[0-9][0-9]/*"))
    assert used <= int(sys.argv[2]), used
"""


def test_the_limit_holds_for_several_processes(tmp_path: Path) -> None:
    limit = 12 * 8192
    command = [sys.executable, "-c", WORKER, str(tmp_path), str(limit)]
    running = [subprocess.Popen([*command, str(worker)], stderr=subprocess.PIPE, text=True) for worker in range(3)]
    ended = [(process.communicate()[1], process.returncode) for process in running]
    assert ended == [("", 0)] * 3
    assert 0 < room(tmp_path) <= limit
    assert int((tmp_path / "bytes").read_text()) <= limit


def test_a_count_that_is_lost_is_taken_anew(tmp_path: Path) -> None:
    store = BlockStore(tmp_path, 10 * 4096)
    for number in range(8):
        store.put(f"{number:02d}-block", bytes(4000))
    (tmp_path / "bytes").write_text("no number")
    (tmp_path / ".new").write_bytes(b"left by a killed process")
    store.put("99-block", bytes(4000))
    assert int((tmp_path / "bytes").read_text()) == 9 * 4096
    for path in tmp_path.glob("??/*"):
        path.unlink()
    for path in sorted(tmp_path.iterdir()):
        path.rmdir() if path.is_dir() else path.unlink()
    tmp_path.rmdir()
    store.put("01-block", bytes(4000))  # somebody removed the folder
    assert store.get("01-block", 4000) == bytes(4000)


def test_a_disk_that_refuses_is_told_once_and_reading_goes_on(
    remote: Location, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = remote.with_cache(RemoteCache(tmp_path, limit="50MB"))

    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(BlockStore, "_put", refuse)
    with pytest.warns(UserWarning, match=r"the cache cannot be written .*No space left.*; reading goes on") as warned:
        assert cached.read("a.bin", 0, 10) == CONTENTS[:10]
        assert cached.read("a.bin", 0, 11) == CONTENTS[:11]
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("limit", "message"),
    [
        ("much", "is no number of bytes; got 'much'"),
        (-1, "no number of bytes"),
        ("1MB", r"needs a `limit` of 16 MiB or more; got '1MB', which is 1,000,000 bytes\. Give a text with a unit"),
        (1, r"needs a `limit` of 16 MiB or more; got 1, which is 1 byte\. .*such as \"10GB\"; a number counts bytes"),
        ("16MB", r"needs a `limit` of 16 MiB or more; got '16MB', which is 16,000,000 bytes"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused(tmp_path: Path, limit: str | int, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        RemoteCache(tmp_path, limit=limit)


def test_a_folder_that_cannot_be_made_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="cannot write"):
        RemoteCache(tmp_path / "file" / "cache")


def test_a_file_that_is_replaced_by_one_of_its_size_is_fetched_anew(tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    try:
        for contents in (bytes(SIZE), CONTENTS):
            system.pipe_file("/replaced/a.bin", contents)
            cached = Location.of("memory://replaced").with_cache(RemoteCache(tmp_path, limit="50MB"))
            assert cached.read("a.bin", 7, 99) == contents[7:99]
            assert cached.read("a.bin", 0, SIZE) == contents
    finally:
        system.rm("/replaced", recursive=True)


def test_files_of_one_name_in_two_places_are_told_apart(remote: Location, tmp_path: Path) -> None:
    system = fsspec.filesystem("memory")
    system.pipe_file("/other/a.bin", bytes(SIZE))
    try:
        cache = RemoteCache(tmp_path, limit="50MB")
        assert remote.with_cache(cache).read("a.bin", 0, 9) == CONTENTS[:9]
        assert Location.of("memory://other").with_cache(cache).read("a.bin", 0, 9) == bytes(9)
        assert caches.bytes_of("2 TB") == 2 * 10**12
    finally:
        system.rm("/other", recursive=True)
