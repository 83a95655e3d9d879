"""What a dataset's rows look like: typed columns (Hugging Face `Features`) and the modalities among them.

A builder declares one `DatasetSchema`; the manifest carries the modalities, so that loaders, encoders, verification
and cards follow the dataset they are given and know no dataset by name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from symile_data.files import canonical_json

from .typed_json import record

if TYPE_CHECKING:
    from datasets import Features

SPLITS = ("train", "validation", "test")
MODALITIES_KEY = b"symile_data.modalities"  # of a shard's schema metadata, where a modality has details

_SUFFIXES = {"image": "jpg", "audio": "flac", "text": "txt"}


@dataclass(frozen=True, kw_only=True)
class Modality:
    """One modality of a dataset.

    Args:
        name: What people call it ("image"); the mask column is `<name>_missing`.
        kind: How it is decoded and encoded ("image", "audio", "text", ...): a key of the decoders' and the encoders'
            tables.
        column: The column that holds the value.
        null_columns: Every column that is null where the modality is missing, `column` among them, so that nothing of a
            missing value can leak.
        mask: The mask column where its name is not `<name>_missing`.
        details: JSON-like facts without which the values cannot be read: units, rates, names of a list's places.
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

    def __post_init__(self) -> None:
        if not self.suffix:
            object.__setattr__(self, "suffix", _SUFFIXES.get(self.kind, "npy"))
        if not self.mask:
            object.__setattr__(self, "mask", f"{self.name}_missing")

    def to_json(self) -> dict[str, Any]:
        """As stored in the manifest."""
        value = {**asdict(self), "null_columns": list(self.null_columns)}
        return value if self.details else {key: value[key] for key in value if key != "details"}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Modality:
        """The inverse of `to_json`."""
        return record(cls, value)


@dataclass(frozen=True, kw_only=True)
class DatasetSchema:
    """Columns and modalities of one dataset.

    Args:
        features: The typed columns, in file order.
        modalities: In the order in which batches, losses and masks list them.
    """

    features: Features
    modalities: tuple[Modality, ...]

    @property
    def arrow(self) -> pa.Schema:
        """Arrow schema whose `huggingface` metadata lets `datasets` restore every type without a card.

        Where a modality has details, all modalities stand in the metadata too, under `MODALITIES_KEY`.
        """
        schema = self.features.arrow_schema
        if not any(modality.details for modality in self.modalities):
            return schema
        modalities = canonical_json([modality.to_json() for modality in self.modalities])
        return schema.with_metadata({**schema.metadata, MODALITIES_KEY: modalities})


def mask_problems(table: pa.Table, modalities: tuple[Modality, ...]) -> Iterator[str]:
    """Sentences about rows in which a mask and its values disagree, at most one for each column.

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
            null = pc.is_null(table[column].combine_chunks())
            wrong = pc.indices_nonzero(pc.not_equal(null, mask))
            if len(wrong):
                row = wrong[0].as_py()
                state = "null" if null[row].as_py() else "not null"
                yield f"row {row}: {column} is {state} but {modality.mask} is {mask[row].as_py()}"
