"""`FeatureFunction`: a frozen encoder's backbone, which loaders apply once to each unique image or audio."""

from __future__ import annotations

import copy
import hashlib
from typing import Any

import torch
from torch import Tensor, nn

from symile_data.encoders import FeatureEncoder
from symile_data.files import digest
from symile_data.losses.settings import multiplies_bfloat16

# Lightning's name of a precision -> type of the operations that may be computed in less than float32.
REDUCED = {"32-true": torch.float32, "bf16-mixed": torch.bfloat16, "16-mixed": torch.float16}


class FeatureFunction:
    """Compute features (U, F) float32 of a chunk of decoded media (U, ...), on the accelerator where there is one.

    Small encoders run in the precision of `fast_precision`; pretrained ones from elsewhere run in float32 as in the
    paper.

    Args:
        encoder: The encoder, which is copied, since its head may be in training.
    """

    def __init__(self, encoder: FeatureEncoder) -> None:
        self._device = best_device()
        self._precision = "32-true" if encoder.external else fast_precision(self._device)
        self._encoder = (encoder if encoder.external else copy.deepcopy(encoder)).eval()
        self.key = digest([weights_fingerprint(encoder), self._precision])

    def __call__(self, media: Tensor) -> Tensor:
        """Encode a chunk of decoded values (U, ...) to features (U, F) float32."""
        return compute_features(self._encoder, media, self._device, self._precision)


def compute_features(encoder: Any, media: Any, device: torch.device, precision: str) -> Tensor:
    """Compute features (U, F) float32, and return them on the CPU.

    Args:
        encoder: An encoder with a method `features`; it is moved to the device.
        media: (U, ...) decoded media or U texts.
        device: Device on which they are computed.
        precision: A key of `REDUCED`.
    """
    reduced = REDUCED[precision]
    encoder.to(device)
    there = media.to(device) if isinstance(media, Tensor) else media
    with torch.inference_mode(), torch.autocast(device.type, reduced, enabled=reduced != torch.float32):
        features: Tensor = encoder.features(there)
    return features.float().cpu()


def fast_precision(device: torch.device) -> str:
    """Return the key of `REDUCED` in which a small network runs fastest on a device.

    That is bfloat16 on a GPU and on a processor with instructions for it; see `multiplies_bfloat16`.
    """
    return "bf16-mixed" if device.type != "cpu" or multiplies_bfloat16() else "32-true"


def best_device() -> torch.device:
    """Return the GPU where there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def weights_fingerprint(encoder: nn.Module) -> str:
    """Hash an encoder's weights. Encoders with equal hashes make equal features."""
    state = {key: value for key, value in encoder.state_dict().items() if not key.startswith(("head.", "imputation."))}
    hashes = {
        key: hashlib.blake2b(value.contiguous().cpu().view(torch.uint8).numpy(), digest_size=16).hexdigest()
        for key, value in state.items()
        if value.dim()
    }
    return digest([type(encoder).__name__, hashes])
