"""Directories here and elsewhere: the same reads, nothing more than what is asked, and patience with the network."""

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from symile_data.errors import UsageError
from symile_data.format import location as locations
from symile_data.format.location import Location

CONTENTS = bytes(range(256)) * 4


@pytest.fixture(params=["path", "file", "memory"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Location]:
    """The same directory in three kinds of place."""
    files = {"a.bin": CONTENTS, "data/x.txt": "ä\n".encode(), "data/deep/y.txt": b"", "data/deep/er/z.txt": b"z"}
    memory = fsspec.filesystem("memory")
    for name, data in files.items():
        if request.param == "memory":
            memory.pipe_file(f"/location/{name}", data)
        else:
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / name).write_bytes(data)
    places: dict[str, str | Path] = {"path": tmp_path, "file": f"file://{tmp_path}", "memory": "memory://location/"}
    yield Location.of(places[request.param])
    if request.param == "memory":
        memory.rm("/location", recursive=True)


def test_all_places_read_and_list_alike(place: Location) -> None:
    assert place.size("a.bin") == 1024
    assert place.read("a.bin", 3, 7) == CONTENTS[3:7]
    assert place.read_ranges("a.bin", [(1000, 1024), (0, 0), (5, 6)]) == [CONTENTS[1000:], b"", CONTENTS[5:6]]
    assert place.read_text("data/x.txt") == "ä\n"
    assert place.listed() == ["a.bin"]
    assert place.listed("data") == ["data/x.txt"]
    assert place.folders() == ["data"]
    assert place.folders("data") == ["data/deep"]
    assert place.listed("nowhere") == place.folders("nowhere") == []


def test_files_of_this_machine_are_opened_without_fsspec(tmp_path: Path) -> None:
    assert Location.of(f"file://{tmp_path}").path("x") == tmp_path / "x"
    assert Location.of("memory://location").path("x") is None


def test_what_is_not_there_is_an_error_at_once(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(time, "sleep", lambda _: pytest.fail("it waited"))
    with pytest.raises(FileNotFoundError):
        place.size("b.bin")
    with pytest.raises(FileNotFoundError):
        place.read_text("b.bin")
    with pytest.raises(FileNotFoundError):
        place.read("b.bin", 0, 1)


def test_a_file_that_ends_early_is_an_error(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "RETRY_PAUSES_S", ())
    with pytest.raises(OSError, match="24 bytes where 30 were asked for"):
        place.read("a.bin", 1000, 1030)


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_a_remote_read_is_repeated_until_it_works(
    place: Location, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    real, failures = place.system.cat_file, [TimeoutError("slow"), ConnectionError("gone"), RuntimeError("odd")]

    def failing(*args: object, **options: object) -> bytes:
        if failures:
            raise failures.pop(0)
        return real(*args, **options)

    monkeypatch.setattr(place.system, "cat_file", failing)
    assert place.read("a.bin", 0, 4) == CONTENTS[:4]
    assert pauses == list(locations.RETRY_PAUSES_S)
    assert capsys.readouterr().err.count("does not answer as it should (slow); trying again\n") == 1


@pytest.mark.parametrize("place", ["memory"], indirect=True)
def test_a_remote_read_that_never_works_says_why(place: Location, monkeypatch: pytest.MonkeyPatch) -> None:
    def failing(*_: object, **__: object) -> bytes:
        raise RuntimeError("the bucket is on strike")

    monkeypatch.setattr(time, "sleep", lambda _: None)
    monkeypatch.setattr(place.system, "cat_file", failing)
    with pytest.raises(OSError, match="RuntimeError: the bucket is on strike"):
        place.read("a.bin", 0, 4)


@pytest.mark.parametrize("place", ["memory"], indirect=True)
@pytest.mark.parametrize("error", [ConnectionRefusedError("refused"), socket.gaierror("no such host")])
def test_a_host_that_is_not_there_is_asked_twice_but_one_that_answered_is_waited_for(
    place: Location, error: OSError, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    monkeypatch.setattr(locations, "_ANSWERED", set())
    real, down = place.system.cat_file, True

    def answer(*args: object, **options: object) -> bytes:
        if down:
            raise error
        return real(*args, **options)

    monkeypatch.setattr(place.system, "cat_file", answer)
    with pytest.raises(type(error)):
        place.read("a.bin", 0, 4)
    assert pauses == [locations.RETRY_PAUSES_S[0]] and capsys.readouterr().err == ""
    down = False
    assert place.read("a.bin", 0, 4) == CONTENTS[:4]
    down = True
    pauses.clear()
    with pytest.raises(type(error)):
        place.read("a.bin", 0, 4)
    assert pauses == list(locations.RETRY_PAUSES_S)
    said = capsys.readouterr().err
    assert said.count("\n") == 1 and f"does not answer as it should ({error}); trying again" in said


def test_a_mistyped_address_is_refused_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(time, "sleep", pauses.append)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens
        with pytest.raises(OSError, match=r"(?i)connect"):
            Location.of(f"http://127.0.0.1:{taken.getsockname()[1]}/data").read_text("manifest.json")
    assert pauses == [locations.RETRY_PAUSES_S[0]]


def test_an_unknown_kind_of_place_is_refused() -> None:
    with pytest.raises(UsageError, match=r"cannot be opened; got gopher://x.*gopher"):
        Location.of("gopher://x")
