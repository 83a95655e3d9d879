"""Training configs: the bundled ones parse, a saved one comes back, and mistakes are named."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from symile_data.encoders import ENCODERS
from symile_data.errors import UsageError
from symile_data.loaders.decoders import DECODERS
from symile_data.training.config import PretrainConfig, TrainConfig, named_configs, read_config

LEAST: dict[str, Any] = {
    "epochs": 1, "batch_size": 2, "dim": 4, "lr": 0.1, "logit_scale_init": 0.0, "target": "image", "label": "cls_id",
}  # fmt: skip
PRETRAIN: dict[str, Any] = {"labels": {"image": "cls_id"}, "epochs": 1, "batch_size": 2, "lr": 0.1}


@pytest.mark.parametrize("name", named_configs())
def test_bundled_configs_parse_and_come_back_from_json(name: str) -> None:
    config = read_config(name)
    assert TrainConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize("name", named_configs())
def test_bundled_configs_name_encoders_and_inputs_that_are_there(name: str) -> None:
    config = read_config(name)
    for kind, settings in config.encoders.items():
        assert settings.get("model", next(iter(ENCODERS[kind]))) in ENCODERS[kind]
    for kind, settings in config.inputs.items():
        DECODERS[kind].settings(**settings)


def test_the_published_numbers_are_filled_in() -> None:
    """Of the authors' scripts and tuning records: batch, size, epochs, scale, negatives, learning rate, decay."""
    published = {
        ("paper-m3-2", "symile"): (256, 8192, 24, -6.0, "n", 1e-5, 0.0),
        ("paper-m3-2", "clip"): (256, 8192, 24, -6.0, "n", 1e-4, 1e-3),
        ("paper-m3-5", "symile"): (256, 8192, 24, -6.0, "n", 1e-4, 0.0),
        ("paper-m3-10", "symile"): (256, 8192, 24, -6.0, "n", 1e-4, 0.0),
        ("paper-m3-10", "clip"): (256, 8192, 24, -6.0, "n", 1e-4, 1e-3),
        ("paper-m3-2-missing", "symile"): (256, 8192, 24, -6.0, "n", 5e-5, 0.0),
        ("paper-mimic", "symile"): (280, 8192, 80, -7.0, "exact", 5e-4, 0.2),
        ("xor", "symile"): (1000, 16, 100, -0.3, "n", 0.1, 0.01),
    }
    for (name, loss), numbers in published.items():
        c = read_config(name, {"objective": loss})
        negatives = c.settings.get("negatives", "n")
        found = (c.batch_size, c.dim, c.epochs, c.logit_scale_init, negatives, c.lr, c.weight_decay)
        assert found == numbers, name
        assert c.schedule == "constant" and not c.redraw_words and not c.resample_within_class


def test_a_file_says_what_differs_by_loss(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in LEAST.items())
    path.write_text(lines + "\n[clip]\nlr = 0.3\ndim = 9\n")
    assert (read_config(str(path)).lr, read_config(str(path), {"objective": "clip"}).lr) == (0.1, 0.3)
    both = read_config(str(path), {"objective": "clip", "lr": 0.7})
    assert (both.lr, both.dim) == (0.7, 9)
    path.write_text('loss = "clip"\n' + path.read_text())
    with pytest.warns(DeprecationWarning, match="write objective"):
        assert read_config(str(path)).lr == 0.3


def test_a_pretrained_config_comes_back_from_json() -> None:
    config = TrainConfig.from_json(LEAST | {"pretrain": PRETRAIN, "resample_within_class": {"image": "cls_id"}})
    assert isinstance(config.pretrain, PretrainConfig) and config.pretrain.jitter == 0.0
    assert TrainConfig.from_json(config.to_json()) == config
    assert TrainConfig.from_json(TrainConfig.from_json(LEAST).to_json()).pretrain is None


