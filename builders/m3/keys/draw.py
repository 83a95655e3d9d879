"""Draw the values of the keys of each row, and the variants by which they are shown, from one named stream for each."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.rng import Stream, below

VARIANTS = 32  # images, tones or codes of each value in a media store


@dataclass(frozen=True)
class KeyValues:
    """The values of one key in some rows.

    Args:
        values: (N,) int64, from 0 to W - 1.
        variants: (N,) int64, from 0 to `VARIANTS` - 1.
    """

    values: npt.NDArray[np.int64]
    variants: npt.NDArray[np.int64]

    @property
    def numbers(self) -> npt.NDArray[np.int64]:
        """(N,) int64 number of the row's image, tone or code among those of its media store."""
        return self.values * VARIANTS + self.variants


def draw_key(seed: int, name: str, split: str, values: int, start: int, stop: int) -> KeyValues:
    """Draw a key in the rows `start` to `stop - 1` of a split. Values and variants are uniform and independent.

    Args:
        seed: The build's seed.
        name: Name of the key.
        split: Name of the split.
        values: W, number of values.
        start: First row.
        stop: Row after the last.
    """
    uniform = Stream(seed, f"m3/keys/{name}/{split}").rows(start, stop, 2)
    return KeyValues(
        values=below(uniform[:, 0], values).astype(np.int64), variants=below(uniform[:, 1], VARIANTS).astype(np.int64)
    )
