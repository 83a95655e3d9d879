"""Laboratory values as percentiles of the training split, which are comparable across tests and robust to outliers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

UNKNOWN = 0.5  # for a test that no training row has; the median is neutral


def percentiles(train: Values, values: Values, unknown: float = UNKNOWN) -> Values:
    """Compute the share of a test's training values that are not greater than a value.

    Args:
        train: (N, L) values of the training split, NaN where not measured.
        values: (M, L) values to place.
        unknown: The percentile of a test that no training row has.

    Returns:
        (M, L) in [0, 1], NaN where not measured.

    >>> percentiles(np.array([[1.0], [2.0], [2.0], [np.nan]]), np.array([[2.0], [0.5], [np.nan]])).ravel().tolist()
    [1.0, 0.0, nan]
    """
    placed = np.full(values.shape, np.nan)
    for column in range(values.shape[1]):
        known = np.sort(train[~np.isnan(train[:, column]), column])
        measured = ~np.isnan(values[:, column])
        rank = np.searchsorted(known, values[measured, column], side="right")
        if len(known):  # steps as statsmodels makes them; r / n differs from them in the last bit
            steps = np.concatenate([[0.0], np.linspace(1 / len(known), 1.0, len(known))])
            placed[measured, column] = steps[rank]
        else:
            placed[measured, column] = unknown
    return placed
