"""Decode audio (FLAC, WAV, MP3, ...) to mono waveforms at 16 kHz or to log-mel spectrograms, of one length."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_fields
from symile_data.errors import UsageError
from symile_data.extras import needs_extra
from symile_data.format.media import UnfitMediumError, read_audio

from .base import Decoder, Layout, Stored, StoredMedia, UndecodableError, check_files, layout_of
from .mel import HOP_SAMPLES, SAMPLE_RATE_HZ, WINDOW_SAMPLES, log_mel, mel_filters


@dataclass(frozen=True, kw_only=True)
class AudioSettings:
    """Audio becomes float32 mono at 16 kHz: (samples,), or (n_mels, samples // 160) log-mel.

    Args:
        seconds: Cut or pad with silence to this length; None keeps each one's own length, for `decode_audio` and
            for loaders with `bucket_by`.
        n_mels: None for the waveform, else the number of filters of Whisper's log-mel spectrogram (80 or 128).
        store: Dtype in which a cache keeps decoded audio; batches are float32 in any case.
    """

    seconds: float | None = 3.0
    n_mels: int | None = None
    store: Literal["float32", "float16"] = "float32"

    def __post_init__(self) -> None:
        check_fields(self)
        if self.seconds is not None and not WINDOW_SAMPLES <= self.seconds * SAMPLE_RATE_HZ < math.inf:
            raise UsageError("audio needs at least 0.025 seconds, and an end", got=self.seconds)
        if self.n_mels is not None and not 1 <= self.n_mels <= WINDOW_SAMPLES // 2:
            raise UsageError("n_mels must be from 1 to 200", got=self.n_mels)

    @property
    def samples(self) -> int | None:
        """Number of samples where the length is fixed, else None."""
        return None if self.seconds is None else round(self.seconds * SAMPLE_RATE_HZ)


def decode_audio(data: Stored, settings: AudioSettings) -> npt.NDArray[np.float32]:
    """Decode a stored FLAC, WAV, MP3, ... to a waveform or log-mel spectrogram.

    Returns:
        (samples,) or (n_mels, samples // 160) float32; see `AudioSettings`.

    Raises:
        UndecodableError: libsndfile cannot read the audio, or no sample of it is left at 16 kHz.
        MissingPackageError: the audio has another rate and soxr is not installed, or librosa for a spectrogram.
    """
    try:
        channels, rate = read_audio(data)
    except UnfitMediumError as error:
        raise UndecodableError(f"not readable audio ({error})") from None
    mono = channels[:, 0] if channels.shape[1] == 1 else channels.mean(axis=1)
    waveform = mono if rate == SAMPLE_RATE_HZ else resampled(mono, rate)
    if not len(waveform):
        raise UndecodableError("audio without samples")
    if settings.samples is not None:
        waveform = fixed_length(waveform, settings.samples)
    if settings.n_mels is None:
        return waveform
    # Less than one window has no spectrogram of its own.
    return log_mel(fixed_length(waveform, max(len(waveform), WINDOW_SAMPLES)), settings.n_mels)


def fixed_length(waveform: npt.NDArray[np.float32], samples: int) -> npt.NDArray[np.float32]:
    """Return the first `samples` samples, with silence after a shorter waveform.

    >>> fixed_length(np.ones(2, dtype=np.float32), 3).tolist()
    [1.0, 1.0, 0.0]
    """
    if len(waveform) >= samples:
        return np.ascontiguousarray(waveform[:samples])
    return np.concatenate([waveform, np.zeros(samples - len(waveform), dtype=np.float32)])


def resampled(waveform: npt.NDArray[np.float32], rate_hz: int) -> npt.NDArray[np.float32]:
    """Resample a waveform to 16 kHz with soxr at its very high quality, as the builders resample recordings.

    Args:
        waveform: (samples,) float32 at `rate_hz`.
        rate_hz: Samples per second.

    Returns:
        (samples * 16000 / rate_hz,) float32, rounded to a whole number of samples.

    Raises:
        MissingPackageError: soxr is not installed.
    """
    with needs_extra("audio", f"resampling audio from {rate_hz} Hz"):
        import soxr
    return np.asarray(soxr.resample(waveform, rate_hz, SAMPLE_RATE_HZ, quality="VHQ"), dtype=np.float32)


def _layout(settings: AudioSettings, kind: pa.DataType) -> Layout:
    check_files(kind)
    if settings.samples is None:
        raise UsageError(
            "the audio of a batch needs one length",
            got="seconds=None",
            do="give AudioSettings(seconds=...), or `bucket_by`",
        )
    if settings.n_mels is None:
        return layout_of((settings.samples,), np.float32, settings.store)
    mel_filters(settings.n_mels)  # computed once and before any thread decodes; a missing librosa is an error here
    return layout_of((settings.n_mels, settings.samples // HOP_SAMPLES), np.float32, settings.store)


DECODER = Decoder(settings=AudioSettings, layout=_layout, values=StoredMedia, decode=decode_audio)
