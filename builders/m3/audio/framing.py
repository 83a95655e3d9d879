"""Frame a recording so that the start and end of its sound and its loudness reveal nothing about its language.

espeak-ng puts silence before a sentence: a median of 37 ms in Thai, and none in Telugu. So a recording is cut to its
first and last sound, and silence is put around it whose length has the same distribution in all languages.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ

LOUDNESS_DBFS = -23.0  # RMS of a whole recording; without it voices differ by 15 dB
SILENCE_SAMPLES = (
    SAMPLE_RATE_HZ * 50 // 1000,
    SAMPLE_RATE_HZ * 300 // 1000,
)  # before and after the sound: 50 to 300 ms

_QUIET = 0.01  # fraction of the peak (-40 dB); quieter samples at either end count as silence


def framed(wave: npt.NDArray[np.floating], lead: int, tail: int) -> npt.NDArray[np.float32]:
    """Cut a wave to its first and last sound and put silence around it.

    Args:
        wave: (T,) mono, 16 kHz, not silent.
        lead: Samples of silence before the first sound.
        tail: Samples of silence after the last.

    Returns:
        (lead + S + tail,) float32 in [-1, 1] at -23 dBFS RMS; S <= T samples from the first to the last sound.
    """
    loud = np.abs(wave)
    sounds = np.flatnonzero(loud >= _QUIET * loud.max())
    padded = np.pad(wave[sounds[0] : sounds[-1] + 1], (lead, tail))
    level = 10 ** (LOUDNESS_DBFS / 20) / np.sqrt(np.mean(padded**2))
    framed_wave: npt.NDArray[np.float32] = np.clip(padded * level, -1.0, 1.0).astype(np.float32)
    return framed_wave
