"""`symile-data embed`: features of tiny random models, each unique medium encoded once, in a dataset like any other."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pytest
import soundfile
import torch
from factories import build, contents, problems, rows_of
from mimic_tree import Tree
from tiny_models import tiny_clip, tiny_whisper, tiny_xlm_roberta
from typer.testing import CliRunner

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.features.build import build_features
from symile_data.builders.features.spec import FeatureSpec, FrozenModel, Media
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.cards import schema_of, write_card
from symile_data.cli import app
from symile_data.encoders import ClipVisionEncoder, DataDescription, LinearEncoder, WhisperEncoder, XlmRobertaEncoder
from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.format import manifest as manifests
from symile_data.format.manifest import Manifest
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Variation, open_split
from symile_data.training.config import read_config
from symile_data.training.run_record import read_run
from symile_data.workflows import embed as hook
from symile_data.workflows.datasets import default_config
from symile_data.workflows.training_data import TrainingData

pytestmark = pytest.mark.usefixtures("undrawn")

MISSING = {"image": 0.3, "audio": 0.3, "text": 0.3}
ROWS = {"train": 30, "validation": 4, "test": 6}


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    torch.manual_seed(0)
    return {
        "image": tiny_clip(folder / "clip"),
        "audio": tiny_whisper(folder / "whisper", frames=400),
        "text": tiny_xlm_roberta(folder / "xlm"),
    }


@pytest.fixture(scope="module")
def m3(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("embed") / "m3"
    build(tree, out, rows=ROWS, missing=MISSING)
    return out


@pytest.fixture(scope="module")
def features(m3: Path, models: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("embed") / "features"
    options = [f"--{kind}-model={name}" for kind, name in models.items()]
    result = CliRunner().invoke(app, ["embed", str(m3), "--out", str(out), "--batch-size", "4", *options])
    assert result.exit_code == 0, result.output
    return out


def spec_of(models: dict[str, str], *kinds: str, **changes: object) -> FeatureSpec:
    settings: dict[str, dict[str, Any]] = {
        "image": {},
        "audio": {"pool": "observed"},
        "text": {"pool": "observed", "layers": 1, "tokens": 128},
    }
    described = tuple(hook.describe_model(kind, kind, models[kind], settings[kind]) for kind in kinds)
    return FeatureSpec(models=described, batch_size=4, **changes)  # type: ignore[arg-type]


def embedded(source: Path, out: Path, spec: FeatureSpec, workers: int = 1) -> Manifest:
    return build_features(source, out, spec, hook.encode_media, workers=workers, write_card=no_card)


def test_rows_are_the_same_with_features_in_the_place_of_media(m3: Path, features: Path) -> None:
    media = {"image", "audio", "text"}
    for split in ROWS:
        before, after = rows_of(m3, split), rows_of(features, split)
        assert [{k: v for k, v in row.items() if k not in media} for row in before] == [
            {k: v for k, v in row.items() if k not in media} for row in after
        ]
        for name in media:
            assert [row[name] is None for row in after] == [row[f"{name}_missing"] for row in before]
            assert {len(row[name]) for row in after if row[name] is not None} == {8}
    assert any(row["image"] is None for row in rows_of(features, "train"))
    there, here = manifests.read(m3), manifests.read(features)
    assert here.splits == there.splits and here.identity.dataset == there.identity.dataset
    assert [modality.kind for modality in here.modalities] == ["features"] * 3
    assert here.modalities[1].details["of"] == "audio" and here.modalities[1].details["model"] == "whisper"


def test_features_are_what_the_encoder_makes_of_what_the_loader_decodes(
    m3: Path, features: Path, models: dict[str, str]
) -> None:
    transforms = {"image": ImageSettings(size=16), "audio": AudioSettings(seconds=4.0, n_mels=20)}
    split = open_split(m3, "train")
    batch = next(iter(BatchLoader(split, split.rows, shuffle=False, transforms=transforms)))
    stored = next(iter(BatchLoader(open_split(features, "train"), split.rows, shuffle=False)))
    description = DataDescription()
    with torch.inference_mode():
        expected = {
            "image": ClipVisionEncoder(1, description, models["image"]).eval().features(batch["image"]),
            "audio": WhisperEncoder(1, description, models["audio"], pool="observed").eval().features(batch["audio"]),
            "text": XlmRobertaEncoder(1, description, models["text"], pool="observed").eval().features(
                ["" if text is None else text for text in batch["text"]]
            ),
        }  # fmt: skip
    assert torch.equal(batch["missing"], stored["missing"])
    for position, (name, values) in enumerate(expected.items()):
        present = ~batch["missing"][:, position]
        torch.testing.assert_close(stored[name][present], values[present], atol=2e-3, rtol=2e-3)
        assert not stored[name][~present].any()
        assert stored[name][present].std(dim=0).max() > 1e-3  # rows differ


def test_it_is_a_dataset_like_any_other(features: Path) -> None:
    assert problems(features) == []
    loaded = datasets.load_dataset(str(features))
    assert {split: len(rows) for split, rows in loaded.items()} == ROWS
    assert (
        loaded["train"].features["image"].length == 8 and loaded["train"].features["image"].feature.dtype == "float16"
    )
    card = (features / "README.md").read_text(encoding="utf-8")
    assert "memorises so few fixed rows;\n  build more rows." in card and "redraw_words" not in card
    assert "8 float16" in card and "clip" in card
    assert "# Symile-M3-2, features\n" in card and "The values of image, audio and text are features here" in card
    assert "| `image` | list of 8 float16 | features: numbers that clip computed from the image |" in card
    json.loads((features / "croissant.json").read_text(encoding="utf-8"))


def test_each_unique_medium_is_encoded_once(
    m3: Path, models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    counts: dict[str, int] = {}
    encode = hook.encode_media

    def counting(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
        counts[media.kind] = counts.get(media.kind, 0) + len(media.values)
        return encode(spec, model, media)

    build_features(m3, tmp_path / "f", spec_of(models, "image", "audio"), counting, workers=1, write_card=no_card)
    rows = [row for split in ROWS for row in rows_of(m3, split)]
    assert counts["image"] == len({row["image_id"] for row in rows} - {None}) < len(rows) - 5
    assert counts["audio"] == len({row["clip_id"] for row in rows} - {None})


def test_the_bytes_depend_neither_on_workers_nor_on_the_layout_nor_on_an_interruption(
    tree: Path, m3: Path, models: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symile_data.builders.features.encoding.MEDIA_PER_CHUNK", 7)
    monkeypatch.setattr("symile_data.builders.features.chunks.MEDIA_PER_CHUNK", 7)
    spec, chunks = spec_of(models, "image"), list[Media]()

    def dying(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
        chunks.append(media)
        if len(chunks) == 3:
            raise KeyboardInterrupt
        return hook.encode_media(spec, model, media)

    embedded(m3, tmp_path / "whole", spec)
    with pytest.raises(KeyboardInterrupt):
        build_features(m3, tmp_path / "again", spec, dying, workers=1, write_card=no_card)
    with pytest.raises(OutputError, match=r"with other settings.*precision"):
        embedded(m3, tmp_path / "again", spec_of(models, "image", precision="bf16-mixed"))
    build_features(m3, tmp_path / "again", spec, dying, workers=1, write_card=no_card)
    assert contents(tmp_path / "again") == contents(tmp_path / "whole")
    unique = {row["image_id"] for split in ROWS for row in rows_of(m3, split)} - {None}
    assert sum(len(media.values) for media in chunks[3:]) == len(unique) - 2 * 7  # two chunks were whole
    build(tree, tmp_path / "pooled", rows=ROWS, missing=MISSING, layout="pooled")
    embedded(tmp_path / "pooled", tmp_path / "from-pooled", spec)
    for split in ROWS:
        assert rows_of(tmp_path / "from-pooled", split) == rows_of(tmp_path / "whole", split)


def test_worker_processes_make_the_same_bytes(m3: Path, models: dict[str, str], tmp_path: Path) -> None:
    spec = spec_of(models, "image", shard_format="webdataset")
    embedded(m3, tmp_path / "one", spec)
    embedded(m3, tmp_path / "two", spec, workers=2)
    assert contents(tmp_path / "one") == contents(tmp_path / "two")
    assert open_split(tmp_path / "two", "train").rows == ROWS["train"]


def test_training_takes_features_with_the_papers_heads(features: Path, tmp_path: Path) -> None:
    options = [
        "--loss",
        "symile",
        "--epochs",
        "2",
        "--out",
        str(tmp_path / "run"),
        "--set",
        "dim=8",
        "--set",
        "lr=0.01",
    ]
    command = ["train", str(features), "--config", "paper-m3-2", "--set", "batch_size=8", "--json", *options]
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 0, result.output
    assert 0 <= json.loads(result.stdout.splitlines()[-1])["symile"]["accuracy"] <= 1


def test_x_rays_are_encoded_too(models: dict[str, str], tmp_path: Path) -> None:
    tree = Tree(tmp_path / "tree")
    for number in range(8):
        tree.complete(10_000_000 + number, 20_000_000 + number)
    settings = MimicSpec(roots=tree.write(), train=4, validation=2, candidates=2)
    build_mimic(settings, tmp_path / "mimic", workers=1, write_card=no_card)
    spec = FeatureSpec(models=(hook.describe_model("cxr", "image", models["image"], {}),))
    manifest = embedded(tmp_path / "mimic", tmp_path / "features", spec)
    assert [modality.kind for modality in manifest.modalities] == ["features", "ecg", "labs"]
    assert problems(tmp_path / "features") == []
    before, after = (rows_of(tmp_path / name, "train") for name in ("mimic", "features"))
    assert [row["ecg"] for row in before] == [row["ecg"] for row in after]
    assert {len(row["cxr"]) for row in after} == {8}
    assert manifest.cohort_flow == manifests.read(tmp_path / "mimic").cohort_flow
    config = read_config(default_config("symile-mimic", [modality.kind for modality in manifest.modalities]))
    data = TrainingData(tmp_path / "features")
    data.check(replace(config, batch_size=2, candidates=2))
    encoders = data.run_info(config).make_module().encoders
    assert isinstance(encoders["cxr"], LinearEncoder) and encoders["cxr"].feature_size == 8


def test_what_makes_no_sense_on_features_is_refused(features: Path) -> None:
    with pytest.raises(UsageError, match=r"words cannot be redrawn in features of texts .*redraw_words=False"):
        BatchLoader(open_split(features, "train"), 4, variation=Variation(redraw_words=True))


@pytest.mark.parametrize("texts", ["features", "words"])
def test_training_needs_no_config_and_uses_no_labels(
    features: Path, m3: Path, models: dict[str, str], tmp_path: Path, texts: str
) -> None:
    if texts == "words":
        features = tmp_path / "without-text"
        embedded(m3, features, spec_of(models, "image", "audio"))
    options = ["--epochs", "1", "--set", "batch_size=8", "--out", str(tmp_path / "run"), "--json"]
    result = CliRunner().invoke(app, ["train", str(features), "--objective", "symile", *options])
    assert result.exit_code == 0, result.output
    config = read_run(tmp_path / "run" / "symile").config
    assert config == read_config("m3-frozen", {"objective": "symile", "epochs": 1, "batch_size": 8})
    assert config.pretrain is None and not config.redraw_words and not config.resample_within_class
    assert config.select == "val_loss"  # the accuracy would need the validation split's labels
    again = CliRunner().invoke(app, ["evaluate", str(tmp_path / "run" / "symile"), "--json"])
    assert again.exit_code == 0, again.output
    assert 0 <= json.loads(again.stdout.splitlines()[-1])["symile"]["accuracy"] <= 1


def test_a_window_as_short_as_the_audio_is_recorded_and_longer_audio_refused_before_encoding(
    m3: Path, models: dict[str, str], tmp_path: Path
) -> None:
    run = CliRunner().invoke
    command = ["embed", str(m3), "--out", str(tmp_path / "f"), "--audio-model", models["audio"], "--audio-seconds"]
    clips = [row["audio"]["bytes"] for split in ROWS for row in rows_of(m3, split) if row["audio"] is not None]
    longest = max(soundfile.info(io.BytesIO(clip)).duration for clip in clips)
    refused = run(app, [*command, "0.3"])
    assert isinstance(refused.exception, UsageError) and not (tmp_path / "f").exists()
    advised = math.ceil(longest * 100) / 100
    assert f"got {longest:.3f} s for 0.3 s. Give `seconds` of {advised:g} or more" in str(refused.exception)
    result = run(app, [*command, f"{advised:g}"])
    assert result.exit_code == 0, result.output
    details = manifests.read(tmp_path / "f").modalities[1].details
    assert details["seconds"] == advised and details["pool"] == "observed"
    encoder = WhisperEncoder(1, DataDescription(), models["audio"], pool="observed", seconds=advised).eval()
    split = open_split(m3, "train")
    transforms = {"audio": AudioSettings(seconds=encoder.inputs["seconds"], n_mels=20)}
    batch = next(iter(BatchLoader(split, split.rows, shuffle=False, transforms=transforms)))
    stored = next(iter(BatchLoader(open_split(tmp_path / "f", "train"), split.rows, shuffle=False)))
    present = ~batch["missing"][:, 1]
    with torch.inference_mode():
        expected = encoder.features(batch["audio"])[present]
    torch.testing.assert_close(stored["audio"][present], expected, atol=2e-3, rtol=2e-3)


def test_the_layers_that_a_text_model_keeps_are_recorded(models: dict[str, str], tmp_path: Path) -> None:
    open_settings = {"pool": "observed", "layers": None, "tokens": 9}
    found = hook.describe_model("text", "text", models["text"], open_settings)
    assert dict(found.settings) == {"pool": "observed", "layers": 1, "tokens": 9}  # the paper's, of XLM-RoBERTa


def test_errors_name_the_medium_and_the_option(
    tree: Path, m3: Path, models: dict[str, str], features: Path, tmp_path: Path
) -> None:
    def overflowing(spec: FeatureSpec, model: FrozenModel, media: Media) -> npt.NDArray[np.float32]:
        values = np.zeros((len(media.values), 8), dtype=np.float32)
        values[1, 2] = 1e6
        return values

    with pytest.raises(DamageError, match=r"no finite number of half precision \(data/train-00000-of-00001\.parquet"):
        build_features(m3, tmp_path / "f", spec_of(models, "image"), overflowing, workers=1, write_card=no_card)

    def vanishing(spec: FeatureSpec, model: object, media: Any) -> Any:
        values = np.full((len(media.values), 8), 1e-9, dtype=np.float32)
        values[0] = 0.0  # what a model gives as zeros may stay so
        return values

    with pytest.raises(DamageError, match=r"too small for half precision.*got 1e-09"):
        build_features(m3, tmp_path / "v", spec_of(models, "image"), vanishing, workers=1, write_card=no_card)
    with pytest.raises(UsageError, match=r"holds features already \(.*\); got image"):
        embedded(features, tmp_path / "g", spec_of(models, "image"))
    with pytest.raises(UsageError, match=r"no encoder of kind audio for this type of model.*got clip_vision_model"):
        hook.describe_model("audio", "audio", models["image"], {})
    run = CliRunner().invoke
    assert "there is nothing to encode" in str(run(app, ["embed", str(m3), "--out", str(tmp_path / "h")]).exception)
    wrong = run(app, ["embed", str(m3), "--out", str(tmp_path / "h"), "--image-model", "x", "--precision", "8"])
    assert wrong.exit_code == 2 and "'8' is not one of '32-true'" in " ".join(wrong.output.split())
    for option in ("--audio-seconds", "--text-layers"):
        idle = run(app, ["embed", str(m3), "--out", str(tmp_path / "h"), "--image-model", "x", option, "3"])
        assert f"{option} has no effect without" in str(idle.exception)
    assert not (tmp_path / "h").exists()


def test_a_damaged_image_is_named(m3: Path, models: dict[str, str]) -> None:
    spec = spec_of(models, "image")
    values = pa.array([{"bytes": b"no picture", "path": None}])
    media = Media(kind="image", values=values, place=lambda index: f"data/x.parquet, row {index}")
    with pytest.raises(DamageError, match=r"cannot be decoded \(data/x\.parquet, row 0\)"):
        hook.encode_media(spec, spec.models[0], media)


def test_the_card_can_be_written_anew(features: Path) -> None:
    before = contents(features)
    manifest = manifests.read(features)
    write_card(features, manifest, schema_of(features, manifest))
    assert contents(features) == before


def test_a_config_for_raw_media_names_the_cause(features: Path, tmp_path: Path) -> None:
    words = ["train", str(features), "--config", "m3-small", "--out", str(tmp_path), "--set", "batch_size=2"]
    result = CliRunner().invoke(app, words)
    assert isinstance(result.exception, UsageError) and not list(tmp_path.iterdir())
    assert str(result.exception) == (
        "the config is for raw media, whose encoders it pretrains, but the dataset has features in their place; got "
        "features of image, audio, text. Name a config for features with `config`, such as m3-frozen, or train on the "
        "dataset of raw media."
    )
