"""Decode, crop and resize images with an exact or a fast kernel. The caller chooses the part that is shown: the centre
(`decode_image`) or a random view (`augment`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from symile_data.arguments import check_fields
from symile_data.errors import UsageError
from symile_data.format.images import shown
from symile_data.format.media import MOST_PIXELS, open_image

from .base import Decoder, Layout, Stored, StoredMedia, UndecodableError, check_files, layout_of

if TYPE_CHECKING:
    from PIL import Image

# Red, green and blue of ImageNet in [0, 1], by which the paper normalises images and X-rays.
MEAN = np.array([0.485, 0.456, 0.406], dtype=np.float32)
DEVIATION = np.array([0.229, 0.224, 0.225], dtype=np.float32)

_JPEG_START, _JPEG_APP1, _JPEG_SCAN = b"\xff\xd8", 0xE1, 0xDA
_JPEG_FILL = 0xFF  # any number of these may stand before a marker's code
_JPEG_SEGMENTS = {*range(0xC0, 0xD0), *range(0xDB, 0xFF)}  # markers that a length follows
_JPEG_COLOURS = {"YCbCr": "RGB", "Gray": "GRAY"}  # colour space of a file -> what it is decoded to

Box = tuple[float, float, float, float]  # left, top, right, bottom in pixels of the image
Pixels = npt.NDArray[np.uint8]
ViewOf = Callable[[tuple[int, int]], Box]  # (width, height) of the upright image -> the part that is shown


@dataclass(frozen=True, kw_only=True)
class ImageSettings:
    """Images become (size, size, 3) uint8: shorter side resized, centre cropped, upright, RGB.

    Args:
        size: S, pixels.
        shorter_side: Pixels to which the shorter side is resized before the crop; `size` by default (256 with size
            224 is the classical evaluation crop).
        kernel: "exact" is Pillow's antialiased bicubic, computed for the crop only; "fast" decodes JPEG with
            libjpeg-turbo's own interface, by halves where the image is large, and resizes in uint8 with torch: less
            CPU, and pixels that differ from exact ones by 2 to 3 of 255 on average.
        normalise: True gives (3, S, S) float32 instead, ImageNet's mean subtracted and deviation divided out, as the
            paper's networks take it. Four times the memory of uint8; on a device it costs nothing.
    """

    size: int = 224
    shorter_side: int | None = None
    kernel: Literal["exact", "fast"] = "exact"
    normalise: bool = False

    def __post_init__(self) -> None:
        check_fields(self)
        if self.size < 1 or (self.shorter_side is not None and self.shorter_side < self.size):
            raise UsageError(
                "an image needs 1 <= size <= shorter_side", got=f"size {self.size}, shorter_side {self.shorter_side}"
            )
        if self.kernel not in ("exact", "fast"):
            raise UsageError("unknown image kernel", got=repr(self.kernel), do="choose exact or fast")

    @property
    def shorter(self) -> int:
        """Pixels of the shorter side before the crop."""
        return self.shorter_side or self.size


def decode_image(data: Stored, settings: ImageSettings) -> npt.NDArray[Any]:
    """Decode the centre of a stored JPEG, PNG, ...

    Returns:
        (S, S, 3) uint8, or (3, S, S) float32 where the settings normalise.

    Raises:
        UndecodableError: the bytes are no image, or a damaged one.
    """
    return finished(decode_view(data, settings, lambda size: centre_box(size, settings)), settings)


def decode_view(data: Stored, settings: ImageSettings, view_of: ViewOf) -> Pixels:
    """Decode a part of a stored image to (S, S, 3) uint8.

    Raises:
        UndecodableError: the bytes are no image, or a damaged one.
    """
    try:
        if settings.kernel == "fast":
            whole = _fast_pixels(data, 2 * settings.shorter)
            pixels = _resized_fast(whole, view_of((whole.shape[1], whole.shape[0])), settings.size)
        else:
            with open_image(data) as opened:
                image = shown(opened)
                pixels = _resized_exact(image, view_of(image.size), settings.size)
    except ValueError as error:  # of `open_image` and of simplejpeg
        raise UndecodableError(f"not a readable image ({error})") from None
    return pixels if pixels.ndim == 3 else np.broadcast_to(pixels[:, :, None], (*pixels.shape, 3))


def finished(pixels: Pixels, settings: ImageSettings) -> npt.NDArray[Any]:
    """Normalise (S, S, 3) uint8 pixels to (3, S, S) float32 where the settings say so.

    >>> grey = np.full((1, 1, 3), 124, dtype=np.uint8)
    >>> finished(grey, ImageSettings(size=1, normalise=True)).astype(float).round(2).ravel().tolist()
    [0.01, 0.14, 0.36]
    """
    if not settings.normalise:
        return pixels
    scaled = (pixels.astype(np.float32) / np.float32(255) - MEAN) / DEVIATION
    return scaled.transpose(2, 0, 1)


def centre_box(size: tuple[int, int], settings: ImageSettings) -> Box:
    """Find the part of an image of `size` (width, height) that the resized, centre-cropped result shows.

    An odd remainder is divided as torchvision does it: to the nearest even pixel.

    >>> centre_box((400, 200), ImageSettings(size=100))
    (100.0, 0.0, 300.0, 200.0)
    """
    (width, height) = resized_size(size, settings)
    return crop_box(size, settings, round((width - settings.size) / 2), round((height - settings.size) / 2))


def resized_size(size: tuple[int, int], settings: ImageSettings) -> tuple[int, int]:
    """Compute width and height after the shorter side is resized; the longer side is rounded down."""
    width, height = (max(settings.shorter, settings.shorter * side // min(size)) for side in size)
    return width, height


def crop_box(size: tuple[int, int], settings: ImageSettings, left: int, top: int) -> Box:
    """Find the part of an image that a crop at (left, top) of its resized version shows."""
    across, down = (side / resized for side, resized in zip(size, resized_size(size, settings), strict=True))
    return left * across, top * down, (left + settings.size) * across, (top + settings.size) * down


def _resized_exact(image: Image.Image, box: Box, size: int) -> Pixels:
    from PIL import Image

    left, top, right, bottom = box
    if right - left == bottom - top == size and left.is_integer() and top.is_integer():
        return np.asarray(image.crop((int(left), int(top), int(right), int(bottom))))
    return np.asarray(image.resize((size, size), Image.Resampling.BICUBIC, box=box))


def _fast_pixels(data: Stored, draft: int) -> Pixels:
    """Decode an image to (H, W, 3) or (H, W, 1), halved while its shorter side stays at least `draft` long."""
    import simplejpeg

    if _plain_jpeg(data):
        height, width, colours, _ = simplejpeg.decode_jpeg_header(data)
        if colours in _JPEG_COLOURS and height * width <= MOST_PIXELS:
            scale = next((scale for scale in (8, 4, 2) if min(height, width) >= scale * draft), 1)
            pixels: Pixels = simplejpeg.decode_jpeg(
                data, _JPEG_COLOURS[colours], min_height=-(-height // scale), min_width=-(-width // scale)
            )
            return pixels
    with open_image(data) as opened:
        if opened.format == "JPEG" and min(opened.size) >= 2 * draft:
            scale = min(opened.size) // draft
            opened.draft(None, (opened.width // scale, opened.height // scale))
        whole = np.asarray(shown(opened))
    return whole if whole.ndim == 3 else whole[:, :, None]


def _plain_jpeg(data: Stored) -> bool:
    """Whether data are a JPEG whose header holds no EXIF or XMP, by which it might have to be turned.

    A header that is not a chain of segments up to the first scan gives False: Pillow may still find EXIF in it.
    """
    if bytes(data[:2]) != _JPEG_START:
        return False
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker == _JPEG_SCAN:
            return True
        if marker == _JPEG_FILL:
            at += 1
            continue
        if marker == _JPEG_APP1 or marker not in _JPEG_SEGMENTS:
            return False
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return False


def _resized_fast(whole: Pixels, box: Box, size: int) -> Pixels:
    import torch

    left, top, right, bottom = (round(edge) for edge in box)
    part = whole[top : max(bottom, top + 1), left : max(right, left + 1)]
    planes = torch.from_numpy(part if part.flags.writeable else part.copy()).permute(2, 0, 1)[None]
    scaled = torch.nn.functional.interpolate(planes, size=(size, size), mode="bicubic", antialias=True)
    pixels: Pixels = scaled[0].permute(1, 2, 0).numpy()
    return pixels if pixels.shape[2] == 3 else pixels[:, :, 0]


def _layout(settings: ImageSettings, kind: pa.DataType) -> Layout:
    check_files(kind)
    if settings.normalise:
        return layout_of((3, settings.size, settings.size), np.float32)
    return layout_of((settings.size, settings.size, 3), np.uint8)


DECODER = Decoder(settings=ImageSettings, layout=_layout, values=StoredMedia, decode=decode_image)
