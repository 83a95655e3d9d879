"""Find files in a dataset's directory that its manifest does not list."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator
from pathlib import Path

from symile_data.files import sorted_entries
from symile_data.format import manifest as manifests

# Only these may lie beside the listed files; the last two come with a download from the Hugging Face Hub.
_FILES = (manifests.FILE_NAME, ".gitattributes")
_FOLDER = ".cache/huggingface"

_NOT_LISTED = "not in the manifest; remove it or build the dataset again"


def unlisted_problems(
    directory: Path, listed: set[str], folder: str = "", *, known: Collection[str] = ()
) -> Iterator[str]:
    """Yield a sentence for each entry that the manifest does not list, in the order of paths. No link is followed.

    Args:
        directory: Directory of the dataset.
        listed: Paths of the manifest's files, which other checks examine.
        folder: The folder to search, relative to the directory.
        known: Folders below it that are passed over, relative to the directory.
    """
    try:
        entries = sorted_entries(directory / folder)
    except OSError as error:
        yield f"{folder or directory}: cannot be listed ({error.strerror})"
        return
    if not entries and folder:
        yield f"{folder}: an empty directory, {_NOT_LISTED}"
    for entry in entries:
        name = f"{folder}/{entry.name}" if folder else entry.name
        if name in listed:
            continue
        kind = kind_of(Path(entry.path))
        if kind == "a directory":
            if name != _FOLDER and name not in known:
                yield from unlisted_problems(directory, listed, name, known=known)
        elif kind != "a file":
            yield f"{name}: {kind}, {_NOT_LISTED}"
        elif name not in _FILES:
            yield f"{name}: {_NOT_LISTED}"


def kind_of(path: Path) -> str:
    """Return a noun for what is at a path: "a file", also for a link to one, or the name of something else.

    >>> kind_of(Path("/dev/null")), kind_of(Path("/no/such/file"))
    ('a device', 'nothing')
    """
    try:
        mode = os.lstat(path).st_mode
    except OSError:
        return "nothing"
    if not stat.S_ISLNK(mode):
        return _noun(mode)
    try:
        target = _noun(path.stat().st_mode)
    except OSError:
        return "a link that leads nowhere"
    return target if target == "a file" else f"a link to {target}"


def _noun(mode: int) -> str:
    return next((noun for is_one, noun in _KINDS if is_one(mode)), "a device")


_KINDS = (
    (stat.S_ISREG, "a file"),
    (stat.S_ISDIR, "a directory"),
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
)
