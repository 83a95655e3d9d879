"""Measure what noise costs a build, for its estimate: a few images or recordings are made noisy and timed."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from symile_data.reliability import Reliability
from symile_data.rng import Stream

from .noise import NOISES

_SAMPLED = 8  # images or recordings that are made noisy


@dataclass(frozen=True, kw_only=True)
class NoiseCost:
    """The cost of making the images or recordings of a modality noisy.

    Args:
        values: Expected number of noisy ones.
        cpu_seconds: Of one.
        more_bytes: By which a noisy one exceeds a clean one.
    """

    values: int
    cpu_seconds: float
    more_bytes: float


def measure_noise(
    reliability: Reliability,
    modality: str,
    kind: str,
    media: Sequence[bytes],
    present: Mapping[str, float],
) -> NoiseCost:
    """Make some images or recordings noisy.

    Args:
        reliability: Rates and levels.
        modality: Name of the modality.
        kind: "image" or "audio".
        media: Clean images or recordings, at least one.
        present: Split -> expected number of its rows that have the modality.
    """
    level, some = reliability.noise_level(modality, kind), list(media[:_SAMPLED])
    start = time.process_time()
    noisy = [NOISES[kind](data, level, Stream(0, "estimate").generator(row)) for row, data in enumerate(some)]
    seconds = (time.process_time() - start) / len(some)
    return NoiseCost(
        values=round(sum(rows * reliability.noisy_rate(split, modality) for split, rows in present.items())),
        cpu_seconds=seconds,
        more_bytes=float(np.mean([len(data) for data in noisy]) - np.mean([len(data) for data in some])),
    )
