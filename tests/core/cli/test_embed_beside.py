"""`symile-data embed --beside`: features in the dataset's own directory, of which `verify`, `info`, `train` and
`evaluate` know, and plain `datasets` sees nothing.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import datasets
import pytest
import torch
from command import outcome
from factories import build, problems
from tiny_models import tiny_clip, tiny_whisper
from typer.testing import CliRunner

from symile_data.cli import app
from symile_data.format import manifest as manifests
from symile_data.loaders import BatchLoader, open_split
from symile_data.training.run_record import read_run

pytestmark = pytest.mark.usefixtures("undrawn")

Capture = pytest.CaptureFixture[str]
ROWS = {"train": 24, "validation": 4, "test": 6}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    return {"image": tiny_clip(folder / "clip"), "audio": tiny_whisper(folder / "whisper", frames=400)}


@pytest.fixture(scope="module")
def m3(tree: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset with a card, and features of images and audio beside it."""
    from symile_data.cards import write_card

    out = tmp_path_factory.mktemp("beside") / "m3"
    build(tree, out, rows=ROWS, write_card=write_card)
    options = [f"--{kind}-model={name}" for kind, name in models.items()]
    said = CliRunner().invoke(app, ["embed", str(out), "--beside", "tiny", "--batch-size", "4", *options])
    assert said.exit_code == 0, said.output
    assert re.search(r"image_tiny, audio_tiny; 24 train, 4 validation, 6 test rows, [\d.]+ kB\n", said.stdout)
    assert f"open_split('{out}', 'train', features=['tiny'])" in said.stdout
    return out


def test_the_features_are_those_of_embed_out(m3: Path, models: dict[str, str], tmp_path: Path) -> None:
    command = ["embed", str(m3), "--out", str(tmp_path / "f"), "--batch-size", "4", "--image-model", models["image"]]
    assert CliRunner().invoke(app, command).exit_code == 0
    for split in ROWS:
        beside = open_split(m3, split, features=["tiny"]).read_all(["sample_id", "image_tiny"])
        apart = open_split(tmp_path / "f", split).read_all(["sample_id", "image"])
        assert beside.rename_columns(["sample_id", "image"]).equals(apart)
    note = manifests.read(m3 / "features/tiny").notes[0]
    assert note.startswith("The column of image holds features of clip: 8 float16")


def test_plain_datasets_sees_the_dataset_alone(m3: Path, tmp_path: Path) -> None:
    loaded = datasets.load_dataset(str(m3), cache_dir=str(tmp_path / "cache"))
    assert {split: len(rows) for split, rows in loaded.items()} == ROWS
    assert loaded["train"].column_names == open_split(m3, "train").columns
    assert problems(m3) == []


def test_verify_and_info_name_the_features(m3: Path, tmp_path: Path, capsys: Capture) -> None:
    code, said, _ = outcome(capsys, "verify", m3)
    assert code == 0 and "34 rows, with the features tiny beside them, all as built" in said
    code, said, _ = outcome(capsys, "info", m3)
    assert code == 0 and "features" in said and "tiny" in said
    damaged = shutil.copytree(m3, tmp_path / "damaged")
    (damaged / "features/tiny/data/test-00000-of-00001.parquet").unlink()
    code, said, _ = outcome(capsys, "verify", damaged)
    assert code == 1 and said.splitlines() == ["features/tiny/data/test-00000-of-00001.parquet: missing"]


def test_the_card_can_be_written_anew(m3: Path, tmp_path: Path, capsys: Capture) -> None:
    copy = shutil.copytree(m3, tmp_path / "m3")
    (copy / "README.md").write_text("mine")
    assert outcome(capsys, "card", copy)[0] == 0
    assert outcome(capsys, "verify", copy)[0] == 0
    assert open_split(copy, "test", features=["tiny"]).rows == 6


def test_training_reads_the_features_in_place_of_media(m3: Path, tmp_path: Path) -> None:
    options = ["--objective", "symile", "--epochs", "1", "--set", "batch_size=8", "--json"]
    command = ["train", str(m3), "--features", "tiny", "--out", str(tmp_path / "run"), *options]
    said = CliRunner().invoke(app, command)
    assert said.exit_code == 0, said.output
    run = tmp_path / "run" / "symile"
    info = read_run(run)
    assert info.features == ("tiny",)
    kinds = {modality.name: (modality.kind, modality.column) for modality in info.modalities}
    assert kinds == {"image": ("features", "image_tiny"), "audio": ("features", "audio_tiny"), "text": ("text", "text")}
    assert info.fingerprint != manifests.read(m3).identity.fingerprint
    said = CliRunner().invoke(app, ["evaluate", str(run), "--json"])
    assert said.exit_code == 0, said.output
    assert 0 <= json.loads(said.stdout.splitlines()[-1])["symile"]["accuracy"] <= 1


def test_training_reads_what_has_no_features_as_it_is(m3: Path, models: dict[str, str], tmp_path: Path) -> None:
    copy = shutil.copytree(m3, tmp_path / "m3")
    shutil.rmtree(copy / "features")
    command = ["embed", str(copy), "--beside", "images", "--image-model", models["image"]]
    assert CliRunner().invoke(app, command).exit_code == 0
    options = ["--features", "images", "--objective", "symile", "--epochs", "1", "--out", str(tmp_path / "run")]
    said = CliRunner().invoke(app, ["train", str(copy), *options])  # as embed advises
    assert said.exit_code == 0, said.output
    info = read_run(tmp_path / "run" / "symile")
    assert [modality.kind for modality in info.modalities] == ["features", "audio", "text"]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--features", "other"], "no such set of features"),
        (["--features", "tiny", "--features", "again"], "two sets of features encode the same modality"),
    ],
)
def test_training_names_a_set_that_cannot_be_taken(
    m3: Path, models: dict[str, str], tmp_path: Path, options: list[str], message: str, capsys: Capture
) -> None:
    copy = shutil.copytree(m3, tmp_path / "m3")
    if "again" in options:
        command = ["embed", str(copy), "--beside", "again", "--image-model", models["image"]]
        assert CliRunner().invoke(app, command).exit_code == 0
    code, said, told = outcome(capsys, "train", copy, *options)
    assert code == 2 and not said and message in told


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ([], "give either it or --beside"),
        (["--beside", "a", "--out", "b"], "give either it or --beside"),
        (["--beside", "a", "--format", "webdataset"], "features beside a dataset are Parquet"),
        (["--beside", "id"], "another name with --beside"),
        (["--beside", "a/b"], "this is no name of a set of features; got 'a/b'"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    m3: Path, models: dict[str, str], options: list[str], message: str, capsys: Capture
) -> None:
    code, said, told = outcome(capsys, "embed", m3, "--image-model", models["image"], *options)
    assert code == 2 and not said and message in " ".join(told.replace("│", " ").split())
    assert BatchLoader(open_split(m3, "test", features=["tiny"]), 2, modalities=["image_tiny"]).split.rows == 6
