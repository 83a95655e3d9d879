"""Small audio encoder: a 1-D convolutional network over log-mel frames that learns to tell languages on a CPU."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError

from .base import DataDescription, FeatureEncoder
from .convolution import TemporalBackbone

_LAYERS = ((5, 2), (5, 2), (5, 2), (3, 1))  # kernel and stride over time


class SmallAudioEncoder(FeatureEncoder):
    """Strided 1-D convolutions over time, then mean and standard deviation over time, a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        mels: Mel bands of the input.
        width: Channels of every layer.
        dropout: On the features, before the head.
    """

    def __init__(
        self, dim: int, description: DataDescription, mels: int = 40, width: int = 64, dropout: float = 0.0
    ) -> None:
        super().__init__(2 * width, dim, description, dropout=dropout)
        self.mels = mels
        self.backbone = TemporalBackbone(mels, width, _LAYERS)
        # Centres features: otherwise all embeddings start nearly equal, and products of three cannot tell them apart.
        self.norm = nn.BatchNorm1d(self.feature_size)

    def features(self, media: Tensor) -> Tensor:
        """Map (B, mels, T) log-mel spectrograms, as the loaders give them, to (B, 2 width) features.

        Raises:
            UsageError: the spectrograms have another number of bands, or these are waveforms.
        """
        if media.ndim == 2 or media.shape[1] != self.mels:
            raise UsageError(
                "the audio has another number of mel bands than its encoder takes",
                got=f"waveforms, not {self.mels} bands"
                if media.ndim == 2
                else f"{media.shape[1]} bands, not {self.mels}",
                do="set n_mels in [inputs.audio] and mels in [encoders.audio] to the same number",
            )
        pooled: Tensor = self.norm(self.backbone(media.to(torch.float32)))
        return pooled
