"""The contents of a batch (masks, decoded modalities, labels), and reading the row groups that fill it.

A batch under construction is a dict of numpy arrays, all with B rows, allocated before anything is decoded; threads
fill disjoint rows of it. Python values (texts, strings, lists) are object arrays until the batch is handed out.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data import missingness
from symile_data.errors import DamageError, UsageError
from symile_data.format.schema import BATCH_NAMES, Modality
from symile_data.format.shards.arrow_numpy import null_mask, numbers, one_chunk
from symile_data.format.shards.pages.files import OpenFiles
from symile_data.format.shards.pages.media import find_media

from .decoders import decoder_for
from .decoders.audio import AudioSettings
from .decoders.base import Decoder, Layout, MediaInFile, StoredMedia, UndecodableError, layout_of
from .labels import Label, as_int64, check_no_nulls, label_of, label_values
from .mixing import Mix
from .split import Split

Array = npt.NDArray[Any]
BoolArray = npt.NDArray[np.bool_]
IntArray = npt.NDArray[np.int64]

_MASK, _PADDING, _ID, _SOURCE = BATCH_NAMES
_CLASS = "cls_id"


@dataclass(frozen=True, kw_only=True)
class ModalityReader:
    """How one modality of a split is read.

    Args:
        modality: The modality as the split describes it.
        decoder: Decodes its values.
        settings: The decoder's settings.
        layout: Shape and dtypes of one decoded value.
        rate: Share of its values that are taken away at load, from 0 to 1.
        misaligned: Share of its values that are replaced by those of other rows at load, from 0 to 1.
    """

    modality: Modality
    decoder: Decoder
    settings: Any
    layout: Layout
    rate: float
    misaligned: float = 0.0

    @property
    def name(self) -> str:
        """The modality's name, which is its key in a batch."""
        return self.modality.name

    @property
    def column(self) -> str:
        """The column that holds the raw values."""
        return self.decoder.column(self.modality)

    @property
    def empty(self) -> int | None:
        """What stands in a batch for a value that is missing."""
        return None if self.layout.dtype == object else 0


@dataclass(frozen=True, kw_only=True)
class BatchSpec:
    """Everything that decides the contents of a sample, apart from what changes with the epoch.

    Args:
        split: The rows.
        seed: Seed of the simulated missingness.
        readers: One for each modality, in the order of `split.modalities`.
        labels: Columns that are delivered as they are.
        donors_differ_in: Column in which a row and the donor of a misaligned value differ; "" for none.
    """

    split: Split
    seed: int
    readers: tuple[ModalityReader, ...]
    labels: tuple[Label, ...]
    donors_differ_in: str = ""

    def allocate(self, rows: int) -> dict[str, Array]:
        """Make a batch to be filled: nothing is missing, and values and labels may be anything."""
        batch: dict[str, Array] = {
            reader.name: np.empty((rows, *reader.layout.shape), dtype=reader.layout.dtype) for reader in self.readers
        }
        batch[_MASK] = np.zeros((rows, len(self.readers)), dtype=bool)
        batch[_PADDING] = np.zeros(rows, dtype=bool)
        batch[_ID] = np.zeros(rows, dtype=np.int64)
        for label in self.labels:
            batch[label.name] = np.empty((rows, *label.shape), dtype=label.dtype)
        return batch

    def light_columns(self) -> list[str]:
        """List the columns that hold no modality: masks, ids and labels."""
        names = self.split.schema.names
        masks = [reader.modality.mask for reader in self.readers if reader.modality.mask in names]
        return list(dict.fromkeys([*masks, *([_ID] if _ID in names else []), *(label.name for label in self.labels)]))

    def read_columns(self) -> list[str]:
        """List all columns that a batch needs, each once."""
        return list(dict.fromkeys([*self.light_columns(), *(reader.column for reader in self.readers)]))

    def sample_ids(self, table: pa.Table, first_row: int) -> IntArray:
        """Return the (rows,) ids of consecutive rows; without an id column, their numbers in the split.

        Raises:
            DamageError: an id is null, or does not fit into int64.
        """
        if _ID not in table.column_names:
            return np.arange(first_row, first_row + len(table), dtype=np.int64)
        column = table[_ID]
        check_no_nulls(self.split, _ID, column, first_row)
        return numbers(as_int64(self.split, _ID, column, first_row))

    def stored_missing(self, table: pa.Table, first_row: int) -> BoolArray:
        """Return (rows, M): what the shards lack, by mask column, and by null where `table` has the values.

        Raises:
            DamageError: a mask is null.
        """
        missing = np.zeros((len(table), len(self.readers)), dtype=bool)
        for index, reader in enumerate(self.readers):
            mask = reader.modality.mask
            if mask in table.column_names:
                check_no_nulls(self.split, mask, table[mask], first_row)
                missing[:, index] |= numbers(table[mask])
            if reader.column in table.column_names:
                missing[:, index] |= null_mask(table[reader.column])
        return missing

    def simulated_missing(self, sample_ids: IntArray) -> BoolArray:
        """Return (rows, M): the modalities that are taken away at load."""
        columns = [
            missingness.missing(self.seed, sample_ids, reader.name, reader.rate, "load") for reader in self.readers
        ]
        return np.stack(columns, axis=1) if columns else np.zeros((len(sample_ids), 0), dtype=bool)


