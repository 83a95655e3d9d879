"""Times of events, from the time of admission and the hours since then that a dataset stores."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

import numpy as np
import numpy.typing as npt

from ..stays import time_of

MICROSECONDS_AN_HOUR = 3_600_000_000
MICROSECONDS_A_DAY = 24 * MICROSECONDS_AN_HOUR
_SECOND = 1_000_000

Times = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]


def admission_times(texts: Sequence[str]) -> Times:
    """Convert the column `admittime` to microseconds since 1970.

    Raises:
        ValueError: a text is no time.

    >>> admission_times(["1970-01-01 00:00:01.5"]).tolist()
    [1500000]
    """
    epoch = datetime(1970, 1, 1, tzinfo=UTC)
    gaps = [time_of(text).replace(tzinfo=UTC) - epoch for text in texts]
    return np.array([gap.days * 86_400 * _SECOND + gap.seconds * _SECOND + gap.microseconds for gap in gaps], np.int64)


def moments(admitted: Times, hours: Floats) -> Times:
    """Find the times of events from their hours since admission, which are stored in single precision.

    Tables of MIMIC give whole seconds, which single precision tells apart for 9 days. So the time is the nearest whole
    second after admission wherever its hours equal the stored ones, and the nearest microsecond otherwise. Either way
    its hours since admission, in single precision, are the stored ones.

    Args:
        admitted: (N,) microseconds.
        hours: Hours with N as first axis; NaN where there is no event.

    Returns:
        Microseconds in the shape of `hours`; 0 where there is no event.

    >>> moments(np.array([0]), np.array([np.float32(1 / 3)], dtype=float)).tolist()
    [1200000000]
    """
    known = np.nan_to_num(hours)
    exact = np.rint(known * MICROSECONDS_AN_HOUR)
    whole = np.rint(exact / _SECOND) * _SECOND
    same = (whole / MICROSECONDS_AN_HOUR).astype(np.float32) == known.astype(np.float32)
    since = np.where(same, whole, exact).astype(np.int64)
    start = admitted.reshape(-1, *[1] * (hours.ndim - 1))
    return np.where(np.isnan(hours), 0, start + since)
