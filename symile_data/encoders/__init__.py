"""Encoders: networks for each kind of modality, chosen from `ENCODERS` by the kind that the manifest names and the
model that the config names.

An encoder maps what the loaders deliver for a modality, and which rows lack it, to (B, D); the module that trains them
adds the layer norm, what stands for a missing value, and the loss. The first model of a kind is its default: small
enough to learn on a CPU. The others are the paper's, from transformers.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from symile_data.arguments import check_call
from symile_data.errors import UsageError, choose_similar
from symile_data.extras import needs_extra
from symile_data.format.kinds import KINDS, part_of_kind

with needs_extra("train", "an encoder"):
    from torch import nn

    from .audio import SmallAudioEncoder
    from .base import DataDescription, FeatureEncoder, Imputation
    from .classified import ClassifiedEncoder
    from .ecg import SmallEcgEncoder
    from .image import SmallImageEncoder
    from .labs import LabsEncoder
    from .pretrained.bert import BertEncoder, XlmRobertaEncoder
    from .pretrained.clip import ClipVisionEncoder
    from .pretrained.vision import VisionEncoder
    from .pretrained.whisper import WhisperEncoder
    from .resnet import ResNetEcgEncoder, ResNetImageEncoder
    from .text import WordEncoder
    from .vector import BitEncoder, LinearEncoder, MlpEncoder

__all__ = [
    "ENCODERS",
    "BertEncoder",
    "BitEncoder",
    "ClassifiedEncoder",
    "ClipVisionEncoder",
    "DataDescription",
    "FeatureEncoder",
    "Imputation",
    "LabsEncoder",
    "LinearEncoder",
    "MlpEncoder",
    "ResNetEcgEncoder",
    "ResNetImageEncoder",
    "SmallAudioEncoder",
    "SmallEcgEncoder",
    "SmallImageEncoder",
    "VisionEncoder",
    "WhisperEncoder",
    "WordEncoder",
    "XlmRobertaEncoder",
    "check_encoder_settings",
    "make_encoder",
]

# Kind of modality -> model -> encoder class; each takes `dim`, a description of the data, and the settings of its
# section in the config.
ENCODERS: dict[str, dict[str, Callable[..., nn.Module]]] = {
    "image": {
        "small": SmallImageEncoder,
        "clip": ClipVisionEncoder,
        "resnet": ResNetImageEncoder,
        "vision": VisionEncoder,
    },
    "audio": {"small": SmallAudioEncoder, "whisper": WhisperEncoder},
    "text": {"words": WordEncoder, "xlm-roberta": XlmRobertaEncoder, "bert": BertEncoder},
    "vector": {"linear": LinearEncoder, "bits": BitEncoder, "mlp": MlpEncoder},
    "features": {"linear": LinearEncoder},
    "ecg": {"small": SmallEcgEncoder, "resnet": ResNetEcgEncoder},
    "labs": {"mlp": LabsEncoder},
}


def make_encoder(
    kind: str, dim: int, settings: Mapping[str, Any], description: DataDescription | None = None
) -> nn.Module:
    """Make the encoder of one kind of modality.

    Args:
        kind: Key of `ENCODERS`, or a registered kind (`symile_data.format.kinds`).
        dim: D.
        settings: `model` chooses among the kind's encoders, the first where not given; the rest is that encoder's.
        description: Of the data.

    Raises:
        UsageError: there is none for the kind, no such model, or a setting is unknown to it.
    """
    encoder, own = _chosen(kind, settings)
    try:
        made: nn.Module = encoder(dim=dim, description=description or DataDescription(), **own)
        return made
    except TypeError as error:
        raise UsageError(f"the config has a setting that the {kind} encoder cannot take", got=error) from None


def check_encoder_settings(kind: str, settings: Mapping[str, Any]) -> None:
    """Check the settings of an encoder as `make_encoder` does, without making it.

    Raises:
        UsageError: see `make_encoder`; or the value of a setting is of another type than the encoder's annotation says.
    """
    encoder, own = _chosen(kind, settings)
    if kind in ENCODERS and isinstance(encoder, type):  # annotations of others may be names that nobody can evaluate
        check_call(encoder.__init__, own)  # type: ignore[misc]  # the class itself, of which no instance is made yet


def _chosen(kind: str, settings: Mapping[str, Any]) -> tuple[Callable[..., nn.Module], dict[str, Any]]:
    """Return the encoder that the settings choose, and the others of them, whose names it knows."""
    encoders = ENCODERS.get(kind) or part_of_kind(kind, "encoders")
    if not encoders:
        raise UsageError(
            "there is no encoder for a kind of modality",
            got=kind,
            do=f"register it (docs/own-data.md), or choose among {', '.join([*ENCODERS, *KINDS])}",
        )
    own = dict(settings)
    model = own.pop("model", next(iter(encoders)))
    if model not in encoders:
        raise UsageError(
            f"there is no such encoder of kind {kind}", got=model, do=f"choose among {', '.join(encoders)}"
        )
    parameters = inspect.signature(encoders[model]).parameters
    names = sorted({"model", *parameters} - {"dim", "description"})
    unknown = [name for name in own if name not in names]
    if unknown and all(one.kind is not inspect.Parameter.VAR_KEYWORD for one in parameters.values()):
        raise UsageError(
            f"the config has a setting that the {kind} encoder does not know",
            got=unknown[0],
            do=choose_similar(unknown[0], names),
        )
    _check_ranges(own)
    return encoders[model], own


def _check_ranges(settings: Mapping[str, Any]) -> None:
    """Check the settings that several encoders share, where their values are of the right types."""
    for name in ("width", "widths", "mels", "hidden"):
        given = settings.get(name, ())
        counts = given if isinstance(given, list | tuple) else [given]
        if any(isinstance(one, int) and one < 1 for one in counts):
            raise UsageError(f"{name} of an encoder is at least 1", got=given)
    dropout, spread = settings.get("dropout", 0.0), settings.get("init_std", 0.0)
    if isinstance(dropout, int | float) and not 0 <= dropout <= 1:
        raise UsageError("dropout of an encoder is from 0 to 1", got=dropout)
    if isinstance(spread, int | float) and not spread >= 0:
        raise UsageError("init_std of an encoder is at least 0", got=spread)
