"""`FeatureFunction`: a frozen encoder's backbone as the function that loaders apply to each unique medium once."""

from __future__ import annotations

import copy
import hashlib

import torch
from torch import Tensor

from symile_data.encoders import FeatureEncoder
from symile_data.files import digest


class FeatureFunction:
    """Features (U, F) float32 of a chunk of decoded media (U, ...), on the accelerator where there is one.

    Small encoders run in bfloat16, pretrained ones from elsewhere in float32 as in the paper.

    Args:
        encoder: It is copied, since its head may be in training.
    """

    def __init__(self, encoder: FeatureEncoder) -> None:
        self._device = best_device()
        self._reduced = not encoder.external
        self._encoder = (encoder if encoder.external else copy.deepcopy(encoder)).eval()
        self.key = _fingerprint(encoder)

    def __call__(self, media: Tensor) -> Tensor:
        """Encode a chunk."""
        kind = self._device.type
        self._encoder.to(self._device)
        with torch.inference_mode(), torch.autocast(kind, torch.bfloat16, enabled=self._reduced):
            return self._encoder.features(media.to(self._device)).float().cpu()


def best_device() -> torch.device:
    """The GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _fingerprint(encoder: FeatureEncoder) -> str:
    """Equal for encoders that make equal features."""
    state = {key: value for key, value in encoder.state_dict().items() if not key.startswith(("head.", "imputation."))}
    hashes = {
        key: hashlib.blake2b(value.contiguous().cpu().view(torch.uint8).numpy(), digest_size=16).hexdigest()
        for key, value in state.items()
        if value.dim()
    }
    return digest([type(encoder).__name__, hashes])
