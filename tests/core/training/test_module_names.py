"""Modalities of any name are trained: torch's own containers take neither dots nor the names of their attributes."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from symile_data.format.schema import Modality
from symile_data.training.config import TrainConfig
from symile_data.training.encoding import NamedModules, module_key
from symile_data.training.module import SymileModule

ODD = ["v.w", "v%2Ew", "keys", "%keys", "training", "", "t é/x", "100%"]


@given(st.lists(st.one_of(st.sampled_from(ODD), st.text("a.%2E", max_size=6)), unique=True, max_size=8))
def test_each_name_has_its_module(names: list[str]) -> None:
    layers = {name: nn.Linear(1, 1) for name in names}
    modules = NamedModules(layers)
    assert len(modules) == len(names) and all(modules[name] is layer for name, layer in layers.items())
    assert len({module_key(name) for name in names}) == len(names)


def test_plain_names_are_the_keys_of_a_state_as_before() -> None:
    names = ["image", "audio_1", "größe", "a-b", "cxr"]
    assert [module_key(name) for name in names] == names


def test_a_model_of_odd_names_embeds_and_loads_its_state() -> None:
    names = ODD[:3]
    modalities = [Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in names]
    config = TrainConfig(epochs=1, batch_size=4, dim=6, lr=0.1, logit_scale_init=0.0, target="keys", label="y")
    one, other = (SymileModule(config, modalities, {}, sizes=dict.fromkeys(names, 5)) for _ in range(2))
    batch = {name: torch.randn(4, 5, generator=torch.Generator().manual_seed(len(name))) for name in names}
    batch["missing"] = torch.zeros(4, 3, dtype=torch.bool)
    other.load_state_dict(one.state_dict())
    for mine, loaded in zip(one.eval().embed(batch), other.eval().embed(batch), strict=True):
        assert torch.equal(mine, loaded)
