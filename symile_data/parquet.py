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

MOST_INFLATION = 1000  # bytes in memory for each byte of the file ...
ALWAYS_ALLOWED_BYTES = 1 << 28  # ... beyond this
_BATCH_ROWS = 256


def read_parquet(path: Path) -> pa.Table:
    """A whole file, read piece by piece so that one that inflates without end is left in time.

    Nothing is asked of the footer's column chunks: pyarrow ends the process, instead of raising, where some of their
    numbers are wrong.

    Raises:
        DamageError: no readable Parquet file, or a bomb.
    """
    most = max(ALWAYS_ALLOWED_BYTES, MOST_INFLATION * path.stat().st_size)
    batches, size = [], 0
    try:
        with pq.ParquetFile(path, page_checksum_verification=True) as file:
            for batch in file.iter_batches(_BATCH_ROWS, use_threads=False):
                batch.validate(full=True)
                batches.append(batch)
                size += batch.nbytes
                if size > most:
                    raise ValueError(f"it inflates beyond {most} bytes")
            return pa.Table.from_batches(batches, schema=file.schema_arrow)
    except PARQUET_ERRORS as error:
        raise unreadable(path, error) from None


def unreadable(path: Path, error: Exception) -> DamageError:
    """The error for a file that pyarrow cannot read."""
    return DamageError(
        "a shard is truncated or no Parquet file",
        where=path,
        got=" ".join(str(error).split())[:200] or type(error).__name__,
        do="fetch it again, or build the dataset again",
    )
