"""The `path` of stored media, from which readers take the type of a file; for invariants."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc


def has_paths(spec: Mapping[str, Any]) -> bool:
    """Whether the media of a build with these settings have paths: a tar holds none, nor do features made of one."""
    return spec.get("format", "parquet") == "parquet" and "features" not in spec


def path_problems(table: pa.Table, column: str, expected: pa.ChunkedArray) -> Iterator[str]:
    """A clause for the first medium with another path than the build gives it.

    Args:
        table: Rows of a shard, or of a file of a pool.
        column: Of the media.
        expected: Their paths; null where there is no medium.
    """
    media = table[column]
    if not pa.types.is_struct(media.type):
        return
    paths = pc.struct_field(media, "path")
    differs = pc.fill_null(pc.not_equal(paths, expected), True)
    wrong = pc.indices_nonzero(pc.and_(differs, pc.and_(media.is_valid(), expected.is_valid())))
    if len(wrong):
        row = wrong[0].as_py()
        yield f"row {row}: the path of {column} is {paths[row].as_py()!r}, not {expected[row].as_py()!r}"
