"""Encode the images and audio that a row brings decoded, without loss.

Images become PNG and audio becomes FLAC. Values that these formats cannot hold exactly are refused, so that any
conversion is the caller's decision.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile
from PIL import Image, ImageOps

from symile_data.format.media import IMAGE_ERRORS, MOST_PIXELS, MOST_SAMPLES, SAMPLE_RATES_HZ, reason_of

StoredFile = dict[str, Any]  # "bytes" and "path", as `datasets` stores images and audio

_PNG_MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "I;16")
_ARRAYS = "give uint8 of shape (H, W), (H, W, 3) or (H, W, 4), or uint16 of shape (H, W)"
_OR_IMAGE, _OR_AUDIO = ", a Pillow image or an array", ', or {"array": ..., "sampling_rate": ...}'
_FULL_SCALE = 1 << 23  # full scale of 24-bit samples
_UNUSED_BITS = 8  # libsndfile takes the upper 24 bits of an int32


class UnfitValueError(ValueError):
    """A value that its column cannot hold exactly; the message says why."""


def image_file(value: object) -> StoredFile:
    """Return an image as a file: the given file unchanged, or decoded pixels as PNG.

    Args:
        value: Bytes of a file, {"bytes": ..., "path": ...}, a Pillow image, or an array of uint8, (H, W), (H, W, 3) or
            (H, W, 4), or of uint16, (H, W). A Pillow image is turned upright as its EXIF orientation says.

    Raises:
        UnfitValueError: the value is none of these, or an image that a PNG cannot hold.
    """
    if isinstance(value, np.ndarray):
        value = _image_of(value)
    return {"bytes": _png(value), "path": None} if isinstance(value, Image.Image) else stored_file(value, _OR_IMAGE)


def audio_file(value: object) -> StoredFile:
    """Return audio as a file: the given file unchanged, or decoded samples as FLAC.

    Args:
        value: Bytes of a file, {"bytes": ..., "path": ...}, or {"array": ..., "sampling_rate": ...} as `datasets`
            decodes audio: (samples,) floats in [-1, 1], stored in 24 bits, or int16, stored unchanged.

    Raises:
        UnfitValueError: the value is none of these, or audio that a FLAC cannot hold.
    """
    if not isinstance(value, Mapping) or value.get("array") is None:
        return stored_file(value, _OR_AUDIO)
    if value.get("bytes") is not None:
        raise UnfitValueError("both bytes and an array; give one of them")
    _check_keys(value, ("array", "sampling_rate", "bytes", "path"))
    return {"bytes": _flac(value["array"], value.get("sampling_rate")), "path": None}


def stored_file(value: object, otherwise: str = "") -> StoredFile:
    """Return the bytes of a file, with its name if one is given.

    Args:
        value: Bytes, or {"bytes": ..., "path": ...}.
        otherwise: What may be given in place of these, for the message.

    Raises:
        UnfitValueError: the value has no bytes, an unknown key, or a path that is not text.
    """
    given = value if isinstance(value, Mapping) else {"bytes": value}
    _check_keys(given, ("bytes", "path", "array", "sampling_rate"))
    data, path = given.get("bytes"), given.get("path")
    if not isinstance(data, bytes | bytearray | memoryview):
        raise UnfitValueError(f"{_without_bytes(value)}; give the bytes of a file{otherwise}")
    if not len(data):
        raise UnfitValueError("no bytes: the file is empty")
    if path is not None and not isinstance(path, str):
        raise UnfitValueError(f"a path of type {type(path).__name__}")
    return {"bytes": bytes(data), "path": path}


def _without_bytes(value: object) -> str:
    if isinstance(value, Mapping):
        return f"no bytes, only the path {value['path']!r}" if value.get("path") else "no bytes"
    return f"a value of type {type(value).__name__}"


def _check_keys(value: Mapping[Any, Any], known: tuple[str, ...]) -> None:
    unknown = [key for key in value if key not in known]
    if unknown:
        raise UnfitValueError(f"an unknown key {unknown[0]!r}")


def _image_of(pixels: npt.NDArray[Any]) -> Image.Image:
    grey = pixels.ndim == 2
    colour = pixels.ndim == 3 and pixels.shape[2] in (3, 4)
    fits = (pixels.dtype == np.uint8 and (grey or colour)) or (pixels.dtype == np.uint16 and grey)
    if not fits or isinstance(pixels, np.ma.MaskedArray) or not pixels.size:
        raise UnfitValueError(f"an array of {pixels.dtype}, shape {pixels.shape}; {_ARRAYS}")
    return Image.fromarray(np.ascontiguousarray(pixels, dtype=pixels.dtype.newbyteorder("=")))


def _png(image: Image.Image) -> bytes:
    file = io.BytesIO()
    try:
        if image.mode not in _PNG_MODES or image.width * image.height > MOST_PIXELS:
            size = f"{image.width} x {image.height} pixels"
            raise UnfitValueError(
                f"an image of mode {image.mode}, {size}; a PNG is made of {', '.join(_PNG_MODES)} and of at most "
                f"{MOST_PIXELS} pixels"
            )
        ImageOps.exif_transpose(image).save(file, "PNG")
    except UnfitValueError:
        raise
    except (*IMAGE_ERRORS, Image.DecompressionBombError) as error:
        raise UnfitValueError(f"an image that cannot be encoded ({reason_of(error)})") from None
    return file.getvalue()


def _flac(array: object, rate: object) -> bytes:
    if not isinstance(rate, int | np.integer) or not SAMPLE_RATES_HZ[0] <= rate <= SAMPLE_RATES_HZ[1]:
        low, high = SAMPLE_RATES_HZ
        raise UnfitValueError(f"a sampling_rate of {rate!r}; give whole Hz from {low} to {high}")
    if isinstance(array, np.ma.MaskedArray):
        raise UnfitValueError("a masked array; a FLAC would contain the masked samples")
    samples = np.asarray(array)
    if samples.ndim != 1 or not 0 < len(samples) <= MOST_SAMPLES:
        raise UnfitValueError(f"samples of shape {samples.shape}; give one channel, at most {MOST_SAMPLES} samples")
    file = io.BytesIO()
    if samples.dtype == np.int16:
        soundfile.write(file, samples, int(rate), format="FLAC", subtype="PCM_16")
    elif samples.dtype.kind == "f":
        soundfile.write(file, _in_24_bits(samples), int(rate), format="FLAC", subtype="PCM_24")
    else:
        raise UnfitValueError(f"samples of {samples.dtype}; give floats in [-1, 1] or int16")
    return file.getvalue()


def _in_24_bits(samples: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.int32]:
    """Convert floats to the 24-bit samples of libsndfile: exact for 16-bit values, else within 2 ** -23."""
    if not (np.abs(samples) <= 1).all():  # false for NaN too
        raise UnfitValueError("samples beyond [-1, 1] or not finite; FLAC would cut them off")
    steps = np.rint(samples.astype(np.float64) * _FULL_SCALE).clip(max=_FULL_SCALE - 1)
    return steps.astype(np.int32) << _UNUSED_BITS
