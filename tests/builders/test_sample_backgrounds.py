"""Backgrounds of the sample images, beside a slow form of the same drawing."""

from __future__ import annotations

import math

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFilter

from symile_data.builders.m3.images.sample import draw_background
from symile_data.rng import Stream

SIDE = 128


def slow_background(rng: np.random.Generator) -> Image.Image:
    """The blend of all pixels and channels in one expression, without tables of levels."""
    first, second = rng.integers(0, 256, size=(2, 3)).astype(np.float32)
    if rng.random() < 0.5:
        angle, line = rng.uniform(0, 2 * math.pi), np.linspace(-1, 1, SIDE, dtype=np.float32)
        ramp = line[None, :] * math.cos(angle) + line[:, None] * math.sin(angle)
        blend = np.asarray((ramp / np.abs(ramp).max() + 1) / 2, dtype=np.float32)
    else:
        cells = int(rng.integers(3, 9))
        noise = Image.fromarray(rng.integers(0, 256, size=(cells, cells), dtype=np.uint8))
        blend = np.asarray(noise.resize((SIDE, SIDE), Image.Resampling.BICUBIC), dtype=np.float32) / 255.0
    canvas = Image.fromarray((first + (second - first) * blend[:, :, None]).astype(np.uint8))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(0, 5))):
        x, y = rng.uniform(0, SIDE, size=2)
        w, h = rng.uniform(SIDE / 16, SIDE / 3, size=2)
        colour = tuple(int(value) for value in rng.integers(0, 256, size=3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=colour)
    return canvas.filter(ImageFilter.BoxBlur(2))


@pytest.mark.parametrize("seed", range(4))
def test_every_pixel_is_that_of_the_slow_form(seed: int) -> None:
    stream = Stream(seed, "backgrounds")
    for number in range(40):
        drawn, expected = (draw(stream.generator(number)) for draw in (draw_background, slow_background))
        assert (drawn.mode, drawn.size) == ("RGB", (SIDE, SIDE))
        assert drawn.tobytes() == expected.tobytes()
