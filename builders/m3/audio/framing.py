"""The frame of a clip: where its sound begins and ends, and how loud it is, tell nothing about its language.

espeak-ng puts silence of its own before a sentence, in Thai a median of 37 ms and in Telugu none. So a clip is cut to
its first and last sound, and silence of one distribution for all languages is put around it.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ

LOUDNESS_DBFS = -23.0  # RMS of a whole clip; voices differ by 15 dB otherwise
SILENCE_SAMPLES = (
    SAMPLE_RATE_HZ * 50 // 1000,
    SAMPLE_RATE_HZ * 300 // 1000,
)  # before and after the sound: 50 to 300 ms

_QUIET = 0.01  # of the peak (-40 dB); what is below it at either end is no sound


def framed(wave: npt.NDArray[np.floating], lead: int, tail: int) -> npt.NDArray[np.float32]:
    """Cut a wave to its first and last sound and put silence around it.

    Args:
        wave: (T,) mono, 16 kHz, not silent.
        lead: Samples of silence before the first sound.
        tail: Samples of silence after the last.

    Returns:
        (lead + S + tail,) float32 in [-1, 1] at -23 dBFS RMS, where S <= T is what sounds.
    """
    loud = np.abs(wave)
    sounds = np.flatnonzero(loud >= _QUIET * loud.max())
    padded = np.pad(wave[sounds[0] : sounds[-1] + 1], (lead, tail))
    level = 10 ** (LOUDNESS_DBFS / 20) / np.sqrt(np.mean(padded**2))
    framed_wave: npt.NDArray[np.float32] = np.clip(padded * level, -1.0, 1.0).astype(np.float32)
    return framed_wave
