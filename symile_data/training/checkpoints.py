"""Files of weights: written whole or not at all, read without executing anything, and checked before they are used.

A file of weights is untrusted. Reading one never runs code from it (`weights_only`), and its contents are checked, so
that a damaged or foreign file gives a clear error.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor

from symile_data.errors import DamageError
from symile_data.files import atomic_path

KEPT = "it goes on from the last checkpoint"  # the clause of `write_errors` for a training

State = Mapping[str, Tensor]


class CheckpointFiles(TorchCheckpointIO):
    """Let Lightning write and read checkpoints through `save_file` and `load_file`."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Write a checkpoint before returning, whole or not at all."""
        save_file(checkpoint, Path(path))

    def load_checkpoint(self, path: Any, map_location: Any = None, weights_only: bool | None = None) -> dict[str, Any]:
        """Read a checkpoint of tensors and plain values onto the CPU, whatever the other arguments ask for."""
        return load_file(Path(path))


def save_file(value: Any, path: Path) -> None:
    """Write a file of weights for `load_file`.

    Raises:
        OutputError: the disk is full, read-only or failing.
    """
    buffer = io.BytesIO()  # torch's own error does not say that the disk is full
    torch.save(value, buffer)
    with atomic_path(path, KEPT) as temporary, temporary.open("wb") as file:
        file.write(buffer.getbuffer())


def load_file(path: Path, do: str = "remove it") -> dict[str, Any]:
    """Read a file of weights.

    Args:
        path: The file.
        do: What to do about a damaged one.

    Raises:
        DamageError: the file cannot be read, or does not contain named values.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if any(entry.compress_type != zipfile.ZIP_STORED for entry in archive.infolist()):
                raise ValueError("compressed entries, which torch does not write and which may inflate without end")
            if archive.testzip() is not None:  # torch writes checksums, but does not compare them when it reads
                raise damaged(path, "bytes that differ from their checksum", do)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except DamageError:
        raise
    except Exception as error:  # on arbitrary bytes torch's reader raises errors of many classes
        raise DamageError("a file of weights cannot be read", where=path, got=type(error).__name__, do=do) from None
    if not isinstance(saved, dict):
        raise damaged(path, f"a {type(saved).__name__}", do)
    return saved


def state_of(saved: Mapping[str, Any], path: Path) -> State:
    """Return the weights in a checkpoint.

    Raises:
        DamageError: there are no weights, or some are not tensors.
    """
    state: State = saved.get("state_dict", {})
    if not is_state(state) or not state:
        raise damaged(path, "no state_dict of tensors")
    return state


def is_state(value: Any) -> bool:
    """Whether a value is a dict of names and tensors."""
    return isinstance(value, dict) and all(
        isinstance(name, str) and isinstance(tensor, Tensor) for name, tensor in value.items()
    )


def damaged(path: Path, got: str, do: str = "remove it") -> DamageError:
    """Return the error for a file that torch can read but that has unexpected contents."""
    return DamageError("a file of weights has unexpected contents", where=path, got=got, do=do)
