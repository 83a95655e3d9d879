"""How large a release's files are, and whether they are there."""

from __future__ import annotations

import stat
from pathlib import Path

from symile_data.errors import SourceError


def file_size(path: Path) -> int | None:
    """Bytes of a file; None where there is none, or a folder or something else that is no file stands in its place.

    Raises:
        SourceError: the file system refuses to tell.
    """
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise SourceError(
            "a file of the release cannot be looked at",
            where=path,
            got=error.strerror,
            do="check that you may read the folder, and that the disk is well",
        ) from None
    return status.st_size if stat.S_ISREG(status.st_mode) else None
