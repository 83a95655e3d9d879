"""Make values noisy: the pixels of an image, the samples of a recording or an electrocardiogram, numbers, blood tests.

Each function takes a generator that draws the noise of one row's value, such as `noise.noise_generator` gives.
"""

from __future__ import annotations

import io
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

_JPEG_QUALITY = 88
_PEAK = 0.999  # of full scale, so that noise does not clip
_DEEP = "I;16"  # Pillow's mode of 16-bit gray
_DEEP_STEP = 257  # of 16-bit pixels in one step of 8-bit ones
_MOST_INT16 = 32_767  # its negative too: WFDB marks an unknown sample with -32768

Floats = npt.NDArray[np.floating[Any]]


def noisy_image(data: bytes, sd: float, rng: np.random.Generator) -> bytes:
    """Add Gaussian noise to each pixel and channel of an image.

    Args:
        data: An image file.
        sd: Standard deviation of the noise, of pixels from 0 to 255.
        rng: Draws the noise.

    Returns:
        A JPEG of the same size, RGB.
    """
    return _encoded(_noisy_pixels(data, sd, rng, ("RGB",)), "JPEG", quality=_JPEG_QUALITY)


def noisy_png(data: bytes, sd: float, rng: np.random.Generator) -> bytes:
    """Add Gaussian noise to each pixel and channel of an image, and store the result without loss.

    Args:
        data: An image file.
        sd: Standard deviation of the noise, of pixels from 0 to 255; of 16-bit pixels it is 257 times as much.
        rng: Draws the noise.

    Returns:
        A PNG of the same size: 8-bit or 16-bit gray where the image is, else RGB.
    """
    return _encoded(_noisy_pixels(data, sd, rng, ("L", _DEEP, "RGB")), "PNG")


def noisy_audio(data: bytes, ratio_db: float, rng: np.random.Generator) -> bytes:
    """Add white Gaussian noise to a recording. A sum that would clip is made quieter as a whole.

    Args:
        data: An audio file; noise is drawn for each channel.
        ratio_db: Ratio of the recording's mean power to that of the noise, in dB.
        rng: Draws the noise.

    Returns:
        A FLAC of 16 bits, of the same rate, length and channels.
    """
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    noise = rng.standard_normal(samples.shape)
    noisy = samples + np.sqrt(np.mean(samples**2) / 10 ** (ratio_db / 10)) * noise
    noisy *= min(1.0, _PEAK / max(float(np.abs(noisy).max(initial=0.0)), _PEAK))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.rint(noisy * _MOST_INT16).astype(np.int16), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def noisy_record(record: npt.NDArray[np.int16], ratio_db: float, rng: np.random.Generator) -> npt.NDArray[np.int16]:
    """Add white Gaussian noise to an electrocardiogram, lead by lead. A flat lead stays flat.

    Args:
        record: (leads, samples) int16.
        ratio_db: Ratio of each lead's variance to that of its noise, in dB.
        rng: Draws the noise.

    Returns:
        (leads, samples) int16, at most 32,767 up or down.
    """
    samples = record.astype(np.float64)
    scale = samples.std(axis=1, keepdims=True) / 10 ** (ratio_db / 20)
    noisy = np.rint(samples + scale * rng.standard_normal(samples.shape))
    return np.asarray(np.clip(noisy, -_MOST_INT16, _MOST_INT16), dtype=np.int16)


def noisy_numbers(values: Floats, sd: float, rng: np.random.Generator) -> Floats:
    """Add Gaussian noise to each number; NaN and infinite ones stay.

    Args:
        values: (K,) numbers.
        sd: Standard deviation of the noise.
        rng: Draws the noise.
    """
    return np.asarray(values + sd * rng.standard_normal(values.shape))


def noisy_labs(values: Floats, sd: float, rng: np.random.Generator) -> Floats:
    """Multiply each laboratory value by a factor of its own, so that units and signs of values do not matter.

    Args:
        values: (L,) numbers, NaN where not measured.
        sd: Standard deviation of the factor's natural logarithm; small ones are coefficients of variation.
        rng: Draws the factors, one for each of the L tests whether or not it was measured.
    """
    return np.asarray(values * np.exp(sd * rng.standard_normal(values.shape)))


def noisy_id(media_id: str, sample_id: int) -> str:
    """Return the id of the noisy image or recording of a row, which is a file of its own.

    >>> noisy_id("n01440764/n01440764_18.JPEG", 7), noisy_id("espeak-train-en-3", 7)
    ('n01440764/n01440764_18-noisy-7.JPEG', 'espeak-train-en-3-noisy-7')
    """
    path = PurePosixPath(media_id)
    return str(path.with_stem(f"{path.stem}-noisy-{sample_id}"))


def noisy_ids(ids: pa.Array, noisy: npt.NDArray[np.bool_], sample_ids: npt.NDArray[np.int64]) -> pa.Array:
    """Return a column of ids in which the rows that are marked have those of their own noisy images or recordings.

    Args:
        ids: (N,) strings.
        noisy: (N,) bool; True for no row whose id is null.
        sample_ids: (N,) int64.
    """
    marked = zip(ids.to_pylist(), noisy.tolist(), sample_ids.tolist(), strict=True)
    return pa.array([noisy_id(one, sample_id) if is_noisy else one for one, is_noisy, sample_id in marked], ids.type)


NOISES = {"image": noisy_image, "audio": noisy_audio}  # kind -> what makes its stored value noisy


def _noisy_pixels(data: bytes, sd: float, rng: np.random.Generator, modes: tuple[str, ...]) -> Any:
    """Return a Pillow image with noise, in its own mode if that is one of `modes`, else in the last of them."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        opened = image if image.mode in modes else image.convert(modes[-1])
        pixels, deep = np.asarray(opened, dtype=np.float64), opened.mode == _DEEP
    step, most = (_DEEP_STEP, 65_535) if deep else (1, 255)
    noisy = np.clip(np.rint(pixels + step * sd * rng.standard_normal(pixels.shape)), 0, most)
    return Image.fromarray(noisy.astype(np.uint16 if deep else np.uint8))


def _encoded(image: Any, file_format: str, **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()
