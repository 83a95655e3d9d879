"""One chest X-ray from a JPEG or a DICOM file: 8-bit gray, the shorter side 320 pixels, uncropped, as PNG.

For a gray JPEG the pixels are exactly those of the public pipeline (RGB, then antialiased bilinear resize): each of
its three planes equals ours.
"""

from __future__ import annotations

import io
import struct
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.errors import SourceError
from symile_data.media import MOST_PIXELS, UnfitMediumError, open_picture

from .schema import SHORTER_SIDE

if TYPE_CHECKING:
    from pydicom import Dataset

_COMPRESSION = 6
_LONGEST = 8  # sides of a picture as a multiple of its shorter one; beyond that it is no X-ray and its copy is huge
_DICOM_ERRORS = (
    OSError,
    ValueError,
    AttributeError,
    RuntimeError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    AssertionError,
    MemoryError,
    struct.error,
    zlib.error,
)


class UnusablePictureError(Exception):
    """A file that is no usable X-ray; the text is the reason it is counted under."""


def convert(path: Path) -> bytes:
    """Read, shrink and encode an X-ray.

    Args:
        path: A .jpg or .dcm file.

    Returns:
        A PNG, the same bytes for the same pixels and version of Pillow.

    Raises:
        UnusablePictureError: the file does not decode or is no X-ray.
        SourceError: a DICOM file needs a decoder that is not installed.
    """
    picture = _dicom(path) if path.suffix == ".dcm" else _jpeg(path)
    if max(picture.size) > _LONGEST * min(picture.size):
        raise UnusablePictureError("no X-ray's shape")
    buffer = io.BytesIO()
    shrunk(picture).save(buffer, "PNG", compress_level=_COMPRESSION)
    return buffer.getvalue()


def shrunk(picture: Image.Image) -> Image.Image:
    """Resize so that the shorter side has 320 pixels; the longer one is rounded down, as in torchvision.

    >>> shrunk(Image.new("L", (640, 963))).size
    (320, 481)
    """
    width, height = picture.size
    shorter, longer = min(width, height), max(width, height)
    other = int(SHORTER_SIDE * longer / shorter)
    size = (SHORTER_SIDE, other) if width <= height else (other, SHORTER_SIDE)
    return picture if size == picture.size else picture.resize(size, Image.Resampling.BILINEAR)


def _jpeg(path: Path) -> Image.Image:
    try:
        with open_picture(path.read_bytes()) as opened:
            return opened.convert("L")
    except FileNotFoundError:
        raise UnusablePictureError("file not found") from None
    except (UnfitMediumError, OSError):
        raise UnusablePictureError("does not decode") from None


def _dicom(path: Path) -> Image.Image:
    import pydicom

    try:
        _refuse_deflated(path)
        dataset = pydicom.dcmread(path)
        _require_decoder(dataset, path)
        return Image.fromarray(dicom_pixels(dataset))
    except FileNotFoundError:
        raise UnusablePictureError("file not found") from None
    except (pydicom.errors.InvalidDicomError, *_DICOM_ERRORS):
        raise UnusablePictureError("does not decode") from None


def dicom_pixels(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """What a viewer shows: stored values through the modality table, the window of interest, then inverted if stored
    dark to light (MONOCHROME1), then stretched to 0..255.

    Returns:
        (H, W) uint8.

    Raises:
        ValueError: not one gray picture.
    """
    from pydicom.pixels import apply_modality_lut, apply_voi_lut

    pixels = int(dataset.Rows) * int(dataset.Columns)
    if pixels > MOST_PIXELS or int(dataset.get("NumberOfFrames") or 1) != 1 or dataset.SamplesPerPixel != 1:
        raise ValueError("not one gray picture")
    stored = dataset.pixel_array
    if stored.ndim != 2 or dataset.PhotometricInterpretation not in ("MONOCHROME1", "MONOCHROME2"):
        raise ValueError("not one gray picture")
    shown: npt.NDArray[Any] = apply_voi_lut(apply_modality_lut(stored, dataset), dataset, prefer_lut=True)
    values = shown.astype(np.float64)
    low, high = values.min(), values.max()
    if not np.isfinite(high - low):
        raise ValueError("its tables lead beyond all numbers")
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        values = low + high - values
    stretched = (values - low) * (255.0 / (high - low)) if high > low else np.zeros_like(values)
    return np.rint(stretched).astype(np.uint8)


def _refuse_deflated(path: Path) -> None:
    """A deflated file is inflated whole when it is read, however large it gets; no X-ray comes so."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import UID

    syntax = UID(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax.is_transfer_syntax and syntax.is_deflated:
        raise UnusablePictureError("compressed in a way that holds no X-rays")


def _require_decoder(dataset: Dataset, path: Path) -> None:
    """Say which package is missing before pydicom fails."""
    from pydicom.pixels import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnusablePictureError("compressed in a way that holds no X-rays") from None
    if not decoder.is_available:
        raise SourceError(
            f"a DICOM file is compressed as {syntax.name}, for which no decoder is installed",
            where=path,
            got="; ".join(decoder.missing_dependencies),
            do="run: pip install 'symile-data[mimic]'",
        )
