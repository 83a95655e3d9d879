"""Small ECG encoder: a 1-D convolutional network over the leads. The paper's is `resnet.ResNetEcgEncoder`.

Both bring each record to [-1, 1] by its own extremes over all leads, as the paper does, so that the unit and the
integer type in which records are stored do not matter.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .base import DataDescription, FeatureEncoder
from .convolution import TemporalBackbone

LEADS = 12
_LAYERS = ((15, 4), (9, 4), (9, 2), (5, 2), (3, 1))  # kernel and stride over time; a step is 128 ms at 500 Hz


def unit_range(records: Tensor) -> Tensor:
    """Scale each record to [-1, 1] over all its leads; a constant record becomes zeros.

    Args:
        records: (B, leads, T) of any number type.

    Returns:
        float32 of the same shape.

    >>> unit_range(torch.tensor([[[0, 5, 10]], [[3, 3, 3]]])).tolist()
    [[[-1.0, 0.0, 1.0]], [[0.0, 0.0, 0.0]]]
    """
    values = records.to(torch.float32)
    low, high = values.amin(dim=(1, 2), keepdim=True), values.amax(dim=(1, 2), keepdim=True)
    scaled = (values - low) / (high - low).clamp_min(torch.finfo(torch.float32).tiny) * 2 - 1
    return torch.where(high > low, scaled, 0.0)


class SmallEcgEncoder(FeatureEncoder):
    """Strided 1-D convolutions over time, then mean and standard deviation over time, a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        width: Channels of every layer.
        dropout: On the features, before the head.
    """

    def __init__(self, dim: int, description: DataDescription, width: int = 32, dropout: float = 0.0) -> None:
        super().__init__(2 * width, dim, description, dropout=dropout)
        self.backbone = TemporalBackbone(LEADS, width, _LAYERS)
        self.norm = nn.BatchNorm1d(self.feature_size)  # as in the audio encoder

    def features(self, media: Tensor) -> Tensor:
        """Map (B, 12, T) samples in any unit to (B, 2 width) features."""
        pooled: Tensor = self.norm(self.backbone(unit_range(media)))
        return pooled
