"""Options of builds that make modalities unreliable: misaligned values and noisy ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from symile_data.reliability import Reliability

Misaligned = Annotated[str, typer.Option(help="Rate of values that are another row's: 0.3, or NAME=0.3,NAME=0.1.")]
MisalignedTest = Annotated[bool, typer.Option("--misaligned-test", help="Misalign values of the test split too.")]
Noisy = Annotated[str, typer.Option(help="Rate of rows whose value is noisy: 0.3, or NAME=0.3,NAME=0.1.")]
NoisyTest = Annotated[bool, typer.Option("--noisy-test", help="Make values of the test split noisy too.")]
NoiseLevel = Annotated[
    str,
    typer.Option(
        help=(
            "Level, or NAME=LEVEL: flipped bits (vector, 0.1), sd of pixels (image, 25), SNR in dB (audio and ECG, 10),"
            " sd of a factor's logarithm (labs, 0.3), sd of numbers (key code, 0.5)."
        )
    ),
]


def reliability_of(
    names: Sequence[str],
    misaligned: str,
    misaligned_test: bool,
    noisy: str = "0",
    noisy_test: bool = False,
    noise_level: str = "",
) -> Reliability:
    """The settings that these options ask for, for modalities of these names.

    Raises:
        UsageError: an option cannot be read, or names no modality.
    """
    from symile_data.missingness import parse_rates
    from symile_data.noise import parse_levels
    from symile_data.reliability import Reliability

    return Reliability(
        misaligned=parse_rates(misaligned, names, "misaligned"),
        misaligned_test=misaligned_test,
        noisy=parse_rates(noisy, names, "noisy"),
        noise_levels=parse_levels(noise_level, names),
        noisy_test=noisy_test,
    )
