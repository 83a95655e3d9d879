"""A pretrained model by its id or folder as the encoder of one kind of modality, whose features are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from symile_data.encoders import DataDescription, make_encoder
from symile_data.errors import UsageError

from .pretrained import load_pretrained

# Kind of modality -> type of the model (in its config.json) -> encoder; "" is that of all other types.
_ENCODER_OF: Mapping[str, Mapping[str, str]] = {
    "image": {"clip": "clip", "clip_vision_model": "clip", "": "vision"},
    "audio": {"whisper": "whisper"},
    "text": {"xlm-roberta": "xlm-roberta"},
}

KINDS = tuple(_ENCODER_OF)


def frozen_encoder(kind: str, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """The encoder of a kind that stands on a pretrained model, in evaluation mode, nothing of it trained.

    Args:
        kind: One of `KINDS`.
        name: Model id or folder.
        settings: Of that encoder.

    Raises:
        SourceError: the model cannot be loaded.
        UsageError: it is of a type that is not known for the kind.
    """
    types = _ENCODER_OF[kind]
    found = load_pretrained("AutoConfig", name).model_type
    encoder = types.get(found, types.get(""))
    if encoder is None:
        raise UsageError(
            f"there is no encoder of kind {kind} for this type of model",
            where=name,
            got=found,
            do=f"take a model of type {', '.join(types)}",
        )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)  # what is not of the model (heads) is then the same in every process
        made = make_encoder(kind, 1, {"model": encoder, "name": name, **settings}, DataDescription())
    return made.eval().requires_grad_(False)
