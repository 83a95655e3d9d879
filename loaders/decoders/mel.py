"""Log-mel spectrograms in Whisper's parameterisation: 16 kHz, windows of 25 ms every 10 ms, Slaney filters up to 8 kHz.

Equal to transformers' `WhisperFeatureExtractor` for input of the same length (that one always pads to 30 s, which
makes a short clip's spectrogram ten times as costly; here nothing is padded unless asked).
"""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt

SAMPLE_RATE_HZ = 16_000
WINDOW_SAMPLES = 400
HOP_SAMPLES = 160

_TOP_HZ = 8000.0
_LINEAR_UNTIL_HZ = 1000.0  # Slaney's mel scale: linear below, logarithmic above
_MELS_PER_HZ = 3.0 / 200.0
_MELS_PER_OCTAVE_E = 27.0 / np.log(6.4)
_FLOOR = 1e-10
_RANGE = 8.0  # decades below the loudest value that are kept

FloatArray = npt.NDArray[np.float32]


def log_mel(waveform: FloatArray, n_mels: int = 80) -> FloatArray:
    """Log-mel spectrogram.

    Args:
        waveform: (samples,) float32 at 16 kHz, at least 201 samples.
        n_mels: Filters; Whisper uses 80, and 128 since large-v3.

    Returns:
        (n_mels, samples // 160) float32.

    >>> log_mel(np.zeros(16_000, dtype=np.float32)).shape
    (80, 100)
    """
    padded = np.pad(waveform, WINDOW_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW_SAMPLES)[::HOP_SAMPLES][:-1]
    spectrum = np.fft.rfft(frames * _window())
    power = np.square(spectrum.real) + np.square(spectrum.imag)
    mel = np.log10(np.maximum(_filtered(power, n_mels), np.float32(_FLOOR)))
    return np.ascontiguousarray(((np.maximum(mel, mel.max() - np.float32(_RANGE)) + 4.0) / 4.0).T, dtype=np.float32)


@cache
def _window() -> FloatArray:
    """(400,) periodic Hann window."""
    return np.hanning(WINDOW_SAMPLES + 1)[:-1].astype(np.float32)


def _filtered(power: FloatArray, n_mels: int) -> FloatArray:
    """(frames, 201) power -> (frames, n_mels), each the sum under one triangle.

    Not a matrix product: neighbouring triangles overlap in pairs only, so two sums over stretches of bins do it, and
    no BLAS starts threads of its own under each of the loader's.
    """
    rising, falling, starts, empty = _triangles(n_mels)
    up, down = (np.add.reduceat(power * slope, starts, axis=1)[:, : n_mels + 1] for slope in (rising, falling))
    up[:, empty], down[:, empty] = 0.0, 0.0  # reduceat gives a stretch without bins its first neighbour
    return np.asarray(up[:, :-1] + down[:, 1:])


@cache
def _triangles(n_mels: int) -> tuple[FloatArray, FloatArray, npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    """Filters of equal area over `n_mels + 2` corners: between two corners one triangle falls and the next rises.

    Returns:
        (201,) weights of each bin in the triangle that rises and in the one that falls there; first bin of each of the
        n_mels + 1 stretches between corners; and which of these have no bin. The last bin lies on the last corner
        and has weight 0.
    """
    corners = _hertz(np.linspace(0.0, _mels(_TOP_HZ), n_mels + 2))
    bins = np.linspace(0.0, SAMPLE_RATE_HZ / 2, WINDOW_SAMPLES // 2 + 1)
    stretch = np.clip(np.searchsorted(corners, bins, side="right") - 1, 0, n_mels)
    place = (bins - corners[stretch]) / np.diff(corners)[stretch]
    area = np.concatenate(
        [[0.0], 2.0 / (corners[2:] - corners[:-2]), [0.0]]
    )  # none falls in the first, none rises in the last
    rising, falling = place * area[stretch + 1], (1.0 - place) * area[stretch]
    starts = np.searchsorted(stretch, np.arange(n_mels + 1)).clip(max=len(bins) - 1)
    empty = np.bincount(stretch, minlength=n_mels + 1) == 0
    return rising.astype(np.float32), falling.astype(np.float32), starts, empty


def _mels(hertz: float) -> float:
    if hertz < _LINEAR_UNTIL_HZ:
        return hertz * _MELS_PER_HZ
    return float(_LINEAR_UNTIL_HZ * _MELS_PER_HZ + np.log(hertz / _LINEAR_UNTIL_HZ) * _MELS_PER_OCTAVE_E)


def _hertz(mels: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    knee = _LINEAR_UNTIL_HZ * _MELS_PER_HZ
    high = _LINEAR_UNTIL_HZ * np.exp((mels - knee) / _MELS_PER_OCTAVE_E)
    return np.where(mels < knee, mels / _MELS_PER_HZ, high)
