"""Open pictures and clips that anybody may have made, within limits: few formats, bounded pixels and samples.

A file of a few kilobytes can ask for gigabytes when it is decoded (a "bomb"), and Pillow and libsndfile read dozens of
formats nobody uses here, some of them through other programs. Everything in this package that decodes a stored medium
does it through these functions.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from PIL import Image

from symile_data.errors import without_addresses

from .schema import Modality

MOST_PIXELS = 89_478_485  # 256 MB as RGB; where Pillow begins to warn of a bomb
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

MOST_SAMPLES = 1 << 26  # of all channels together: an hour at 16 kHz, 256 MB as float32
AUDIO_FORMATS = ("FLAC", "WAV", "WAVEX", "MP3", "OGG", "AIFF")
SAMPLE_RATES_HZ = (4_000, 384_000)

# What Pillow's readers of broken pictures raise.
IMAGE_ERRORS = (
    OSError,
    SyntaxError,  # broken PNG chunks
    ValueError,
    EOFError,
    TypeError,
    IndexError,
    KeyError,
    OverflowError,
    RuntimeError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
)


class UnfitMediumError(ValueError):
    """A picture or clip that is broken, too large or of no accepted format; the argument says which."""


class _QuietPillow:
    """Keeps Pillow's warnings (of damaged EXIF blocks, for instance) from the terminal while any thread decodes.

    `warnings.catch_warnings` alone is not safe in threads: two that overlap can restore the filters in the wrong order
    and leave every warning of the process off. Here the first thread sets the filter and the last one removes it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._inside = 0
        self._before: warnings.catch_warnings[None] | None = None

    def __enter__(self) -> None:
        with self._lock:
            self._inside += 1
            if self._inside == 1:
                self._before = warnings.catch_warnings()
                self._before.__enter__()
                warnings.filterwarnings("ignore", module=r"PIL\.")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._inside -= 1
            if not self._inside and self._before is not None:
                self._before.__exit__(None, None, None)


quiet_pillow = _QuietPillow()


@contextmanager
def open_image(data: bytes | memoryview) -> Iterator[Image.Image]:
    """A picture, its header read and its pixels not yet decoded.

    Raises:
        UnfitMediumError: no picture of `IMAGE_FORMATS`, more than `MOST_PIXELS`, or broken where the body of the
            `with` decodes it.
    """
    try:
        with quiet_pillow, Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnfitMediumError(f"{image.width} x {image.height} pixels are too many")
            yield image
    except UnfitMediumError:
        raise
    except IMAGE_ERRORS as error:
        raise UnfitMediumError(reason_of(error)) from None


def reason_of(error: Exception) -> str:
    """What a decoder says of a medium, on one line."""
    text = " ".join(without_addresses(str(error)).split())
    return text[:200] or type(error).__name__


def read_audio(
    data: bytes | memoryview, dtype: Literal["float32", "float64"] = "float32"
) -> tuple[npt.NDArray[Any], int]:
    """Decode a whole clip.

    Returns:
        (samples, channels) in [-1, 1], and the sampling rate in Hz.

    Raises:
        UnfitMediumError: no clip of `AUDIO_FORMATS`, broken, or beyond `MOST_SAMPLES` or `SAMPLE_RATES_HZ`.
    """
    with open_audio(data) as clip:
        return np.asarray(clip.read(clip.frames, dtype=dtype, always_2d=True)), int(clip.samplerate)


@contextmanager
def open_audio(data: bytes | memoryview) -> Iterator[Any]:
    """A clip as `soundfile.SoundFile`, its header read and checked.

    Raises:
        UnfitMediumError: as `read_audio`.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as clip:
            _check_limits(clip)
            yield clip
    except UnfitMediumError:
        raise
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UnfitMediumError(reason_of(error)) from None


def audio_header(data: bytes | memoryview) -> tuple[int, int]:
    """Samples of each channel, and the sampling rate in Hz; nothing is decoded.

    Raises:
        UnfitMediumError: as `read_audio`.
    """
    with open_audio(data) as clip:
        return int(clip.frames), int(clip.samplerate)


def _check_limits(clip: Any) -> None:
    if clip.format not in AUDIO_FORMATS:
        raise UnfitMediumError(f"{clip.format} is none of {', '.join(AUDIO_FORMATS)}")
    if not SAMPLE_RATES_HZ[0] <= clip.samplerate <= SAMPLE_RATES_HZ[1]:
        raise UnfitMediumError(f"a sampling rate of {clip.samplerate} Hz")
    if clip.frames * clip.channels > MOST_SAMPLES:
        raise UnfitMediumError(f"{clip.frames} x {clip.channels} samples are too many")


def medium_problems(table: pa.Table, modalities: tuple[Modality, ...]) -> Iterator[str]:
    """Decode every picture and clip of a table; a clause for each that cannot be."""
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
        image.load()


def _check_audio(data: bytes) -> None:
    wave, _ = read_audio(data)
    if not len(wave):
        raise UnfitMediumError("a clip without samples")


_CHECKS = {"image": _check_image, "audio": _check_audio}
