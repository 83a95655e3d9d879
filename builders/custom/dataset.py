"""Write a custom dataset: any modalities, rows from anywhere, the same format and tools as the built-in datasets.

`write_dataset` adds what the format needs beyond your columns: `sample_id`, a mask for each modality, nulls in the
columns that accompany a missing value, shards, card and manifest. docs/own-data.md shows a complete example.
"""

from __future__ import annotations

import itertools
import re
import warnings
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.arguments import check_call
from symile_data.errors import SourceError, UsageError
from symile_data.files import digest, write_errors
from symile_data.format.id_set import IdSet
from symile_data.format.manifest import (
    BuildFingerprint,
    FileEntry,
    Manifest,
    file_entry,
    library_versions,
)
from symile_data.format.publication import Publication, check_statements
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import FORMATS
from symile_data.format.shards.writer import ROWS_PER_GROUP, write_shard
from symile_data.reliability import Reliability

from ..engine.build_dir import WRITTEN
from ..engine.card_hook import CardWriter, no_card
from ..engine.stages import run_build
from .arguments import check_arguments, check_row, no_rows
from .encoded_media import UnfitValueError
from .kept import check_kept
from .unreliable import UnreliableValues, spec_with
from .values import Store, count_non_finite, described, shown, stored, stores_of

ROWS_PER_SHARD = 5_000
_RELIABLE = Reliability()
_NOTHING_STATED = Publication()
_PACKAGES = ("numpy", "pillow", "pyarrow", "soundfile")

Row = Mapping[str, Any]
_SHARD = re.compile(rf"\.?\w+-\d{{5}}({'|'.join(map(re.escape, FORMATS.values()))})(\.partial)?")
NumberedRow = tuple[int, Row]

_ARROW_ERRORS = (pa.ArrowException, TypeError, ValueError, OverflowError)


def write_dataset(
    out: str | Path,
    *,
    name: str,
    schema: DatasetSchema,
    splits: Mapping[str, Iterable[Row]],
    spec: Mapping[str, Any],
    write_card: CardWriter = no_card,
    notes: Sequence[str] = (),
    publication: Publication = _NOTHING_STATED,
    rows_per_shard: int = ROWS_PER_SHARD,
    shard_format: str = "parquet",
    reliability: Reliability = _RELIABLE,
    seed: int = 0,
    document: CardWriter | None = None,
) -> Manifest:
    """Write rows as a dataset, one shard at a time: no split is ever whole in memory.

    Args:
        out: Output directory. An interrupted dataset there is written anew; a finished one with the same `spec` is
            kept, if it has these columns, splits and numbers of rows and, where the rows of a split are a sequence, its
            first and last row.
        name: The dataset's name, in its manifest and card.
        schema: From `own_schema`.
        splits: Name -> rows in order. A row maps your columns to values: images and audio as `encoded_media` accepts
            them (bytes, {"bytes": ..., "path": ...}, Pillow images, arrays), strings, numbers, lists or arrays of
            numbers; None where a modality is missing. Masks follow from the Nones; `sample_id` is counted unless you
            give it. NaN and infinite floats are stored unchanged and counted in the manifest's notes.
        spec: JSON-like value of everything that decides the rows (versions of your sources, settings, seed). Equal
            specs mean equal datasets. The fingerprint in the manifest is also that of the rows that were written.
        write_card: The function that writes the card, such as `symile_data.cards.write_card`; none by default. Without
            a card `load_dataset` finds the splits `train`, `validation` and `test` only, and not all tars.
        notes: Known limits, for the card.
        publication: What only you know, for the card: what the dataset is, its licence, sources and creators, biases
            and use. `symile-data card DIR --statements FILE` changes it later.
        rows_per_shard: The largest number of rows in a shard.
        shard_format: "parquet" or "webdataset"; written into the manifest's spec as `format`.
        reliability: Rates at which modalities show another row's value or a noisy one. Where some are misaligned, the
            rows of a split are a sequence, which is read twice; see docs/own-data.md.
        seed: Seed of `reliability`.
        document: The former name of `write_card`, which the next version drops.

    Returns:
        The manifest that was written.

    Raises:
        UsageError: an argument is of another type; a name of a split, of the dataset or, in tars, of a column cannot be
            used; JSON cannot hold the spec.
        SourceError: a row lacks a column, has an unknown one, or has a value that its column cannot hold exactly; a
            mask or a null contradicts the row's modality; an id is negative or occurs twice in a split; a split is
            empty.
        OutputError: the output directory is unsuitable or holds another dataset, or the disk fails.
    """
    check_arguments(schema, splits, spec, name, shard_format)
    check_call(write_dataset, locals())
    check_statements(publication)
    if rows_per_shard < 1:
        raise UsageError("rows_per_shard must be at least 1", got=rows_per_shard)
    directory = Path(out)
    if document is not None:
        warnings.warn("the argument document is now called write_card", DeprecationWarning, stacklevel=2)
        write_card = document
    unreliable = UnreliableValues(schema=schema, reliability=reliability, seed=seed) if reliability else None
    schema = schema if unreliable is None else unreliable.whole_schema
    whole_spec = {**spec_with(spec, unreliable, seed), "format": shard_format}
    identity = BuildFingerprint(dataset=name, spec=whole_spec, sources={}, versions=library_versions(_PACKAGES))

    def stages(*_: object) -> Manifest:
        _remove_shards(directory / "data")
        shards: list[FileEntry] = []
        counts: dict[str, int] = {}
        taker = _RowTaker(schema, stores_of(schema.features), unreliable)
        for split, rows in splits.items():
            first_id = sum(counts.values())
            shown = rows if unreliable is None else unreliable.rows(split, first_id, rows)
            batches = partial(taker.batches, split, first_id, IdSet())
            mine = list(_write_split(directory, schema, split, shown, batches, rows_per_shard, FORMATS[shard_format]))
            counts[split] = sum(entry.rows or 0 for entry in mine)
            shards += mine
        told = [*notes, *taker.notes()]
        # A spec may be silent about what changed in the rows; states, caches and runs of other rows are told by this.
        written = {WRITTEN: digest([[entry.path, entry.sha256] for entry in shards])}
        return Manifest(
            identity=replace(identity, sources=written),
            modalities=schema.modalities,
            splits=counts,
            files=shards,
            notes=told,
            publication=publication,
        )

    kept = True

    def stages_where_unfinished(*arguments: object) -> Manifest:
        nonlocal kept
        kept = False
        return stages(*arguments)

    manifest = run_build(directory, identity, schema, stages_where_unfinished, workers=1, write_card=write_card)
    if kept:
        taker = _RowTaker(schema, stores_of(schema.features))
        check_kept(directory, manifest, schema, splits, taker.stored_row if unreliable is None else None)
    return manifest


