"""The paper's audio encoder for Symile-M3: a frozen Whisper encoder's last hidden states, averaged over frames, and a
linear head.

Symile, section 5.2: openai/whisper-large-v3, 1280 numbers, the mean over the 1500 frames of 30 seconds, of which those
behind the audio are silence. Two settings depart from it. `pool="observed"` averages only the frames up to the audio's
last sound. `seconds` shortens the window: the encoder then takes as many frames, with the first of its positions, so
that its attention sees no silence beyond the window, and the work falls with the window.

The loader's decoder must be given the window's seconds and the model's mel bands (128 for large-v3): see `inputs`.
Longer audio is cut to the window, as Whisper's own preparation cuts it to 30 seconds.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from symile_data.errors import UsageError

from ..base import DataDescription, FeatureEncoder
from .loading import check_pool, load_model

_STRIDE = 2  # frames of the spectrogram for one frame of the encoder
_FRAMES_PER_SECOND = 100
_FEWEST = 2  # frames of the encoder in a window: a spectrogram needs 25 ms


class WhisperEncoder(FeatureEncoder):
    """A frozen Whisper encoder, the mean over frames, and a linear head.

    With a shorter window the features are not those of 30 seconds. The convolutions and positions give the same frames,
    but for the last, which borders on silence in the whole window and on nothing in a short one. The layers then
    attend to the window's frames only.

    Args:
        dim: Embedding size D.
        description: Of the data.
        name: Model id or folder.
        pool: "all" is the paper's mean over all frames of the window, "observed" that over the audio's own.
        seconds: Length of the window, rounded up to whole frames of 20 ms; the model's own (30 s) where not given.

    Raises:
        SourceError: the model cannot be loaded.
        UsageError: an unknown pool, or a window that is no part of the model's.
    """

    external = True

    def __init__(
        self,
        dim: int,
        description: DataDescription,
        name: str = "openai/whisper-large-v3",
        pool: Literal["all", "observed"] = "all",
        seconds: float | None = None,
    ) -> None:
        check_pool(pool)
        backbone = load_model("WhisperModel", name).encoder
        super().__init__(backbone.config.d_model, dim, description)
        if seconds is not None:
            _shorten(backbone, seconds)
        self.backbone = backbone.requires_grad_(False)
        self.pool = pool

    @property
    def inputs(self) -> dict[str, Any]:
        """Settings with which the loaders' decoder gives audio as the model expects it."""
        settings = self.backbone.config
        seconds = settings.max_source_positions * _STRIDE / _FRAMES_PER_SECOND
        return {"seconds": seconds, "n_mels": settings.num_mel_bins}

    def features(self, media: Tensor) -> Tensor:
        """Map (B, mels, frames) log-mel spectrograms of the window's length to (B, width) features."""
        hidden: Tensor = self.backbone(media.to(torch.float32)).last_hidden_state
        if self.pool == "all":
            return hidden.mean(dim=1)
        observed = torch.arange(hidden.shape[1], device=hidden.device) < -(-sounding(media) // _STRIDE)[:, None]
        weights = observed[:, :, None].to(hidden.dtype)
        return (hidden * weights).sum(dim=1) / weights.sum(dim=1)


def _shorten(backbone: Any, seconds: float) -> None:
    """Let a Whisper encoder take a shorter window: it keeps the first of its positions.

    Raises:
        UsageError: the window is no part of the model's own.
    """
    whole = backbone.config.max_source_positions
    positions = math.ceil(round(seconds * _FRAMES_PER_SECOND / _STRIDE, 6)) if math.isfinite(seconds) else 0
    if not _FEWEST <= positions <= whole:
        raise UsageError(
            "the audio window must lie within that of the audio model",
            got=f"{seconds:g} s",
            do=f"choose from {_FEWEST * _STRIDE / _FRAMES_PER_SECOND:g} to {whole * _STRIDE / _FRAMES_PER_SECOND:g} s",
        )
    kept = backbone.embed_positions.weight[:positions].detach().clone()
    backbone.embed_positions.weight = nn.Parameter(kept, requires_grad=False)
    backbone.embed_positions.num_embeddings = positions
    backbone.config.max_source_positions = positions


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
