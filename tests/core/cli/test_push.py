"""Pushing, against a stand-in of the Hub over HTTP: what goes, in which order, what is refused, what resumes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from command import Outcome, outcome
from factories import build
from hub_stand_in import Hub, hub
from huggingface_hub import constants

from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.cards import write_card
from symile_data.format import manifest as manifests

REPO = "me/xor"


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset; not to be changed."""
    out = tmp_path_factory.mktemp("push") / "xor"
    build_xor(XorSpec(rows={"train": 20, "validation": 5, "test": 5}), out, workers=1, write_card=write_card)
    return out


@pytest.fixture
def dataset(built: Path, tmp_path: Path) -> Path:
    return shutil.copytree(built, tmp_path / "xor")


@pytest.fixture
def there() -> Iterator[Hub]:
    with hub() as running:
        yield running


Push = Callable[..., Outcome]


@pytest.fixture
def push(there: Hub, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Push:
    """Run `symile-data push` with some words against the stand-in."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
    monkeypatch.setenv("HF_HUB_DISABLE_PROGRESS_BARS", "1")

    def run(*words: str | Path, token: str = "a-token", endpoint: str = there.endpoint) -> Outcome:
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        monkeypatch.setenv("HF_TOKEN", token)
        named = () if "--creator" in words else ("--creator", "Ada Lovelace", "--published", "2026-12-01")
        return outcome(capsys, "push", *words, *named)

    return run


def contents(directory: Path) -> dict[str, bytes]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_bytes() for path in files}


def test_everything_arrives_and_the_manifest_comes_last(push: Push, there: Hub, dataset: Path) -> None:
    said = push(dataset, REPO, "--private")
    assert said.code == 0, said.err
    assert said.out.endswith(f"bytes are in {there.endpoint}/datasets/{REPO}\n")
    files = dict(there.files[REPO])
    del files[".gitattributes"]
    assert files == contents(dataset)
    assert there.private[REPO]
    first, last = there.commits[REPO]
    assert last == ["manifest.json"]
    assert len(first) == len(files) - 1
    assert push(dataset, REPO).code == 0
    assert len(there.commits[REPO]) == 2  # everything was there


def test_an_interrupted_upload_goes_on(push: Push, there: Hub, dataset: Path) -> None:
    there.refused["manifest.json"] = 403
    said = push(dataset, REPO)
    assert (said.code, said.out) == (1, "")
    assert said.err.splitlines()[-1].startswith(
        f"symile-data: the Hugging Face Hub did not take the dataset ({REPO}); got "
    )
    assert "run the same command again: what has arrived is kept" in said.err
    assert "Traceback" not in said.err
    assert "manifest.json" not in there.files[REPO]
    there.refused.clear()
    assert push(dataset, REPO).code == 0
    assert [len(commit) for commit in there.commits[REPO]] == [len(contents(dataset)) - 1, 1]


def test_a_dry_run_lists_every_file_and_asks_nothing(push: Push, there: Hub, dataset: Path) -> None:
    (dataset / ".gitattributes").write_text("left by a download")
    said = push(dataset, REPO, "--dry-run", "--json", token="none", endpoint="http://127.0.0.1:9")
    assert said.code == 0, said.err
    value = json.loads(said.out)
    sizes = {path: len(data) for path, data in contents(dataset).items() if path != ".gitattributes"}
    assert {file["path"]: file["bytes"] for file in value["files"]} == sizes
    assert value["bytes"] == sum(sizes.values())
    assert not there.files
    lines = push(dataset, REPO, "--dry-run").out.splitlines()
    assert len(lines) == len(sizes) + 1
    assert lines[-1] == f"{len(sizes)} files, {sum(sizes.values()):,} bytes would go to {REPO}"


@pytest.mark.parametrize("stale", ["data/train-00000-of-00009.parquet", "images/all-00000-of-00001.parquet"])
def test_shards_of_another_build_are_not_mixed_in(push: Push, there: Hub, dataset: Path, stale: str) -> None:
    there.files[REPO] = {stale: b"old", "notes.md": b"mine"}
    said = push(dataset, REPO)
    assert said.code == 1
    assert f"the repository holds files of another dataset ({REPO}); got {stale}." in said.err
    assert set(there.files[REPO]) == {stale, "notes.md"}
    assert push(dataset, REPO, "--replace").code == 0
    assert set(there.files[REPO]) == {*contents(dataset), "notes.md"}


def test_what_did_not_arrive_whole_is_noticed(push: Push, there: Hub, dataset: Path) -> None:
    there.spoiled.add("stats.json")
    said = push(dataset, REPO)
    assert said.code == 1
    assert f"1 file did not arrive as they were sent ({REPO}, stats.json)" in said.err


def test_a_damaged_dataset_stays_at_home(push: Push, there: Hub, dataset: Path) -> None:
    (dataset / "stats.json").write_text("{}")
    said = push(dataset, REPO)
    assert said.code == 1
    assert "the dataset differs from what was built" in said.err
    assert "stats.json" in said.err
    assert not there.files


def test_a_wrong_token_is_said(push: Push, dataset: Path) -> None:
    said = push(dataset, REPO, token="wrong")
    assert said.code == 1
    assert "Log in with `hf auth login`" in said.err
    assert "wrong" not in said.err.replace("went wrong", "")


def test_a_wrong_name_exits_with_2(push: Push, dataset: Path) -> None:
    said = push(dataset, "me//xor")
    assert (said.code, said.err) == (
        2,
        "symile-data: this is no name of a repository; got 'me//xor'. Give OWNER/NAME.\n",
    )


def test_images_go_only_when_asked(push: Push, there: Hub, tree: Path, tmp_path: Path) -> None:
    build(tree, tmp_path / "m3", write_card=write_card)
    said = push(tmp_path / "m3", "me/m3", "--dry-run")
    assert said.code == 2
    assert "ImageNet's terms of access" in said.err
    assert push(tmp_path / "m3", "me/m3", "--dry-run", "--allow-pictures").code == 0


def test_patients_records_never_go(push: Push, there: Hub, dataset: Path) -> None:
    value = manifests.read(dataset)
    from dataclasses import replace

    identity = replace(value.identity, dataset="symile-mimic", spec={}, sources={"records": {"kind": "physionet"}})
    manifests.write(dataset, replace(value, identity=identity))
    for words in ((), ("--allow-pictures",), ("--dry-run",)):
        said = push(dataset, REPO, *words)
        assert said.code == 2
        assert "records of patients under PhysioNet's data use agreement" in said.err
    assert not there.files
