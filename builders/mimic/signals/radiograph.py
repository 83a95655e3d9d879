"""Convert one chest X-ray from JPEG or DICOM to an uncropped 8-bit gray PNG whose shorter side has 320 pixels.

For a gray JPEG the pixels are exactly those of the public pipeline (RGB, then antialiased bilinear resize): each of
its three planes equals this one.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from symile_data.datasets.mimic.schema import SHORTER_SIDE
from symile_data.format.media import UnfitMediumError, open_image

from .dicom import UnusablePictureError, dicom_pixels, read_dicom

__all__ = ["UnusablePictureError", "convert", "dicom_pixels", "shrunk"]

_COMPRESSION = 6
_LONGEST = 8  # longer side over shorter side; a longer image is not an X-ray, and its resized copy would be huge


def convert(path: Path) -> bytes:
    """Read, shrink and encode an X-ray.

    Args:
        path: A .jpg or .dcm file.

    Returns:
        A PNG, the same bytes for the same pixels and version of Pillow.

    Raises:
        UnusablePictureError: the file is missing, does not decode or is not an X-ray.
        SourceError: a DICOM file needs a decoder that is not installed.
    """
    if not path.is_file():  # reading a pipe would never end
        raise UnusablePictureError("file not found")
    image = read_dicom(path) if path.suffix == ".dcm" else _jpeg(path)
    if max(image.size) > _LONGEST * min(image.size):
        raise UnusablePictureError("not the shape of an X-ray")
    buffer = io.BytesIO()
    shrunk(image).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def shrunk(image: Image.Image) -> Image.Image:
    """Resize so that the shorter side has 320 pixels; the longer one is rounded down, as in torchvision.

    >>> shrunk(Image.new("L", (640, 963))).size
    (320, 481)
    """
    width, height = image.size
    shorter, longer = min(width, height), max(width, height)
    other = int(SHORTER_SIDE * longer / shorter)
    size = (SHORTER_SIDE, other) if width <= height else (other, SHORTER_SIDE)
    return image if size == image.size else image.resize(size, Image.Resampling.BILINEAR)


def _jpeg(path: Path) -> Image.Image:
    try:
        with open_image(path.read_bytes()) as opened:
            return opened.convert("L")
    except FileNotFoundError:
        raise UnusablePictureError("file not found") from None
    except (UnfitMediumError, OSError):
        raise UnusablePictureError("does not decode") from None
