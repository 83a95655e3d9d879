"""Random views of pictures, each a function of (seed, epoch, sample_id): the same whatever the threads, ranks or
interruptions. `ImageAugment` works while decoding, `ImageJitter` on decoded pictures, also those of a cache.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.errors import UsageError
from symile_data.media import UnfitMediumError, open_picture
from symile_data.streams import FloatArray, Stream

from .decode import Box, ImageSettings, UndecodableError, resized, upright

_DRAWS = 5  # area, aspect ratio, left, top, flip


@dataclass(frozen=True, kw_only=True)
class ImageAugment:
    """Random resized crop and mirror image.

    Args:
        area: Smallest and largest share of the picture's area that is shown.
        ratio: Smallest and largest width / height of the crop; drawn evenly on a logarithmic scale.
        flip: Probability of the mirror image.
    """

    area: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 < self.area[0] <= self.area[1] <= 1.0:
            raise UsageError("the area of a random crop must be within (0, 1]", got=self.area)
        if not 0.0 < self.ratio[0] <= self.ratio[1]:
            raise UsageError("the ratios of a random crop must be positive and ascending", got=self.ratio)
        if not 0.0 <= self.flip <= 1.0:
            raise UsageError("the probability of a mirror image is outside [0, 1]", got=self.flip)

    def draw(self, seed: int, epoch: int, modality: str, sample_ids: npt.NDArray[np.int64]) -> FloatArray:
        """(rows, 5) uniform numbers that decide the views of some samples."""
        return Stream(seed, f"augment/{modality}/{epoch}").at(sample_ids, _DRAWS)

    def box(self, size: tuple[int, int], uniform: FloatArray) -> Box:
        """The part of a picture that is shown; a crop that would not fit is shortened to the picture's edges.

        Args:
            size: Width and height, pixels.
            uniform: (5,).

        >>> ImageAugment(area=(1.0, 1.0), ratio=(1.0, 1.0)).box((100, 100), np.zeros(5))
        (0.0, 0.0, 100.0, 100.0)
        """
        width, height = size
        area = width * height * (self.area[0] + uniform[0] * (self.area[1] - self.area[0]))
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = math.exp(low + uniform[1] * (high - low))
        crop_width, crop_height = min(math.sqrt(area * ratio), width), min(math.sqrt(area / ratio), height)
        left, top = uniform[2] * (width - crop_width), uniform[3] * (height - crop_height)
        return float(left), float(top), float(left + crop_width), float(top + crop_height)

    def decode(self, data: bytes, settings: ImageSettings, uniform: FloatArray) -> npt.NDArray[np.uint8]:
        """One view of a stored picture, (S, S, 3) uint8.

        Raises:
            UndecodableError: not a picture, or a damaged one.
        """
        try:
            with open_picture(data) as opened:
                picture = upright(opened)
                pixels = resized(picture, self.box(picture.size, uniform), settings)
        except UnfitMediumError as error:
            raise UndecodableError(f"not a readable picture ({error})") from None
        return pixels[:, ::-1] if uniform[4] < self.flip else pixels


@dataclass(frozen=True, kw_only=True)
class ImageJitter:
    """Random shift, with the edges mirrored into the gap, and mirror image, of pictures already decoded.

    Args:
        shift: Largest shift in each direction, as a share of the picture's side.
        flip: Probability of the mirror image.

    Raises:
        UsageError: a shift of half the side or more, or a probability outside [0, 1].
    """

    shift: float = 0.125
    flip: float = 0.5

    def __post_init__(self) -> None:
        if not 0.0 <= self.shift < 0.5:
            raise UsageError("the shift of a picture must be within [0, 0.5)", got=self.shift)
        if not 0.0 <= self.flip <= 1.0:
            raise UsageError("the probability of a mirror image is outside [0, 1]", got=self.flip)

    def apply(
        self, pictures: npt.NDArray[np.uint8], seed: int, epoch: int, modality: str, sample_ids: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        """The views of some samples.

        Args:
            pictures: (B, S, S, 3) uint8.
            sample_ids: (B,).

        Returns:
            (B, S, S, 3) uint8.
        """
        uniform = Stream(seed, f"jitter/{modality}/{epoch}").at(sample_ids, 3)
        side = pictures.shape[1]
        most = round(self.shift * side)
        offsets = np.floor(uniform[:, :2] * (2 * most + 1)).astype(np.int64) - most
        rows = _mirrored(np.arange(side) + offsets[:, :1], side)
        columns = _mirrored(np.arange(side) + offsets[:, 1:], side)
        mirrored = uniform[:, 2] < self.flip
        columns[mirrored] = columns[mirrored, ::-1]
        pick = np.arange(len(pictures))[:, None, None]
        return pictures[pick, rows[:, :, None], columns[:, None, :]]


def _mirrored(positions: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Positions beyond an edge, reflected back inside."""
    inside: npt.NDArray[np.int64] = side - 1 - np.abs(side - 1 - np.abs(positions))
    return inside
