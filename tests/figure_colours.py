"""The colours of a figure that was drawn."""

from pathlib import Path

import numpy as np
from PIL import Image


def bright_colours(figure: Path) -> int:
    """Return how many different colours of a figure are no greys."""
    with Image.open(figure) as drawn:
        colours = np.unique(np.asarray(drawn.convert("RGB")).reshape(-1, 3), axis=0)
    return int((np.ptp(colours, axis=1) > 60).sum())
