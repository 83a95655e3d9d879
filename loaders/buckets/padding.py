"""Make one tensor of decoded audio of several lengths: silence follows what is shorter than the longest."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..batches import Array, IntArray
from ..decoders.audio import AudioSettings
from ..decoders.mel import silence


def length_name(modality: str) -> str:
    """Return the entry of a batch that holds the lengths of a modality's values.

    >>> length_name("audio")
    'audio_length'
    """
    return f"{modality}_length"


def padded(values: Array, settings: AudioSettings) -> tuple[Array, IntArray]:
    """Pad decoded audio to the longest of a batch.

    Args:
        values: (B,) objects: arrays of float32, (samples,) or (n_mels, frames), or None where there is no audio.
        settings: Settings with which they were decoded.

    Returns:
        (B, longest) or (B, n_mels, longest) float32, zeros where there is no audio; and (B,) int64, the samples or
        frames that each row had.
    """
    decoded: list[Any] = values.tolist()
    lengths = np.array([0 if value is None else value.shape[-1] for value in decoded], dtype=np.int64)
    bands = () if settings.n_mels is None else (settings.n_mels,)
    out = np.zeros((len(decoded), *bands, max(int(lengths.max(initial=0)), 1)), dtype=np.float32)
    for row, value in enumerate(decoded):
        if value is not None:
            out[row, ..., : lengths[row]] = value
            if bands:
                out[row, :, lengths[row] :] = silence(value)
    return out, lengths
