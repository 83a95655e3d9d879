"""Small image encoder: a convolutional network that learns simple images on a CPU in minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import DataDescription, FeatureEncoder

_STAGES = 4  # each halves the side and doubles the channels


class SmallImageEncoder(FeatureEncoder):
    """Strided 3x3 convolutions with batch normalisation, global average pooling, a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        width: Channels of the first layer.
        dropout: On the features, before the head.
    """

    def __init__(self, dim: int, description: DataDescription, width: int = 32, dropout: float = 0.0) -> None:
        size = width * 2 ** (_STAGES - 1)
        super().__init__(size, dim, description, dropout=dropout)
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(_STAGES):
            out = width * 2**stage
            layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.backbone = nn.Sequential(*layers)
        # Centres features: otherwise all embeddings start nearly equal, and products of three cannot tell them apart.
        self.norm = nn.BatchNorm1d(size)

    def features(self, media: Tensor) -> Tensor:
        """Map (B, S, S, 3) uint8 images, as the loaders give them, to (B, 8 width) features."""
        # The memory stays channels-last; [0, 255] becomes about [-2, 2].
        x = media.permute(0, 3, 1, 2).to(torch.float32).sub(127.5).div(64.0)
        pooled: Tensor = self.norm(self.backbone(x).mean(dim=(2, 3)))
        return pooled
