"""Log-mel spectrograms in Whisper's parameterisation: 16 kHz, windows of 25 ms every 10 ms, Slaney filters up to 8 kHz.

Results equal those of transformers' `WhisperFeatureExtractor` for input of the same length. That one always pads to
30 s, which makes the spectrogram of three seconds ten times as costly; here nothing is padded unless asked. The
filters are librosa's, which is imported (a second, for its numba) when the first spectrogram is asked for.
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

from symile_data.extras import needs_extra

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160

_FLOOR = 1e-10
_RANGE = 8.0  # decades below the loudest value that are kept

FloatArray = npt.NDArray[np.float32]
_Filters = tuple[FloatArray, npt.NDArray[np.int64], npt.NDArray[np.bool_]]  # weights, starts, empty


def log_mel(waveform: FloatArray, n_mels: int = 80) -> FloatArray:
    """Compute the log-mel spectrogram that Whisper takes.

    Args:
        waveform: (samples,) float32 at 16 kHz, at least 201 samples.
        n_mels: Filters; Whisper uses 80, and 128 since large-v3.

    Returns:
        (n_mels, samples // 160) float32.

    Raises:
        MissingPackageError: librosa is not installed.

    >>> log_mel(np.zeros(16_000, dtype=np.float32)).shape
    (80, 100)
    """
    padded = np.pad(waveform, WINDOW_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES][:-1]
    spectrum = np.fft.rfft(frames * _window())
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel = np.log10(np.maximum(_filtered(power, n_mels), np.float32(_FLOOR)))
    return np.ascontiguousarray(((np.maximum(mel, mel.max() - np.float32(_RANGE)) + 4.0) / 4.0).T, dtype=np.float32)


def silence(spectrogram: FloatArray) -> float:
    """Return the value that `log_mel` gives to silence behind a sound with this spectrogram.

    >>> silence(np.array([[0.5, 1.0]], dtype=np.float32))
    -1.0
    """
    return max(float(spectrogram.max()) - _RANGE / 4.0, (float(np.log10(_FLOOR)) + 4.0) / 4.0)


@cache
def _window() -> FloatArray:
    """(400,) periodic Hann window."""
    return np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


def _filtered(power: FloatArray, n_mels: int) -> FloatArray:
    """Apply the filters to (frames, 201) power; returns (frames, n_mels).

    This is not a matrix product: two sums over stretches of bins do it, and no BLAS starts threads of its own under
    each of the loader's. Only neighbouring triangles overlap, so the filters of even number share no bin, nor do those
    of odd number.
    """
    mel = np.empty((len(power), n_mels), dtype=np.float32)
    for first, (weights, starts, empty) in enumerate(mel_filters(n_mels)):
        mel[:, first::2] = np.add.reduceat(power * weights, starts, axis=1)
        mel[:, first::2][:, empty] = 0.0  # reduceat gives a stretch without bins the next one's first
    return mel


@cache
def mel_filters(n_mels: int) -> tuple[_Filters, ...]:
    """Compute Whisper's filters with librosa: triangles of equal area on Slaney's scale up to 8 kHz.

    Returns:
        For the filters of even number, then for those of odd number (none where `n_mels` is 1): (201,) weight of each
        bin, first bin of each filter, and which filters hold no bin.

    Raises:
        MissingPackageError: librosa is not installed.
    """
    with needs_extra("audio", "log-mel spectrograms"):
        from librosa.filters import mel
    filters = mel(sr=SAMPLE_RATE_HZ, n_fft=WINDOW_SAMPLES, n_mels=n_mels, htk=False, norm="slaney")
    return tuple(_side_by_side(filters[first::2]) for first in range(min(n_mels, 2)))


def _side_by_side(filters: FloatArray) -> _Filters:
    """Merge filters that share no bin into one row of weights."""
    empty = np.logical_not(filters.any(axis=1))
    # The last bin has weight 0. A filter without bins begins where the next one does.
    starts = np.where(empty, filters.shape[1] - 1, np.argmax(filters > 0, axis=1))
    starts = np.minimum.accumulate(starts[::-1])[::-1]
    return filters.sum(axis=0), starts, empty
