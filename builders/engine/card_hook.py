"""The function that writes a dataset's card: builders call it, and the caller of a builder provides it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema

# (directory, manifest that lists the shards, schema) -> paths of the files written beside the shards.
CardWriter = Callable[[Path, Manifest, DatasetSchema], list[Path]]


def no_card(_directory: Path, _manifest: Manifest, _schema: DatasetSchema) -> list[Path]:
    """Write nothing beside the shards."""
    return []
