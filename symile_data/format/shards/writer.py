"""Write one shard, deterministically and atomically: as Parquet with the settings that suit media, or as a WebDataset
tar (`tar`).

In Parquet, embedded media (JPEG, PNG, FLAC) are stored uncompressed and without dictionaries, since they do not shrink;
everything else is compressed with zstd. Signals (lists of int16) are stored as differences (DELTA_BINARY_PACKED), which
takes two thirds of the space. Row groups are small, so that streaming readers start fast and a loader can read a whole
group at a time. Every page has a checksum, and so has the footer (`symile_data.format.shards.seal`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import OutputError, UsageError
from symile_data.files import atomic_path
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import FORMATS

from .seal import seal_footer
from .tar_writer import write_tar

ROWS_PER_GROUP = 50


def shard_path(split: str, index: int, count: int, shard_format: str = "parquet") -> str:
    """Return the path of a shard relative to the dataset; its suffix tells `write_shard` the format.

    >>> shard_path("train", 0, 12), shard_path("test", 0, 1, "webdataset")
    ('data/train-00000-of-00012.parquet', 'data/test-00000-of-00001.tar')

    Raises:
        UsageError: the split's name, which may be that of a dataset from elsewhere, is none of a file.
    """
    if not split.isidentifier():
        raise UsageError("a split's name is letters, digits and _", got=repr(split))
    return f"data/{split}-{index:05d}-of-{count:05d}{FORMATS[shard_format]}"


def shard_ranges(rows: int, rows_per_shard: int) -> list[tuple[int, int]]:
    """Return the row ranges [start, stop) of a split's shards, of equal size except for rounding.

    >>> shard_ranges(5, 2)
    [(0, 1), (1, 3), (3, 5)]
    """
    count = -(-rows // rows_per_shard)
    edges = [rows * index // count for index in range(count + 1)] if count else []
    return list(itertools.pairwise(edges))


def write_shard(path: Path, schema: DatasetSchema, batches: Iterator[pa.RecordBatch]) -> int:
    """Write record batches, each as one row group.

    Args:
        path: Path as `shard_path` returns it. A file that ends in .tar is a tar; any other is Parquet.
        schema: Columns and modalities of the rows.
        batches: Record batches with the columns of `schema.arrow`. None may be empty, since an empty row group makes
            `datasets` fail.

    Returns:
        The number of rows written.

    Raises:
        OutputError: there are no rows to write, or the disk refuses.
    """
    with atomic_path(path) as temporary:
        if path.suffix == FORMATS["webdataset"]:
            with temporary.open("wb") as file:
                rows = write_tar(file, schema, batches)
        else:
            rows = 0
            with _parquet_writer(temporary, schema.arrow) as writer:
                for batch in batches:
                    writer.write_batch(batch, row_group_size=max(len(batch), 1))
                    rows += len(batch)
            seal_footer(temporary)
        if rows == 0:
            raise OutputError("a shard would be empty", where=path, do="ask for at least one row in each split")
    return rows


def _parquet_writer(path: Path, schema: pa.Schema) -> pq.ParquetWriter:
    return pq.ParquetWriter(
        path,
        schema,
        compression=_compression(schema),
        use_dictionary=_dictionary_columns(schema),
        column_encoding=_encoding(schema),
        write_page_checksum=True,
        write_statistics=[name for name in ("sample_id", "subject_id", "hadm_id") if name in schema.names],
    )


def _compression(schema: pa.Schema) -> dict[str, str]:
    return {leaf: "none" if leaf.endswith(".bytes") else "zstd" for leaf, _ in _leaves(schema)}


def _dictionary_columns(schema: pa.Schema) -> list[str]:
    return [leaf for leaf, kind in _leaves(schema) if pa.types.is_string(kind)]


def _encoding(schema: pa.Schema) -> dict[str, str] | None:
    signals = [leaf for leaf, kind in _leaves(schema) if leaf.endswith(".list.element") and pa.types.is_int16(kind)]
    return dict.fromkeys(signals, "DELTA_BINARY_PACKED") or None


def _leaves(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for column in schema:
        yield from _field_leaves(column.name, column.type)


def _field_leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    if pa.types.is_struct(kind):
        for child in kind:
            yield from _field_leaves(f"{path}.{child.name}", child.type)
    elif pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind) or pa.types.is_large_list(kind):
        yield from _field_leaves(f"{path}.list.element", kind.value_type)
    else:
        yield path, kind
