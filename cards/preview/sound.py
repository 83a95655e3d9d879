"""Prepare audio for the page: playable bytes, a waveform and a spectrogram."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.format.media import open_audio, read_audio

from .drawing import coloured_png, data_uri, envelope_path

WIDTH, WAVE_HEIGHT = 320, 44  # size of the drawings in pixels of the page
_SPECTRUM_HEIGHT = 88
_WINDOW_S, _RANGE_DB = 0.025, 70.0
_STEPS = 240

# Types that browsers play, by libsndfile's name of the container.
_MIMES = {"FLAC": "audio/flac", "WAV": "audio/wav", "OGG": "audio/ogg", "MP3": "audio/mpeg", "MPEG": "audio/mpeg"}


@dataclass(frozen=True, kw_only=True)
class ShownAudio:
    """One recording as the page shows it.

    Args:
        source: Data URI, in a container that browsers play.
        seconds: Duration in seconds.
        rate_hz: Sample rate in Hz.
        form: Name of the container, such as "FLAC".
        wave: SVG path in a drawing of `WIDTH` x `WAVE_HEIGHT`.
        spectrogram: Data URI of a PNG, with low frequencies at the bottom and time from left to right.
    """

    source: str
    seconds: float
    rate_hz: int
    form: str
    wave: str
    spectrogram: str


def audio_of(data: bytes) -> ShownAudio:
    """Read an encoded recording.

    Raises:
        OSError, ValueError, RuntimeError: the bytes are not audio that libsndfile reads.
    """
    import soundfile

    with open_audio(data) as file:
        form = str(file.format)
    channels, rate = read_audio(data)
    mono = channels.mean(axis=1)
    if form not in _MIMES:
        buffer = io.BytesIO()
        soundfile.write(buffer, mono, rate, format="FLAC")
        data = buffer.getvalue()
    most = float(np.abs(mono).max(initial=0))
    return ShownAudio(
        source=data_uri(data, _MIMES.get(form, _MIMES["FLAC"])),
        seconds=len(mono) / rate,
        rate_hz=int(rate),
        form=form,
        wave=envelope_path(mono, WIDTH, WAVE_HEIGHT, max(most, 1e-6), _STEPS),
        spectrogram=data_uri(coloured_png(spectrogram(mono, rate)), "image/png"),
    )


def spectrogram(mono: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float32]:
    """Compute the levels of a recording over time and frequency.

    Args:
        mono: (samples,) float32.
        rate_hz: Sample rate in Hz.

    Returns:
        (88, 320) float32 from 0 (70 dB below the loudest) to 1, the highest frequency (half the rate) in the first row.
    """
    window = max(int(_WINDOW_S * rate_hz), 2)
    padded = np.pad(mono, (0, max(window - len(mono), 0)))
    hop = max((len(padded) - window) // (WIDTH - 1), 1)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
    magnitude = np.abs(np.fft.rfft(frames * np.hanning(window), axis=1)).T[::-1]
    decibels = 20 * np.log10(np.maximum(magnitude, 1e-7))
    levels = np.clip(1 + (decibels - decibels.max()) / _RANGE_DB, 0, 1).astype(np.float32)
    size = (WIDTH, _SPECTRUM_HEIGHT)
    return np.asarray(Image.fromarray(levels).resize(size, Image.Resampling.BILINEAR), dtype=np.float32)
