"""The paper's clip encoder for Symile-M3: a frozen Whisper encoder's last hidden state, averaged over all frames, and
a linear head.

Symile, section 5.2: openai/whisper-large-v3, 1280 numbers, mean over the 1500 frames of 30 seconds. The loader's
decoder must be given 30 seconds and the model's mel bands (128 for large-v3).
"""

from __future__ import annotations

import torch
from torch import Tensor

from symile_data.encoders.base import DataFacts, FeatureEncoder
from symile_data.encoders.pretrained import load_pretrained


class WhisperEncoder(FeatureEncoder):
    """Frozen Whisper encoder, mean over frames, linear head.

    Args:
        dim: Embedding size D.
        facts: Of the data.
        name: Model id or folder.

    Raises:
        SourceError: the model cannot be loaded.
    """

    external = True

    def __init__(self, dim: int, facts: DataFacts, name: str = "openai/whisper-large-v3") -> None:
        backbone = load_pretrained("WhisperModel", name).encoder
        super().__init__(backbone.config.d_model, dim, facts)
        self.backbone = backbone.requires_grad_(False)

    def features(self, media: Tensor) -> Tensor:
        """(B, mels, frames) log-mel of the length that the model expects to (B, width)."""
        pooled: Tensor = self.backbone(media.to(torch.float32)).last_hidden_state.mean(dim=1)
        return pooled
