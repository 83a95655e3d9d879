"""Find the modalities of shards without a manifest by the types of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

import pyarrow as pa

from symile_data.format.schema import MODALITIES_KEY, Modality

from .columns import holds_files

_TEXT_COMPANIONS = ("words", "target_text")
_KINDS = {"Image": "image", "Audio": "audio"}  # by the type of a feature
_NAMES = {  # by the name of a column that holds files
    **dict.fromkeys(("image", "jpg", "jpeg", "png", "webp"), "image"),
    **dict.fromkeys(("audio", "wav", "flac", "mp3", "ogg"), "audio"),
}


def modalities_of(schema: pa.Schema) -> tuple[Modality, ...]:
    """Read the modalities from the metadata of the shards, else guess them from the types of the columns."""
    try:
        return tuple(Modality.from_json(value) for value in json.loads(schema.metadata[MODALITIES_KEY]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return tuple(guess_modalities(schema))


def guess_modalities(schema: pa.Schema) -> Iterator[Modality]:
    """Guess which columns are modalities, in the order of the schema.

    Images and audio are columns of files that the `huggingface` metadata declares as such, or that have a name such as
    `image`, `jpg`, `audio` or `flac`. Vectors are fixed-size lists of floats, or of integers with a mask. Texts are
    strings named `text` or with a mask. If any of these has a mask column `<name>_missing`, only those with a mask
    count: the others describe the sample and are no modality of it.

    >>> fields = [("a", pa.list_(pa.float32(), 5)), ("note", pa.string()), ("text", pa.string())]
    >>> [(modality.name, modality.kind) for modality in guess_modalities(pa.schema(fields))]
    [('a', 'vector'), ('text', 'text')]
    """
    features = _features(schema)
    kinds = {field.name: kind for field in schema if (kind := _kind(schema, field, features.get(field.name, "")))}
    masked = {name for name in kinds if _has_mask(schema, name)}
    for name, kind in kinds.items():
        if masked and name not in masked:
            continue
        ids = () if kind == "text" else ("clip_id", f"{name}_id") if kind == "audio" else (f"{name}_id",)
        extra = _TEXT_COMPANIONS if kind == "text" else ids
        companions = tuple(column for column in extra if column in schema.names)
        id_column = next((column for column in companions if column in ids), None)
        yield Modality(name=name, kind=kind, column=name, null_columns=(name, *companions), id_column=id_column)


def unused_columns(schema: pa.Schema, modalities: Sequence[Modality]) -> Iterator[str]:
    """Explain for each column that looks like a modality and is not used as one why it is not.

    >>> list(unused_columns(pa.schema([("photo", pa.binary())]), ()))
    ['column photo is not used: it holds files of an unknown kind, name it image or audio']
    """
    features = _features(schema)
    known = {column for modality in modalities for column in (*modality.null_columns, modality.mask)}
    masked = any(modality.mask in schema.names for modality in modalities)
    for field in schema:
        if field.name not in known and (reason := _unused(field, features.get(field.name, ""), masked=masked)):
            yield f"column {field.name} is not used: {reason}"


def _unused(field: pa.Field, feature: str, *, masked: bool) -> str:
    named = feature in _KINDS or field.name in _NAMES
    if holds_files(field.type):
        masks = f"other columns have a mask, and there is no {field.name}_missing"
        return masks if named else "it holds files of an unknown kind, name it image or audio"
    if named or (field.name == "text" and not pa.types.is_string(field.type)):
        return f"it is {field.type}"
    if not masked and pa.types.is_list(field.type) and pa.types.is_floating(field.type.value_type):
        return "its lists have no fixed length"
    return ""


def _kind(schema: pa.Schema, field: pa.Field, feature: str) -> str | None:
    if holds_files(field.type):
        return _KINDS.get(feature) or _NAMES.get(field.name)
    masked = _has_mask(schema, field.name)
    if pa.types.is_fixed_size_list(field.type):
        whole = pa.types.is_integer(field.type.value_type) and masked
        return "vector" if whole or pa.types.is_floating(field.type.value_type) else None
    if pa.types.is_string(field.type) and (field.name == "text" or masked):
        return "text"
    return None


def _has_mask(schema: pa.Schema, name: str) -> bool:
    return f"{name}_missing" in schema.names


def _features(schema: pa.Schema) -> dict[str, str]:
    """Read the feature type ("Image", "Audio", "ClassLabel", ...) of each column that the `huggingface` metadata
    describes.
    """
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: str(value.get("_type", "")) for name, value in described.items() if isinstance(value, dict)}
