"""The module: embeddings of what is missing, frozen encoders, and datasets that do not fit."""

from typing import Any

import pytest
import torch

from symile_data.errors import UsageError
from symile_data.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.module import SymileModule

NAMES = ("a", "b", "c")
MODALITIES = [Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in NAMES]


def config(**changes: Any) -> TrainConfig:
    settings = {"epochs": 1, "batch_size": 4, "dim": 6, "lr": 0.1, "logit_scale_init": 0.0, "target": "a", "label": "y"}
    return TrainConfig(**(settings | changes))


def batch(missing: torch.Tensor | None = None) -> dict[str, Any]:
    generator = torch.Generator().manual_seed(0)
    values: dict[str, Any] = {name: torch.randn(4, 5, generator=generator) for name in NAMES}
    absent = torch.zeros(4, 3, dtype=torch.bool) if missing is None else missing
    return values | {"missing": absent, "padding": torch.zeros(4, dtype=torch.bool), "y": torch.arange(4)}


def test_missing_values_are_embedded_by_the_learned_vector() -> None:
    module = SymileModule(config(), MODALITIES, {})
    module.missing.data.normal_(generator=torch.Generator().manual_seed(1))
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = missing[3, 2] = missing[0, 0] = True
    whole, partly = module.embed(batch()), module.embed(batch(missing))
    for position, name in enumerate(NAMES):
        absent = missing[:, position]
        assert torch.equal(partly[position][~absent], whole[position][~absent])
        expected = module.norms[name](module.missing[position])
        torch.testing.assert_close(partly[position][absent], expected.expand(int(absent.sum()), -1))
    sum(value.square().sum() * 0.5 + value[:, 0].sum() for value in partly).backward()
    assert module.missing.grad is not None
    assert module.missing.grad[[0, 2]].any(dim=1).all() and not module.missing.grad[1].any()


def test_only_complete_rows_are_retrieved_among() -> None:
    missing = torch.zeros(4, 3, dtype=torch.bool)
    missing[1, 2] = True
    rows = batch(missing) | {"padding": torch.tensor([False, False, False, True])}
    embedded = SymileModule(config(), MODALITIES, {}).embedded(rows)
    assert embedded.labels.tolist() == [0, 2] and embedded.values["c"].shape == (2, 6)


def test_embeddings_are_normalised_where_asked() -> None:
    for value in SymileModule(config(normalise=True), MODALITIES, {}).embed(batch()):
        torch.testing.assert_close(value.norm(dim=1), torch.ones(4))


def test_datasets_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UsageError, match=r"lacks the modality that the config retrieves.*image.*It has a, b, c"):
        SymileModule(config(target="image"), MODALITIES, {})
    with pytest.raises(UsageError, match=r"at least two modalities.*a"):
        SymileModule(config(), MODALITIES[:1], {})


def test_of_a_pretrained_encoder_only_the_head_learns() -> None:
    modalities = [Modality(name="a", kind="image", column="a", null_columns=("a",)), *MODALITIES[1:]]
    settings = config(encoders={"image": {"width": 2, "dropout": 0.5}})
    weights = SymileModule(settings, modalities, {}).encoders["a"].state_dict()
    weights = {name: torch.full_like(value, 0.5) for name, value in weights.items()}
    module = SymileModule(settings, modalities, {}, {"a": weights})
    frozen = {name: parameter.requires_grad for name, parameter in module.encoders["a"].named_parameters()}
    assert {name for name, learns in frozen.items() if learns} == {"head.1.weight", "head.1.bias"}
    assert not torch.equal(module.encoders["a"].state_dict()["head.1.weight"], weights["head.1.weight"])
    features = module.frozen_features()["a"](torch.zeros(4, 16, 16, 3, dtype=torch.uint8))
    assert features.dtype == torch.float32 and features.shape == (4, 16)
    assert module.encoders["a"].training  # dropout before the head stays on
    assert module.embed(batch() | {"a": features.clone()})[0].shape == (4, 6)
