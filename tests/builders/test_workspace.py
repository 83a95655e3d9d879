"""The output directory: whose it is, what is done there, and that nobody is locked out by the dead."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symile_data.builders.engine.build_dir import INTERNAL, Artifact, BuildDir, FinishedArtifact, open_build_dir
from symile_data.errors import OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Manifest

ARTIFACT = Artifact(path="data/x", arguments=None, key=["train", 0, 5])


def identity(**spec: Any) -> BuildFingerprint:
    return BuildFingerprint(
        dataset="xor", spec={"seed": 0, "rows": {"train": 3}, **spec}, sources={}, versions={"numpy": "2"}
    )


@contextmanager
def unfinished(directory: Path, fingerprint: BuildFingerprint) -> Iterator[BuildDir]:
    """Open the directory of a build that is not finished."""
    with open_build_dir(directory, fingerprint) as build_dir:
        assert isinstance(build_dir, BuildDir)
        yield build_dir


def finish(directory: Path, **spec: Any) -> Manifest:
    with unfinished(directory, identity(**spec)) as build_dir:
        manifest = Manifest(identity=identity(**spec), modalities=(), splits={"train": 3})
        build_dir.finish(manifest)
    return manifest


def make(build_dir: BuildDir, text: str = "content") -> None:
    """Write the product and note it, as a stage does."""
    path = build_dir.directory / ARTIFACT.path
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    entry = manifests.file_entry(build_dir.directory, path)
    build_dir.record(ARTIFACT, FinishedArtifact({"rows": 5}, entry.bytes, entry.sha256))


@pytest.mark.parametrize("there", ["new/and/deep", "empty"])
def test_a_new_or_empty_directory_is_taken(tmp_path: Path, there: str) -> None:
    (tmp_path / "empty").mkdir()
    with unfinished(tmp_path / there, identity()) as build_dir:
        assert isinstance(build_dir, BuildDir)
        assert build_dir.finished(ARTIFACT) is None


def test_a_finished_build_is_given_back(tmp_path: Path) -> None:
    manifest = finish(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    with open_build_dir(tmp_path, identity()) as found:
        assert found == manifest


def test_leftover_bookkeeping_of_a_finished_build_goes(tmp_path: Path) -> None:
    finish(tmp_path)
    (tmp_path / INTERNAL / "journal").mkdir(parents=True)
    with open_build_dir(tmp_path, identity()) as found:
        assert isinstance(found, Manifest)
    assert not (tmp_path / INTERNAL).exists()


def test_a_product_is_done_when_its_note_and_bytes_agree(tmp_path: Path) -> None:
    with unfinished(tmp_path, identity()) as build_dir:
        make(build_dir)
    with unfinished(tmp_path, identity()) as build_dir:
        entry = manifests.file_entry(tmp_path, tmp_path / ARTIFACT.path)
        assert build_dir.finished(ARTIFACT) == FinishedArtifact({"rows": 5}, entry.bytes, entry.sha256)


@pytest.mark.parametrize("damage", ["gone", "shorter", "changed", "note gone", "note cut", "other key"])
def test_a_product_that_changed_is_not_done(tmp_path: Path, damage: str) -> None:
    with unfinished(tmp_path, identity()) as build_dir:
        make(build_dir)
        path = tmp_path / ARTIFACT.path
        (note,) = (tmp_path / INTERNAL / "journal").iterdir()
        artifact = ARTIFACT
        match damage:
            case "gone":
                path.unlink()
            case "shorter":
                path.write_text("conten")
            case "changed":
                path.write_text("Content")
            case "note gone":
                note.unlink()
            case "note cut":
                note.write_text(note.read_text()[:-9])
            case "other key":
                artifact = Artifact(path=ARTIFACT.path, arguments=None, key=["train", 0, 6])
        assert build_dir.finished(artifact) is None


def test_an_unfinished_build_with_other_settings_is_refused_by_name(tmp_path: Path) -> None:
    with open_build_dir(tmp_path, identity()):
        pass
    with pytest.raises(OutputError) as caught, open_build_dir(tmp_path, identity(seed=1, rows={"train": 4})):
        pass
    assert str(caught.value) == (
        f"the output directory holds an unfinished build with other settings ({tmp_path}); "
        "got spec.rows.train: 4, not 3; spec.seed: 1, not 0 (yours, not what is there). "
        "Choose another `out`, or remove the directory."
    )


def test_a_finished_dataset_with_other_settings_is_refused_and_kept(tmp_path: Path) -> None:
    finish(tmp_path)
    before = (tmp_path / "manifest.json").read_bytes()
    with pytest.raises(OutputError, match=r"holds a finished dataset with other settings.*spec.seed: 1, not 0"):
        finish(tmp_path, seed=1)
    assert (tmp_path / "manifest.json").read_bytes() == before


def test_another_dataset_is_named_without_its_settings(tmp_path: Path) -> None:
    finish(tmp_path)
    other = replace(identity(), dataset="pid", spec={"rows": 3})
    said = r"got dataset: 'pid', not 'xor' \(yours, not what is there\)"
    with pytest.raises(OutputError, match=said), open_build_dir(tmp_path, other):
        pass


def test_many_differences_are_counted(tmp_path: Path) -> None:
    finish(tmp_path)
    with pytest.raises(OutputError, match="and 3 more"):
        finish(tmp_path, **dict.fromkeys("abcdefg", 1))


def test_unrelated_files_are_refused_and_kept(tmp_path: Path) -> None:
    for name in ("thesis.tex", "photos"):
        (tmp_path / name).write_text("mine")
    with pytest.raises(OutputError) as caught, open_build_dir(tmp_path, identity()):
        pass
    assert str(caught.value) == (
        f"the output directory holds files that no build of ours left there ({tmp_path}); got photos. "
        "Choose an empty or new directory with `out`."
    )
    assert sorted(path.name for path in tmp_path.iterdir()) == ["photos", "thesis.tex"]


def test_bookkeeping_that_a_finishing_build_removes_meanwhile_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, gone = Path.open, list[Path]()

    def after_removal(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == "lock" and len(gone) < 2:
            path.parent.rmdir()
            gone.append(path)
        return opened(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", after_removal)
    with unfinished(tmp_path / "out", identity()) as build_dir:
        make(build_dir)
    assert len(gone) == 2


def test_a_file_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="the output path is a file"), open_build_dir(tmp_path / "file", identity()):
        pass


def test_a_link_to_nothing_in_place_of_the_directory_is_refused(tmp_path: Path) -> None:
    (tmp_path / "out").symlink_to("nowhere")
    with (
        pytest.raises(OutputError, match="the output path is a link to nothing"),
        unfinished(tmp_path / "out", identity()),
    ):
        pass
    assert not (tmp_path / "nowhere").exists()


@pytest.mark.parametrize("inner", ["inner", "data/inner"])
def test_a_directory_inside_a_dataset_is_refused(inner: str, tmp_path: Path) -> None:
    finish(tmp_path / "whole")
    (tmp_path / "link").symlink_to("whole")
    said = "the output directory would be inside a dataset, where verify allows only files that the manifest lists"
    with unfinished(tmp_path / "begun", identity()):
        for outer in ("whole", "link", "begun"):
            with pytest.raises(UsageError, match=said), unfinished(tmp_path / outer / inner, identity()):
                pass
            assert not (tmp_path / outer / inner).exists()


def test_a_directory_beside_a_manifest_of_another_program_is_taken(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"name": "a web page"}')
    (tmp_path / ".build").mkdir()
    assert finish(tmp_path / "out") == manifests.read(tmp_path / "out")


def test_a_second_build_is_refused_while_one_runs(tmp_path: Path) -> None:
    with open_build_dir(tmp_path, identity()):
        with pytest.raises(OutputError) as caught, open_build_dir(tmp_path, identity()):
            pass
        assert str(caught.value) == (
            f"another build is running in this directory ({tmp_path}). Wait for it to end, or choose another `out`."
        )
    with unfinished(tmp_path, identity()) as build_dir:
        assert isinstance(build_dir, BuildDir)


def test_errors_of_the_builds_own_reading_are_not_called_write_errors(tmp_path: Path) -> None:
    with pytest.raises(PermissionError, match="source"), open_build_dir(tmp_path, identity()):
        raise PermissionError(13, "not allowed", "source.JPEG")


def test_a_killed_build_leaves_no_lock(tmp_path: Path) -> None:
    code = (
        "import signal, sys; from pathlib import Path; from symile_data.format.manifest import BuildFingerprint\n"
        "from symile_data.builders.engine.build_dir import open_build_dir\n"
        f"with open_build_dir(Path({str(tmp_path)!r}), {identity()!r}):\n"
        "    print('locked', flush=True); signal.pause()\n"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "locked\n"
        with pytest.raises(OutputError, match="another build is running"), open_build_dir(tmp_path, identity()):
            pass
        os.kill(process.pid, signal.SIGKILL)
    with unfinished(tmp_path, identity()) as build_dir:
        assert isinstance(build_dir, BuildDir)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"\xff", b'"text"'])
def test_a_damaged_record_of_an_unfinished_build_is_one_sentence(tmp_path: Path, content: bytes) -> None:
    with open_build_dir(tmp_path, identity()):
        pass
    (tmp_path / INTERNAL / "identity.json").write_bytes(content)
    with pytest.raises(OutputError) as caught, open_build_dir(tmp_path, identity()):
        pass
    assert "the record of an unfinished build cannot be read" in str(caught.value)
    assert str(caught.value).endswith("Remove the output directory.")


@pytest.mark.parametrize(
    "note", ["[]", "{}", '{"key": ["train", 0, 5]}', "null", '{"key": ["train", 0, 5], "bytes": 7}']
)
def test_a_damaged_note_makes_its_product_unfinished(tmp_path: Path, note: str) -> None:
    with unfinished(tmp_path, identity()) as build_dir:
        make(build_dir)
        (path,) = (tmp_path / INTERNAL / "journal").iterdir()
        path.write_text(note)
        assert build_dir.finished(ARTIFACT) is None


def test_a_product_that_the_disk_cannot_read_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with unfinished(tmp_path, identity()) as build_dir:
        make(build_dir)
        monkeypatch.setattr("symile_data.builders.engine.build_dir.file_sha256", fail)
        assert build_dir.finished(ARTIFACT) is None


@pytest.mark.parametrize("same", [True, False])
def test_a_build_that_waited_for_one_that_ended_sees_its_dataset(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, same: bool
) -> None:
    """The other build ends, and removes the lock's file, between this one's first look and its lock."""
    flock, ended = fcntl.flock, list[bool]()

    def end_first(file: Any, how: int) -> None:
        if not ended:
            ended.append(True)
            with unfinished(tmp_path, identity()) as build_dir:
                build_dir.finish(Manifest(identity=identity(), modalities=(), splits={"train": 3}))
        flock(file, how)

    monkeypatch.setattr("symile_data.builders.engine.build_dir.fcntl.flock", end_first)
    if same:
        with open_build_dir(tmp_path, identity()) as found:
            assert isinstance(found, Manifest)
    else:
        refused = pytest.raises(OutputError, match="a finished dataset with other settings")
        with refused, open_build_dir(tmp_path, identity(seed=1)):
            pass
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


@pytest.mark.parametrize("lasting", [False, True])
def test_a_lost_worker_that_still_writes_cannot_keep_a_finished_build(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, lasting: bool
) -> None:
    """Between the emptying of a folder and its removal a file appears."""
    rmdir, late = os.rmdir, iter(range(1 << 20))

    def write_first(path: Any, *, dir_fd: int | None = None) -> None:
        if lasting or next(late) == 0:
            (tmp_path / INTERNAL / "late").touch()
        rmdir(path, dir_fd=dir_fd)

    monkeypatch.setattr(os, "rmdir", write_first)
    if not lasting:
        finish(tmp_path)
        assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
        return
    with pytest.raises(OutputError, match=r"the dataset is finished, but .*\.build\)\. Remove that folder\."):
        finish(tmp_path)
    assert manifests.read(tmp_path).splits == {"train": 3}


def test_a_directory_that_cannot_be_locked_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    monkeypatch.setattr("symile_data.builders.engine.build_dir.fcntl.flock", refuse)
    refused = pytest.raises(OutputError, match=r"cannot be locked .*No locks available. Choose another disk.")
    with refused, open_build_dir(tmp_path, identity()):
        pass


@pytest.mark.parametrize("before", [{}, {"writer": "1"}])
def test_an_unfinished_build_of_another_version_is_refused_with_its_reason(
    tmp_path: Path, before: dict[str, str]
) -> None:
    old = BuildFingerprint(dataset="xor", spec={"seed": 0}, sources={}, versions=before)
    with open_build_dir(tmp_path, old):
        pass
    new = BuildFingerprint(dataset="xor", spec={"seed": 0}, sources={}, versions={"writer": "2"})
    with pytest.raises(OutputError) as caught, open_build_dir(tmp_path, new):
        pass
    there = repr(before.get("writer"))
    assert str(caught.value) == (
        "the output directory holds an unfinished build of another version of symile-data, which writes other bytes "
        f"({tmp_path}); got versions.writer: '2', not {there} (yours, not what is there). "
        "Choose another `out`, or remove the directory."
    )


@pytest.mark.parametrize("before", range(1, int(manifests.WRITER)))
def test_an_unfinished_build_of_any_writer_before_this_one_is_refused(tmp_path: Path, before: int) -> None:
    now = manifests.library_versions(["numpy"])
    old = BuildFingerprint(dataset="symile-m3", spec={}, sources={}, versions=now | {"writer": str(before)})
    with open_build_dir(tmp_path, old):
        pass
    refused = pytest.raises(OutputError, match="of another version of symile-data, which writes other bytes")
    with refused, open_build_dir(tmp_path, BuildFingerprint(dataset="symile-m3", spec={}, sources={}, versions=now)):
        pass
