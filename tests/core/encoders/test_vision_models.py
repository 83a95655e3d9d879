"""Vision models of every family that users bring: features as model and processor make them, or a refusal."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from tiny_vision_models import FAMILIES, PATCHES, REFUSED, tiny_family

from symile_data.encoders import DataDescription, VisionEncoder
from symile_data.encoders.frozen import frozen_encoder
from symile_data.errors import SourceError

DESCRIPTION = DataDescription()
IMAGES = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


def slow_features(output: Any) -> torch.Tensor:
    """(B, F) of the two images, place by place."""
    found = output["pooler_output"] if "pooler_output" in output else output["last_hidden_state"]
    if found.dim() == 2:
        return found
    if found.dim() == 3:
        return torch.stack([sum(tokens) / len(tokens) for tokens in found])
    places = [found[:, :, row, column] for row in range(found.shape[2]) for column in range(found.shape[3])]
    return sum(places) / len(places)


@pytest.mark.parametrize("family", sorted(FAMILIES.keys() - REFUSED.keys()))
def test_features_are_what_the_model_makes_of_what_its_processor_prepares(family: str, tmp_path: Path) -> None:
    name, model, processor = tiny_family(tmp_path, family)
    encoder = VisionEncoder(5, DESCRIPTION, name).eval()
    assert encoder.inputs == {"size": 32}
    prepared = processor(
        list(IMAGES.numpy()),
        return_tensors="pt",
        do_resize=False,
        do_center_crop=False,
        input_data_format="channels_last",
    )["pixel_values"]
    with torch.inference_mode():
        expected = slow_features(model(pixel_values=prepared))
        found = encoder.features(IMAGES)
    torch.testing.assert_close(found, expected)
    assert encoder.feature_size == expected.shape[1] and encoder(IMAGES).shape == (2, 5)


@pytest.mark.parametrize("family", REFUSED)
def test_a_model_without_usable_features_is_refused_when_it_is_loaded(family: str, tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no usable features for a test image of 32 x 32 pixels") as raised:
        frozen_encoder("image", tiny_family(tmp_path, family)[0], {})
    assert f"got {REFUSED[family]}" in str(raised.value)


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ({"logits": torch.zeros(2, 3)}, "the outputs logits"),
        ({"pooler_output": torch.zeros(1, 3)}, r"features of shape \(1, 3\) for 2 images"),
        ({"pooler_output": torch.full((2, 3), torch.nan)}, "numbers that are not finite"),
        ({"last_hidden_state": None}, "the outputs "),
        ((torch.zeros(2, 3),), "tuple"),
    ],
)
def test_what_came_out_is_named(output: Any, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    name, _, _ = tiny_family(tmp_path, "ViT")
    made = transformers.utils.ModelOutput(output) if isinstance(output, dict) else output
    monkeypatch.setattr(transformers.ViTModel, "forward", lambda _self, **_: made)
    with pytest.raises(SourceError, match=f"got {said}"):
        VisionEncoder(5, DESCRIPTION, name)


def test_a_classifiers_checkpoint_has_no_pooling_layer(tmp_path: Path) -> None:
    name, _, _ = tiny_family(tmp_path, "ViT")
    classifier = transformers.ViTForImageClassification(transformers.ViTConfig(**PATCHES)).eval()
    classifier.save_pretrained(tmp_path)
    encoder = VisionEncoder(5, DESCRIPTION, name).eval()
    pixels = (IMAGES / 255 - 0.5).permute(0, 3, 1, 2) / 0.5
    with torch.inference_mode():
        expected = classifier.vit(pixel_values=pixels).last_hidden_state.mean(dim=1)
        torch.testing.assert_close(encoder.features(IMAGES), expected)


def test_weights_of_half_precision_are_used_in_full(tmp_path: Path) -> None:
    name, model, _ = tiny_family(tmp_path, "ViT")
    model.half().save_pretrained(tmp_path)
    encoder = VisionEncoder(5, DESCRIPTION, name).eval()
    assert encoder.backbone.dtype == torch.float32
    assert encoder.features(IMAGES).dtype == torch.float32


@pytest.mark.parametrize(
    ("settings", "size"),
    [
        ({"size": 16}, 16),
        ({"size": {"height": 16, "width": 24}}, 32),  # no square: the model's own
        ({"size": {"longest_edge": 16}}, 32),
        ({"size": 24, "crop_size": 16, "do_center_crop": True}, 16),
        ({"size": 24, "crop_size": 16, "do_center_crop": False}, 24),
        ({}, 32),
    ],
)
def test_the_size_is_the_processors_or_else_the_models(settings: dict[str, Any], size: int, tmp_path: Path) -> None:
    shape = {**PATCHES, "image_size": size}
    transformers.ViTModel(transformers.ViTConfig(**shape)).save_pretrained(tmp_path)
    normalised = {"image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({**normalised, **settings}))
    assert VisionEncoder(5, DESCRIPTION, str(tmp_path)).inputs == {"size": size}


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({"do_normalize": False}, IMAGES / 255),
        ({"do_normalize": False, "do_rescale": False}, IMAGES.float()),
        ({"do_normalize": False, "rescale_factor": 1 / 127.5, "rescale_offset": True}, IMAGES / 127.5 - 1),
        ({"do_normalize": False, "do_flip_channel_order": True}, IMAGES[..., [2, 1, 0]] / 255),
        ({"image_mean": [0.5] * 3, "image_std": [0.25] * 3, "include_top": True}, (IMAGES / 255 - 0.5) / 0.0625),
    ],
)
def test_images_are_rescaled_and_flipped_as_the_processor_says(
    settings: dict[str, Any], expected: torch.Tensor, tmp_path: Path
) -> None:
    transformers.ViTModel(transformers.ViTConfig(**PATCHES)).save_pretrained(tmp_path)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps(settings))
    encoder = VisionEncoder(5, DESCRIPTION, str(tmp_path))
    seen: list[torch.Tensor] = []
    encoder.backbone.register_forward_pre_hook(
        lambda _model, _arguments, named: seen.append(named["pixel_values"]), with_kwargs=True
    )
    encoder.features(IMAGES)
    torch.testing.assert_close(seen[0].permute(0, 2, 3, 1), expected, atol=1e-5, rtol=1e-5)
