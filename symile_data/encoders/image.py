"""Image encoders. Small: a convolutional network that learns simple pictures on a CPU in minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallImageEncoder(nn.Module):
    """Strided 3x3 convolutions with batch normalisation, global average pooling, a linear head.

    Args:
        dim: Embedding size D.
        width: Channels of the first layer; each of the four layers doubles them.
        dropout: On the features, before the head.
    """

    def __init__(self, dim: int, width: int = 32, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(4):
            out = width * 2**stage
            layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.backbone = nn.Sequential(*layers)
        # Centred features: else all pictures start at nearly one embedding, and products of three see no difference.
        self.norm = nn.BatchNorm1d(channels)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(channels, dim))
        self.feature_size = channels

    def features(self, images: Tensor) -> Tensor:
        """What the head sees.

        Args:
            images: (B, S, S, 3) uint8, as the loaders give them.

        Returns:
            (B, feature_size).
        """
        # Channels-last memory as it comes; [0, 255] to about [-2, 2].
        x = images.permute(0, 3, 1, 2).to(torch.float32).sub(127.5).div(64.0)
        pooled: Tensor = self.norm(self.backbone(x).mean(dim=(2, 3)))
        return pooled

    def forward(self, images: Tensor) -> Tensor:
        """(B, S, S, 3) uint8 to (B, D)."""
        embedding: Tensor = self.head(self.features(images))
        return embedding
