"""What a dataset's rows look like: typed columns (Hugging Face `Features`) and the modalities among them.

A builder declares one `DatasetSchema`. The manifest records the modalities, so that loaders, encoders, verification and
cards work for any dataset and know none by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from symile_data.files import canonical_json

from .typed_json import record

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test")
BATCH_NAMES = ("missing", "padding", "sample_id", "source")  # entries of a batch beside modalities and columns
MODALITIES_KEY = b"symile_data.modalities"  # key in the schema metadata of shards whose modalities have details

_SUFFIXES = {"image": "jpg", "audio": "flac", "text": "txt"}


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One modality of a dataset.

    Args:
        name: Name of the modality ("image"); the mask column is `<name>_missing` by default.
        kind: How it is decoded and encoded ("image", "audio", "text", ...), a key of the registries of decoders and
            encoders.
        column: The column that holds the value.
        null_columns: All columns that are null where the modality is missing, including `column`, so that a missing
            value cannot leak.
        mask: Name of the mask column, `<name>_missing` by default.
        details: JSON-like facts without which the values cannot be read: units, rates, names of a list's places.
        id_column: The column among `null_columns` whose values tell which rows hold the same image, audio or list of
            numbers, so that each is decoded or encoded once; None where every row holds its own. By default the first
            of `null_columns` that ends in `_id`, which was the rule before manifests had this field.
        suffix: Type of a stored value's file, for formats that keep each value in a file of its own; the kind's usual
            one ("jpg", "flac", "txt", else "npy") where not given.
    """

    name: str
    kind: str
    column: str
    null_columns: tuple[str, ...]
    mask: str = ""
    details: Mapping[str, Any] = field(default_factory=dict, hash=False)
    suffix: str = ""
    id_column: str | None = ""

    def __post_init__(self) -> None:
        if self.id_column == "":
            object.__setattr__(self, "id_column", _id_by_ending(self.null_columns))
        if not self.suffix:
            object.__setattr__(self, "suffix", _SUFFIXES.get(self.kind, "npy"))
        if not self.mask:
            object.__setattr__(self, "mask", f"{self.name}_missing")

    def to_json(self) -> dict[str, Any]:
        """Return the modality as the manifest stores it."""
        value = {**asdict(self), "null_columns": list(self.null_columns)}
        return value if self.details else {key: value[key] for key in value if key != "details"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Modality:
        """Read a modality back from `to_json`."""
        return record(cls, value)


def joined_names(names: str) -> list[str]:
    """Return the names of modalities that are joined by "+".

    >>> joined_names("audio+symbol")
    ['audio', 'symbol']
    """
    return names.split("+")


def _id_by_ending(columns: tuple[str, ...]) -> str | None:
    return next((name for name in columns if name.endswith("_id")), None)


def _in_shards(modality: Modality) -> dict[str, Any]:
    """Return the modality as shards store it: with an id column only where readers would not find it by its ending, so
    that the bytes of shards stay those of versions before this field.
    """
    value = modality.to_json()
    if value["id_column"] == _id_by_ending(modality.null_columns):
        del value["id_column"]
    return value


@dataclass(frozen=True, kw_only=True)
class DatasetSchema:
    """Columns and modalities of one dataset.

    Args:
        features: The typed columns, in file order.
        modalities: The modalities, in the order of batches, losses and masks.
    """

    features: Features
    modalities: tuple[Modality, ...]

    @cached_property
    def arrow(self) -> pa.Schema:
        """Arrow schema whose `huggingface` metadata lets `datasets` restore every type without a card.

        If a modality has details, the metadata also holds all modalities under `MODALITIES_KEY`. It is made once,
        because `datasets` copies every class name for it.
        """
        schema = self.features.arrow_schema
        if not any(modality.details for modality in self.modalities):
            return schema
        modalities = canonical_json([_in_shards(modality) for modality in self.modalities])
        return schema.with_metadata({**schema.metadata, MODALITIES_KEY: modalities})


def mask_problems(table: pa.Table, modalities: tuple[Modality, ...]) -> Iterator[str]:
    """Yield a clause about the first row of each column in which a mask and a value disagree.

    >>> table = pa.table({"x": [1, None], "x_missing": [False, False]})
    >>> list(mask_problems(table, (Modality(name="x", kind="vector", column="x", null_columns=("x",)),)))
    ['row 1: x is null but x_missing is False']
    """
    import pyarrow.compute as pc

    for modality in modalities:
        mask = table[modality.mask].combine_chunks()
        if mask.null_count:
            yield f"{modality.mask} has {mask.null_count} nulls; it must be True or False in every row"
            continue
        for column in modality.null_columns:
            null = table[column].is_null().combine_chunks()  # without a copy of media
            wrong = pc.indices_nonzero(pc.not_equal(null, mask))
            if len(wrong):
                row = wrong[0].as_py()
                state = "null" if null[row].as_py() else "not null"
                yield f"row {row}: {column} is {state} but {modality.mask} is {mask[row].as_py()}"
