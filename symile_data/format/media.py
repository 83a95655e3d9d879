"""Open images and audio from untrusted sources within limits: few formats, bounded pixels and samples.

A file of a few kilobytes can ask for gigabytes when it is decoded (a "bomb"), and Pillow and libsndfile read dozens of
formats that datasets do not use, some of them through other programs. Everything in this package that decodes stored
images or audio uses these functions.
"""

from __future__ import annotations

import io
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from symile_data.errors import without_addresses

if TYPE_CHECKING:
    from PIL import Image

MOST_PIXELS = 89_478_485  # 256 MB as RGB; beyond it Pillow warns of a bomb
IMAGE_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF")

MOST_SAMPLES = 1 << 26  # all channels together: an hour at 16 kHz, 256 MB as float32
AUDIO_FORMATS = ("FLAC", "WAV", "WAVEX", "MP3", "OGG", "AIFF")
SAMPLE_RATES_HZ = (4_000, 384_000)
_REAL_SUBTYPES = ("FLOAT", "DOUBLE")  # files of libsndfile whose samples can be NaN or infinite

# What Pillow raises for broken images, besides `PIL.Image.DecompressionBombError` for large ones.
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
)


class UnfitMediumError(ValueError):
    """An image or audio is broken, too large or of no accepted format; the argument says which."""


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
    """Yield an image whose header is read and whose pixels are not decoded yet.

    Raises:
        UnfitMediumError: the data are no image of `IMAGE_FORMATS`, the image has more than `MOST_PIXELS`, or it proves
            broken when the body of the `with` decodes it.
    """
    from PIL import Image  # here, as a reader of undecoded images does without it

    try:
        with quiet_pillow, Image.open(io.BytesIO(data), formats=IMAGE_FORMATS) as image:
            if image.width * image.height > MOST_PIXELS:
                raise UnfitMediumError(f"{image.width} x {image.height} pixels are too many")
            yield image
    except UnfitMediumError:
        raise
    except (*IMAGE_ERRORS, Image.DecompressionBombError) as error:
        raise UnfitMediumError(reason_of(error)) from None


def reason_of(error: Exception) -> str:
    """Return the message of a decoder on one line."""
    text = " ".join(without_addresses(str(error)).split())
    return text[:200] or type(error).__name__


def read_audio(
    data: bytes | memoryview, dtype: Literal["float32", "float64"] = "float32"
) -> tuple[npt.NDArray[Any], int]:
    """Decode the whole audio.

    Returns:
        (samples, channels) array of `dtype`, and the sampling rate in Hz. Samples are in [-1, 1], where a file of real
        numbers (a WAV of float32, for example) does not exceed that range itself.

    Raises:
        UnfitMediumError: the data are no audio of `AUDIO_FORMATS`, are broken, have a sample that is no finite number,
            or exceed `MOST_SAMPLES` or `SAMPLE_RATES_HZ`.
    """
    with open_audio(data) as audio:
        samples = np.asarray(audio.read(audio.frames, dtype=dtype, always_2d=True))
        if audio.subtype in _REAL_SUBTYPES and not np.isfinite(samples).all():
            raise UnfitMediumError("a sample is NaN or infinite")
        return samples, int(audio.samplerate)


@contextmanager
def open_audio(data: bytes | memoryview) -> Iterator[Any]:
    """Yield the audio as a `soundfile.SoundFile` whose header is read and checked.

    Raises:
        UnfitMediumError: as in `read_audio`.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(data)) as audio:
            _check_limits(audio)
            yield audio
    except UnfitMediumError:
        raise
    except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OverflowError, MemoryError) as error:
        raise UnfitMediumError(reason_of(error)) from None


def decoded_file(kind: str, data: bytes | memoryview) -> Any:
    """Decode a whole image or audio file, for people to look at.

    Args:
        kind: "image" or "audio".
        data: The file.

    Returns:
        A `PIL.Image.Image`; or (samples,) or (samples, channels) float32 in [-1, 1] and the sampling rate in Hz.

    Raises:
        UnfitMediumError: as in `open_image` and `read_audio`.
    """
    if kind == "image":
        with open_image(data) as image:
            return image.copy()
    wave, rate = read_audio(data)
    return wave[:, 0] if wave.shape[1] == 1 else wave, rate


def audio_header(data: bytes | memoryview) -> tuple[int, int]:
    """Return the number of samples of each channel and the sampling rate in Hz, without decoding.

    Raises:
        UnfitMediumError: as in `read_audio`.
    """
    with open_audio(data) as audio:
        return int(audio.frames), int(audio.samplerate)


def _check_limits(audio: Any) -> None:
    if audio.format not in AUDIO_FORMATS:
        raise UnfitMediumError(f"{audio.format} is none of {', '.join(AUDIO_FORMATS)}")
    if not SAMPLE_RATES_HZ[0] <= audio.samplerate <= SAMPLE_RATES_HZ[1]:
        raise UnfitMediumError(f"a sampling rate of {audio.samplerate} Hz")
    if audio.frames * audio.channels > MOST_SAMPLES:
        raise UnfitMediumError(f"{audio.frames} x {audio.channels} samples are too many")
