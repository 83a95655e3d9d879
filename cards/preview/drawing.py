"""Make SVG paths of signals and small PNGs, as text for a page."""

from __future__ import annotations

import base64
import io
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

Numbers = npt.NDArray[Any]


def data_uri(data: bytes, mime: str) -> str:
    """Encode bytes as a data URI, which a browser shows without a request.

    >>> data_uri(b"abc", "text/plain")
    'data:text/plain;base64,YWJj'
    """
    return f"data:{mime};base64,{base64.b64encode(data).decode('ascii')}"


def envelope_path(signal: Numbers, width: int, height: int, most: float, steps: int) -> str:
    """Draw the outline of a signal: a vertical stroke from its lowest to its highest value in each step, joined.

    Args:
        signal: (samples,) numbers around 0.
        width: Width of the drawing.
        height: Height of the drawing; the value 0 is at its middle.
        most: The value at the upper edge; larger values are cut off.
        steps: Largest number of strokes.
    """
    pieces = np.array_split(np.asarray(signal, dtype=np.float64), max(min(steps, len(signal)), 1))
    scale = height / 2 / max(most, 1e-9)
    points = []
    for index, piece in enumerate(pieces):
        x = width * (index + 0.5) / len(pieces)
        for value in (piece.min(initial=np.inf), piece.max(initial=-np.inf)):
            if np.isfinite(value):
                points.append(f"{x:.1f} {height / 2 - np.clip(value, -most, most) * scale:.1f}")
    return "M" + "L".join(points) if points else ""


def bar_path(values: Numbers, width: int, height: int) -> str:
    """Draw a vertical bar from the zero line for each value; NaN leaves a gap."""
    finite = values[np.isfinite(values)]
    low, high = min(float(finite.min(initial=0)), 0.0), max(float(finite.max(initial=0)), 0.0)
    span = max(high - low, 1e-9)
    zero = height * high / span
    step = width / max(len(values), 1)
    bars = []
    for index, value in enumerate(values):
        if np.isfinite(value):
            top = height * (high - float(value)) / span
            bars.append(f"M{index * step + 0.1 * step:.1f} {zero:.1f}V{top:.1f}h{0.8 * step:.1f}V{zero:.1f}Z")
    return "".join(bars)


def coloured_png(levels: Numbers) -> bytes:
    """Encode (rows, columns) levels from 0 to 1 as a small PNG, in a colour map that is also readable in gray and by
    the colour-blind.
    """
    from matplotlib import colormaps

    palette = (np.asarray(colormaps["magma"](np.linspace(0, 1, 256)))[:, :3] * 255).round().astype(np.uint8)
    image = Image.fromarray((np.clip(levels, 0, 1) * 255).round().astype(np.uint8))
    image.putpalette(palette.tobytes())
    return png(image)


def png(image: Image.Image) -> bytes:
    """Encode an image as PNG bytes."""
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()
