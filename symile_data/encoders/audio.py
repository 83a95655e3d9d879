"""Audio encoders. Small: a 1-D convolutional network over log-mel frames that learns to tell languages on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_LAYERS = ((5, 2), (5, 2), (5, 2), (3, 1))  # kernel and stride over time


class SmallAudioEncoder(nn.Module):
    """Strided 1-D convolutions over time, then mean and standard deviation over time, a linear head.

    Args:
        dim: Embedding size D.
        mels: Mel bands of the input.
        width: Channels of every layer.
        dropout: On the features, before the head.
    """

    def __init__(self, dim: int, mels: int = 40, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = mels
        for kernel, stride in _LAYERS:
            layers += [
                nn.Conv1d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            channels = width
        self.backbone = nn.Sequential(*layers)
        self.norm = nn.BatchNorm1d(2 * width)
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(2 * width, dim))
        self.feature_size = 2 * width

    def features(self, frames: Tensor) -> Tensor:
        """What the head sees.

        Args:
            frames: (B, mels, T) log-mel, as the loaders give them.

        Returns:
            (B, feature_size).
        """
        x = self.backbone(frames.to(torch.float32)).float()
        pooled: Tensor = self.norm(torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1))
        return pooled

    def forward(self, frames: Tensor) -> Tensor:
        """(B, mels, T) to (B, D)."""
        embedding: Tensor = self.head(self.features(frames))
        return embedding
