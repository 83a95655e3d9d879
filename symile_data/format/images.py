"""What a stored picture shows, in eight bits: one rule for builders, loaders and cards, so that a picture looks alike
wherever it is decoded.

- A picture stands as its EXIF orientation says.
- What is transparent shows white, whichever way the file says it (alpha channel, palette or a colour).
- Grey values of 16 bits are divided by 256. Pillow's own conversion cuts them off at 255 instead. Its mode I, 32-bit
  integers, is how some files and versions hold the same 16 bits.
- Floating-point grey values are shares of 1 where none is above it, and grey levels up to 255 otherwise.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageOps

from .media import UnfitMediumError

ORIENTATION = 0x0112  # EXIF tag; 1 or absent means upright
UPRIGHT = 1

_DEEPEST = 65_535
_WHITE = 255
_EIGHT_BITS = ("RGB", "L")


def shown(image: Image.Image) -> Image.Image:
    """Decode a picture as it is to be seen, in mode RGB or L (grey).

    Args:
        image: From `symile_data.format.media.open_image`, or any image of Pillow's.

    Raises:
        UnfitMediumError: its grey values are of no known range.
    """
    if is_turned(image):
        image = ImageOps.exif_transpose(image)
    if image.mode.startswith("I"):
        return _from_integers(image)
    if image.mode == "F":
        return _from_floats(image)
    if image.has_transparency_data:
        image = _with_alpha(image)
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image if image.mode in _EIGHT_BITS else image.convert("RGB")


def is_turned(image: Image.Image) -> bool:
    """Whether a picture's metadata ask the viewer to turn or mirror it."""
    return bool(image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT)


def _with_alpha(image: Image.Image) -> Image.Image:
    """The same in mode RGBA. Pillow converts premultiplied grey (La) to no other mode than LA."""
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _from_integers(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    _check_range(values, _DEEPEST)
    grey = (values >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = _WHITE
    return Image.fromarray(grey)


def _from_floats(image: Image.Image) -> Image.Image:
    values = np.asarray(image)
    _check_range(values, _WHITE)
    scale = _WHITE if values.max(initial=0) <= 1 else 1
    return Image.fromarray(np.rint(values * scale).astype(np.uint8))


def _check_range(values: npt.NDArray[Any], most: int) -> None:
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and high <= most):  # false for NaN too
        raise UnfitMediumError(f"grey values from {low:g} to {high:g} where 0 to {most} are possible")
