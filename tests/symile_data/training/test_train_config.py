"""Training configs: the bundled ones parse, a saved one comes back, and mistakes are named."""

import json
from pathlib import Path
from typing import Any

import pytest

from symile_data.errors import UsageError
from symile_data.training.config import PretrainConfig, TrainConfig, default_config, named_configs, read_config

LEAST: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "dim": 4, "lr": 0.1, "logit_scale_init": 0.0, "target": "image", "label": "cls_id",
}  # fmt: skip
PRETRAIN = {"labels": {"image": "cls_id"}, "epochs": 1, "batch_size": 2, "lr": 0.1}


@pytest.mark.parametrize("name", named_configs())
def test_bundled_configs_parse_and_come_back_from_json(name: str) -> None:
    config = read_config(name)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


def test_defaults_name_bundled_configs() -> None:
    assert default_config("symile-m3") in named_configs()
    with pytest.raises(UsageError, match=r"no default config for this dataset.*other.*--config"):
        default_config("other")


def test_a_pretrained_config_comes_back_from_json() -> None:
    config = TrainConfig.from_json(LEAST | {"pretrain": PRETRAIN, "redraw_media": {"image": "cls_id"}})
    assert isinstance(config.pretrain, PretrainConfig) and config.pretrain.jitter == 0.0
    assert TrainConfig.from_json(config.to_json()) == config
    assert TrainConfig.from_json(TrainConfig.from_json(LEAST).to_json()).pretrain is None


def test_a_file_is_read_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in LEAST.items()))
    assert read_config(str(path), {"seed": 7, "loss": "clip"}) == TrainConfig(**LEAST, seed=7, loss="clip")
    path.write_text("epochs =")
    with pytest.raises(UsageError, match=r"not readable TOML"):
        read_config(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1}, r"unknown setting.*learning_rate"),
        ({"label": ...}, r"lacks or misnames a setting.*label"),
        ({"lr": None}, r"lacks or misnames a setting.*lr is NoneType, not float"),
        ({"pretrain": PRETRAIN | {"depth": 1}}, r"lacks or misnames a setting.*depth"),
        ({"pretrain": {"epochs": 1}}, r"lacks or misnames a setting.*labels"),
        ({"loss": "triplet"}, r"unknown loss.*triplet.*symile, clip"),
        ({"schedule": "linear"}, r"unknown schedule.*linear.*cosine, constant"),
        ({"epochs": 0}, r"epochs must be at least 1.*0"),
        ({"dim": "x"}, r"lacks or misnames a setting"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    value = {name: value for name, value in (LEAST | changes).items() if value is not ...}
    with pytest.raises(UsageError, match=message):
        TrainConfig.from_json(value)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no such config.*m3-huge.*m3-small"):
        read_config("m3-huge")
