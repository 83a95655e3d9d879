"""Writing is all or nothing; equal values give equal text."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from symile_data.errors import OutputError
from symile_data.files import (
    atomic_path,
    canonical_json,
    digest,
    file_sha256,
    move_file,
    pretty_json,
    sorted_entries,
    write_files,
    write_text,
    write_unsynced,
)


def test_a_finished_write_leaves_one_file_in_new_folders(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "text", "α\r\n")
    assert (tmp_path / "a" / "b" / "text").read_bytes() == "α\r\n".encode()
    assert [path.name for path in (tmp_path / "a" / "b").iterdir()] == ["text"]


@pytest.mark.parametrize("failure", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOENT, "gone")])
def test_a_failing_writer_leaves_what_was_there(tmp_path: Path, failure: BaseException) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with pytest.raises(type(failure)) as caught, atomic_path(path) as temporary:
        temporary.write_text("half of the ne")
        raise failure
    assert caught.value is failure
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "old")]


def test_readers_see_the_old_file_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with atomic_path(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_the_leftover_of_a_killed_writer_is_replaced(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").write_text("a much longer leftover")
    write_text(tmp_path / "file", "new")
    assert [(entry.name, entry.read_text()) for entry in tmp_path.iterdir()] == [("file", "new")]


def test_a_full_disk_is_a_sentence_with_advice(tmp_path: Path) -> None:
    (tmp_path / ".file.partial").symlink_to("/dev/full")  # takes no byte
    with pytest.raises(OutputError) as caught:
        write_text(tmp_path / "file", "text")
    assert str(caught.value) == (
        f"cannot write: no space left on device ({tmp_path / 'file'}). "
        "Free some space and run the same command again: finished shards are kept."
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("code", "advice"),
    [
        (errno.EDQUOT, "Free some quota"),
        (errno.EROFS, "Make it writable, or choose another directory."),
        (errno.EACCES, "Make it writable, or choose another directory."),
        (errno.EIO, "Check the disk"),
        (errno.EFBIG, "Raise the limit on the size of files"),
        (errno.EPERM, "Make it writable, or choose another directory"),
        (errno.ESTALE, "Check the network disk"),
    ],
)
def test_each_refusal_of_the_disk_has_its_advice(tmp_path: Path, code: int, advice: str) -> None:
    with pytest.raises(OutputError) as caught, atomic_path(tmp_path / "file"):
        raise OSError(code, os.strerror(code))
    assert os.strerror(code).lower() in str(caught.value)
    assert advice in str(caught.value)


@pytest.mark.parametrize("writer", ["numpy", "pillow", "polars"])
def test_a_full_disk_under_writers_that_give_no_error_number(tmp_path: Path, writer: str) -> None:
    (tmp_path / ".file.partial").symlink_to("/dev/full")  # takes no byte
    with pytest.raises(OutputError, match="no space left on device"), atomic_path(tmp_path / "file") as temporary:
        if writer == "numpy":
            with temporary.open("wb", buffering=0) as file:
                np.zeros(1 << 20).tofile(file)
        elif writer == "pillow":
            Image.new("RGB", (900, 900)).save(temporary, "BMP")
        else:
            pl.DataFrame({"x": [1]}).write_ipc(temporary)


def test_a_read_only_disk_that_refuses_to_remove_keeps_the_first_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, "read-only")

    monkeypatch.setattr(Path, "unlink", refuse)
    monkeypatch.setattr(Path, "write_bytes", refuse)
    with pytest.raises(OutputError, match="Make it writable, or choose another directory"):
        write_text(tmp_path / "file", "text")


def small_files(folder: Path, count: int = 4) -> list[tuple[Path, bytes]]:
    """Two folders of small files."""
    return [(folder / f"{number % 2}" / f"{number}.txt", b"data %d" % number) for number in range(count)]


def found_files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_many_files_are_written_as_given(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / "0.txt").write_text("an older file")
    (tmp_path / "0" / ".2.txt.partial").write_text("a much longer leftover of a killed writer")
    write_files(iter(small_files(tmp_path)))
    assert found_files(tmp_path) == dict(small_files(tmp_path))
    write_files([])
    assert found_files(tmp_path) == dict(small_files(tmp_path))


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is done to the disk from now on, in order."""
    done: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def noted_fsync(descriptor: int) -> None:
        done.append("folder synced" if Path(f"/proc/self/fd/{descriptor}").is_dir() else "synced")
        fsync(descriptor)

    def noted_replace(self: Path, target: Path) -> Path:
        done.append("named")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", noted_fsync)
    monkeypatch.setattr(Path, "replace", noted_replace)
    return done


def test_a_file_gets_its_name_when_the_disk_has_it(tmp_path: Path, done: list[str]) -> None:
    write_text(tmp_path / "file", "text")
    assert done == ["synced", "named", "folder synced"]


