"""Audio encoders. Small: a 1-D convolutional network over log-mel frames that learns to tell languages on a CPU in minutes."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class SmallAudioEncoder(nn.Module):
    """Strided 1-D convolutions over time, then mean and standard deviation over time, a linear layer.

    Args:
        dim: Embedding size D.
        mels: Mel bands of the input.
        width: Channels of every layer.
        dropout: Applied to the pooled features; clips are few and easily memorised.
    """

    def __init__(self, dim: int, mels: int = 40, width: int = 96, dropout: float = 0.2) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = mels
        for kernel, stride in ((5, 2), (5, 2), (5, 2), (3, 1)):
            layers += [
                nn.Conv1d(channels, width, kernel, stride=stride, padding=kernel // 2, bias=False),
                nn.BatchNorm1d(width),
                nn.ReLU(),
            ]
            channels = width
        self.features = nn.Sequential(*layers)
        self.norm = nn.BatchNorm1d(2 * width)
        self.dropout = nn.Dropout(dropout)
        self.head = nn.Linear(2 * width, dim)

    def forward(self, frames: Tensor) -> Tensor:
        """Encode clips.

        Args:
            frames: (B, mels, T) log-mel, as the loaders give them.

        Returns:
            (B, D).
        """
        x = self.features(frames.to(torch.float32))
        pooled = torch.cat([x.mean(dim=2), x.float().std(dim=2).to(x.dtype)], dim=1)
        return self.head(self.dropout(self.norm(pooled)))
