"""Random views of images, each a function of (seed, epoch, sample_id), so that they do not depend on threads, ranks or
interruptions. `ImageAugment` and `ImageCrop` work while decoding; `ImageJitter` works on decoded images, those of a
cache included.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.arguments import check_fields
from symile_data.errors import UsageError
from symile_data.rng import FloatArray, Stream

from .base import Stored
from .image import Box, ImageSettings, crop_box, decode_view, finished, resized_size

_DRAWS = 5  # area, aspect ratio, left, top, flip


class _View:
    """Base of the views that are made while decoding; subclasses are dataclasses."""

    flip: float

    def box(self, size: tuple[int, int], settings: ImageSettings, uniform: FloatArray) -> Box:
        """Choose the part of an image of `size` (width, height) that is shown."""
        raise TypeError(f"{type(self).__name__} does not say what it shows")

    def draw(self, seed: int, epoch: int, modality: str, sample_ids: npt.NDArray[np.int64]) -> FloatArray:
        """Draw the (rows, 5) uniform numbers that decide the views of some samples."""
        return Stream(seed, f"augment/{modality}/{epoch}").at(sample_ids, _DRAWS)

    def decode(self, data: Stored, settings: ImageSettings, uniform: FloatArray) -> npt.NDArray[Any]:
        """Decode one view of a stored image, in the layout of `decode_image`.

        Raises:
            UndecodableError: the bytes are no image, or a damaged one.
        """
        pixels = decode_view(data, settings, lambda size: self.box(size, settings, uniform))
        return finished(pixels[:, ::-1] if uniform[4] < self.flip else pixels, settings)


@dataclass(frozen=True, kw_only=True)
class ImageAugment(_View):
    """Random resized crop and mirror image.

    Args:
        area: Smallest and largest share of the image's area that is shown.
        ratio: Smallest and largest width / height of the crop; drawn evenly on a logarithmic scale.
        flip: Probability of the mirror image.
    """

    area: tuple[float, float] = (0.35, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    flip: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 < self.area[0] <= self.area[1] <= 1.0:
            raise UsageError("the area of a random crop must be within (0, 1]", got=self.area)
        if not 0.0 < self.ratio[0] <= self.ratio[1]:
            raise UsageError("the ratios of a random crop must be positive and ascending", got=self.ratio)
        _check_flip(self.flip)

    def box(self, size: tuple[int, int], settings: ImageSettings, uniform: FloatArray) -> Box:
        """Choose the part of an image that is shown; a crop that would not fit is cut at the image's edges.

        Args:
            size: Width and height, pixels.
            settings: Not used: a crop of any size is resized.
            uniform: (5,) numbers in [0, 1).

        Returns:
            Left, top, right and bottom edge, pixels.

        >>> ImageAugment(area=(1.0, 1.0), ratio=(1.0, 1.0)).box((100, 100), ImageSettings(), np.zeros(5))
        (0.0, 0.0, 100.0, 100.0)
        """
        width, height = size
        area = width * height * (self.area[0] + uniform[0] * (self.area[1] - self.area[0]))
        low, high = math.log(self.ratio[0]), math.log(self.ratio[1])
        ratio = math.exp(low + uniform[1] * (high - low))
        crop_width, crop_height = min(math.sqrt(area * ratio), width), min(math.sqrt(area / ratio), height)
        left, top = uniform[2] * (width - crop_width), uniform[3] * (height - crop_height)
        return float(left), float(top), float(left + crop_width), float(top + crop_height)


@dataclass(frozen=True, kw_only=True)
class ImageCrop(_View):
    """Random crop: the shorter side is resized as for the centre crop, and a square of `size` pixels is cut out
    anywhere instead of from the centre. The paper does this to X-rays in training, though once for all epochs.

    Args:
        flip: Probability of the mirror image; X-rays have a side, so none by default.
    """

    flip: float = 0.0

    def __post_init__(self) -> None:
        check_fields(self)
        _check_flip(self.flip)

    def box(self, size: tuple[int, int], settings: ImageSettings, uniform: FloatArray) -> Box:
        """Choose the part of an image that is shown.

        Args:
            size: Width and height, pixels.
            settings: Sizes of the image before and after the crop.
            uniform: (5,) numbers in [0, 1).

        Returns:
            Left, top, right and bottom edge, pixels.

        >>> ImageCrop().box((400, 320), ImageSettings(size=320), np.array([0.0, 0.0, 0.5, 0.5, 0.0]))
        (40.0, 0.0, 360.0, 320.0)
        """
        width, height = resized_size(size, settings)
        left, top = (
            int(place * (rest - settings.size + 1)) for place, rest in zip(uniform[2:4], (width, height), strict=True)
        )
        return crop_box(size, settings, left, top)


@dataclass(frozen=True, kw_only=True)
class ImageJitter:
    """Random shift and mirror image of decoded images; the edges are mirrored into the gap.

    Args:
        shift: Largest shift in each direction, as a share of the image's side.
        flip: Probability of the mirror image.

    Raises:
        UsageError: a shift of half the side or more, or a probability outside [0, 1].
    """

    shift: float = 0.125
    flip: float = 0.5

    def __post_init__(self) -> None:
        check_fields(self)
        if not 0.0 <= self.shift < 0.5:
            raise UsageError("the shift of an image must be within [0, 0.5)", got=self.shift)
        _check_flip(self.flip)

    def apply(
        self, images: npt.NDArray[np.uint8], seed: int, epoch: int, modality: str, sample_ids: npt.NDArray[np.int64]
    ) -> npt.NDArray[np.uint8]:
        """Shift and mirror the images of some samples.

        Args:
            images: (B, S, S, 3) uint8.
            seed: Seed of the draw.
            epoch: The epoch, from 0.
            modality: Name of the modality, which has a random stream of its own.
            sample_ids: (B,) int64.

        Returns:
            (B, S, S, 3) uint8.
        """
        uniform = Stream(seed, f"jitter/{modality}/{epoch}").at(sample_ids, 3)
        side = images.shape[1]
        most = round(self.shift * side)
        offsets = np.floor(uniform[:, :2] * (2 * most + 1)).astype(np.int64) - most
        rows = _mirrored(np.arange(side) + offsets[:, :1], side)
        columns = _mirrored(np.arange(side) + offsets[:, 1:], side)
        mirrored = uniform[:, 2] < self.flip
        columns[mirrored] = columns[mirrored, ::-1]
        pick = np.arange(len(images))[:, None, None]
        return images[pick, rows[:, :, None], columns[:, None, :]]


View = ImageAugment | ImageCrop | ImageJitter


def _check_flip(flip: float) -> None:
    if not 0.0 <= flip <= 1.0:
        raise UsageError("the probability of a mirror image is outside [0, 1]", got=flip)


def _mirrored(positions: npt.NDArray[np.int64], side: int) -> npt.NDArray[np.int64]:
    """Reflect positions beyond an edge back inside."""
    inside: npt.NDArray[np.int64] = side - 1 - np.abs(side - 1 - np.abs(positions))
    return inside
