"""The schema of a custom dataset: your columns, `sample_id` and the masks, with columns that fit their kinds."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from symile_data.errors import UsageError
from symile_data.format.kinds import BUNDLED, KINDS
from symile_data.format.schema import BATCH_NAMES, DatasetSchema, Modality

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
        UsageError: there are fewer than two modalities, or two with one name or mask; a name is empty or taken in a
            batch; a modality lacks its column, has one of a type that does not fit its kind, or null_columns that lack
            it, have the column of another one or lack its id column; `sample_id` or a mask is among the features with
            another type.

    Warns:
        UserWarning: a kind is neither bundled nor registered.
    """
    from datasets import Features, Value

    features = _checked(features)

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
    _check_names(dict(zip(modalities, made, strict=True)))
    _check_nulls(made)
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


def _checked(features: object) -> Features:
    """Return the features as `datasets` has them.

    Raises:
        UsageError: they are no table of named types.
    """
    from datasets import Features

    do = 'write them like Features({"photo": Image(), "note": Value("string")})'
    if not isinstance(features, Mapping):
        raise UsageError("`features` is a table of columns and their types", got=repr(features), do=do)
    unnamed = [name for name in features if not isinstance(name, str) or not name]
    if unnamed:
        raise UsageError("a column's name is a text that is not empty", got=repr(unnamed[0]))
    for name, feature in features.items():
        try:
            Features({name: feature}).arrow_schema  # noqa: B018  # the property refuses what is no type
        except (TypeError, ValueError, AttributeError, KeyError):
            raise UsageError(f"column {name} has no type of `datasets`", got=repr(feature), do=do) from None
    return Features(features)


def _check_names(modalities: Mapping[str, Modality]) -> None:
    """Refuse names of modalities and masks that batches or shards could not tell apart.

    Raises:
        UsageError: the message names the modality.
    """
    names = [modality.name for modality in modalities.values()]
    masks = [modality.mask for modality in modalities.values()]
    for key, modality in modalities.items():
        if not isinstance(modality.name, str) or not isinstance(modality.kind, str):
            raise UsageError("name and kind of a modality are texts", got=f"{key!r}: {modality.kind!r}")
        if names.count(modality.name) > 1 or masks.count(modality.mask) > 1:
            raise UsageError(
                "two modalities have the same name or mask", got=f"{modality.name}, {modality.mask}", do="rename one"
            )
        if modality.name != key:
            raise UsageError(
                f"`modalities` has modality {modality.name} under another name", got=repr(key), do="give it one name"
            )
        if modality.name in BATCH_NAMES:
            raise UsageError(
                "a batch has an entry of its own of this name", got=f"modality {modality.name}", do="rename it"
            )
        if modality.kind not in BUNDLED and modality.kind not in KINDS:
            told = f"{modality.name} is of kind {modality.kind}, which is neither bundled ({', '.join(BUNDLED)})"
            warnings.warn(f"{told} nor registered: readers need register_kind", stacklevel=3)


def _check_nulls(modalities: Sequence[Modality]) -> None:
    """Refuse columns that would be null where their own modality is present, or keep a value where it is missing.

    Raises:
        UsageError: the message names the modality and the column.
    """
    masks = [modality.mask for modality in modalities]
    for modality in modalities:
        others = {other.column for other in modalities} - {modality.column}
        if not isinstance(modality.null_columns, tuple) or modality.column not in modality.null_columns:
            raise UsageError(
                f"the null_columns of {modality.name} are a tuple with its column among them",
                got=repr(modality.null_columns),
                do=f"write null_columns=({modality.column!r},)",
            )
        wrong = [name for name in modality.null_columns if name in ("sample_id", *masks, *others)]
        if wrong:
            raise UsageError(
                f"the null_columns of {modality.name} have a column that it does not own",
                got=wrong[0],
                do="leave out ids, masks and the columns of other modalities",
            )
        if modality.mask == "sample_id":
            raise UsageError(f"the mask of {modality.name} cannot be sample_id", do="leave the mask out")


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
