"""Write the rows of one shard as a WebDataset tar with an index; `symile_data.format.shards.tar_layout` describes it.

Headers carry no time, owner or permissions of the machine, and members lie in a fixed order, so that the same rows give
the same bytes. docs/architecture.md says why webdataset's own TarWriter cannot write these archives.
"""

from __future__ import annotations

import json
import reprlib
import tarfile
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from symile_data.errors import SourceError
from symile_data.format.schema import DatasetSchema

from .tar_layout import (
    ABSENT,
    BLOCK_BYTES,
    END_BYTES,
    INDEX_NAME,
    Checksums,
    Member,
    Sizes,
    array_dtype,
    array_header,
    field_columns,
    members_of,
    pack_index,
)

KEY_COLUMN = "sample_id"


def write_tar(file: BinaryIO, schema: DatasetSchema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write record batches, each as one row group.

    Args:
        file: File to write to, at its start.
        schema: Schema with a column `sample_id` >= 0, from which the keys are made.
        batches: Record batches with the columns of `schema.arrow`.

    Returns:
        The number of rows written.

    Raises:
        SourceError: JSON cannot hold a value (NaN, bytes, times), or there is a null among whole numbers.
    """
    arrow = schema.arrow
    members = members_of(arrow, schema.modalities)
    groups = [_write_group(file, members, batch) for batch in batches]
    _write_member(file, INDEX_NAME, pack_index(arrow, members, groups))
    file.write(bytes(END_BYTES))
    return sum(len(sizes) for sizes, _ in groups)


def _write_group(file: BinaryIO, members: Sequence[Member], batch: pa.RecordBatch) -> tuple[Sizes, Checksums]:
    """Write the rows of a batch, and return the (rows, K) sizes and checksums of their members."""
    sizes = np.full((len(batch), len(members)), ABSENT, dtype=np.int64)
    checksums = np.zeros(sizes.shape, dtype=np.uint32)
    contents = [_ENCODERS[member.kind](batch, members, member) for member in members]
    for row, sample_id in enumerate(batch[KEY_COLUMN].to_pylist()):
        key = f"{sample_id:09d}"
        for kind, (member, values) in enumerate(zip(members, contents, strict=True)):
            data = next(values)
            if data is not None:
                _write_member(file, f"{key}.{member.suffix}", data)
                sizes[row, kind], checksums[row, kind] = len(data), zlib.crc32(data)
    return sizes, checksums


def _write_member(file: BinaryIO, name: str, data: bytes) -> None:
    header = tarfile.TarInfo(name)  # the defaults: a plain file of mode 644, owner 0, time 0
    header.size = len(data)
    file.write(header.tobuf(format=tarfile.USTAR_FORMAT))
    file.write(data)
    file.write(bytes(-len(data) % BLOCK_BYTES))


def _fields(batch: pa.RecordBatch, members: Sequence[Member], _: Member) -> Iterator[bytes | None]:
    rows = batch.select(field_columns(batch.schema, members)).to_pylist()
    for row, sample_id in zip(rows, batch[KEY_COLUMN].to_pylist(), strict=True):
        try:
            yield _json(row)
        except (TypeError, ValueError):
            raise next(_unfit(name, sample_id, value) for name, value in row.items() if not _fits_json(value)) from None


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False).encode("utf-8")


def _fits_json(value: object) -> bool:
    try:
        return bool(_json(value))
    except (TypeError, ValueError):
        return False


def _unfit(column: str, sample_id: int, value: object) -> SourceError:
    return SourceError(
        f"the JSON of a tar cannot hold a value of column {column}",
        where=f"sample_id {sample_id}",
        got=reprlib.repr(value),
        do="write Parquet, or store the column as text or numbers that are finite",
    )


def _media(batch: pa.RecordBatch, _: Sequence[Member], member: Member) -> Iterator[bytes | None]:
    column = batch[member.column]
    struct = pa.types.is_struct(column.type)
    for value in column:
        yield None if not value.is_valid else value["bytes"].as_py() if struct else value.as_py()


def _text(batch: pa.RecordBatch, _: Sequence[Member], member: Member) -> Iterator[bytes | None]:
    for value in batch[member.column].to_pylist():
        yield None if value is None else value.encode("utf-8")


def _array(batch: pa.RecordBatch, _: Sequence[Member], member: Member) -> Iterator[bytes | None]:
    """Yield each row of numbers as a .npy file; a null among floats becomes NaN."""
    column = batch[member.column]
    header, dtype = array_header(column.type), array_dtype(column.type)
    for value, sample_id in zip(column, batch[KEY_COLUMN].to_pylist(), strict=True):
        numbers = value.values.to_numpy(zero_copy_only=False) if value.is_valid else None
        if numbers is not None and dtype.kind != "f" and value.values.null_count:
            raise SourceError(
                f"a null among the whole numbers of column {member.column} has no place in a tar",
                where=f"sample_id {sample_id}",
                do="write Parquet, or declare the column as floats",
            )
        yield None if numbers is None else header + numbers.astype(dtype, copy=False).tobytes()


_ENCODERS: Mapping[str, Callable[[pa.RecordBatch, Sequence[Member], Member], Iterator[bytes | None]]] = {
    "fields": _fields,
    "media": _media,
    "text": _text,
    "array": _array,
}
