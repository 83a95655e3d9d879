"""Simulated missingness: decide which modalities of which samples are removed at a given rate.

The draw is a function of (seed, sample_id, modality) alone, so it is the same in every epoch, worker and machine. Draws
are nested: a modality that is missing at rate 0.5 is also missing at 0.65. Builders and loaders draw from independent
streams: a loader that removes half of the modalities after a build with the same seed removed half leaves a quarter.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from .errors import UsageError
from .rng import Stream

When = Literal["build", "load"]

_STREAMS: Mapping[When, str] = {"build": "missing", "load": "missing-at-load"}


def missing(
    seed: int, sample_ids: npt.NDArray[np.integer], modality: str, rate: float, when: When = "build"
) -> npt.NDArray[np.bool_]:
    """Draw the samples that lack a modality.

    Args:
        seed: Seed of the build or loader.
        sample_ids: (N,) integers.
        modality: Name of the modality.
        rate: Probability in [0, 1] that a sample lacks it.
        when: Whether a build or a loader removes the modality; the two draws are independent.

    Returns:
        (N,) bool, True where missing.

    >>> ids = np.arange(1000)
    >>> half, more = missing(0, ids, "image", 0.5), missing(0, ids, "image", 0.65)
    >>> bool((more | ~half).all())
    True
    """
    if rate == 0.0:
        return np.zeros(len(sample_ids), dtype=bool)
    return Stream(seed, f"{_STREAMS[when]}/{modality}").at(sample_ids, 1)[:, 0] < rate


def parse_rates(text: str, modalities: Sequence[str], argument: str = "missing") -> dict[str, float]:
    """Parse `--missing`: one rate for all modalities ("0.5"), or rates by name ("image=0.5,audio=0.1").

    Args:
        text: The rates.
        modalities: Names of all modalities.
        argument: Name of the argument that the rates are for, in messages.

    Raises:
        UsageError: a rate is not a number in [0, 1], or a name is not a modality of the dataset or occurs twice.

    >>> parse_rates("0.5", ["image", "audio"])
    {'image': 0.5, 'audio': 0.5}
    >>> parse_rates("audio=0.25", ["image", "audio"])
    {'image': 0.0, 'audio': 0.25}
    """
    if "=" not in text:
        return dict.fromkeys(modalities, _rate(text, argument))
    rates: dict[str, float] = {}
    for part in text.split(","):
        name, _, value = part.partition("=")
        if name.strip() not in modalities:
            raise UsageError(
                f"`{argument}` names a modality that this dataset does not have",
                got=repr(name.strip()),
                do=f"choose among {', '.join(modalities)}",
            )
        if name.strip() in rates:
            raise UsageError(f"`{argument}` gives a modality two rates", got=repr(text), do="give each modality one")
        rates[name.strip()] = _rate(value, argument)
    return dict.fromkeys(modalities, 0.0) | rates


def check_rates(rates: Mapping[str, float]) -> None:
    """Refuse rates outside [0, 1].

    Raises:
        UsageError: a rate is outside; the message names the modality and the value.
    """
    for name, rate in rates.items():
        if not 0.0 <= rate <= 1.0:
            raise UsageError(f"the missing rate of {name} is outside [0, 1]", got=rate)


def _rate(text: str, argument: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = float("nan")
    if not 0.0 <= rate <= 1.0:
        raise UsageError(f"a {argument} rate is a number between 0 and 1", got=repr(text))
    return rate
