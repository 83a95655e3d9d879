"""The paper's encoders for Symile-MIMIC: ResNet-50 for the X-ray and ResNet-18 with a one-channel first layer for the
ECG, both trained from nothing (its `pretrained` flag is off) with a linear head. Networks come from transformers.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from symile_data.errors import UsageError

from .base import DataDescription, FeatureEncoder
from .ecg import unit_range
from .pretrained import transformers_class

# Mean and deviation of ImageNet, red, green, blue in [0, 1]; the paper normalises X-rays by them.
MEAN = (0.485, 0.456, 0.406)
STD = (0.229, 0.224, 0.225)

_DEPTHS: dict[int, dict[str, Any]] = {
    18: {"depths": [2, 2, 2, 2], "hidden_sizes": [64, 128, 256, 512], "layer_type": "basic"},
    50: {"depths": [3, 4, 6, 3], "hidden_sizes": [256, 512, 1024, 2048], "layer_type": "bottleneck"},
}


class _ResNet(FeatureEncoder):
    """A residual network's pooled output and a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        depth: 18 or 50.
        channels: Of the input.

    Raises:
        UsageError: another depth.
    """

    def __init__(self, dim: int, description: DataDescription, depth: int, channels: int) -> None:
        if depth not in _DEPTHS:
            raise UsageError("there is no such residual network", got=depth, do="choose depth 18 or 50")
        shape = _DEPTHS[depth]
        super().__init__(shape["hidden_sizes"][-1], dim, description)
        settings = transformers_class("ResNetConfig")(num_channels=channels, embedding_size=64, **shape)
        self.backbone = transformers_class("ResNetModel")(settings)

    def _pooled(self, pixels: Tensor) -> Tensor:
        pooled: Tensor = self.backbone(pixels).pooler_output.flatten(1)
        return pooled


class ResNetImageEncoder(_ResNet):
    """A residual network over images.

    Args:
        dim: Embedding size D.
        description: Of the data.
        depth: 50, or 18.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, dim: int, description: DataDescription, depth: int = 50) -> None:
        super().__init__(dim, description, depth, channels=3)
        self.register_buffer("mean", torch.tensor(MEAN), persistent=False)
        self.register_buffer("std", torch.tensor(STD), persistent=False)

    def features(self, media: Tensor) -> Tensor:
        """Map (B, S, S, 3) uint8 images to (B, 2048) features, or (B, 512) with depth 18."""
        pixels = (media.to(torch.float32) / 255 - self.mean) / self.std
        return self._pooled(pixels.permute(0, 3, 1, 2))


class ResNetEcgEncoder(_ResNet):
    """A residual network over an ECG as an image of one channel, time by leads.

    Args:
        dim: Embedding size D.
        description: Of the data.
        depth: 18, or 50.
    """

    def __init__(self, dim: int, description: DataDescription, depth: int = 18) -> None:
        super().__init__(dim, description, depth, channels=1)

    def features(self, media: Tensor) -> Tensor:
        """Map (B, 12, T) samples in any unit to (B, 512) features, or (B, 2048) with depth 50."""
        return self._pooled(unit_range(media).transpose(1, 2)[:, None])
