"""Write a dataset of your own: any modalities, rows from anywhere, the same format and tools as the built-in ones.

`write_dataset` adds what the format asks for beyond your columns: `sample_id`, a mask for each modality, nulls in
everything that goes with a missing value, shards, card and manifest. docs/own-data.md shows it on a whole example.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from symile_data.errors import SourceError, UsageError
from symile_data.manifest import FileEntry, Identity, Manifest, file_entry, library_versions
from symile_data.schema import DatasetSchema, Modality
from symile_data.shards import FORMATS, check_format

from .document import Document, no_documents
from .shards import ROWS_PER_GROUP, write_shard
from .stages import run_build

if TYPE_CHECKING:
    from datasets import Features

ROWS_PER_SHARD = 5_000
_PACKAGES = ("numpy", "pyarrow")

Row = Mapping[str, Any]


def own_schema(features: Features, modalities: Mapping[str, str | Modality]) -> DatasetSchema:
    """The whole schema of a dataset: your columns, then `sample_id` and the masks.

    Args:
        features: Your typed columns.
        modalities: Name -> kind ("image", "audio", "text", "vector", ...) where the column is named like the modality
            and nothing goes with it; or a `Modality` that says otherwise. In the order in which batches list them.

    Raises:
        UsageError: fewer than two modalities, or one without its column.
    """
    from datasets import Features, Value

    made = tuple(
        kind if isinstance(kind, Modality) else Modality(name=name, kind=kind, column=name, null_columns=(name,))
        for name, kind in modalities.items()
    )
    if len(made) < 2:
        raise UsageError("a dataset needs at least two modalities", got=", ".join(modalities) or "none")
    lacking = [column for modality in made for column in modality.null_columns if column not in features]
    if lacking:
        raise UsageError(
            "a modality's column is not among the features", got=lacking[0], do=f"there are {', '.join(features)}"
        )
    added = {"sample_id": Value("int64"), **{modality.mask: Value("bool") for modality in made}}
    return DatasetSchema(features=Features({**features, **added}), modalities=made)


def write_dataset(
    out: Path,
    *,
    name: str,
    schema: DatasetSchema,
    splits: Mapping[str, Iterable[Row]],
    spec: Mapping[str, Any],
    document: Document = no_documents,
    notes: Sequence[str] = (),
    rows_per_shard: int = ROWS_PER_SHARD,
    shard_format: str = "parquet",
) -> Manifest:
    """Write rows as a dataset, a shard at a time: no split is ever whole in memory.

    Args:
        out: Output directory; an interrupted writing there begins anew, a finished one with the same `spec` is kept.
        name: Of the dataset, in its manifest and card.
        schema: From `own_schema`.
        splits: Name -> rows in order. A row maps your columns to values: bytes (or {"bytes": ..., "path": ...}) for
            pictures and clips, strings, numbers, lists or arrays of numbers; None where a modality is missing.
            Masks are made from the Nones; `sample_id` is counted unless you give it.
        spec: JSON-like: everything that decides the rows (versions of your sources, settings, seed). Equal specs are
            taken for equal datasets.
        document: Writes the card: `symile_data.cards.write_card`.
        notes: Known limits, for the card.
        rows_per_shard: At most.
        shard_format: "parquet" or "webdataset"; written into the manifest's spec as `format`.

    Returns:
        The manifest that was written.

    Raises:
        SourceError: a row lacks a column, has an unknown one, or a value of another type; an id is negative or used
            twice in a shard; a split is empty.
        OutputError: the output directory is unsuitable, or the disk refuses.
    """
    check_format(shard_format)
    identity = Identity(
        dataset=name, spec={**spec, "format": shard_format}, sources={}, versions=library_versions(_PACKAGES)
    )

    def stages(*_: object) -> Manifest:
        shards: list[FileEntry] = []
        counts: dict[str, int] = {}
        for split, rows in splits.items():
            first_id = sum(counts.values())
            written = list(_write_split(out, schema, split, rows, rows_per_shard, FORMATS[shard_format], first_id))
            counts[split] = sum(entry.rows or 0 for entry in written)
            shards += written
        return Manifest(identity=identity, modalities=schema.modalities, splits=counts, files=shards, notes=list(notes))

    return run_build(out, identity, schema, stages, workers=1, document=document)


def _write_split(
    out: Path,
    schema: DatasetSchema,
    split: str,
    rows: Iterable[Row],
    rows_per_shard: int,
    suffix: str,
    first_id: int,
) -> Iterator[FileEntry]:
    if not split.isidentifier():
        raise UsageError("a split's name is letters, digits and _", got=repr(split))
    numbered = enumerate(rows)
    for index in itertools.count():
        part = list(itertools.islice(numbered, 1))
        if not part:
            break
        some = itertools.chain(part, itertools.islice(numbered, rows_per_shard - 1))
        path = out / "data" / f"{split}-{index:05d}{suffix}"
        count = write_shard(path, schema, _batches(schema, split, some, first_id))
        yield file_entry(out, path, rows=count, split=split)
    if index == 0:
        raise SourceError("a split has no rows", where=split, do="leave it out")


def _batches(
    schema: DatasetSchema, split: str, rows: Iterable[tuple[int, Row]], first_id: int
) -> Iterator[pa.RecordBatch]:
    numbered, ids = iter(rows), set[int]()
    while group := list(itertools.islice(numbered, ROWS_PER_GROUP)):
        whole = [complete_row(schema, row, first_id + number, f"{split}, row {number}") for number, row in group]
        for (number, _), row in zip(group, whole, strict=True):
            _note_id(row["sample_id"], ids, f"{split}, row {number}")
        try:
            yield pa.RecordBatch.from_pylist(whole, schema=schema.arrow)
        except (pa.ArrowException, TypeError, ValueError) as error:
            raise _wrong_value(schema, whole, f"{split}, row", group[0][0], error) from error


def complete_row(schema: DatasetSchema, row: Row, sample_id: int, where: str) -> dict[str, Any]:
    """A row with id and masks, and nulls in everything that goes with a missing value.

    Raises:
        SourceError: it lacks a column or has an unknown one.
    """
    given = {"sample_id": sample_id, **row}
    masks = {modality.mask: given.get(modality.column) is None for modality in schema.modalities}
    whole = {**given, **masks}
    for what, names in (
        ("lacks a column", [name for name in schema.features if name not in whole]),
        ("has a column that is not in the schema", [name for name in whole if name not in schema.features]),
    ):
        if names:
            raise SourceError(f"a row {what}", where=where, got=names[0], do="give None for a missing modality")
    for modality in schema.modalities:
        if masks[modality.mask]:
            whole |= dict.fromkeys(modality.null_columns)
    return {
        name: {"bytes": value, "path": None} if isinstance(value, bytes) else value for name, value in whole.items()
    }


def _note_id(sample_id: object, ids: set[int], where: str) -> None:
    """Refuse an id that cannot name a row of its shard."""
    if not isinstance(sample_id, Integral) or sample_id < 0 or int(sample_id) in ids:
        raise SourceError(
            "a sample_id is no whole number from 0 up, or is used twice",
            where=where,
            got=repr(sample_id),
            do="leave sample_id out to have it counted",
        )
    ids.add(int(sample_id))


def _wrong_value(
    schema: DatasetSchema, rows: list[dict[str, Any]], where: str, first: int, error: Exception
) -> SourceError:
    """Find the value that does not fit its column."""
    for offset, row in enumerate(rows):
        for column in schema.arrow:
            try:
                pa.array([row[column.name]], column.type)
            except (pa.ArrowException, TypeError, ValueError) as reason:
                return SourceError(
                    f"a value of column {column.name} is not {column.type}",
                    where=f"{where} {first + offset}",
                    got=reason,
                )
    return SourceError("rows do not fit the schema", where=f"{where} {first}", got=error)
