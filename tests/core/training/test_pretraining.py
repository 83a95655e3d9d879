"""Pretraining: a toy of light and dark images is learned, reproducibly, and only encoders with features take part."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from symile_data.encoders import ClassifiedEncoder, DataDescription, make_encoder
from symile_data.encoders.image import SmallImageEncoder
from symile_data.errors import SymileDataError, UsageError
from symile_data.format.schema import Modality
from symile_data.training.config import PretrainConfig, TrainConfig
from symile_data.training.features import FeatureFunction
from symile_data.training.pretrain import pretrain

IMAGE = Modality(name="image", kind="image", column="image", null_columns=("image",))
TEXT = Modality(name="text", kind="text", column="text", null_columns=("text",))
SETTINGS = PretrainConfig(labels={"image": "shade"}, epochs=6, batch_size=8, lr=0.01)
SHADES = ["dark", "light"]


def config(seed: int = 0) -> TrainConfig:
    return TrainConfig(
        epochs=1, batch_size=8, dim=4, lr=0.1, logit_scale_init=0.0, target="image", label="y", seed=seed,
        encoders={"image": {"width": 2}},
    )  # fmt: skip


class Toy:
    """Four batches of images with noise; one row of each batch has no image."""

    def __len__(self) -> int:
        return 4

    def __iter__(self) -> Iterator[dict[str, Any]]:
        generator = torch.Generator().manual_seed(3)
        for _ in range(len(self)):
            light = torch.arange(8) % 2
            noise = torch.randint(0, 60, (8, 16, 16, 3), generator=generator)
            missing = torch.zeros(8, 1, dtype=torch.bool)
            missing[5] = True
            pictures = (noise + 150 * light[:, None, None, None]).to(torch.uint8)
            yield {"image": pictures, "missing": missing, "shade": [SHADES[value] for value in light]}


def weights_of(seed: int) -> dict[str, torch.Tensor]:
    return pretrain(config(seed), SETTINGS, [IMAGE], Toy(), {"image": SHADES})["image"]


def test_features_come_to_separate_the_labels() -> None:
    encoder = make_encoder("image", 4, {"width": 2})
    assert isinstance(encoder, SmallImageEncoder)
    encoder.load_state_dict(weights_of(0))
    batches = list(Toy())
    features = FeatureFunction(encoder)(torch.cat([batch["image"] for batch in batches])).clone()
    light = torch.tensor([name == "light" for batch in batches for name in batch["shade"]])
    centres = torch.stack([features[~light].mean(dim=0), features[light].mean(dim=0)])
    assert torch.equal(torch.cdist(features, centres).argmin(dim=1) == 1, light)


def test_the_seed_decides_the_weights() -> None:
    one, same, other = weights_of(1), weights_of(1), weights_of(2)
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert any(not torch.equal(one[name], other[name]) for name in one)


def test_features_do_not_touch_the_encoder() -> None:
    encoder = SmallImageEncoder(4, DataDescription(), width=2)
    before = {name: value.clone() for name, value in encoder.state_dict().items()}
    FeatureFunction(encoder)(next(iter(Toy()))["image"])
    assert encoder.training and all(isinstance(module, nn.Module) and module.training for module in encoder.modules())
    assert all(torch.equal(value, before[name]) for name, value in encoder.state_dict().items())


def test_words_cannot_be_pretrained() -> None:
    settings = PretrainConfig(labels={"text": "shade"}, epochs=1, batch_size=8, lr=0.01)
    with pytest.raises(UsageError, match=r"no encoder that can be pretrained.*text"):
        pretrain(config(), settings, [TEXT], Toy(), {"text": SHADES})


def test_a_loss_that_is_not_finite_ends_the_pretraining() -> None:
    settings = PretrainConfig(labels={"image": "shade"}, epochs=6, batch_size=8, lr=1e30)
    message = (
        r"loss of the pretraining is not finite \(step \d+, learning rate .*\); got nan\. Lower lr in \[pretrain\]"
    )
    with pytest.raises(SymileDataError, match=message):
        pretrain(config(), settings, [IMAGE], Toy(), {"image": SHADES})


def test_an_interval_trains_an_encoder_on_every_few_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The toy's images appear under two names; the second one is encoded in batches 0 and 3 of the four."""
    again = Modality(name="symbol", kind="image", column="symbol", null_columns=("symbol",))
    settings = replace(SETTINGS, labels={"image": "shade", "symbol": "shade"}, epochs=2, intervals={"symbol": 3})
    calls = Counter[int]()

    def counted(encoder: SmallImageEncoder, media: torch.Tensor) -> torch.Tensor:
        calls[id(encoder)] += 1
        return usual(encoder, media)

    usual = SmallImageEncoder.features
    monkeypatch.setattr(SmallImageEncoder, "features", counted)

    class Twice(Toy):
        def __iter__(self) -> Iterator[dict[str, Any]]:
            for batch in super().__iter__():
                yield {**batch, "symbol": batch["image"], "missing": batch["missing"].expand(-1, 2)}

    pretrain(config(), settings, [IMAGE, again], Twice(), {"image": SHADES, "symbol": SHADES})
    assert sorted(calls.values()) == [4, 8]


def test_probabilities_come_to_name_the_labels() -> None:
    settings = replace(SETTINGS, features="probabilities")
    weights = pretrain(config(), settings, [IMAGE], Toy(), {"image": SHADES})["image"]
    small = make_encoder("image", 4, {"width": 2})
    assert isinstance(small, SmallImageEncoder)
    encoder = ClassifiedEncoder(small, len(SHADES), 4, DataDescription())
    heads = {name: value for name, value in encoder.state_dict().items() if name.startswith("head.")}
    encoder.load_state_dict({**weights, **heads})
    batches = list(Toy())
    features = FeatureFunction(encoder)(torch.cat([batch["image"] for batch in batches]))
    light = [SHADES.index(name) for batch in batches for name in batch["shade"]]
    assert features.argmax(dim=1).tolist() == light
