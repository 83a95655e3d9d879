"""Shards: the files that hold a dataset's rows, read through one interface whatever their format.

`parquet` and `tar` read one format each; `layout` says which member of a tar holds which column, for reader, writer
and card alike. Writing is `symile_data.format.shards.writer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.location import Location

from .parquet import open_parquet
from .tar import open_tar

FORMATS: Mapping[str, str] = {"parquet": ".parquet", "webdataset": ".tar"}  # name on the command line -> suffix


class Shard(Protocol):
    """A shard that was opened once, so that its footer is known to be whole. Reads may run in any number of threads."""

    @property
    def name(self) -> str:
        """Its path relative to the dataset."""

    @property
    def group_rows(self) -> tuple[int, ...]:
        """Rows in each of its row groups."""

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of its rows, `huggingface` metadata included."""

    @property
    def footer_sha256(self) -> str:
        """Of the bytes that describe everything in the file: schema, sizes, places."""

    @property
    def rows(self) -> int:
        """Rows in the shard."""

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """The named columns of one row group; no others are read.

        Raises:
            DamageError: the file is gone or cannot be read.
        """

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """The named columns of all rows.

        Raises:
            DamageError: the file is gone or cannot be read.
        """

    def column_bytes(self) -> dict[str, int]:
        """Stored bytes by column; for what several columns share, by its name."""

    def problems(self) -> Sequence[str]:
        """What contradicts itself within the file, in clauses; for `symile-data verify`."""


_OPENERS: Mapping[str, Callable[..., Shard]] = {".parquet": open_parquet, ".tar": open_tar}


def is_shard(name: str) -> bool:
    """Whether a file's name is that of a shard that can be read.

    >>> is_shard("data/train-00000-of-00001.tar"), is_shard("notes.txt")
    (True, False)
    """
    return Path(name).suffix in _OPENERS


def open_shard(location: Location, name: str, *, size: int | None = None, rows: int | None = None) -> Shard:
    """Read a shard's footer.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Bytes that the manifest says the file has.
        rows: Rows that the manifest says it has.

    Raises:
        UsageError: a file of another kind.
        DamageError: missing, truncated, damaged, or other than the manifest says.
    """
    opener = _OPENERS.get(Path(name).suffix)
    if opener is None:
        raise UsageError(
            "no shard of a known format", where=location.where(name), do=f"known are {', '.join(_OPENERS)}"
        )
    return opener(location, name, size=size, rows=rows)


def check_format(name: str) -> None:
    """Refuse an unknown name of a format.

    Raises:
        UsageError: with those that exist.
    """
    if name not in FORMATS:
        raise UsageError("unknown --format", got=repr(name), do=f"choose {' or '.join(FORMATS)}")
