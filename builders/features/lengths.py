"""Check that no audio is longer than the window that its model was given, before anything is encoded."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import pyarrow as pa

from symile_data.errors import UsageError
from symile_data.format.media import UnfitMediumError, audio_header
from symile_data.format.schema import Modality

from .media import index_media
from .source import SourceRows

_PER_READ = 512


def check_lengths(modality: Modality, splits: Mapping[str, SourceRows], seconds: float) -> None:
    """Compare each unique audio with a window, by its header alone; one that cannot be read is left to the encoder.

    Args:
        modality: The modality of audio.
        splits: The rows of each split.
        seconds: Length of the window.

    Raises:
        UsageError: naming the longest audio.
    """
    longest, where = 0.0, ""
    for place, value in _unique_values(modality, splits):
        try:
            samples, rate_hz = audio_header(value)
        except UnfitMediumError:
            continue
        if samples / rate_hz > longest:
            longest, where = samples / rate_hz, place
    if longest > seconds:
        raise UsageError(
            "audio is longer than the window of the audio model",
            where=where,
            got=f"{longest:.3f} s for {seconds:g} s",
            do=f"give `seconds` of {np.ceil(longest * 100) / 100:g} or more",
        )


def _unique_values(modality: Modality, splits: Mapping[str, SourceRows]) -> Iterator[tuple[str, bytes]]:
    """Yield the place and the bytes of the first occurrence of each value."""
    owners, first = index_media(modality, splits).owners, 0
    for rows in splits.values():
        mine = owners[(owners >= first) & (owners < first + rows.rows)] - first
        first += rows.rows
        for start in range(0, len(mine), _PER_READ):
            wanted = mine[start : start + _PER_READ]
            values = rows.take(modality.column, wanted)
            payload = values.field("bytes") if pa.types.is_struct(values.type) else values
            for row, value in zip(wanted.tolist(), payload, strict=True):
                if value.is_valid:
                    yield rows.place(row), value.as_py()
