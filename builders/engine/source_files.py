"""Source files that tasks generate, such as the sample images.

A task packs its files into one chunk, an artifact like any other. Only the process of the build unpacks chunks into
files, so a worker that dies, or that was presumed dead, never touches a file that others read.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from symile_data.files import write_unsynced

from .build_dir import Artifact, BuildDir
from .media_store import read_chunk, write_chunk


def pack_files(path: Path, files: Iterable[tuple[str, bytes]]) -> dict[str, Any]:
    """Write one chunk of files.

    Args:
        path: Path of the chunk.
        files: Relative paths and contents.

    Returns:
        An empty result for the journal.
    """
    packed = list(files)
    write_chunk(path, [name for name, _ in packed], [data for _, data in packed])
    return {}


def unpack_files(build_dir: BuildDir, artifacts: Sequence[Artifact], root: Path) -> None:
    """Write the files of all chunks into `root`. An interrupted build writes them again.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    for artifact in artifacts:
        chunk = read_chunk(build_dir.directory / artifact.path)
        for name, data in zip(chunk["medium_id"], chunk["data"], strict=True):
            write_unsynced(root / name.as_py(), data.as_py())
