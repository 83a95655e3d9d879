"""Convert stored images to eight bits by one rule for builders, loaders and cards, so that an image looks the same
everywhere.

- The EXIF orientation is applied.
- Transparent pixels become white, whether an alpha channel, a palette or a colour marks them.
- Grey values of 16 bits are divided by 256; Pillow's own conversion clips them at 255. Some files and some versions of
  Pillow hold the same 16 bits in mode I (32-bit integers).
- Floating-point grey values are fractions of 1 if none exceeds 1, and grey levels up to 255 otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from .media import UnfitMediumError

if TYPE_CHECKING:
    from PIL import Image

ORIENTATION = 0x0112  # EXIF tag; 1 or absent means upright
UPRIGHT = 1

_DEEPEST = 65_535
_WHITE = 255
_EIGHT_BITS = ("RGB", "L")


def shown(image: Image.Image) -> Image.Image:
    """Decode an image for display, in mode RGB or L (grey).

    Args:
        image: From `symile_data.format.media.open_image`, or any image of Pillow's.

    Raises:
        UnfitMediumError: the grey values are outside every known range.
    """
    from PIL import Image, ImageOps  # whoever has an image has imported them already

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
    """Tell whether the EXIF orientation asks a viewer to rotate or mirror an image."""
    return bool(image.getexif().get(ORIENTATION, UPRIGHT) != UPRIGHT)


def _with_alpha(image: Image.Image) -> Image.Image:
    """Convert to mode RGBA. Pillow converts premultiplied grey (La) only to LA."""
    return (image.convert("LA") if image.mode == "La" else image).convert("RGBA")


def _from_integers(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image).astype(np.int64)
    _check_range(values, _DEEPEST)
    grey = (values >> 8).astype(np.uint8)
    transparent = image.info.get("transparency")
    if isinstance(transparent, int):
        grey[values == transparent] = _WHITE
    return Image.fromarray(grey)


def _from_floats(image: Image.Image) -> Image.Image:
    from PIL import Image

    values = np.asarray(image)
    _check_range(values, _WHITE)
    scale = _WHITE if values.max(initial=0) <= 1 else 1
    return Image.fromarray(np.rint(values * scale).astype(np.uint8))


def _check_range(values: npt.NDArray[Any], most: int) -> None:
    low, high = values.min(initial=0), values.max(initial=0)
    if not (low >= 0 and high <= most):  # false for NaN too
        raise UnfitMediumError(f"grey values from {low:g} to {high:g} where 0 to {most} are possible")
