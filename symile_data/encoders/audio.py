"""Audio encoders. Small: a 1-D convolutional network over log-mel frames that learns to tell languages on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symile_data.encoders.base import FeatureEncoder

_LAYERS = ((5, 2), (5, 2), (5, 2), (3, 1))  # kernel and stride over time


class SmallAudioEncoder(FeatureEncoder):
    """Strided 1-D convolutions over time, then mean and standard deviation over time, a linear head.

    Args:
        dim: Embedding size D.
        mels: Mel bands of the input.
        width: Channels of every layer.
        dropout: On the features, before the head.
    """

    def __init__(self, dim: int, mels: int = 40, width: int = 64, dropout: float = 0.0) -> None:
        super().__init__(2 * width, dim, dropout)
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

    def features(self, media: Tensor) -> Tensor:
        """(B, mels, T) log-mel, as the loaders give them, to (B, 2 width)."""
        x = self.backbone(media.to(torch.float32)).float()
        pooled: Tensor = self.norm(torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1))
        return pooled
