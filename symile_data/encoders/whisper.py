"""The paper's audio encoder for Symile-M3: a frozen Whisper encoder's last hidden state, averaged over all frames, and
a linear head.

Symile, section 5.2: openai/whisper-large-v3, 1280 numbers, mean over the 1500 frames of 30 seconds, silence behind the
audio included; `pool="observed"` leaves that silence out. The loader's decoder must be given 30 seconds and the model's
mel bands (128 for large-v3): see `inputs`.
"""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor

from .base import DataDescription, FeatureEncoder
from .pretrained import check_pool, load_model

_STRIDE = 2  # frames of the spectrogram for one frame of the encoder
_FRAMES_PER_SECOND = 100


class WhisperEncoder(FeatureEncoder):
    """A frozen Whisper encoder, the mean over frames, and a linear head.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.
        pool: "all" is the paper's mean over all frames, "observed" that over the audio's own.

    Raises:
        SourceError: the model cannot be loaded.
        UsageError: an unknown pool.
    """

    external = True

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        name: str = "openai/whisper-large-v3",
        pool: Literal["all", "observed"] = "all",
    ) -> None:
        check_pool(pool)
        backbone = load_model("WhisperModel", name).encoder
        super().__init__(backbone.config.d_model, dim, description)
        self.backbone = backbone.requires_grad_(False)
        self.pool = pool

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings with which the loaders' decoder gives audio as the model expects it."""
        settings = self.backbone.config
        seconds = settings.max_source_positions * _STRIDE / _FRAMES_PER_SECOND
        return {"seconds": seconds, "n_mels": settings.num_mel_bins}

    def features(self, media: Tensor) -> Tensor:
        """Map (B, mels, frames) log-mel spectrograms of the length that the model expects to (B, width) features."""
        hidden: Tensor = self.backbone(media.to(torch.float32)).last_hidden_state
        if self.pool == "all":
            return hidden.mean(dim=1)
        observed = torch.arange(hidden.shape[1], device=hidden.device) < -(-sounding(media) // _STRIDE)[:, None]
        weights = observed[:, :, None].to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def sounding(mel: Tensor) -> Tensor:
    """Count the frames of each spectrogram up to the last that is not digital silence.

    In digital silence every band lies at the spectrogram's floor. Where all of the audio is silent, all frames count.

    Args:
        mel: (B, mels, frames) log-mel.

    Returns:
        (B,) int64, from 1 to the number of frames.
    """
    loudest = mel.amax(dim=1)  # of the bands
    heard = loudest > mel.amin(dim=(1, 2))[:, None]
    frames = mel.shape[2]
    last = (heard * torch.arange(1, frames + 1, device=mel.device)).amax(dim=1)
    return torch.where(last > 0, last, frames)
