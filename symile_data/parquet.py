"""Read Parquet files that anybody may have written: whatever is wrong with one is a `DamageError`, and one that claims
to hold far more than its size is not read.
"""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from symile_data.errors import DamageError

# What pyarrow raises for damaged files; names that are no UTF-8 and counts that do not fit come as ValueError and
# OverflowError.
PARQUET_ERRORS = (pa.ArrowException, OSError, ValueError, OverflowError, MemoryError)

MOST_INFLATION = 1000  # claimed bytes for each byte of the file ...
ALWAYS_ALLOWED_BYTES = 1 << 28  # ... beyond this


def read_parquet(path: Path) -> pa.Table:
    """A whole file.

    Raises:
        DamageError: no readable Parquet file, or a bomb.
    """
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            check_claims(file.metadata, path)
            table = file.read(use_threads=False)
            table.validate(full=True)
            return table
    except PARQUET_ERRORS as error:
        raise unreadable(path, error) from None


def check_claims(metadata: pq.FileMetaData, path: Path) -> None:
    """Refuse a footer whose numbers cannot be true.

    Raises:
        DamageError: negative counts, or columns that would inflate beyond `MOST_INFLATION`.
    """
    claimed = 0
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        sizes = [group.column(column).total_uncompressed_size for column in range(group.num_columns)]
        if min(group.num_rows, *sizes, 0) < 0:
            raise unreadable(path, ValueError("a negative count in its footer"))
        claimed += sum(sizes)
    if claimed > max(ALWAYS_ALLOWED_BYTES, MOST_INFLATION * path.stat().st_size):
        raise unreadable(path, ValueError(f"{path.stat().st_size} bytes that claim to hold {claimed}"))


def unreadable(path: Path, error: Exception) -> DamageError:
    """The error for a file that pyarrow cannot read."""
    return DamageError(
        "a shard is truncated or no Parquet file",
        where=path,
        got=" ".join(str(error).split())[:200] or type(error).__name__,
        do="fetch it again, or build the dataset again",
    )
