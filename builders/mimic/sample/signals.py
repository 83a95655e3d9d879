"""Draw X-rays and electrocardiograms of invented patients, which show 4 bits of hidden state and one trait each."""

from __future__ import annotations

import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.datasets.mimic.schema import LEADS, NAN_VALUE, RATE_HZ, SAMPLES, UNITS_PER_MV
from symile_data.rng import Stream

from ..signals.waveform import Signal

_QUALITY = 95
_RATES = {False: (55, 75), True: (105, 130)}  # beats per minute, by bit 0 of the state
_HEART = (0.85, 1.25)  # width of the heart relative to the usual one

Plane = npt.NDArray[np.float32]

# Angles of the frontal leads to the heart's electrical axis, and heights of R and S in the chest leads.
_ANGLES = {"I": 0.0, "II": 60.0, "III": 120.0, "aVR": -150.0, "aVF": 90.0, "aVL": -30.0}
_CHEST = {
    "V1": (0.2, -0.9),
    "V2": (0.4, -1.2),
    "V3": (0.7, -0.8),
    "V4": (1.2, -0.4),
    "V5": (1.1, -0.2),
    "V6": (0.9, -0.1),
}


def draw_ecg(seed: int, study_id: int, state: int, fault: str = "") -> Signal:
    """Draw a 12-lead electrocardiogram of 10 s.

    Bit 0 of the state is a fast rate, bit 1 wide QRS complexes, bit 2 an axis to the right (lead I points down), bit 3
    inverted T waves.

    Returns:
        (12, 5000) int16 in the order of `LEADS`, 200 units per mV.
    """
    shape = (len(LEADS), SAMPLES)
    if fault == "zero":
        return np.zeros(shape, dtype=np.int16)
    if fault == "flat":
        return np.full(shape, 7, dtype=np.int16)
    rng = _ecg_stream(seed, study_id)
    period = 60 / _rate(rng, state)
    wide, right, inverted = (bool(state >> bit & 1) for bit in range(1, 4))
    beats = np.arange(rng.uniform(-period, 0), SAMPLES / RATE_HZ + period, period)
    beats = beats + rng.normal(0, 0.01, len(beats))
    width = 0.028 if wide else 0.011
    axis = np.deg2rad((150.0 if right else 30.0) + rng.normal(0, 8))
    strength = rng.uniform(0.8, 1.2)
    polarity = -1.0 if inverted else 1.0
    time = np.arange(SAMPLES) / RATE_HZ
    waves = {
        name: _waves(time, beats + offset, spread)
        for name, offset, spread in (
            ("p", -0.16, 0.022), ("r", 0.0, width), ("s", 0.035 if wide else 0.022, width), ("t", 0.22, 0.045)
        )
    }  # fmt: skip
    volts = np.empty(shape)
    for row, lead in enumerate(LEADS):
        r, s = _CHEST.get(lead) or _frontal(lead, float(axis))
        volts[row] = strength * (
            0.12 * waves["p"] + r * waves["r"] + s * waves["s"] + 0.3 * polarity * abs(r) * waves["t"]
        )
    wander = 0.05 * np.sin(2 * np.pi * (0.25 * time + rng.random((len(LEADS), 1))))
    volts += wander + rng.normal(0, 0.015, shape)
    signal = np.rint(volts * UNITS_PER_MV).astype(np.int16)
    if fault == "unknown":
        signal[0, 100:120] = NAN_VALUE
    return signal


