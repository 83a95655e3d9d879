"""Encoders: one small network for each kind of modality, chosen from `ENCODERS` by the kind that the manifest names.

An encoder maps what the loaders deliver for a modality to (B, D) features; the module that trains them adds the layer
norm, the embedding for a missing value, and the loss.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from torch import nn

from symile_data.encoders.audio import SmallAudioEncoder
from symile_data.encoders.base import FeatureEncoder
from symile_data.encoders.image import SmallImageEncoder
from symile_data.encoders.text import WordEncoder
from symile_data.encoders.vector import LinearEncoder
from symile_data.errors import UsageError

__all__ = [
    "ENCODERS",
    "FeatureEncoder",
    "LinearEncoder",
    "SmallAudioEncoder",
    "SmallImageEncoder",
    "WordEncoder",
    "make_encoder",
]

# kind of modality -> encoder class; each takes `dim` and the settings of its section in the config.
ENCODERS: dict[str, Callable[..., nn.Module]] = {
    "image": SmallImageEncoder,
    "audio": SmallAudioEncoder,
    "text": WordEncoder,
    "vector": LinearEncoder,
}


def make_encoder(kind: str, dim: int, settings: Mapping[str, Any]) -> nn.Module:
    """An encoder for one kind of modality.

    Raises:
        UsageError: there is none for the kind, or a setting is unknown to it.
    """
    if kind not in ENCODERS:
        raise UsageError(
            "there is no encoder for a kind of modality", got=kind, do=f"choose among {', '.join(ENCODERS)}"
        )
    try:
        return ENCODERS[kind](dim=dim, **settings)
    except TypeError as error:
        raise UsageError(f"the config has a setting that the {kind} encoder does not know", got=error) from None
