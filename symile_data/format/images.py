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


def shown(picture: Image.Image) -> Image.Image:
    """Decode a picture as it is to be seen, in mode RGB or L (grey).

    Args:
        picture: From `symile_data.format.media.open_picture`, or any image of Pillow's.

    Raises:
        UnfitMediumError: its grey values are of no known range.
    """
    if is_turned(picture):
        picture = ImageOps.exif_transpose(picture)
    if picture.mode.startswith("I"):
        return _from_integers(picture)
    if picture.mode == "F":
        return _from_floats(picture)
    if picture.has_transparency_data:
        picture = _with_alpha(picture)
        return Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB")
    return picture if picture.mode in _EIGHT_BITS else picture.convert("RGB")


def is_turned(picture: Image.Image) -> bool:
    """Whether a picture's metadata ask the viewer to turn or mirror it."""
    return bool(picture.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT)


def _with_alpha(picture: Image.Image) -> Image.Image:
    """The same in mode RGBA. Pillow converts premultiplied grey (La) to no other mode than LA."""
    return (picture.convert("LA") if picture.mode == "La" else picture).convert("RGBA")


def _from_integers(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture).astype(np.int64)
    _check_range(values, _DEEPEST)
    grey = (values >> 8).astype(np.uint8)
    transparent = picture.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = _WHITE
    return Image.fromarray(grey)


def _from_floats(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture)
    _check_range(values, _WHITE)
    scale = _WHITE if values.max(initial=0) <= 1 else 1
    return Image.fromarray(np.rint(values * scale).astype(np.uint8))


def _check_range(values: npt.NDArray[Any], most: int) -> None:
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and high <= most):  # false for NaN too
        raise UnfitMediumError(f"grey values from {low:g} to {high:g} where 0 to {most} are possible")
