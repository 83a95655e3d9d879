"""Keep the paths that a file names within their directory: refuse `..`, absolute paths and links that lead out.

The cache of huggingface_hub is the one exception: its snapshots are links to its own blobs.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from symile_data.errors import DamageError
from symile_data.files import digest

_PLAIN = re.compile(r"\w[\w.-]*")
_MOST_BYTES = 100  # of a plain name; file systems take 255, and a number and an ending may follow


def is_plain_path(name: str) -> bool:
    r"""Tell whether a path is relative, normalised, printable and free of backslashes.

    >>> [is_plain_path(name) for name in ("data/a.parquet", "../a", "/a", "a/./b", "a\\b", "", "a\x1b")]
    [True, False, False, False, False, False, False]
    """
    path = PurePosixPath(name)
    parts = path.parts
    return (
        bool(parts)
        and name == path.as_posix()
        and name.isprintable()
        and "\\" not in name
        and not path.is_absolute()
        and ".." not in parts
    )


def file_name(name: str) -> str:
    r"""Return a name for a file that belongs to a column or modality: its own, or where that is no plain name of a
    file, some of its letters and digits with a hash.

    >>> file_name("photo"), file_name("../a b")
    ('photo', '_a_b-2c2c791a')
    """
    if _PLAIN.fullmatch(name) and len(name.encode()) <= _MOST_BYTES:
        return name
    letters = re.sub(r"\W+", "_", name)[:20]
    return f"{letters}-{digest(name)[:8]}"


def check_inside(directory: Path, names: Iterable[str]) -> None:
    """Refuse a dataset in which a file is a link to a place outside its directory.

    Raises:
        DamageError: a relative path in `names` leads out of the directory.
    """
    outside = leading_out(directory, names)
    if outside is not None:
        raise DamageError(
            "a link leads out of the dataset's directory", where=directory / outside, do="put the file itself there"
        )


def leading_out(directory: Path, names: Iterable[str]) -> str | None:
    """Return the first relative path that a symbolic link leads out of `directory`, or None.

    A file that does not exist counts as inside.
    """
    root = Path(os.path.realpath(directory))
    by_folder: dict[str, set[str]] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        by_folder.setdefault(folder, set()).add(file)
    for folder, files in sorted(by_folder.items()):
        if not Path(os.path.realpath(root / folder)).is_relative_to(root):
            return folder
        for file in sorted(files & _links(root / folder)):
            target = Path(os.path.realpath(root / folder / file))
            if not target.is_relative_to(root) and not _is_blob(root, target):
                return f"{folder}/{file}".lstrip("/")
    return None


def _links(folder: Path) -> set[str]:
    try:
        with os.scandir(folder) as entries:
            return {entry.name for entry in entries if entry.is_symlink()}
    except OSError:
        return set()


def _is_blob(root: Path, target: Path) -> bool:
    """Tell whether a file is a blob of the same repository in the cache of huggingface_hub."""
    repository = root.parent.parent
    return root.parent.name == "snapshots" and target.parent == repository / "blobs"
