"""Make stored images and audio noisy: Gaussian noise on the pixels of a JPEG, white noise in a FLAC."""

from __future__ import annotations

import io

import numpy as np

_JPEG_QUALITY = 88
_PEAK = 0.999  # of full scale, so that noise does not clip


def noisy_image(data: bytes, sd: float, rng: np.random.Generator) -> bytes:
    """Add Gaussian noise to each pixel and channel of an image.

    Args:
        data: An image file.
        sd: Standard deviation of the noise, of pixels from 0 to 255.
        rng: Draws the noise.

    Returns:
        A JPEG of the same size, RGB.
    """
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        pixels = np.asarray(image.convert("RGB"), dtype=np.float64)
    noisy = np.clip(np.rint(pixels + sd * rng.standard_normal(pixels.shape)), 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noisy).save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def noisy_audio(data: bytes, ratio_db: float, rng: np.random.Generator) -> bytes:
    """Add white Gaussian noise to a recording. A sum that would clip is made quieter as a whole.

    Args:
        data: An audio file of one channel.
        ratio_db: Ratio of the recording's mean power to that of the noise, in dB.
        rng: Draws the noise.

    Returns:
        A FLAC of 16 bits, of the same rate and length.
    """
    import soundfile

    samples, rate = soundfile.read(io.BytesIO(data), dtype="float64")
    noise = rng.standard_normal(samples.shape)
    scale = np.sqrt(np.mean(samples**2) / 10 ** (ratio_db / 10))
    noisy = samples + scale * noise
    noisy *= min(1.0, _PEAK / max(float(np.abs(noisy).max(initial=0.0)), _PEAK))
    buffer = io.BytesIO()
    soundfile.write(buffer, np.rint(noisy * 32767).astype(np.int16), rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


NOISES = {"image": noisy_image, "audio": noisy_audio}  # kind -> what makes its stored value noisy
