"""Make a folder of a cache directory once, whole or not at all, however many processes ask for it."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from symile_data.files import write_errors

from ..batches import Array

_CHUNK_BYTES = 1 << 20
_YOUNG_S = 60.0  # an unfinished folder younger than this is never taken for a dead process's


def made_once(directory: Path, name: str, fill: Callable[[Path], None]) -> tuple[Path, bool]:
    """Return the folder of this name, filled now unless it exists.

    Two processes may fill it at the same time: the first to finish gives the folder its name, and the other uses it.
    Unfinished folders of killed processes are removed.

    Args:
        directory: Directory that holds the folder; made if it does not exist.
        name: Name of the folder.
        fill: Writes the contents into a folder of another name.

    Returns:
        The folder, and whether this call filled it.

    Raises:
        OutputError: the directory cannot be written.
    """
    folder = directory / name
    if folder.is_dir():
        return folder, False
    with write_errors(directory):
        directory.mkdir(parents=True, exist_ok=True)
        _sweep(directory, f".{name}.")
        # Not by tempfile, whose folders no other user of a shared cache could read.
        unfinished = directory / f".{name}.{secrets.token_hex(8)}"
        unfinished.mkdir()
        owned = _lock(unfinished)
        try:
            fill(unfinished)
            _publish(unfinished, folder)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)
            os.close(owned)
    return folder, True


def mapped(path: Path, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Array:
    """Make a memory-mapped .npy file and reserve its space: a full disk would otherwise kill the process later.

    Raises:
        OSError: the disk has too little space.
    """
    array: Array = np.lib.format.open_memmap(path, mode="w+", dtype=dtype, shape=shape)
    with path.open("r+b") as file:
        _reserve(file)
    return array


def _reserve(file: BinaryIO) -> None:
    """Reserve the space of a file's empty parts. macOS has no call for it; there its zeros are written out."""
    size = os.fstat(file.fileno()).st_size
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(file.fileno(), 0, size)
        return
    for start in range(0, size, _CHUNK_BYTES):
        file.seek(start)
        chunk = file.read(_CHUNK_BYTES)
        file.seek(start)
        file.write(chunk)


def _lock(folder: Path) -> int:
    """Lock a folder until the returned descriptor is closed or the process ends.

    Raises:
        BlockingIOError: another process holds the lock.
    """
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        raise
    return descriptor


def _sweep(directory: Path, prefix: str) -> None:
    """Remove unfinished folders whose processes were killed. Young ones stay: their lock may be about to be taken."""
    for folder in directory.glob(f"{prefix}*"):
        try:
            if time.time() - folder.stat().st_mtime < _YOUNG_S:
                continue
            owned = _lock(folder)
        except OSError:  # it is another process's, or just gone
            continue
        shutil.rmtree(folder, ignore_errors=True)
        os.close(owned)


def _publish(unfinished: Path, folder: Path) -> None:
    """Give a folder its final name, unless another process was first."""
    try:
        unfinished.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
