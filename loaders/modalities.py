"""Tell the modalities of shards that come without a manifest from the types of their columns."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa

from symile_data.schema import MODALITIES_KEY, Modality

_TEXT_COMPANIONS = ("words", "target_text")


def modalities_of(schema: pa.Schema) -> tuple[Modality, ...]:
    """As the shards' own metadata lists them, else guessed from the types of the columns."""
    try:
        return tuple(Modality.from_json(value) for value in json.loads(schema.metadata[MODALITIES_KEY]))
    except (KeyError, TypeError, ValueError, AttributeError):
        return tuple(guess_modalities(schema))


def guess_modalities(schema: pa.Schema) -> Iterator[Modality]:
    """Modalities of some columns, in their order.

    Image and Audio by the `huggingface` metadata (or by being a struct of bytes and path under that name),
    fixed-size lists of floats as vectors, `text` as text. Where some of these have a mask column `<name>_missing`,
    only those with one count: the others describe the sample and are no modality of it.

    >>> fields = [("a", pa.list_(pa.float32(), 5)), ("note", pa.string()), ("text", pa.string())]
    >>> [(modality.name, modality.kind) for modality in guess_modalities(pa.schema(fields))]
    [('a', 'vector'), ('text', 'text')]
    """
    features = _features(schema)
    kinds = {field.name: kind for field in schema if (kind := _kind(field, features.get(field.name, "")))}
    masked = {name for name in kinds if _is_mask(schema, f"{name}_missing")}
    for name, kind in kinds.items():
        if masked and name not in masked:
            continue
        extra = (
            _TEXT_COMPANIONS if kind == "text" else ("clip_id", f"{name}_id") if kind == "audio" else (f"{name}_id",)
        )
        companions = tuple(column for column in extra if column in schema.names)
        yield Modality(name=name, kind=kind, column=name, null_columns=(name, *companions))


def _kind(field: pa.Field, feature: str) -> str | None:
    if feature in ("Image", "Audio"):
        return feature.lower()
    if pa.types.is_struct(field.type) and field.name in ("image", "audio"):
        return str(field.name)
    if pa.types.is_fixed_size_list(field.type) and pa.types.is_floating(field.type.value_type):
        return "vector"
    if field.name == "text" and (pa.types.is_string(field.type) or pa.types.is_large_string(field.type)):
        return "text"
    return None


def _is_mask(schema: pa.Schema, name: str) -> bool:
    return name in schema.names and pa.types.is_boolean(schema.field(name).type)


def _features(schema: pa.Schema) -> dict[str, str]:
    """Feature type of each column that the `huggingface` metadata describes ("Image", "Audio", "ClassLabel", ...)."""
    try:
        described = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
    except (KeyError, ValueError, TypeError):
        return {}
    return {name: str(value.get("_type", "")) for name, value in described.items() if isinstance(value, dict)}
