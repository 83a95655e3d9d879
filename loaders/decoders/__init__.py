"""The table `DECODERS` has one row for each bundled kind of modality.

A new kind needs a module with its settings and functions, and a row here. Kinds from outside the package are
registered in `symile_data.format.kinds`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pyarrow as pa

from symile_data.arguments import check_fields
from symile_data.errors import UsageError
from symile_data.format.kinds import KINDS, part_of_kind
from symile_data.format.shards.arrow_numpy import is_number

from . import audio, ecg, image, labs
from .audio import AudioSettings
from .base import (
    NO_BYTES,
    Array,
    Decoder,
    Layout,
    Stored,
    StoredMedia,
    UndecodableError,
    check_files,
    fixed_lists,
    layout_of,
)
from .ecg import EcgSettings
from .image import ImageSettings
from .labs import LabsSettings


@dataclass(frozen=True, kw_only=True)
class TextSettings:
    """Texts stay Python strings; the encoder tokenises them."""


@dataclass(frozen=True, kw_only=True)
class VectorSettings:
    """Fixed-size lists of numbers become (length,) arrays.

    Args:
        dtype: Dtype of the batch; "float16" keeps stored half-precision features as they are.
    """

    dtype: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        check_fields(self)


@dataclass(frozen=True, kw_only=True)
class StoredSettings:
    """Images or audio stay the bytes of the shard, for code that decodes them itself (on a device, for example)."""


Settings = ImageSettings | AudioSettings | TextSettings | VectorSettings | EcgSettings | LabsSettings | StoredSettings


def _text_layout(_: TextSettings, kind: pa.DataType) -> Layout:
    if not pa.types.is_string(kind):
        raise UsageError("a text column must hold strings", got=kind)
    return layout_of((), object)


def _stored_layout(_: StoredSettings, kind: pa.DataType) -> Layout:
    check_files(kind)
    return layout_of((), object)


def _vector_layout(settings: VectorSettings, kind: pa.DataType) -> Layout:
    if not pa.types.is_fixed_size_list(kind) or not is_number(kind.value_type):
        raise UsageError("a vector column must be a fixed-size list of numbers", got=kind)
    return layout_of((kind.list_size,), settings.dtype)


def _texts(column: pa.Array) -> Array:
    return np.array(column.to_pylist(), dtype=object)


def _text(value: Any, _: TextSettings) -> Any:
    return value


def _vector(value: Array, settings: VectorSettings) -> Array:
    return value.astype(settings.dtype, copy=False)


def _stored(data: Stored | None, _: StoredSettings) -> bytes:
    if data is None:
        raise UndecodableError(NO_BYTES)
    return bytes(data)


_VECTOR = Decoder(settings=VectorSettings, layout=_vector_layout, values=fixed_lists, decode=_vector, batched=True)
_STORED = Decoder(settings=StoredSettings, layout=_stored_layout, values=StoredMedia, decode=_stored)

DECODERS: Mapping[str, Decoder] = {
    "image": image.DECODER,
    "audio": audio.DECODER,
    "text": Decoder(settings=TextSettings, layout=_text_layout, values=_texts, decode=_text, batched=True),
    "ecg": ecg.DECODER,
    "labs": labs.DECODER,
    "vector": _VECTOR,
    "features": _VECTOR,
}


def decoder_of(kind: str) -> Decoder | None:
    """Return the decoder of a kind, bundled or registered, or None."""
    if kind in DECODERS:
        return DECODERS[kind]
    decoder: Decoder | None = part_of_kind(kind, "decoder")
    return decoder


def decoder_for(name: str, kind: str, settings: object | None) -> tuple[Decoder, Any]:
    """Return the decoder of a kind and its settings: those given, or the defaults.

    Raises:
        UsageError: the kind has no decoder, or the settings are of another kind.
    """
    decoder = decoder_of(kind)
    if decoder is None:
        raise UsageError(
            f"modality {name} is of a kind without a decoder",
            got=kind,
            do=f"register it (docs/own-data.md); known: {', '.join([*DECODERS, *KINDS])}",
        )
    if settings is None:
        return decoder, decoder.settings()
    if isinstance(settings, StoredSettings) and decoder.values is StoredMedia:
        return _STORED, settings
    if not isinstance(settings, decoder.settings):
        raise UsageError(
            f"modality {name} takes {decoder.settings.__name__}", got=type(settings).__name__, do="correct `transforms`"
        )
    return decoder, settings
