"""Read the sizes of a release's files."""

from __future__ import annotations

import stat
from pathlib import Path

from symile_data.errors import SourceError


def file_size(path: Path) -> int | None:
    """Return the bytes of a regular file; None where the path does not exist or is something else.

    Raises:
        SourceError: the file system refuses access.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(
            "the size of a release's file cannot be read",
            where=path,
            got=error.strerror,
            do="check that you may read the folder, and that the disk works",
        ) from None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
