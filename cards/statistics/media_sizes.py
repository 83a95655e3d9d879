"""Measure the sizes of images and the durations of audio from their headers, in a sample of row groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeVar

import pyarrow as pa

from symile_data.format.media import UnfitMediumError, audio_header, open_image

from ..descriptions import Description
from .quantiles import quantiles

if TYPE_CHECKING:
    from datasets import Features

MOST_SIZES = 200  # most image sizes that are listed

_Header = TypeVar("_Header")


@dataclass
class MediaSizes:
    """Sizes of images and durations of audio, collected row group by row group.

    Args:
        images: Column -> format, width and height in pixels, and bytes of each image.
        audio: Column -> group, seconds, sample rate in Hz, and bytes of each recording.
        group_by: Column whose values group the durations; "" for none.
        unreadable: Column -> number of its media that could not be read.
    """

    images: dict[str, list[tuple[str, int, int, int]]]
    audio: dict[str, list[tuple[str, float, int, int]]]
    group_by: str
    unreadable: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, features: Features, description: Description) -> MediaSizes:
        """Start with the media columns among some features; nothing is measured yet."""
        from datasets import Audio
        from datasets import Image as ImageFeature

        images: dict[str, list[Any]] = {n: [] for n, f in features.items() if isinstance(f, ImageFeature)}
        audio: dict[str, list[Any]] = {n: [] for n, f in features.items() if isinstance(f, Audio)}
        group_by = description.durations_by if audio and description.durations_by in features else ""
        return cls(images, audio, group_by)

    @property
    def columns(self) -> list[str]:
        """Columns to read; empty where there is nothing to measure."""
        return [*self.images, *self.audio, *([self.group_by] if self.group_by else [])]

    def add(self, table: pa.Table) -> None:
        """Measure one row group."""
        for name in self.images:
            for data in _payloads(table[name]):
                if (header := self._measured(name, _image_header, data)) is not None:
                    self.images[name].append(header)
        for name in self.audio:
            groups = table[self.group_by].to_pylist() if self.group_by else [""] * len(table)
            for group, data in zip(groups, _payloads(table[name]), strict=True):
                if (recording := self._measured(name, _audio_header, data)) is not None:
                    self.audio[name].append((str(group), *recording))

    def _measured(self, name: str, header: Callable[[bytes], _Header], data: bytes | None) -> _Header | None:
        if data is None:
            return None
        try:
            return header(data)
        except UnfitMediumError:
            self.unreadable[name] += 1
            return None

    def summary(self) -> dict[str, Any]:
        """Summarise formats, sizes and durations by column, as JSON."""
        found: dict[str, Any] = {}
        for name, images in self.images.items():
            if images:
                formats, widths, heights, sizes = zip(*images, strict=True)
                common = Counter(zip(widths, heights, strict=True))
                ranked = sorted(common.items(), key=lambda item: (-item[1], item[0]))[:MOST_SIZES]
                found[name] = {
                    "kind": "image",
                    "measured": len(images),
                    "unreadable": self.unreadable[name],
                    "formats": dict(sorted(Counter(formats).items())),
                    "width": quantiles(widths, 1),
                    "height": quantiles(heights, 1),
                    "bytes": quantiles(sizes, 1),
                    "sizes": [[width, height, count] for (width, height), count in ranked],
                }
        for name, recordings in self.audio.items():
            if recordings:
                groups, seconds, rates, sizes = zip(*recordings, strict=True)
                by_group = {
                    group: quantiles([s for s, g in zip(seconds, groups, strict=True) if g == group])
                    for group in sorted(set(groups))
                }
                found[name] = {
                    "kind": "audio",
                    "measured": len(recordings),
                    "unreadable": self.unreadable[name],
                    "sample_rates_hz": {str(rate): count for rate, count in sorted(Counter(rates).items())},
                    "seconds": quantiles(seconds),
                    "seconds_by": {self.group_by: by_group} if self.group_by else {},
                    "bytes": quantiles(sizes, 1),
                }
        return found


def _payloads(column: pa.ChunkedArray) -> Iterator[bytes | None]:
    for value in column:
        if not value.is_valid:
            yield None
        else:
            yield value["bytes"].as_py()


def _image_header(data: bytes) -> tuple[str, int, int, int]:
    with open_image(data) as image:
        return str(image.format), image.width, image.height, len(data)


def _audio_header(data: bytes) -> tuple[float, int, int]:
    frames, rate = audio_header(data)
    return frames / rate, rate, len(data)
