"""Decode all images and audio of a shard as loaders do, to name those that cannot be."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from symile_data.format.images import shown
from symile_data.format.media import UnfitMediumError, open_image, read_audio
from symile_data.format.schema import Modality


def medium_problems(table: pa.Table, modalities: tuple[Modality, ...]) -> Iterator[str]:
    """Decode all images and audio of a table, and yield a clause for each that does not decode."""
    for modality in modalities:
        if modality.kind not in _CHECKS or modality.column not in table.column_names:
            continue
        for row, value in enumerate(table[modality.column]):
            data = value.as_py()
            data = data.get("bytes") if isinstance(data, dict) else data
            if not value.is_valid:
                continue
            try:
                if not isinstance(data, bytes):
                    raise UnfitMediumError("no bytes")
                _CHECKS[modality.kind](data)
            except UnfitMediumError as error:
                yield f"row {row}: {modality.column} does not decode ({error})"


def _check_image(data: bytes) -> None:
    with open_image(data) as image:
        shown(image)
        image.load()


def _check_audio(data: bytes) -> None:
    wave, _ = read_audio(data)
    if not len(wave):
        raise UnfitMediumError("audio without samples")


_CHECKS = {"image": _check_image, "audio": _check_audio}