@pytest.mark.parametrize("place", ["file", "loss", "overrides", "run"])
def test_an_older_name_of_a_setting_still_loads_with_a_warning(tmp_path: Path, place: str) -> None:
    old, new = {"redraw_media": {"image": "cls_id"}}, {"image": "cls_id"}
    path = tmp_path / "mine.toml"
    lines = "\n".join(f"{name} = {json.dumps(value)}" for name, value in LEAST.items())
    line = 'redraw_media = { image = "cls_id" }\n'
    path.write_text({"file": f"{lines}\n{line}", "loss": f"{lines}\n[symile]\n{line}"}.get(place, lines))
    with pytest.warns(DeprecationWarning, match="redraw_media is now resample_within_class"):
        config = (
            TrainConfig.from_json(LEAST | old)
            if place == "run"
            else read_config(str(path), old if place == "overrides" else None)
        )
    assert config == TrainConfig(**LEAST, resample_within_class=new)
    assert config.to_json()["resample_within_class"] == new and "redraw_media" not in config.to_json()


def test_an_older_name_yields_to_stronger_places_and_not_to_its_own() -> None:
    with pytest.warns(DeprecationWarning):
        assert not read_config("m3-small", {"redraw_media": {}}).resample_within_class
    with pytest.raises(UsageError, match=r"one setting by two names.*redraw_media and resample_within_class"):
        TrainConfig.from_json(LEAST | {"redraw_media": {}, "resample_within_class": {}})


def test_a_setting_of_a_table_is_replaced_alone() -> None:
    base = read_config("m3-small")
    assert base.pretrain is not None
    read = read_config("m3-small", {"pretrain.epochs": 7, "encoders.image.width": 5, "pretrain.labels.text": "cls_id"})
    assert read.pretrain == replace(base.pretrain, epochs=7, labels={**base.pretrain.labels, "text": "cls_id"})
    assert read.encoders == {**base.encoders, "image": {**base.encoders.get("image", {}), "width": 5}}
    assert replace(read, pretrain=base.pretrain, encoders=base.encoders) == base
    with pytest.raises(UsageError, match=r"got pretrain.depth. Choose among batch_size, epochs, features"):
        read_config("m3-small", {"pretrain.depth": 7})


def test_a_file_is_read_with_overrides(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text("\n".join(f"{name} = {json.dumps(value)}" for name, value in LEAST.items()))
    wanted = TrainConfig(**LEAST, seed=7, objective="clip")
    assert read_config(str(path), {"seed": 7, "objective": "clip"}) == wanted
    with pytest.warns(DeprecationWarning, match="write objective"):
        assert read_config(str(path), {"seed": 7, "loss": "clip"}) == wanted
    path.write_text("epochs =")
    with pytest.raises(UsageError, match=r"not readable TOML"):
        read_config(str(path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"learning_rate": 1}, r"unknown setting.*learning_rate"),
        ({"label": ...}, r"^the config lacks settings .*; got no label\. Set them\.$"),
        ({"lr": None}, r"^lr must be a number .*; got None\.$"),
        ({"epochs": "abc"}, r"^epochs must be a whole number .*; got 'abc'\.$"),
        ({"epochs": True}, r"^epochs must be a whole number .*; got True\.$"),
        ({"normalise": 1}, r"^normalise must be true or false .*; got 1\.$"),
        ({"target": 3}, r"^target must be text .*; got 3\.$"),
        ({"encoders": {"image": 3}}, r"^encoders.image must be a table .*; got 3\.$"),
        ({"pretrain": PRETRAIN | {"epoch": 1}}, r"unknown setting .*; got pretrain.epoch. Perhaps epochs is meant"),
        (
            {"pretrain": {"epochs": 1}},
            r"table \[pretrain\] of the config lacks .*; got no labels, batch_size, lr",
        ),
        ({"objective": "triplet"}, r"unknown objective.*triplet.*symile, clip"),
        ({"schedule": "linear"}, r"unknown schedule.*linear.*cosine, constant"),
        ({"epochs": 0}, r"epochs must be at least 1.*0"),
        ({"batch_size": 1}, r"batch_size must be at least 2.*1"),
        ({"missing": "zero"}, r"unknown missing.*zero.*embedding, input, neutral"),
        ({"select": "loss"}, r"unknown select.*loss.*val_accuracy, val_loss"),
        ({"precision": "8"}, r"unknown precision.*32-true, bf16-mixed"),
        ({"candidates": 1}, r"one candidate leaves nothing to choose"),
        ({"missingness": 1.5}, r"missing rate of every modality is outside"),
        ({"dim": "x"}, r"dim must be a whole number"),
        ({"pretrain": PRETRAIN | {"jitter": 0.5}}, r"jitter of .pretrain. must be below 0.5; got 0.5"),
        ({"missingness": 1}, r"missingness must be below 1.*; got 1"),
        ({"logit_scale_init": 1000.0}, r"logit_scale_init must be at most 80; got 1000"),
        ({"logit_scale_init": -1000.0}, r"logit_scale_init must be at least -80; got -1000"),
        ({"logit_scale_max": 1e300}, r"logit_scale_max must be at most 1e\+30; got 1e\+300"),
        ({"seed": -1}, r"seed must be at least 0; got -1"),
        ({"seed": 2**32}, r"seed must be at most 4294967295; got 4294967296"),
        ({"settings": 3}, r"settings must be a table"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], message: str) -> None:
    value = {name: value for name, value in (LEAST | changes).items() if value is not ...}
    with pytest.raises(UsageError, match=message):
        TrainConfig.from_json(value)


