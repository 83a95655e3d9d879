"""Images and sounds that show symbols: a grid of drawings, and spoken words or tones, one for each block in order."""

from __future__ import annotations

import io
import itertools
import math
from collections.abc import Sequence
from functools import cache

import numpy as np

from symile_data.datasets.pid.design import Design
from symile_data.rng import Stream

from ..m3.audio.espeak import INTONATION_RANGE, PITCH_RANGE, RATE_RANGE, VOICES, Utterance, encode_flac, synthesise
from ..m3.audio.framing import SILENCE_SAMPLES, framed
from ..m3.audio.tones import tone
from ..m3.images.sample import draw_background, draw_placed, sample_classes

SIDE = 128  # pixels of an image, which is square

_JPEG_QUALITY = 88
_GAP_SAMPLES = (1_600, 3_200)  # between tones: 100 to 200 ms


@cache
def drawing_stems() -> tuple[str, ...]:
    """The drawings that symbols can be shown by: the first of each class of the sample images."""
    return tuple(stems[0] for stems in sample_classes().values())


def drawings_of(modality: str, design: Design) -> list[tuple[str, ...]]:
    """The drawings of each of a modality's blocks: drawings differ between blocks."""
    starts = itertools.accumulate((block.values for block in design.scoped(modality)), initial=0)
    return [drawing_stems()[start:stop] for start, stop in itertools.pairwise(starts)]


def draw_grid(stems: Sequence[str], rng: np.random.Generator) -> bytes:
    """Draw one image.

    Args:
        stems: The drawing of each block; they stand in a square grid, row by row, in this order.
        rng: Decides background, tint, size, angle, flip and place within the cell.

    Returns:
        A JPEG, 128 x 128 RGB.
    """
    canvas = draw_background(rng)
    across = math.ceil(math.sqrt(len(stems)))
    cell = SIDE // across
    for number, stem in enumerate(stems):
        placed = draw_placed(stem, rng, cell)
        canvas.paste(placed, (number % across * cell, number // across * cell), placed)
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def speak(words: str, stream: Stream, row: int) -> bytes:
    """Speak words by one of the voices of Symile-M3.

    Args:
        words: What is said.
        stream: Decides voice, rate, pitch and the silence around the words.
        row: Row of the stream.

    Returns:
        FLAC, 16 kHz mono.
    """
    u = stream.rows(row, row + 1, 7)[0]
    return encode_flac(
        synthesise(
            Utterance(
                text=words,
                language="en",
                voice=VOICES[int(u[0] * len(VOICES))],
                rate=_within(RATE_RANGE, u[1]),
                pitch=_within(PITCH_RANGE, u[2]),
                intonation=_within(INTONATION_RANGE, u[3]),
                seed=int(u[4] * 2**31),
                lead=_within(SILENCE_SAMPLES, u[5]),
                tail=_within(SILENCE_SAMPLES, u[6]),
            )
        )
    )


def play(numbers: Sequence[int], rng: np.random.Generator) -> bytes:
    """Play tones one after the other, with short silence between them.

    Args:
        numbers: The tone of each block; see `m3.audio.tones`.
        rng: Decides exact pitches, lengths, overtones and silence.

    Returns:
        FLAC, 16 kHz mono, at the loudness of the speech.
    """
    parts = []
    for number in numbers:
        parts += [tone(number, rng), np.zeros(int(rng.integers(*_GAP_SAMPLES, endpoint=True)))]
    lead, tail = rng.integers(*SILENCE_SAMPLES, size=2, endpoint=True).tolist()
    return encode_flac(framed(np.concatenate(parts[:-1]), lead, tail))


def tones_of(modality: str, design: Design) -> list[range]:
    """The tones of each of a modality's blocks: tones differ between blocks."""
    starts = itertools.accumulate((block.values for block in design.scoped(modality)), initial=0)
    return [range(start, stop) for start, stop in itertools.pairwise(starts)]


def _within(limits: tuple[int, int], uniform: float) -> int:
    low, high = limits
    return low + int(uniform * (high - low + 1))
