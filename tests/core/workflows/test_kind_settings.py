"""Settings of a config's tables [encoders] and [inputs] that nothing knows are refused before anything is trained."""

from __future__ import annotations

from pathlib import Path

import pytest
from command import outcome
from factories import build

from symile_data.training.config import read_config
from symile_data.workflows.configs.kind_settings import check_kind_settings
from symile_data.workflows.training_data import TrainingData


@pytest.fixture(scope="module")
def m3(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eight training rows; not to be changed."""
    out = tmp_path_factory.mktemp("kinds") / "m3"
    build(tree, out, rows={"train": 8, "validation": 4, "test": 4})
    return out


@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        ("encoders.imag.width=8", "[encoders] of the config names no kind of modality; got imag. Perhaps image is"),
        ("inputs.imag.size=8", "[inputs] of the config names no kind of modality; got imag. Perhaps image is meant"),
        ("encoders.image.widht=8", "that the image encoder does not know; got widht. Perhaps width is meant"),
        ("encoders.image.width=wide", "is a whole number; got 'wide'"),
        ("inputs.image.sise=8", "[inputs.image] of the config has an unknown setting; got sise. Perhaps size is meant"),
        ("inputs.image.size=large", "is a whole number; got 'large'"),
        ("pretrain.epoch=1", "has an unknown setting (m3-small); got pretrain.epoch. Perhaps epochs is meant"),
    ],
)
def test_a_misspelt_setting_of_a_table_is_refused_before_anything_is_trained(
    m3: Path, tmp_path: Path, setting: str, sentence: str, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, _, err = outcome(capsys, "train", m3, "--out", out, "--epochs", "1", "--set", setting)
    assert code == 2 and sentence in err and not out.exists()


def test_a_config_for_features_is_refused_on_a_dataset_without_any(
    m3: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    code, _, err = outcome(capsys, "train", m3, "--out", out, "--config", "m3-frozen", "--set", "batch_size=4")
    assert code == 2 and "config is for features of frozen encoders, and the dataset has none" in err
    assert "got [encoders.features], and no settings for image, audio." in err and not out.exists()


def test_a_config_for_features_too_is_taken_by_a_dataset_without_any(m3: Path) -> None:
    encoders = {"image": {"dropout": 0.1}, "audio": {"mels": 40}, "text": {"init_std": 0.01}, "features": {}}
    TrainingData(m3).check(read_config("m3-frozen", {"batch_size": 2, "encoders": encoders}))


def test_settings_of_kinds_that_a_dataset_lacks_are_left_alone() -> None:
    config = read_config("m3-small", {"encoders.ecg.width": 8, "inputs.ecg.anything": 1})
    check_kind_settings(["image", "audio", "text"], config)