def _remove_shards(folder: Path) -> None:
    """Remove the shards of an interrupted writing: `load_dataset` would read those that are not written again."""
    if folder.is_dir():
        with write_errors(folder):
            for path in folder.iterdir():
                if _SHARD.fullmatch(path.name):
                    path.unlink()


def _write_split(
    out: Path,
    schema: DatasetSchema,
    split: str,
    rows: Iterable[Row],
    batches: Callable[[Iterable[NumberedRow]], Iterator[pa.RecordBatch]],
    rows_per_shard: int,
    suffix: str,
) -> Iterator[FileEntry]:
    numbered = enumerate(rows)
    for index in itertools.count():
        part = list(itertools.islice(numbered, 1))
        if not part:
            break
        some = itertools.chain(part, itertools.islice(numbered, rows_per_shard - 1))
        path = out / "data" / f"{split}-{index:05d}{suffix}"
        count = write_shard(path, schema, batches(some))
        yield file_entry(out, path, rows=count, split=split)
    if index == 0:
        raise no_rows(split)


@dataclass(frozen=True)
class _RowTaker:
    """Turns rows into record batches and counts the numbers that are not finite.

    Args:
        stores: Column -> the function that checks and converts its values.
        unreliable: Makes values noisy; None where none are.
        non_finite: Column -> the number of NaN and infinite values so far.
    """

    schema: DatasetSchema
    stores: Mapping[str, Store]
    unreliable: UnreliableValues | None = None
    non_finite: Counter[str] = field(default_factory=Counter)

    def batches(self, split: str, first_id: int, ids: IdSet, rows: Iterable[NumberedRow]) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one shard as record batches.

        Args:
            split: Name of the split, for messages.
            first_id: A row without an id gets this number plus its number in the split.
            ids: The ids of the split so far.
            rows: The rows with their numbers in the split.

        Raises:
            SourceError: see `write_dataset`.
        """
        numbered = iter(rows)
        while group := list(itertools.islice(numbered, ROWS_PER_GROUP)):
            places = [f"{split}, row {number}" for number, _ in group]
            taken = [self._taken(row, first_id + at, place) for (at, row), place in zip(group, places, strict=True)]
            repeated = ids.add(np.array([row["sample_id"] for row in taken]))
            for place, row, again in zip(places, taken, repeated, strict=True):
                if again:
                    raise _wrong_id(row["sample_id"], place)
            try:
                batch = pa.RecordBatch.from_pylist(taken, schema=self.schema.arrow)
            except _ARROW_ERRORS as error:
                raise self._wrong_value(taken, places, error) from error
            for name, column in zip(batch.schema.names, batch.columns, strict=True):
                self.non_finite[name] += count_non_finite(column)
            yield batch

    def stored_row(self, row: Row, sample_id: int, where: str) -> Row:
        """Return one row as a shard holds it.

        Raises:
            SourceError: see `write_dataset`.
        """
        taken = self._taken(row, sample_id, where)
        try:
            return pa.RecordBatch.from_pylist([taken], schema=self.schema.arrow).to_pylist()[0]  # type: ignore[no-any-return]
        except _ARROW_ERRORS as error:
            raise self._wrong_value([taken], [where], error) from error

    def notes(self) -> Iterator[str]:
        """Yield sentences for the card about columns with numbers that are not finite."""
        for name, count in self.non_finite.items():
            if count:
                noun = "number that is" if count == 1 else "numbers that are"
                yield f"Column {name} has {count} {noun} NaN or infinite, as the source gave them."

    def _taken(self, row: Row, sample_id: int, where: str) -> dict[str, Any]:
        whole = complete_row(self.schema, row, sample_id, where)
        _check_id(whole["sample_id"], where)
        for name, value in whole.items():
            try:
                whole[name] = stored(self.stores[name], value)
            except (UnfitValueError, *_ARROW_ERRORS) as reason:
                raise self._unfit(name, where, reason) from None
        if self.unreliable is not None:
            self.unreliable.add_noise(whole, where)
        return whole

    def _wrong_value(self, rows: list[dict[str, Any]], places: list[str], error: Exception) -> SourceError:
        """Find the value that Arrow refused."""
        for row, place in zip(rows, places, strict=True):
            for column in self.schema.arrow:
                try:
                    pa.array([row[column.name]], column.type)
                except _ARROW_ERRORS as reason:
                    return self._unfit(column.name, place, reason)
        return SourceError("rows do not fit the schema", where=places[0], got=error)

    def _unfit(self, name: str, where: str, reason: Exception) -> SourceError:
        kind = described(self.schema.features[name])
        return SourceError(f"a value of column {name} is not {kind}", where=where, got=reason)


def complete_row(schema: DatasetSchema, row: Row, sample_id: int, where: str) -> dict[str, Any]:
    """Return a row with its id and masks, and None in every column of a missing modality.

    Raises:
        SourceError: the row is not a mapping, lacks a column or has an unknown one; a mask or a null contradicts its
            modality.
    """
    check_row(row, where)
    given = {"sample_id": sample_id, **row}
    masks = {modality.mask: given.get(modality.column) is None for modality in schema.modalities}
    whole = {**given, **masks}
    for what, names, do in (
        ("lacks a column", [name for name in schema.features if name not in whole], "give None for a missing modality"),
        (
            "has a column that is not in the schema",
            [name for name in whole if name not in schema.features],
            "leave it out, or add it to the features of `own_schema`",
        ),
    ):
        if names:
            raise SourceError(f"a row {what}", where=where, got=names[0], do=do)
    for modality in schema.modalities:
        missing, told = masks[modality.mask], row.get(modality.mask)
        if told is not None and not (isinstance(told, bool | np.bool_) and bool(told) == missing):
            raise SourceError(
                f"{modality.mask} contradicts column {modality.column}",
                where=where,
                got=shown(told),
                do="leave the mask out: it is derived from the Nones",
            )
        if missing:
            whole |= dict.fromkeys(modality.null_columns)
        elif lacking := [name for name in modality.null_columns if whole[name] is None]:
            raise SourceError(
                f"column {lacking[0]} belongs to {modality.name} and is None although {modality.name} is present",
                where=where,
                do=f"give it a value, or take it out of the null_columns of {modality.name}",
            )
    return whole


def _check_id(sample_id: object, where: str) -> None:
    """Refuse an id that is not a whole number from 0 to 2**63 - 1."""
    whole = isinstance(sample_id, int | np.integer) and not isinstance(sample_id, bool)
    if not whole or not 0 <= sample_id < 1 << 63:  # type: ignore[operator]
        raise _wrong_id(sample_id, where)


def _wrong_id(sample_id: object, where: str) -> SourceError:
    return SourceError(
        "a sample_id is not a whole number from 0 up, or is used twice",
        where=where,
        got=shown(sample_id),
        do="leave sample_id out to have it counted",
    )
