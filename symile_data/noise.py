"""Simulated noise: decide which rows have a noisy value in some modality, and flip the bits of noisy vectors.

A number of the stream `noisy/<modality>` at the row's sample_id is compared with the rate, so that noisy rows are the
same for any number of workers and nested in the rate. The noise itself comes from the stream `noise/<modality>`.
All other values become noisy in the builders (`builders.engine.noise`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from .errors import UsageError
from .rng import Stream

FloatArray = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class NoiseKind:
    """The noise of one kind of modality.

    Args:
        measure: What its level measures.
        shown: Describes a noisy value, with a field for the level.
        default: The level where none is asked for.
        least: The smallest level.
        most: The largest level.
    """

    measure: str
    shown: str
    default: float
    least: float
    most: float


# Kind of a modality -> its noise. Vectors of bits are those of XOR and PID data; other vectors have that of numbers.
NOISE_KINDS: Mapping[str, NoiseKind] = {
    "vector": NoiseKind(
        measure="probability that a bit is flipped",
        shown="bits flipped with probability {:g}",
        default=0.1,
        least=0.0,
        most=0.5,
    ),
    "numbers": NoiseKind(
        measure="standard deviation of numbers",
        shown="noise with a standard deviation of {:g} on each number",
        default=0.5,
        least=0.0,
        most=1e6,
    ),
    "image": NoiseKind(
        measure="standard deviation of pixels",
        shown="noise with a standard deviation of {:g} on pixels from 0 to 255",
        default=25.0,
        least=0.0,
        most=255.0,
    ),
    "audio": NoiseKind(
        measure="signal-to-noise ratio in dB",
        shown="noise at a signal-to-noise ratio of {:g} dB",
        default=10.0,
        least=-30.0,
        most=60.0,
    ),
    "ecg": NoiseKind(
        measure="signal-to-noise ratio of each lead in dB",
        shown="noise at a signal-to-noise ratio of {:g} dB in each lead",
        default=10.0,
        least=-30.0,
        most=60.0,
    ),
    "labs": NoiseKind(
        measure="standard deviation of the logarithm of a factor",
        shown="each value times a factor whose logarithm has a standard deviation of {:g}",
        default=0.3,
        least=0.0,
        most=2.0,
    ),
}


def noisy_rows(seed: int, sample_ids: npt.NDArray[np.integer], modality: str, rate: float) -> npt.NDArray[np.bool_]:
    """Draw the rows that have a noisy value.

    Args:
        seed: Seed of the build.
        sample_ids: (N,) integers.
        modality: Name of the modality.
        rate: Probability in [0, 1] that a row's value is noisy.

    Returns:
        (N,) bool, True where it is.
    """
    if rate == 0.0:
        return np.zeros(len(sample_ids), dtype=bool)
    return Stream(seed, f"noisy/{modality}").at(sample_ids, 1)[:, 0] < rate


def with_flips(
    values: FloatArray, seed: int, sample_ids: npt.NDArray[np.integer], modality: str, level: float
) -> FloatArray:
    """Flip each bit of some vectors with a probability; a second call with equal arguments flips them back.

    Args:
        values: (N, K) float32, each 0 or 1.
        seed: Seed of the build.
        sample_ids: (N,) ids of the rows that show the vectors.
        modality: Name of the modality.
        level: Probability from 0 to 0.5.

    >>> bits = np.zeros((2, 4), dtype=np.float32)
    >>> once = with_flips(bits, 0, np.arange(2), "a", 0.5)
    >>> bool(once.any()), bool(with_flips(once, 0, np.arange(2), "a", 0.5).any())
    (True, False)
    """
    flips = Stream(seed, f"noise/{modality}").at(sample_ids, values.shape[1]) < level
    return np.where(flips, 1 - values, values).astype(np.float32)


def noise_generator(seed: int, sample_id: int, modality: str) -> np.random.Generator:
    """The generator of the noise in the value of one row, such as its image."""
    return Stream(seed, f"noise/{modality}").generator(sample_id)


def parse_levels(text: str, modalities: Sequence[str]) -> dict[str, float]:
    """Parse `--noise-level`: one level for all modalities ("0.1"), or levels by name ("a=0.1,image=30"), or "".

    Raises:
        UsageError: a level is not a number, or a name is not a modality of the dataset or occurs twice.

    >>> parse_levels("audio=5", ["image", "audio"]), parse_levels("", ["image"])
    ({'audio': 5.0}, {})
    """
    if not text:
        return {}
    if "=" not in text:
        return dict.fromkeys(modalities, _number(text))
    levels: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = (word.strip() for word in part.partition("="))
        if name not in modalities:
            known = ", ".join(modalities)
            raise UsageError(
                "`noise_level` names a modality that this dataset does not have",
                got=repr(name),
                do=f"choose among {known}",
            )
        if name in levels:
            raise UsageError("`noise_level` gives a modality two levels", got=repr(text), do="give each modality one")
        levels[name] = _number(value)
    return levels


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise UsageError("a `noise_level` is a number", got=repr(text)) from None
