"""The schema of a custom dataset: your columns, `sample_id` and the masks, with columns that fit their kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from symile_data.errors import UsageError
from symile_data.format.schema import DatasetSchema, Modality

from .values import described

if TYPE_CHECKING:
    from datasets import Features


def own_schema(features: Features, modalities: Mapping[str, str | Modality]) -> DatasetSchema:
    """Make the schema of a dataset: your columns, then `sample_id` and the masks.

    Args:
        features: Your typed columns.
        modalities: Name -> kind ("image", "audio", "text", "vector", ...) for a modality whose only column has its
            name; name -> `Modality` for any other. Batches list them in this order.

    Raises:
        UsageError: there are fewer than two modalities; a modality lacks its column, has one of a type that does not
            fit its kind, or an id column that is not among its null_columns; `sample_id` or a mask is among the
            features with another type.
    """
    from datasets import Features, Value

    if not isinstance(modalities, Mapping):
        raise UsageError(
            "`modalities` is a table of names and kinds", got=repr(modalities), do='write it like {"photo": "image"}'
        )
    made = tuple(
        kind
        if isinstance(kind, Modality)
        else Modality(name=name, kind=kind, column=name, null_columns=(name,), id_column=None)
        for name, kind in modalities.items()
    )
    if len(made) < 2:
        raise UsageError("a dataset needs at least two modalities", got=", ".join(modalities) or "none")
    lacking = [column for modality in made for column in modality.null_columns if column not in features]
    if lacking:
        raise UsageError(
            "a modality's column is not among the features", got=lacking[0], do=f"there are {', '.join(features)}"
        )
    for modality in made:
        if modality.id_column not in (None, *modality.null_columns):
            raise UsageError(
                "the id_column of a modality must be among its null_columns, or a missing value's id would be stored",
                got=f"{modality.id_column} of {modality.name}",
            )
        _check_kind(modality, features)
    added = {"sample_id": Value("int64"), **{modality.mask: Value("bool") for modality in made}}
    for name, feature in added.items():
        if features.get(name, feature) != feature:
            raise UsageError(f"column {name} must be {feature.dtype}", got=described(features[name]), do="rename yours")
    return DatasetSchema(features=Features({**features, **added}), modalities=made)


def _check_kind(modality: Modality, features: Features) -> None:
    """Refuse a column that cannot be decoded as its kind; kinds that are not listed here are not checked.

    Raises:
        UsageError: the column has another type than its kind needs; the message names that type.
    """
    from datasets import Audio, Image, List

    feature = features[modality.column]
    dtype = str(getattr(feature.feature if isinstance(feature, List) else feature, "dtype", ""))
    numbers = isinstance(feature, List) and feature.length > 0 and dtype.startswith(("bool", "int", "uint", "float"))
    fits, needed = {
        "image": (isinstance(feature, Image), "Image()"),
        "audio": (isinstance(feature, Audio), "Audio(sampling_rate=...)"),
        "text": (dtype in ("string", "large_string") and not numbers, "Value('string')"),
        "vector": (numbers, "List(Value('float32'), length=...)"),
        "features": (numbers, "List(Value('float32'), length=...)"),
        "ecg": (numbers and dtype.startswith("int"), "List(Value('int16'), length=...)"),
        "labs": (numbers and dtype.startswith("float"), "List(Value('float32'), length=...)"),
    }.get(modality.kind, (True, ""))
    if not fits:
        raise UsageError(
            f"column {modality.column} cannot be of kind {modality.kind}",
            got=described(feature),
            do=f"declare it as {needed}",
        )
