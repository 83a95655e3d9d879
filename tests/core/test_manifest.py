"""manifest.json: what is written is read again; what was changed is refused."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.errors import DamageError, MissingPackageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Dropped, FileEntry, Manifest, library_versions
from symile_data.format.schema import Modality
from symile_data.format.typed_json import differences


def identity(**changes: Any) -> BuildFingerprint:
    settings = {
        "dataset": "xor",
        "spec": {"seed": 0, "rows": {"train": 3}, "names": ["α"], "size": None},
        "sources": {"images": {"kind": "sample"}},
        "versions": {"numpy": "2.0"},
    }
    return BuildFingerprint(**(settings | changes))


def manifest() -> Manifest:
    return Manifest(
        identity=identity(),
        modalities=(
            Modality(name="a", kind="vector", column="a", null_columns=("a", "a_id")),
            Modality(name="b", kind="vector", column="b", null_columns=("b",), mask="b_is_gone"),
        ),
        splits={"train": 3},
        files=[
            FileEntry(path="data/train.parquet", bytes=7, sha256="0f", rows=3, split="train"),
            FileEntry(path="README.md", bytes=1, sha256="aa"),
        ],
        dropped=[Dropped(reason="image: empty file", count=1, examples=["x.JPEG"])],
        command="symile-data build xor --out X",
        notes=["A note."],
    )


@pytest.fixture
def written(tmp_path: Path) -> Path:
    manifests.write(tmp_path, manifest())
    return tmp_path


def edit(directory: Path, change) -> None:
    path = directory / manifests.FILE_NAME
    value = json.loads(path.read_text(encoding="utf-8"))
    change(value)
    path.write_text(json.dumps(value), encoding="utf-8")


def test_what_is_written_is_read(written: Path) -> None:
    assert manifests.read(written) == manifest()


def test_shards_are_the_files_of_a_split() -> None:
    assert [entry.path for entry in manifest().shards()] == ["data/train.parquet"]
    assert [entry.path for entry in manifest().shards("train")] == ["data/train.parquet"]
    assert manifest().shards("test") == []


@given(st.permutations(["seed", "rows", "names", "size"]))
def test_the_fingerprint_does_not_depend_on_the_order_of_settings(order: list[str]) -> None:
    spec = {key: identity().spec[key] for key in order}
    assert identity(spec=spec).fingerprint == identity().fingerprint


@pytest.mark.parametrize(
    "changes",
    [
        {"dataset": "symile-m3"},
        {"spec": {"seed": 1}},
        {"sources": {}},
        {"versions": {"numpy": "2.1"}},
    ],
)
def test_every_part_of_the_identity_is_in_the_fingerprint(changes: dict[str, Any]) -> None:
    assert identity(**changes).fingerprint != identity().fingerprint


@pytest.mark.parametrize(
    "change",
    [
        lambda value: value["spec"].update(seed=1),
        lambda value: value["spec"].update(extra=1),
        lambda value: value["sources"]["images"].update(kind="imagenet"),
        lambda value: value["versions"].update(numpy="2.1"),
        lambda value: value.update(dataset="symile-m3"),
        lambda value: value.update(fingerprint="0" * 64),
        lambda value: value.update(command="another command"),
        lambda value: value.update(notes=["It is all fine."]),
        lambda value: value["splits"].update(train=1),
    ],
)
def test_an_edited_manifest_is_refused(written: Path, change) -> None:
    edit(written, change)
    with pytest.raises(DamageError, match="the manifest was changed after the build"):
        manifests.read(written)


@pytest.mark.parametrize(
    "field",
    [
        "format",
        "dataset",
        "spec",
        "sources",
        "versions",
        "modalities",
        "splits",
        "files",
        "dropped",
        "notes",
        "fingerprint",
    ],
)
def test_a_manifest_without_a_field_is_refused(written: Path, field: str) -> None:
    edit(written, lambda value: value.pop(field))
    with pytest.raises(DamageError, match=rf"lacks or misnames a field .*manifest.json.*got '{field}'"):
        manifests.read(written)


def test_an_unknown_field_of_a_file_is_refused(written: Path) -> None:
    edit(written, lambda value: value["files"][0].update(colour="red"))
    with pytest.raises(DamageError, match=r"lacks or misnames a field.*colour"):
        manifests.read(written)


def test_another_format_is_refused(written: Path) -> None:
    edit(written, lambda value: value.update(format="symile-data/9"))
    with pytest.raises(DamageError, match=r"unknown format .*; got symile-data/9. Use symile-data/1"):
        manifests.read(written)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe\x00", b'{"format": "symile-data/1"'])
def test_what_is_no_json_is_refused(written: Path, content: bytes) -> None:
    (written / manifests.FILE_NAME).write_bytes(content)
    with pytest.raises(DamageError, match="not readable JSON"):
        manifests.read(written)


@pytest.mark.parametrize("content", ["[]", "null", "3", '"text"'])
def test_json_of_another_form_is_refused(written: Path, content: str) -> None:
    (written / manifests.FILE_NAME).write_text(content)
    with pytest.raises(DamageError, match="lacks or misnames a field"):
        manifests.read(written)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("empty", "no finished dataset.*Run the build command again"),
        ("absent", "there is no such directory .*absent"),
        ("file/below", "there is no such directory .*below"),
        ("file", "this is not a directory .*file"),
    ],
)
def test_a_directory_without_a_manifest_is_no_dataset(tmp_path: Path, name: str, said: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").touch()
    with pytest.raises(DamageError, match=said):
        manifests.read(tmp_path / name)


def test_differences_name_the_settings_first_and_hashes_last() -> None:
    mine = {
        "sources": {"images": "a" * 64, "kind": "hub"},
        "dataset": "x",
        "spec": {"z": 1},
        "versions": {"numpy": "2"},
    }
    other = {
        "sources": {"images": "b" * 64, "kind": "tree"},
        "dataset": "y",
        "spec": {"z": 2},
        "versions": {"numpy": "3"},
    }
    names = [difference.partition(":")[0] for difference in differences(mine, other)]
    assert names == ["spec.z", "dataset", "sources.kind", "versions.numpy", "sources.images"]


def test_files_are_measured(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_bytes(b"abc")
    entry = manifests.file_entry(tmp_path, tmp_path / "data" / "x", rows=2, split="test")
    assert (entry.path, entry.bytes, entry.rows, entry.split) == ("data/x", 3, 2, "test")
    assert entry.sha256.startswith("ba7816bf")


def test_differences_name_each_setting_on_both_sides() -> None:
    mine = {"spec": {"seed": 1, "rows": {"train": 3}, "new": True}, "same": [1]}
    other = {"spec": {"seed": 0, "rows": {"train": 4}, "old": "x"}, "same": [1]}
    assert differences(mine, other) == [
        "spec.new: True, not None",
        "spec.old: None, not 'x'",
        "spec.rows.train: 3, not 4",
        "spec.seed: 1, not 0",
    ]
    assert differences(mine, mine) == []


def test_a_package_that_is_not_installed_is_named_with_the_command_that_installs_it() -> None:
    with pytest.raises(MissingPackageError, match=r"no-such-package.*-c constraints.txt -e '\.\[m3,online\]'"):
        library_versions(["numpy", "no-such-package"])


def test_every_builds_versions_name_the_writer_of_its_bytes() -> None:
    assert library_versions([])["writer"] == manifests.WRITER


def test_the_former_name_of_the_fingerprint_still_imports_and_warns() -> None:
    with pytest.warns(DeprecationWarning, match="Identity is now BuildFingerprint"):
        assert manifests.Identity is BuildFingerprint
    with pytest.raises(AttributeError, match="Identification"):
        _ = manifests.Identification