def test_settings_of_an_objective_are_a_table(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text("[gram]\nsettings = 3\n")
    for name, given in (("xor", {"settings": 3}), (str(tmp_path / "mine.toml"), {"objective": "gram"})):
        with pytest.raises(UsageError, match=r"settings is a table of an objective's settings.*got 3"):
            read_config(name, given)


def test_an_unknown_name_is_refused() -> None:
    with pytest.raises(UsageError, match=r"no such config.*m3-huge.*m3-small"):
        read_config("m3-huge")


@pytest.mark.parametrize("name", [name for name in named_configs() if not name.startswith("paper")])
def test_a_scale_that_suits_one_objective_is_not_given_to_others(name: str) -> None:
    """The start of the logit scale and the groups of missing values stand in tables of the objectives they suit."""
    for objective in ("symile", "clip"):
        assert read_config(name, {"objective": objective}).logit_scale_init is not None
    for objective in ("gram", "sigmoid-mip", "gated"):
        config = read_config(name, {"objective": objective})
        assert config.logit_scale_init is None and not config.group_missing and not config.settings


def test_the_config_of_keys_fits_any_dataset_with_keys() -> None:
    config = read_config("m3-keys", {"objective": "symile-pair"})
    assert config.settings == {"both": True} and config.logit_scale_init == -5.0
    assert not read_config("m3-keys", {"objective": "clip"}).settings
    fitted = config.fitted(["image", "audio", "text", "tone", "code"])
    assert fitted.resample_within_class == {"image": "cls_id", "audio+tone+code": "target_lang"}
    assert fitted.pretrain is not None
    assert fitted.pretrain.labels == {"image": "cls_id", "audio": "lang", "tone": "tone_id"}
    assert fitted.pretrain.intervals == {"tone": 8}
    assert fitted.fitted(["image"]) == fitted
    plain = read_config("m3-small")
    assert plain.fitted(["image", "audio", "text"]) == plain
    assert read_config("xor").fitted([]) == read_config("xor")


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        ({"audio": 2}, "names a modality that its labels do not name.*audio"),
        ({"image": 0}, "a whole number from 1 for image.*0"),
        ({"image": True}, "a whole number from 1 for image.*True"),
        ({"image": 2}, "leaves batches on which nothing is trained"),
    ],
)
def test_intervals_of_the_pretraining_are_checked(intervals: dict[str, int], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        PretrainConfig(**PRETRAIN, intervals=intervals)


def test_features_of_the_pretraining_are_one_of_two() -> None:
    with pytest.raises(UsageError, match=r"unknown features of \[pretrain\].*'logits'.*backbone, probabilities"):
        PretrainConfig(**PRETRAIN, features="logits")  # type: ignore[arg-type]
