"""A pretrained model by its id or folder as the encoder of one kind of modality, whose features are computed once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import nn

from symile_data.encoders import DataDescription, make_encoder
from symile_data.errors import SourceError, SymileDataError, UsageError

from .pretrained import load_pretrained

# Kind of modality -> type of the model (in its config.json) -> encoder; "" is that of all other types.
_ENCODER_OF: Mapping[str, Mapping[str, str]] = {
    "image": {"clip": "clip", "clip_vision_model": "clip", "": "vision"},
    "audio": {"whisper": "whisper"},
    "text": {"xlm-roberta": "xlm-roberta", "": "bert"},
}

KINDS = tuple(_ENCODER_OF)


def frozen_encoder(kind: str, name: str, settings: Mapping[str, Any]) -> nn.Module:
    """Make the encoder of a kind that stands on a pretrained model, in evaluation mode, nothing of it trained.

    One blank value (a black image, silence, the empty text) has passed through it when it is returned, so that a model
    which cannot encode is refused before any data are read.

    Args:
        kind: One of `KINDS`.
        name: Model id or folder.
        settings: Settings of that encoder.

    Raises:
        SourceError: the model cannot be loaded, or gives no features.
        UsageError: it is of a type that is not known for the kind, or a setting does not suit it.
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
    made.eval().requires_grad_(False)
    _check_features(kind, name, made)
    return made


def _check_features(kind: str, name: str, encoder: Any) -> None:
    """Encode one blank value.

    Raises:
        SourceError: the model fails, or its features are not (1, F) finite numbers.
    """
    try:
        with torch.inference_mode():
            features = encoder.features(_blank(kind, getattr(encoder, "inputs", {})))
    except SymileDataError:
        raise
    except Exception as error:  # strangers' models fail in a dozen families of errors
        said = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else 'no message'}"
    else:
        if features.shape == (1, encoder.feature_size) and features.isfinite().all():
            return
        said = f"features of shape {tuple(features.shape)}, or numbers that are not finite"
    raise SourceError(
        f"the pretrained model does not encode a blank {kind}",
        where=name,
        got=said,
        do="choose another model, or settings that it allows",
    )


def _blank(kind: str, inputs: Mapping[str, Any]) -> Any:
    if kind == "text":
        return [""]
    if kind == "image":
        return torch.zeros(1, inputs["size"], inputs["size"], 3, dtype=torch.uint8)
    return torch.zeros(1, inputs["n_mels"], round(inputs["seconds"] * 100))  # frames of 10 ms