def test_the_disk_knows_the_new_place_of_a_moved_file(tmp_path: Path, done: list[str]) -> None:
    (tmp_path / "file").write_text("text")
    move_file(tmp_path / "file", tmp_path / "folder" / "file")
    assert done == ["named", "folder synced"]


def test_no_file_gets_its_name_before_the_disk_has_them_all(tmp_path: Path, done: list[str]) -> None:
    write_files(small_files(tmp_path))
    assert done == ["synced"] * 4 + ["named"] * 4 + ["folder synced"] * 2


@pytest.mark.parametrize("failure", [ValueError("bad"), KeyboardInterrupt(), OSError(errno.ENOENT, "gone")])
def test_files_that_cannot_be_made_leave_none(tmp_path: Path, failure: BaseException) -> None:
    def failing() -> Iterator[tuple[Path, bytes]]:
        yield from small_files(tmp_path, 3)
        raise failure

    with pytest.raises(type(failure)) as caught:
        write_files(failing())
    assert caught.value is failure
    assert found_files(tmp_path) == {}


def test_a_disk_that_fills_up_under_many_files_leaves_none(tmp_path: Path) -> None:
    (tmp_path / "0").mkdir()
    (tmp_path / "0" / ".2.txt.partial").symlink_to("/dev/full")  # takes no byte
    with pytest.raises(OutputError) as caught:
        write_files(small_files(tmp_path))
    assert str(caught.value) == (
        f"cannot write: no space left on device ({tmp_path / '0' / '2.txt'}). "
        "Free some space and run the same command again: finished shards are kept."
    )
    assert found_files(tmp_path) == {}


@pytest.mark.parametrize("step", range(10))
def test_a_disk_that_fails_at_any_step_leaves_whole_files_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """4 files are synced, 4 named, 2 folders synced."""
    steps, fsync, replace = iter(range(10)), os.fsync, Path.replace

    def fail_at_step() -> None:
        if next(steps) == step:
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    def failing_fsync(descriptor: int) -> None:
        fail_at_step()
        fsync(descriptor)

    def failing_replace(self: Path, target: Path) -> Path:
        fail_at_step()
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", failing_fsync)
    monkeypatch.setattr(Path, "replace", failing_replace)
    with pytest.raises(OutputError, match=r"cannot write: input/output error \(.*Check the disk"):
        write_files(small_files(tmp_path))
    expected = dict(small_files(tmp_path))
    named = max(0, min(step - 4, 4))
    assert found_files(tmp_path) == dict(list(expected.items())[:named])


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@given(st.dictionaries(st.text(), values, min_size=2, max_size=6))
def test_equal_values_have_equal_digests(value: dict[str, Any]) -> None:
    backwards = dict(reversed(value.items()))
    assert canonical_json(backwards) == canonical_json(value)
    assert digest(backwards) == digest(value)


@pytest.mark.parametrize("write", [canonical_json, pretty_json])
def test_what_is_no_json_is_refused(write) -> None:
    with pytest.raises(ValueError, match="JSON"):
        write({"rate": float("nan")})


def test_hashes_are_of_the_bytes(tmp_path: Path) -> None:
    (tmp_path / "abc").write_bytes(b"abc")
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert file_sha256(tmp_path / "abc") == digest("abc") == expected


def test_listings_are_sorted(tmp_path: Path) -> None:
    for name in ("b", "a10", "a2", "C"):
        (tmp_path / name).touch()
    assert [entry.name for entry in sorted_entries(tmp_path)] == ["C", "a10", "a2", "b"]


@pytest.mark.parametrize("write", [write_text, lambda path, text: write_unsynced(path, text.encode())])
@pytest.mark.parametrize("kind", ["directory", "pipe", "link to a pipe"])
def test_no_file_takes_the_place_of_something_else(tmp_path: Path, write: Callable[..., None], kind: str) -> None:
    path = tmp_path / "there"
    if kind == "directory":
        path.mkdir()
    else:
        os.mkfifo(tmp_path / "pipe" if kind == "link to a pipe" else path)
    if kind == "link to a pipe":
        path.symlink_to("pipe")
    with pytest.raises(OutputError, match=r"cannot write: a (directory|device or a pipe) is there"):
        write(path, "text")
    (tmp_path / "whole").write_text("text")
    with pytest.raises(OutputError, match="is there"):
        move_file(tmp_path / "whole", path)
    assert not path.is_file()


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    with pytest.raises(PermissionError), atomic_path(tmp_path / "out"):
        raise PermissionError(errno.EACCES, "Permission denied", "/some/source")
    with (
        pytest.raises(OutputError, match="cannot write: permission denied"),
        atomic_path(tmp_path / "out") as temporary,
    ):
        raise PermissionError(errno.EACCES, "Permission denied", str(temporary))
