"""Shards, the files that hold a dataset's rows, and one interface to read them in any format.

`parquet` and `tar` read one format each; `tar_layout` defines which member of a tar holds which column, for reader,
writer and card. Shards are written by `symile_data.format.shards.writer`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry

from .limits import check_footer
from .opened import Trim
from .parquet import open_parquet
from .tar import open_tar

FORMATS: Mapping[str, str] = {"parquet": ".parquet", "webdataset": ".tar"}  # name on the command line -> suffix


class Shard(Protocol):
    """An opened shard whose footer is valid. Any number of threads may read at once."""

    @property
    def name(self) -> str:
        """The path relative to the dataset."""
        ...

    @property
    def group_rows(self) -> tuple[int, ...]:
        """The number of rows in each row group."""
        ...

    @property
    def schema(self) -> pa.Schema:
        """Arrow schema of the rows, including `huggingface` metadata."""
        ...

    @property
    def footer_sha256(self) -> str:
        """SHA-256 (hex) of the bytes that describe the file: schema, sizes and offsets."""
        ...

    @property
    def rows(self) -> int:
        """The number of rows in the shard."""
        ...

    def read(self, group: int, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of one row group, and no others.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        ...

    def read_all(self, columns: Sequence[str]) -> pa.Table:
        """Read the named columns of all rows.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        ...

    @property
    def cached(self) -> bool:
        """Whether the file's bytes go through a cache of remote data."""
        ...

    def prefetch(self, group: int, columns: Sequence[str]) -> None:
        """Bring the bytes of the named columns of one row group into the cache, and decode nothing.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        ...

    def stored_row(self, row: int) -> int:
        """Return the number of a row within the file, for messages: they differ where only some rows are presented."""
        ...

    def column_bytes(self) -> dict[str, int]:
        """Return the stored bytes of each column; a member that several columns share has its own name."""
        ...

    def problems(self) -> Sequence[str]:
        """Return clauses about contradictions within the file, for `symile-data verify`."""
        ...


class StoredShard(Shard, Protocol):
    """A shard as one file has it, whose rows can be made smaller while they are read."""

    def read_all(self, columns: Sequence[str], trim: Trim | None = None) -> pa.Table:
        """Read the named columns of all rows, and trim each batch of them where asked.

        Raises:
            DamageError: the file is missing or cannot be read.
        """
        ...


_OPENERS: Mapping[str, Callable[..., StoredShard]] = {".parquet": open_parquet, ".tar": open_tar}


def is_shard(name: str) -> bool:
    """Tell from a file's name whether it is a shard of a known format.

    >>> is_shard("data/train-00000-of-00001.tar"), is_shard("notes.txt")
    (True, False)
    """
    return Path(name).suffix in _OPENERS


def open_shard(location: Location, name: str, *, size: int | None = None, rows: int | None = None) -> StoredShard:
    """Read a shard's footer.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes according to the manifest.
        rows: Number of rows according to the manifest.

    Raises:
        UsageError: the file's name has no suffix of a known format.
        DamageError: the shard is missing, truncated or damaged, or differs from the manifest.
    """
    opener = _OPENERS.get(Path(name).suffix)
    if opener is None:
        raise UsageError(
            "no shard of a known format", where=location.where(name), do=f"known are {', '.join(_OPENERS)}"
        )
    return opener(location, name, size=size, rows=rows)


def open_listed(location: Location, entry: FileEntry) -> StoredShard:
    """Read the footer of a shard that a manifest lists.

    Raises:
        UsageError: the file's name has no suffix of a known format.
        DamageError: the shard is missing, truncated or damaged, or another one than the manifest lists.
    """
    shard = open_shard(location, entry.path, size=entry.bytes, rows=entry.rows)
    check_footer(location, entry.path, shard.footer_sha256, entry.footer)
    return shard


def check_format(name: str) -> None:
    """Refuse an unknown name of a format.

    Raises:
        UsageError: the name is unknown; the message lists the known ones.
    """
    if name not in FORMATS:
        raise UsageError("unknown `shard_format`", got=repr(name), do=f"choose {' or '.join(FORMATS)}")
