"""Decode the members that webdataset reads from a tar into a batch, as `BatchLoader` decodes a row group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.errors import DamageError
from symile_data.format.shards.arrow_numpy import one_chunk
from symile_data.format.shards.tar_layout import FIELDS, Member, field_columns
from symile_data.format.shards.tar_members import MemberError, column_of, fields_of

from ..batches import BatchSpec, ModalityReader
from ..decoders.base import Array, UndecodableError
from ..discover.columns import as_schema
from ..labels import label_values
from ..loader import Batch, handed_out

_KEY, _URL = "__key__", "__url__"


@dataclass(frozen=True, kw_only=True)
class RawBatch:
    """Makes batches of raw samples; worker processes receive it pickled.

    Args:
        spec: The contents of a sample.
        members: The kinds of members of a row.
        schema: Arrow schema of the rows as the tars store them.
    """

    spec: BatchSpec
    members: tuple[Member, ...]
    schema: pa.Schema

    def __call__(self, samples: Sequence[Mapping[str, Any]]) -> Batch:
        """Decode B raw samples: suffix -> bytes, with `__key__` and `__url__`.

        Raises:
            DamageError: a member cannot be read or decoded; the message names the tar and the key.
        """
        spec = self.spec
        try:
            table = self._table(samples)
            ids = spec.sample_ids(table, 0)
            missing = spec.stored_missing(table, 0)
            arrays = spec.allocate(len(samples))
            arrays |= {label.name: label_values(spec.split, label, table, missing, 0) for label in spec.labels}
        except MemberError as error:
            raise _damaged(samples[error.row], error.problem) from None
        except (DamageError, ValueError) as error:
            got = f"{error.what} ({error.got})" if isinstance(error, DamageError) else str(error)
            raise _damaged(samples[0], f"{got}, in this row or one of the {len(samples) - 1} after it") from None
        arrays |= {"sample_id": ids, "missing": missing}
        for position, reader in enumerate(spec.readers):
            values = reader.decoder.values(one_chunk(table[reader.column]))
            arrays[reader.name][missing[:, position]] = reader.empty
            present = np.flatnonzero(~missing[:, position])
            _decode(reader, values, present, arrays[reader.name], samples)
        return {name: handed_out(values) for name, values in arrays.items()}

    def _table(self, samples: Sequence[Mapping[str, Any]]) -> pa.Table:
        """Return the columns that a batch needs.

        Raises:
            MemberError, ValueError, DamageError: a member is no value of its column's type.
        """
        columns = self.spec.read_columns()
        fields = [name for name in field_columns(self.schema, self.members) if name in columns]
        found = fields_of(_payloads(samples, FIELDS), self.schema, fields)
        for member in self.members:
            if member.column in columns:
                payloads = _payloads(samples, member.suffix)
                found[member.column] = column_of(payloads, member.kind, self.schema.field(member.column).type)
        table = pa.table([found[name] for name in columns], names=columns)
        return as_schema(table, self.spec.split.schema, columns, self.spec.split.location)


def _decode(
    reader: ModalityReader, values: Any, present: Array, out: Array, samples: Sequence[Mapping[str, Any]]
) -> None:
    """Decode the values of the rows that have one into `out`.

    Raises:
        DamageError: a value cannot be decoded.
    """
    if reader.decoder.batched:
        out[present] = reader.decoder.decode(values[present], reader.settings)
        return
    for row in present.tolist():
        try:
            out[row] = reader.decoder.decode(values[row], reader.settings)
        except UndecodableError as error:
            raise _damaged(samples[row], f"column {reader.column} cannot be decoded: {error}") from None


def _payloads(samples: Sequence[Mapping[str, Any]], suffix: str) -> list[memoryview | None]:
    """Return the members with a suffix, None where there is none. The library gives suffixes in lower case."""
    members = [sample.get(suffix.lower()) for sample in samples]
    return [None if member is None else memoryview(member) for member in members]


def _damaged(sample: Mapping[str, Any], got: str) -> DamageError:
    return DamageError(
        "a row of a tar cannot be read",
        where=f"{sample.get(_URL)}, {sample.get(_KEY)}",
        got=got,
        do="verify the dataset, and fetch or build it again",
    )
