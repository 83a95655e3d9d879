"""Random vision models of many families of transformers, small enough to make on the spot, with their processors."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedConfig

TRANSFORMER = {"hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2}
PATCHES = {**TRANSFORMER, "image_size": 32, "patch_size": 8}
PYRAMID = {"depths": [1] * 4, "hidden_sizes": [4, 4, 4, 8], "num_attention_heads": [1, 1, 1, 2]}
SQUARE = {"height": 32, "width": 32}

# Family -> settings of the model, and of its processor where they are not its class's own.
FAMILIES: dict[str, tuple[Callable[[], PreTrainedConfig], str, dict[str, object]]] = {
    "ViT": (lambda: transformers.ViTConfig(**PATCHES), "ViT", {"size": SQUARE}),
    "Dinov2": (
        lambda: transformers.Dinov2Config(**TRANSFORMER, image_size=56, patch_size=8),
        "Bit",
        {"size": {"shortest_edge": 40}, "crop_size": SQUARE},
    ),
    "CLIPVision": (lambda: transformers.CLIPVisionConfig(**PATCHES), "CLIP", {"size": SQUARE, "crop_size": SQUARE}),
    "Swin": (
        lambda: transformers.SwinConfig(image_size=32, embed_dim=8, depths=[1, 1], num_heads=[1, 2], window_size=4),
        "ViT",
        {"size": SQUARE},
    ),
    "ResNet": (
        lambda: transformers.ResNetConfig(embedding_size=4, hidden_sizes=[4, 6], depths=[1, 1], layer_type="basic"),
        "ConvNext",
        {"size": {"shortest_edge": 32}},
    ),
    "ConvNext": (
        lambda: transformers.ConvNextConfig(hidden_sizes=[4, 6], depths=[1, 1], num_stages=2),
        "ConvNext",
        {"size": {"shortest_edge": 32}},
    ),
    "EfficientNet": (
        lambda: transformers.EfficientNetConfig(
            width_coefficient=0.1, hidden_dim=128, image_size=32, kernel_sizes=[3], in_channels=[8], out_channels=[8],
            strides=[2], num_block_repeats=[1], expand_ratios=[2], depthwise_padding=[],
        ),
        "EfficientNet",
        {"size": SQUARE, "image_std": [0.4, 0.5, 0.6]},
    ),
    "MobileNetV1": (
        lambda: transformers.MobileNetV1Config(depth_multiplier=0.1),
        "MobileNetV1",
        {"size": {"shortest_edge": 40}, "crop_size": SQUARE},
    ),
    "MobileNetV2": (
        lambda: transformers.MobileNetV2Config(depth_multiplier=0.1),
        "MobileNetV2",
        {"size": {"shortest_edge": 40}, "crop_size": SQUARE},
    ),
    "MobileViT": (
        lambda: transformers.MobileViTConfig(
            hidden_sizes=[8] * 3, neck_hidden_sizes=[4] * 6 + [8], num_attention_heads=2, image_size=32
        ),
        "MobileViT",
        {"size": {"shortest_edge": 40}, "crop_size": SQUARE},
    ),
    "PoolFormer": (
        lambda: transformers.PoolFormerConfig(depths=[1] * 4, hidden_sizes=[4, 4, 4, 6]),
        "PoolFormer",
        {"size": {"shortest_edge": 40}, "crop_size": SQUARE},
    ),
    "Segformer": (lambda: transformers.SegformerConfig(**PYRAMID), "Segformer", {"size": SQUARE}),
    "PvtV2": (lambda: transformers.PvtV2Config(image_size=32, **PYRAMID), "Pvt", {"size": SQUARE}),
    "ViTMSN": (lambda: transformers.ViTMSNConfig(**PATCHES), "ViT", {"size": SQUARE}),
    "ViTMAE": (lambda: transformers.ViTMAEConfig(**PATCHES), "ViT", {"size": SQUARE}),
    "VideoMAE": (lambda: transformers.VideoMAEConfig(**PATCHES, num_frames=2), "ViT", {"size": SQUARE}),
    "VitDet": (lambda: transformers.VitDetConfig(**PATCHES, window_size=0), "ViT", {"size": SQUARE}),
}  # fmt: skip
REFUSED = {"ViTMAE": "different features for two equal images", "VideoMAE": "ValueError: not enough values to unpack"}


def tiny_family(folder: Path, family: str) -> tuple[str, transformers.PreTrainedModel, Any]:
    """The folder of a saved model and processor, with both."""
    settings, processor_class, prepared = FAMILIES[family]
    torch.manual_seed(0)
    model = getattr(transformers, f"{family}Model")(settings()).eval()
    model.save_pretrained(folder)
    processor = getattr(transformers, f"{processor_class}ImageProcessorPil")(**prepared)
    processor.save_pretrained(folder)
    return str(folder), model, processor
