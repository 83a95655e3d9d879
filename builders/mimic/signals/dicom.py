"""Read one chest X-ray from a DICOM file as 8-bit gray, rendered as a viewer shows it.

Elements that contradict each other are refused, each under its own reason. Elements that are empty or cannot be applied
(a window of width 0) count as absent. Padding is black and does not influence the brightness of the rest.
"""

from __future__ import annotations

import math
import struct
import warnings
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.errors import SourceError, install_command
from symile_data.format.media import MOST_PIXELS

if TYPE_CHECKING:
    from pydicom import Dataset
    from pydicom.tag import BaseTag

    Values = npt.NDArray[np.integer[Any]] | npt.NDArray[np.float64]

NO_X_RAYS = "compressed in a way that no X-ray uses"

_INVERTED, _GRAY = "MONOCHROME1", ("MONOCHROME1", "MONOCHROME2")
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_ERRORS = (
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
    """A file is not a usable X-ray; the text is the reason under which it is counted."""


def read_dicom(path: Path) -> Image.Image:
    """Read the image of a DICOM file as 8-bit gray.

    Raises:
        UnusablePictureError: the file is missing, does not decode or is not an X-ray.
        SourceError: the file needs a decoder that is not installed.
    """
    import pydicom
    from pydicom.errors import InvalidDicomError

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # every fault that matters is refused below, with its reason
            _refuse_deflated(path)
            dataset = pydicom.dcmread(path)
            _require_decoder(dataset, path)
            return Image.fromarray(dicom_pixels(dataset))
    except FileNotFoundError:
        raise UnusablePictureError("file not found") from None
    except (InvalidDicomError, *_ERRORS):
        raise UnusablePictureError("does not decode") from None


def dicom_pixels(dataset: Dataset) -> npt.NDArray[np.uint8]:
    """Render the stored values as a viewer does (DICOM PS3.3, C.11).

    The modality table or rescale applies first, then the VOI table or window. MONOCHROME1 is inverted. The result is
    stretched to 0..255 over all pixels except padding, which is 0.

    Returns:
        (H, W) uint8.

    Raises:
        UnusablePictureError: the dataset is not a gray image of one frame, or its elements contradict each other.
    """
    _require_gray(dataset)
    dataset.pixel_array_options(correct_unused_bits=False)  # it would turn padding into values
    stored = dataset.pixel_array
    if stored.ndim != 2:
        raise UnusablePictureError("several frames")
    padding = _padding(stored, dataset)
    if padding.all():
        raise UnusablePictureError("only padding")
    values = _within_bits(stored[~padding].astype(np.int32), dataset)
    low = int(values.min())
    there = np.zeros(int(values.max()) - low + 1, dtype=np.bool_)
    there[values - low] = True
    # Tables and windows are applied to the distinct values, which are few, not to every pixel.
    shown = _shown(np.flatnonzero(there) + low, dataset).astype(np.float64)
    darkest, brightest = shown.min(), shown.max()
    if not np.isfinite(brightest - darkest):
        raise UnusablePictureError("its values are not finite")
    if dataset.PhotometricInterpretation == _INVERTED:
        shown = darkest + brightest - shown
    flat = brightest <= darkest
    stretched = np.zeros_like(shown) if flat else (shown - darkest) * (255.0 / (brightest - darkest))
    levels = np.zeros(len(there), dtype=np.uint8)
    levels[there] = np.rint(stretched)
    image = np.zeros(stored.shape, dtype=np.uint8)
    image[~padding] = levels[values - low]
    return image


def _require_gray(dataset: Dataset) -> None:
    """Check in the header that this is a gray image of one frame in whole numbers."""
    if dataset.get("NumberOfFrames", 1) in (None, ""):
        del dataset.NumberOfFrames
    if int(dataset.get("NumberOfFrames", 1)) != 1:
        raise UnusablePictureError("several frames")
    if dataset.SamplesPerPixel != 1 or dataset.PhotometricInterpretation not in _GRAY:
        raise UnusablePictureError("in colour, not gray")
    if int(dataset.Rows) * int(dataset.Columns) > MOST_PIXELS:
        raise UnusablePictureError("too many pixels")
    allocated, bits, high = dataset.BitsAllocated, dataset.BitsStored, dataset.get("HighBit")
    if allocated not in (8, 16) or "PixelData" not in dataset:
        raise UnusablePictureError("its values are not of 8 or 16 bits")
    if not 1 <= bits <= allocated or high not in (None, bits - 1):
        raise UnusablePictureError("its BitsAllocated, BitsStored and HighBit contradict each other")


def _padding(stored: npt.NDArray[Any], dataset: Dataset) -> npt.NDArray[np.bool_]:
    """Find the pixels that equal PixelPaddingValue, or lie between it and PixelPaddingRangeLimit."""
    first = _whole(dataset.get("PixelPaddingValue"))
    if first is None:
        return np.zeros(stored.shape, dtype=np.bool_)
    limit = _whole(dataset.get("PixelPaddingRangeLimit"))
    # Headers often write them with another sign than the pixels, so the bits are compared.
    ends = np.array([first, first if limit is None else limit]).astype(stored.dtype)
    padding: npt.NDArray[np.bool_] = (stored >= ends.min()) & (stored <= ends.max())
    return padding


def _within_bits(values: npt.NDArray[np.int32], dataset: Dataset) -> npt.NDArray[np.int32]:
    """Reduce values to BitsStored bits: clear upper bits that hold an overlay, and extend the sign of negative values
    whose upper bits were left zero.

    Raises:
        UnusablePictureError: values need more bits.
    """
    bits, signed = int(dataset.BitsStored), bool(dataset.PixelRepresentation)
    if any(_is_overlay_bit(tag) and dataset[tag].value for tag in list(dataset.keys())):
        values = values & ((1 << bits) - 1)
    low, high = int(values.min()), int(values.max())
    least, most = (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) if signed else (0, (1 << bits) - 1)
    if least <= low and high <= most:
        return values
    if signed and low >= 0 and high < 1 << bits:
        return np.where(values > most, values - (1 << bits), values).astype(np.int32)
    raise UnusablePictureError("it stores values beyond its BitsStored")


def _is_overlay_bit(tag: BaseTag) -> bool:
    """Tell whether a tag is OverlayBitPosition (60xx,0102), the bit of each value that holds an overlay."""
    return bool(tag.group & 0xFF01 == 0x6000 and tag.element == 0x0102)


def _shown(values: npt.NDArray[Any], dataset: Dataset) -> Values:
    """Apply the modality table or rescale, then the VOI table or window."""
    from pydicom import Dataset as Elements
    from pydicom.pixels.processing import apply_modality_lut, apply_windowing

    # pydicom's functions get only elements that are not empty.
    elements = Elements()
    elements.PhotometricInterpretation, elements.BitsStored = dataset.PhotometricInterpretation, dataset.BitsStored
    elements.PixelRepresentation = dataset.PixelRepresentation
    if table := dataset.get("ModalityLUTSequence"):
        elements.ModalityLUTSequence = table
        values = _looked_up(values, table[0], dataset)
    else:
        slope, intercept = _number(dataset.get("RescaleSlope")), _number(dataset.get("RescaleIntercept"))
        if slope == 0:
            raise UnusablePictureError("its RescaleSlope is 0")
        if slope is not None or intercept is not None:
            elements.RescaleSlope = 1.0 if slope is None else slope
            elements.RescaleIntercept = 0.0 if intercept is None else intercept
            values = apply_modality_lut(values, elements)
    if (table := dataset.get("VOILUTSequence")) and {"LUTDescriptor", "LUTData"} <= set(table[0].dir()):
        return _looked_up(values, table[0], dataset)
    function = str(dataset.get("VOILUTFunction") or "LINEAR").strip().upper()
    if function not in _FUNCTIONS:
        raise UnusablePictureError("its VOILUTFunction is not in the standard")
    window = _window(dataset, least=1.0 if function == "LINEAR" else math.ulp(0.0))
    if window is None:
        return values
    elements.WindowCenter, elements.WindowWidth = window
    elements.VOILUTFunction = function
    windowed: npt.NDArray[np.float64] = apply_windowing(values, elements)
    return windowed


def _looked_up(values: Values, table: Dataset, dataset: Dataset) -> npt.NDArray[np.integer[Any]]:
    """Apply a lookup table; values beyond its ends get its first or last entry (PS3.3 C.11.1).

    Raises:
        UnusablePictureError: the table has fewer entries than it says.
    """
    entries, first, bits = (int(number) for number in table.LUTDescriptor)
    entries = entries % (1 << 16) or 1 << 16
    if dataset.PixelRepresentation and first >= 1 << 15:
        first -= 1 << 16
    data = table.LUTData
    if isinstance(data, bytes):
        little = dataset.original_encoding[1] is not False
        wide = bits > 8 or len(data) >= 2 * entries  # entries of 8 bits may be packed
        data = np.frombuffer(data, dtype=("<u2" if little else ">u2") if wide else np.uint8)
    numbers = np.atleast_1d(np.asarray(data)).astype(np.int64)[:entries]
    if len(numbers) < entries:
        raise UnusablePictureError("a lookup table is cut short")
    places = np.floor(np.asarray(values, dtype=np.float64) - first).clip(0, entries - 1)
    found: npt.NDArray[np.int64] = numbers[places.astype(np.int64)]
    return found


def _window(dataset: Dataset, least: float) -> tuple[float, float] | None:
    """Return centre and width of the first window that can be applied."""
    pairs = zip(_several(dataset.get("WindowCenter")), _several(dataset.get("WindowWidth")), strict=False)
    return next(((c, w) for c, w in pairs if c is not None and w is not None and w >= least), None)


def _several(value: Any) -> list[float | None]:
    """Return the numbers of an element that may have one or several."""
    from pydicom.multival import MultiValue

    return [_number(part) for part in (value if isinstance(value, MultiValue | list) else [value])]


def _number(value: Any) -> float | None:
    """Return an element's number; None where it is absent or empty.

    Raises:
        UnusablePictureError: the number is not finite.
    """
    if value is None or value == "":
        return None
    number = float(value)
    if not math.isfinite(number):
        raise UnusablePictureError("its values are not finite")
    return number


def _whole(value: Any) -> int | None:
    """Return an element's whole number; None where it is absent, empty or several."""
    return value if isinstance(value, int) else None


def _refuse_deflated(path: Path) -> None:
    """Refuse deflated files: pydicom inflates them whole, without a limit, and no X-ray is stored this way."""
    from pydicom.filereader import read_file_meta_info
    from pydicom.uid import UID

    syntax = UID(read_file_meta_info(path).get("TransferSyntaxUID", ""))
    if syntax.is_transfer_syntax and syntax.is_deflated:
        raise UnusablePictureError(NO_X_RAYS)


def _require_decoder(dataset: Dataset, path: Path) -> None:
    """Name the missing package before pydicom fails."""
    from pydicom.pixels.decoders.base import get_decoder

    syntax = dataset.file_meta.TransferSyntaxUID
    if not syntax.is_compressed:
        return
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise UnusablePictureError(NO_X_RAYS) from None
    if not decoder.is_available:
        raise SourceError(
            f"a DICOM file is compressed as {syntax.name}, for which no decoder is installed",
            where=path,
            got="; ".join(decoder.missing_dependencies),
            do=f"run: {install_command('mimic')[0]}",
        )