def make_batch_spec(
    split: Split,
    *,
    seed: int,
    transforms: Mapping[str, Any],
    columns: Sequence[str],
    rates: Mapping[str, float],
    misaligned: Mapping[str, float],
    donors_differ_in: str = "",
    own_length: str | None = None,
) -> BatchSpec:
    """Check the arguments of a loader against its split; `own_length` names the audio that is padded batch by batch.

    Raises:
        UsageError: an unknown modality, column or setting.
    """
    names = [modality.name for modality in split.modalities]
    for what, given in (("transforms", transforms), ("missingness", rates)):
        unknown = [name for name in given if name not in names]
        if unknown:
            raise UsageError(
                f"{what} names no modality of this split", got=unknown[0], do=f"choose among {', '.join(names)}"
            )
    missingness.check_rates(rates)
    readers = []
    for modality in split.modalities:
        asked = transforms.get(modality.name)
        if modality.name == own_length and asked is None:
            asked = AudioSettings(seconds=None)
        decoder, settings = decoder_for(modality.name, modality.kind, asked)
        column = decoder.column(modality)
        if column not in split.columns:
            raise UsageError(f"modality {modality.name} lacks a column", where=split.location, got=f"no {column}")
        fixed = replace(settings, seconds=1.0) if modality.name == own_length else settings
        layout = decoder.layout(fixed, split.schema.field(column).type)
        if modality.name == own_length:
            layout = layout_of((), object)
        readers.append(
            ModalityReader(
                modality=modality,
                decoder=decoder,
                settings=settings,
                layout=layout,
                rate=rates.get(modality.name, 0.0),
                misaligned=misaligned.get(modality.name, 0.0),
            )
        )
    wanted = [*([_CLASS] if _CLASS in split.columns else []), *columns]
    own = {_MASK, _PADDING, _ID, *([] if own_length is None else [f"{own_length}_length"])}
    own |= {_SOURCE} if isinstance(split, Mix) else set()
    if taken := sorted(own & set(names)):
        raise UsageError(
            "a batch has an entry of its own of the name of this modality",
            where=split.location,
            got=taken[0],
            do="leave it out of `modalities`, or write the dataset with another name",
        )
    labels = [label_of(split, name) for name in dict.fromkeys(wanted) if name != _ID]
    clash = [label.name for label in labels if label.name in {*names, *own}]
    if clash:
        raise UsageError("this name is taken in a batch", got=clash[0], do="leave it out of `columns`")
    return BatchSpec(
        split=split, seed=seed, readers=tuple(readers), labels=tuple(labels), donors_differ_in=donors_differ_in
    )


