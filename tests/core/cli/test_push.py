"""Pushing, against a stand-in of the Hub over HTTP: what goes, in which order, what is refused, what resumes."""

from __future__ import annotations

import datetime
import io
import json
import os
import shutil
import subprocess
import sys
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
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests
from symile_data.format.publication import Publication
from symile_data.workflows.publish import publish_dataset

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


@pytest.fixture
def bare(there: Hub, push: Push, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Push:
    """Like `push`, without names and dates that the words do not give."""
    monkeypatch.setattr(constants, "ENDPOINT", there.endpoint)
    monkeypatch.setenv("HF_TOKEN", "a-token")
    return lambda *words: outcome(capsys, "push", *words)


class Terminal(io.StringIO):
    """A standard input at which somebody sits."""

    def isatty(self) -> bool:
        return True


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


def test_who_and_when_are_asked_for_once_and_kept(
    bare: Push, there: Hub, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal("Ada Lovelace, org:A Lab\n2026-12-01\n"))
    said = bare(dataset, REPO)
    assert said.code == 0, said.err
    assert "Who made the dataset?" in said.err and "Date of publication" in said.err
    described = json.loads(there.files[REPO]["croissant.json"])
    assert [creator["name"] for creator in described["creator"]] == ["Ada Lovelace", "A Lab"]
    assert described["datePublished"] == "2026-12-01"
    assert described["url"] == f"{there.endpoint}/datasets/{REPO}"
    assert len(described["prov:wasDerivedFrom"]) == 1 and len(described["prov:wasGeneratedBy"]) == 1
    assert json.loads(there.files[REPO]["manifest.json"])["publication"]["creators"] == ["Ada Lovelace", "org:A Lab"]
    monkeypatch.setattr("sys.stdin", Terminal(""))  # nobody answers
    said = bare(dataset, REPO)
    assert (said.code, len(there.commits[REPO])) == (0, 2), said.err  # nothing was asked, nothing changed


def test_without_a_terminal_a_name_is_needed_and_the_date_is_today(bare: Push, there: Hub, dataset: Path) -> None:
    before = contents(dataset)
    said = bare(dataset, REPO)
    assert (said.code, said.err) == (
        2,
        "symile-data: nobody is named as the dataset's creator. Give --creator NAME, or org:NAME.\n",
    )
    assert bare(dataset, REPO, "--dry-run").code == 0
    assert contents(dataset) == before and not there.files
    assert bare(dataset, REPO, "--creator", "Ada").code == 0
    today = {datetime.date.today().isoformat(), (datetime.date.today() - datetime.timedelta(days=1)).isoformat()}
    assert json.loads(there.files[REPO]["croissant.json"])["datePublished"] in today


def test_what_was_pushed_opens_as_it_lies_here(push: Push, there: Hub, tree: Path, tmp_path: Path) -> None:
    local = tmp_path / "m3"
    build(tree, local, write_card=write_card, missing={"audio": 0.3, "image": 0.3})
    assert push(local, "me/m3", "--allow-pictures").code == 0
    environment = {
        **os.environ, "HF_ENDPOINT": there.endpoint, "HF_HOME": str(tmp_path / "home"), "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_OFFLINE": "0", "HF_DATASETS_OFFLINE": "0", "OMP_NUM_THREADS": "1",
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", _COMPARED, str(local)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rows, names, audio = done.stdout.split()
    assert (int(rows), int(names)) == (20, 1000) and int(audio) > 0


_COMPARED = """
import sys
from datasets import Image, load_dataset

there, here = load_dataset("me/m3"), load_dataset(sys.argv[1])
assert there.keys() == here.keys(), (there, here)
rows = audio = 0
for split in here:
    assert there[split].features == here[split].features
    far, near = (part.cast_column("image", Image(decode=False)) for part in (there[split], here[split]))
    assert len(far) == len(near)
    for one, other in zip(far, near):
        assert one == other, (one, other)
        rows, audio = rows + 1, audio + (one["audio"] is not None)
print(rows, len(here["train"].features["cls_id"].names), audio)
"""


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
    with pytest.raises(UsageError, match=r"records of patients .* forbids passing them on"):
        publish_dataset(dataset, REPO, Publication(), allow_images=True)
    assert not there.files
