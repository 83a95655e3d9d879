"""Strided 1-D convolutions over time with pooling, the backbone of the small encoders of audio and ECGs."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class TemporalBackbone(nn.Module):
    """Convolutions that halve or quarter the length, then mean and standard deviation over time.

    Args:
        channels: C of the input.
        width: Channels of every layer.
        layers: Kernel and stride of each.
    """

    def __init__(self, channels: int, width: int, layers: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        modules: list[nn.Module] = []
        for kernel, stride in layers:
            modules += [
                nn.Conv1d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            channels = width
        self.layers = nn.Sequential(*modules)

    def forward(self, signals: Tensor) -> Tensor:
        """Map (B, C, T) signals to (B, 2 width) features."""
        x = self.layers(signals).float()
        return torch.cat([x.mean(dim=2), x.std(dim=2)], dim=1)
