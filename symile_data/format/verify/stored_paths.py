"""Check the `path` of stored media, from which readers take the type of a file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.shards.arrow_numpy import true


def has_paths(spec: Mapping[str, Any]) -> bool:
    """Tell whether media of a build with these settings have paths: tars hold none, and features have none."""
    return spec.get("format", "parquet") == "parquet" and "features" not in spec


def path_problems(table: pa.Table, column: str, expected: pa.ChunkedArray) -> Iterator[str]:
    """Yield a clause about the first image or audio whose path differs from that of the build.

    Args:
        table: Rows of a shard or of a media table.
        column: The column of images or audio.
        expected: The paths that the build gives; null where the modality is missing.
    """
    media = table[column]
    if not pa.types.is_struct(media.type):
        return
    paths = pc.struct_field(media, "path")
    stored = true(media.is_valid()) & true(expected.is_valid())
    wrong = np.flatnonzero(stored & ~true(pc.equal(paths, expected)))
    if len(wrong):
        row = int(wrong[0])
        yield f"row {row}: the path of {column} is {paths[row].as_py()!r}, not {expected[row].as_py()!r}"
