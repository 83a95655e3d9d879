"""Tones of numbered pitches, with soft overtones and a length and pitch of their own."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import SAMPLE_RATE_HZ

LOWEST_HZ = 440.0
SEMITONES = 2.0  # between neighbouring tones
MOST_JITTER = 0.4  # semitones up or down, so that tones of different numbers are at least 1.2 semitones apart
TONE_SECONDS = (0.4, 0.6)
TONES = 24  # four octaves: half the sampling rate is just above the highest

_OVERTONES = (2, 3)
_HIGHEST_HZ = 0.45 * SAMPLE_RATE_HZ  # of an overtone
_FADE_SECONDS = 0.02  # at both ends, so that nothing clicks


def tone(number: int, rng: np.random.Generator) -> npt.NDArray[np.float64]:
    """Make a tone.

    Args:
        number: The tone is this many times `SEMITONES` above `LOWEST_HZ`; from 0 to `TONES` - 1.
        rng: Decides the exact pitch, the length and the overtones.

    Returns:
        (T,) mono, 16 kHz, about from -1.4 to 1.4.
    """
    hertz = LOWEST_HZ * 2 ** ((number * SEMITONES + rng.uniform(-MOST_JITTER, MOST_JITTER)) / 12)
    samples = int(rng.uniform(*TONE_SECONDS) * SAMPLE_RATE_HZ)
    turns = hertz * np.arange(samples) / SAMPLE_RATE_HZ
    wave = np.sin(2 * np.pi * (turns + rng.random()))
    for overtone in _OVERTONES:
        strength, start = rng.uniform(0, 0.5 / overtone), rng.random()
        if overtone * hertz < _HIGHEST_HZ:
            wave += strength * np.sin(2 * np.pi * (overtone * turns + start))
    ends = np.minimum(np.arange(samples), np.arange(samples)[::-1])
    return np.asarray(wave * np.minimum(1.0, ends / (_FADE_SECONDS * SAMPLE_RATE_HZ)))
