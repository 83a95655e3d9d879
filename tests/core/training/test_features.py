"""Features of frozen encoders: in which precision they are computed, and what names them."""

import pytest
import torch

from symile_data.encoders import DataDescription, SmallImageEncoder
from symile_data.training.features import FeatureFunction, fast_precision

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("capabilities", "precision"),
    [
        ({}, "32-true"),
        ({"avx2": True, "avx512_bf16": False, "amx_bf16": False}, "32-true"),
        ({"avx512_bf16": True}, "bf16-mixed"),
        ({"amx_bf16": True}, "bf16-mixed"),
        ({"neon": True, "bf16": True}, "bf16-mixed"),  # ARM
    ],
)
def test_bfloat16_is_used_where_a_processor_multiplies_it(
    capabilities: dict[str, bool], precision: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    assert fast_precision(CPU) == precision
    assert fast_precision(torch.device("cuda")) == "bf16-mixed"
    encoder = SmallImageEncoder(4, DataDescription(), width=8)
    function = FeatureFunction(encoder)
    images = torch.randint(0, 256, (3, 16, 16, 3), dtype=torch.uint8)
    features = function(images)
    assert features.dtype == torch.float32
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16, enabled=precision != "32-true"):
        expected = encoder.eval().features(images).float()
    torch.testing.assert_close(features, expected, rtol=0, atol=0)


def test_features_of_another_precision_have_another_name(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder, keys = SmallImageEncoder(4, DataDescription(), width=8), []
    for supported in (True, False, True):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda on=supported: {"amx_bf16": on})
        keys.append(FeatureFunction(encoder).key)
    assert keys[0] == keys[2] != keys[1]
