"""Checks that opening a shard makes in every format."""

from __future__ import annotations

from symile_data.errors import DamageError
from symile_data.files import RefusedError
from symile_data.format.location import Location
from symile_data.progress.amounts import counted


class ChecksumError(OSError):
    """Bytes of a shard do not match their checksum."""


class ReplacedError(OSError):
    """A shard was replaced, cut or written while it was open."""


AGAIN = "fetch it again, or build the dataset again"

MOST_INFLATION = 1000  # bytes in memory for each byte of a file ...
ALWAYS_ALLOWED_BYTES = 1 << 28  # ... beyond this


def most_bytes(size: int) -> int:
    """Return the largest memory, in bytes, that `size` bytes of a file may expand to."""
    return max(ALWAYS_ALLOWED_BYTES, MOST_INFLATION * size)


def check_size(location: Location, name: str, size: int | None) -> int:
    """Return the size of a shard in bytes.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        size: Size in bytes according to the manifest.

    Raises:
        DamageError: the shard is missing or has another size.
    """
    try:
        actual = location.size(name)
    except OSError as error:
        raise unreadable(location, name, error, "") from None
    if size is not None and actual != size:
        raise DamageError(
            "a shard was truncated or replaced",
            where=location.where(name),
            got=f"{counted(actual, 'byte')}, the manifest says {size:,}",
            do=AGAIN,
        )
    return actual


def check_rows(location: Location, name: str, found: int, rows: int | None) -> None:
    """Compare a shard's rows with the manifest's.

    Raises:
        DamageError: they differ.
    """
    if rows is not None and found != rows:
        raise DamageError(
            "a shard has another number of rows than the manifest says",
            where=location.where(name),
            got=f"{counted(found, 'row')}, the manifest says {rows:,}",
            do=AGAIN,
        )


def check_footer(location: Location, name: str, found: str, footer: str | None) -> None:
    """Compare the digest of a shard's footer with the manifest's: another shard may have its size and rows.

    Raises:
        DamageError: they differ.
    """
    if footer not in (None, found):
        raise DamageError(
            "a shard was replaced by another one, or damaged",
            where=location.where(name),
            got="a footer that is not the one in the manifest",
            do=AGAIN,
        )


def unreadable(location: Location, name: str, error: Exception, kind: str) -> DamageError:
    """Return the error for a shard that cannot be read.

    Args:
        location: The dataset's directory.
        name: Path relative to it.
        error: The error that reading raised.
        kind: "Parquet file" or "tar shard of ours"; empty if only the presence of the file was checked.
    """
    if isinstance(error, FileNotFoundError):
        return DamageError("a shard is missing", where=location.where(name), do=AGAIN)
    what = f"a shard is truncated or no {kind}" if kind else "a shard cannot be read"
    if isinstance(error, ChecksumError):
        what = "a shard was damaged or edited"
    elif isinstance(error, ReplacedError):
        what = "a shard was replaced or written while it was read"
    elif isinstance(error, RefusedError) or getattr(error, "errno", None) is not None:  # the disk, or the way there
        what = "a shard cannot be read"
    return DamageError(
        what, where=location.where(name), got=" ".join(str(error).split())[:200] or type(error).__name__, do=AGAIN
    )
