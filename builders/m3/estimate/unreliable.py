"""The cost of misaligned and noisy rows of Symile-M3: drawing donors, and making images, recordings and keys noisy."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence

from symile_data.datasets.m3.schema import m3_modalities
from symile_data.reliability import Reliability

from ...engine.noise_cost import measure_noise
from ..build_state import BuildState
from ..rows.columns import DrawnRows
from .cost import StageCost

_SAMPLED = 16  # donors that are drawn


def unreliable_stages(state: BuildState, media: Mapping[str, Sequence[bytes]]) -> Iterator[StageCost]:
    """Yield the cost of donors, and of each modality's noise beyond the cost of clean values.

    Args:
        state: State of the build.
        media: Modality -> some of its images or recordings, for those that are stored as files.
    """
    settings = Reliability.of(state.reliability)
    if settings.misaligned:
        yield _donors(state, settings)
    for modality in m3_modalities(state.keys):
        if modality.name in settings.noisy and modality.name in media:
            present = {split: rows * (1 - state.rate(split, modality.name)) for split, rows in state.rows.items()}
            cost = measure_noise(settings, modality.name, modality.kind, media[modality.name], present)
            yield StageCost(
                stage=f"noise of {modality.name}",
                units=cost.values,
                cpu_seconds_each=cost.cpu_seconds,
                bytes_each=cost.more_bytes,
            )


def _donors(state: BuildState, settings: Reliability) -> StageCost:
    units = sum(
        rows * (1 - state.rate(split, name)) * settings.misaligned_rate(split, name)
        for split, rows in state.rows.items()
        for name in settings.misaligned
    )
    split = next(iter(state.rows))
    source = DrawnRows(state, split)
    source.rows(0, 1)  # reads the tables of names
    start = time.process_time()
    for number in range(_SAMPLED):
        place = number % state.rows[split]
        source.rows(place, place + 1)
    return StageCost(stage="donors", units=round(units), cpu_seconds_each=(time.process_time() - start) / _SAMPLED)
