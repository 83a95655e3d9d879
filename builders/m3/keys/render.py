"""Show the values of keys: drawings of digits, tones, and noisy one-hot codes.

Every image, tone and code is a function of (seed, key, media store, value, variant).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from symile_data.rng import Stream

from ..audio.espeak import encode_flac
from ..audio.framing import SILENCE_SAMPLES, framed
from ..audio.tones import tone
from ..images.sample import draw_image
from .draw import VARIANTS

MOST_NOISE = 0.4  # of a code, up or down: the place of its value always holds the largest number


def draw_symbol(seed: int, store: str, value: int, variant: int) -> bytes:
    """Draw the keycap of a digit by the artwork of the sample images.

    Args:
        seed: The build's seed.
        store: Name of the media store: a split, or "shared".
        value: The digit, from 0 to 9.
        variant: Number of the variant; it decides background, size, angle, place and tint.

    Returns:
        A JPEG, 128 x 128 RGB.
    """
    return draw_image(f"3{value}-20e3", _stream(seed, "symbol", store, value).generator(variant), mirror=False)


def play_tone(seed: int, store: str, value: int, variant: int) -> bytes:
    """Play a tone with two soft overtones and silence around it.

    Args:
        seed: The build's seed.
        store: Name of the media store: a split, or "shared".
        value: The number of the tone; see `audio.tones`.
        variant: Number of the variant; it decides the exact pitch, the length, the overtones and the silence.

    Returns:
        FLAC, 16 kHz mono, at the loudness of the speech.
    """
    rng = _stream(seed, "tone", store, value).generator(variant)
    wave = tone(value, rng)
    shortest, longest = SILENCE_SAMPLES
    lead, tail = rng.integers(shortest, longest + 1, size=2).tolist()
    return encode_flac(framed(wave, lead, tail))


@lru_cache(maxsize=4)
def codes(seed: int, store: str, values: int) -> npt.NDArray[np.float32]:
    """Make all codes of a media store.

    Returns:
        (W * VARIANTS, W) float32, by value and then by variant: one at the value's place and zero elsewhere, each with
        uniform noise of at most `MOST_NOISE`.
    """
    clean = np.repeat(np.eye(values), VARIANTS, axis=0)
    noise = [_stream(seed, "code", store, value).rows(0, VARIANTS, values) for value in range(values)]
    return (clean + (2 * np.concatenate(noise) - 1) * MOST_NOISE).astype(np.float32)


RENDERERS = {"symbol": draw_symbol, "tone": play_tone}  # keys that are stored as files


def _stream(seed: int, name: str, store: str, value: int) -> Stream:
    return Stream(seed, f"m3/keys/{name}/{store}/media/{value}")