def draw_xray(seed: int, dicom_id: str, state: int, view: str) -> bytes:
    """Draw a chest X-ray as a gray JPEG.

    Each bit of the state is a shadow in one quarter of the lungs: upper left, upper right, lower left, lower right of
    the image. Lateral views show none.
    """
    rng = _cxr_stream(seed, dicom_id)
    height, width, right, down, side = _outline(rng)
    x = (np.linspace(-1, 1, width, dtype=np.float32) - right)[None, :]
    y = (np.linspace(-1, 1, height, dtype=np.float32) - down)[:, None]
    body = 0.62 * _blob(x, y, 0, 0.1, 0.95, 1.15, 6)
    if view == "LATERAL":
        image = body - 0.4 * _blob(x, y, 0, 0, 0.6, 0.7, 4)
    else:
        lungs = sum(_blob(x, y, sign * side, -0.05, 0.32, 0.72, 4) for sign in (-1, 1))
        spine = _blob(x, y, 0, 0, 0.1, 1.2, 4)
        heart = _blob(x, y, 0.14, 0.35, 0.3 * rng.uniform(*_HEART), 0.32, 3)
        image = body - 0.48 * lungs + 0.15 * spine + 0.2 * heart
        for bit in range(4):
            if state >> bit & 1:
                column, row = (-1, 1)[bit % 2], (-1, 1)[bit // 2]
                where = column * side + rng.normal(0, 0.03), -0.05 + row * 0.36 + rng.normal(0, 0.03)
                radius_x, radius_y = rng.uniform(0.16, 0.22, 2).tolist()
                image = image + 0.42 * _blob(x, y, *where, radius_x, radius_y, 2)
    grain = np.float32(0.02) * rng.standard_normal(image.shape, dtype=np.float32)
    shown = (image + grain) * np.float32(rng.uniform(0.9, 1.1)) + np.float32(rng.normal(0.05, 0.02))
    buffer = io.BytesIO()
    Image.fromarray((255 * shown.clip(0, 1)).astype(np.uint8)).save(buffer, "JPEG", quality=_QUALITY)
    return buffer.getvalue()


def has_high_rate(seed: int, study_id: int, state: int) -> bool:
    """Tell whether the heart rate that `draw_ecg` shows lies in the upper half of its range, fast or slow."""
    low, high = _RATES[bool(state & 1)]
    return _rate(_ecg_stream(seed, study_id), state) > (low + high) / 2


def has_large_heart(seed: int, dicom_id: str) -> bool:
    """Tell whether the heart that `draw_xray` shows in a frontal view is wider than at the median."""
    rng = _cxr_stream(seed, dicom_id)
    _outline(rng)
    return bool(rng.uniform(*_HEART) > sum(_HEART) / 2)


def _ecg_stream(seed: int, study_id: int) -> np.random.Generator:
    return Stream(seed, f"mimic/sample/ecg/{study_id}").generator()


def _cxr_stream(seed: int, dicom_id: str) -> np.random.Generator:
    return Stream(seed, f"mimic/sample/cxr/{dicom_id}").generator()


def _rate(rng: np.random.Generator, state: int) -> float:
    """Draw beats per minute; the first draw of an electrocardiogram."""
    return rng.uniform(*_RATES[bool(state & 1)])


def _outline(rng: np.random.Generator) -> tuple[int, int, np.float32, np.float32, float]:
    """Draw height and width in pixels, the shift of the image to the right and down, and the lungs' distance from the
    middle; the first draws of an X-ray.
    """
    height, width = int(rng.integers(384, 440)), int(rng.integers(352, 384))
    right, down = np.float32(rng.normal(0, 0.03)), np.float32(rng.normal(0, 0.03))
    return height, width, right, down, 0.42 + rng.normal(0, 0.01)


def _frontal(lead: str, axis: float) -> tuple[float, float]:
    """Return the heights of R and S in a limb lead."""
    seen = float(np.cos(axis - np.deg2rad(_ANGLES[lead])))
    return 1.1 * seen, -0.25 * seen


def _waves(time: npt.NDArray[np.float64], centres: npt.NDArray[np.float64], spread: float) -> npt.NDArray[np.float64]:
    """Sum one Gaussian bump for each beat; times in seconds."""
    distance = (time - centres[:, None]) / spread
    result: npt.NDArray[np.float64] = np.exp(-0.5 * distance**2).sum(axis=0)
    return result


def _blob(x: Plane, y: Plane, cx: float, cy: float, rx: float, ry: float, hardness: int) -> Plane:
    """Draw a soft ellipse of height 1; `x` is a row and `y` a column of coordinates."""
    distance = np.square((x - np.float32(cx)) / np.float32(rx)) + np.square((y - np.float32(cy)) / np.float32(ry))
    power = distance.copy()
    for _ in range(hardness - 1):
        power *= distance
    result: Plane = np.reciprocal(1 + power)
    return result