@dataclass(frozen=True)
class Group:
    """One row group, ready to be decoded row by row.

    Args:
        first_row: Number of its first row in the split.
        sample_ids: (rows,) int64.
        missing: (rows, M), stored or simulated.
        values: By modality, the raw values of the rows, a list or an array.
        labels: (rows, ...) values, by label column.
        bytes: Size of the columns, inflated.
    """

    first_row: int
    sample_ids: IntArray
    missing: BoolArray
    values: Mapping[str, Any]
    labels: Mapping[str, Array]
    bytes: int

    @cached_property
    def lacks(self) -> list[bool]:
        """By the index of a modality, whether any value is missing."""
        return [bool(column.any()) for column in self.missing.T]

    @property
    def content(self) -> int:
        """Bytes of the values alone, which are the same in every format."""
        return sum(_content(values) for values in self.values.values())


def _content(values: Any) -> int:
    if isinstance(values, np.ndarray) and values.dtype.kind == "O":
        return sum(len(text.encode()) for text in values if text is not None)
    return int(values.nbytes)


def read_group(spec: BatchSpec, index: int, files: OpenFiles, *, checksums: bool = True) -> Group:
    """Read the columns of one row group that a batch needs.

    Args:
        spec: The contents of a sample.
        index: The row group.
        files: Keeps open the files of images and audio that are read when they are decoded.
        checksums: Whether the checksums of these are verified.

    Raises:
        DamageError: the row group cannot be read.
    """
    media = [reader.column for reader in spec.readers if reader.decoder.values is StoredMedia]
    stored = find_media(*spec.split.shard_of(index), media, files, checksums=checksums)
    others = [reader.column for reader in spec.readers if reader.column not in stored]
    table = spec.split.read(list(dict.fromkeys([*spec.light_columns(), *others])), index)
    first_row = int(spec.split.group_starts[index])
    sample_ids = spec.sample_ids(table, first_row)
    missing = spec.stored_missing(table, first_row) | spec.simulated_missing(sample_ids)
    values: dict[str, Any] = {}
    for position, reader in enumerate(spec.readers):
        if (found := stored.get(reader.column)) is not None:
            missing[:, position] |= found.null
            values[reader.name] = MediaInFile(found)
        else:
            values[reader.name] = reader.decoder.values(one_chunk(table[reader.column]))
    return Group(
        first_row=first_row,
        sample_ids=sample_ids,
        missing=missing,
        values=values,
        labels={label.name: label_values(spec.split, label, table, missing, first_row) for label in spec.labels},
        bytes=table.nbytes + sum(found.size for found in stored.values()),
    )


@dataclass
class DecodeErrors:
    """The values that could not be decoded and were passed over.

    Args:
        skip: Whether they are passed over; otherwise the first one raises.
        count: How many there were so far.
        examples: Sentences about the first ten.
    """

    skip: bool
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def meet(self, spec: BatchSpec, reader: ModalityReader, row: int, error: UndecodableError) -> None:
        """Record one value that cannot be decoded.

        Raises:
            DamageError: such values are not to be skipped.
        """
        problem = DamageError(
            f"column {reader.column} cannot be decoded",
            where=spec.split.place(row),
            got=error,
            do="fetch or build the shard again, or pass on_error='skip'",
        )
        if not self.skip:
            raise problem from None
        self.count += 1
        if len(self.examples) < _EXAMPLES:
            self.examples.append(str(problem))


_EXAMPLES = 10


def runs(groups: IntArray) -> Iterator[tuple[int, int, int]]:
    """Yield the runs of equal values as (value, start, stop).

    >>> list(runs(np.array([4, 4, 2])))
    [(4, 0, 2), (2, 2, 3)]
    """
    edges = np.flatnonzero(np.diff(groups)) + 1
    for start, stop in pairwise([0, *edges.tolist(), len(groups)]):
        yield int(groups[start]), start, stop


def keep_rows(batch: dict[str, Array], rows: IntArray) -> dict[str, Array]:
    """Select some rows of a batch."""
    return {name: values[rows] for name, values in batch.items()}
