"""How a vision model's own processor turns an image into its input, read from preprocessor_config.json."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from symile_data.errors import SourceError

from .loading import load_pretrained, transformers_class

_BYTE = 255
_CHANNELS = 3


@dataclass(frozen=True, kw_only=True)
class ImagePreparation:
    """The input of a vision model is (x / 255 - mean) / std for pixels x from 0 to 255.

    Args:
        size: Side of the square image in pixels; None where the processor names no square.
        mean: What is subtracted from each channel, as red, green, blue before any flip.
        std: What each channel is divided by.
        flipped: Channels are given as blue, green, red.
    """

    size: int | None
    mean: tuple[float, ...]
    std: tuple[float, ...]
    flipped: bool = False


def image_preparation(name: str) -> ImagePreparation:
    """Read the preparation of a model's images; switches that the file leaves open are those of its processor's class.

    Args:
        name: Model id or folder.

    Raises:
        SourceError: the file is missing, or does not say how its images are normalised.
    """
    try:
        stored: dict[str, Any] = transformers_class("ImageProcessingMixin").get_image_processor_dict(name)[0]
        values = {**_defaults(name), **stored}
        mean, std = [0.0] * _CHANNELS, [1.0] * _CHANNELS
        if values.get("do_normalize", True):
            mean, std = ([float(number) for number in stored[key]] for key in ("image_mean", "image_std"))
        if not len(mean) == len(std) == _CHANNELS:
            raise ValueError(f"{len(mean)} means and {len(std)} deviations")
        factor = float(values.get("rescale_factor") or 1 / _BYTE) if values.get("do_rescale", True) else 1.0
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(
            "the pretrained model does not say how its images are normalised",
            where=name,
            got=str(error).strip().split("\n")[0],
            do="add image_mean and image_std to preprocessor_config.json in its folder",
        ) from None
    # The processor computes (x * factor - offset - mean) / std, and EfficientNet's divides by std once more.
    scale = factor * _BYTE if abs(factor * _BYTE - 1) > 1e-6 else 1.0
    offset = 1.0 if values.get("rescale_offset") else 0.0
    again = std if values.get("include_top") else [1.0] * _CHANNELS
    return ImagePreparation(
        size=_side(stored, cropped=bool(values.get("do_center_crop"))),
        mean=tuple((offset + number) / scale for number in mean),
        std=tuple(one * other / scale for one, other in zip(std, again, strict=True)),
        flipped=bool(values.get("do_flip_channel_order")),
    )


def _defaults(name: str) -> dict[str, Any]:
    """Return the settings of the processor's class; nothing where transformers cannot make it without torchvision."""
    try:
        settings: dict[str, Any] = load_pretrained("AutoImageProcessor", name).to_dict()
    except SourceError:
        return {}
    return settings


def _side(stored: Mapping[str, Any], *, cropped: bool) -> int | None:
    """Return the side of the images that a processor makes, where the file says it and they are square.

    >>> _side({"size": {"shortest_edge": 256}, "crop_size": {"height": 224, "width": 224}}, cropped=True)
    224
    >>> _side({"size": {"height": 346, "width": 346}, "crop_size": 289}, cropped=False)
    346
    """
    size = stored.get("crop_size" if cropped else "size")
    if isinstance(size, Mapping):
        sides = {size[key] for key in ("height", "width", "shortest_edge") if size.get(key)}
        size = sides.pop() if len(sides) == 1 else None
    return size if isinstance(size, int) and size > 0 else None
