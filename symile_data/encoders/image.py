"""Image encoders. Small: a convolutional network that learns simple pictures on a CPU in minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallImageEncoder(nn.Module):
    """Strided 3x3 convolutions with batch normalisation, global average pooling, a linear layer.

    Args:
        dim: Embedding size D.
        width: Channels of the first layer; each of the four layers doubles them.
    """

    def __init__(self, dim: int, width: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for stage in range(4):
            out = width * 2**stage
            layers += [nn.Conv2d(channels, out, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(out), nn.ReLU()]
            channels = out
        self.features = nn.Sequential(*layers)
        # Centred features: without this all pictures start at nearly the same embedding, and products of three see no difference.
        self.norm = nn.BatchNorm1d(channels)
        self.head = nn.Linear(channels, dim)

    def forward(self, images: Tensor) -> Tensor:
        """Encode pictures.

        Args:
            images: (B, S, S, 3) uint8, as the loaders give them.

        Returns:
            (B, D).
        """
        # Channels-last memory as it comes; [0, 255] to about [-2, 2].
        x = images.permute(0, 3, 1, 2).to(torch.float32).sub(127.5).div(64.0)
        return self.head(self.norm(self.features(x).mean(dim=(2, 3))))
