"""Draw the contact sheet: images with the waveform of their audio and the words of their text, the target marked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.languages import language_label
from symile_data.format.images import shown
from symile_data.format.media import UnfitMediumError, open_image, read_audio
from symile_data.plotting import style
from symile_data.plotting.fonts import drawable, families

from ..samples import Sample, Word

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

COLUMNS = 3

# Inches
LINE = 0.165  # height of a word
HEADING = 0.24  # height of a heading
CAPTION = 0.2  # height of the line below a waveform
_GAP = 0.22  # between samples
_SIDE = (style.WIDTH - 2 * style.EDGE - (COLUMNS - 1) * _GAP) / COLUMNS
_WAVE = 0.34
_MARK, _CODE = 0.13, 0.36  # widths of the mark before a word and of its language's code

_LEFT_TO_RIGHT = "\u200e"
_BINS = 160  # steps of a waveform
_SMALL: dict[str, Any] = {"fontsize": 7.5, "va": "center_baseline"}


@dataclass(frozen=True)
class Thumbnail:
    """An image as a figure shows it: its pixels, or why there are none."""

    pixels: npt.NDArray[np.uint8] | None
    reason: str = ""

    def size(self, side: float) -> tuple[float, float]:
        """Return width and height of the image in a square of `side`, in the square's unit."""
        height, width = (3, 4) if self.pixels is None else self.pixels.shape[:2]
        return side * width / max(width, height), side * height / max(width, height)


def draw_contact_sheet(path: Path, samples: list[Sample]) -> None:
    """Draw some samples, `COLUMNS` in a row."""
    bands = [samples[first : first + COLUMNS] for first in range(0, len(samples), COLUMNS)]
    thumbnails = [[thumbnail_of(sample.image, _SIDE) for sample in band] for band in bands]
    images = [max(thumbnail.size(_SIDE)[1] for thumbnail in band) for band in thumbnails]
    words = LINE * max((len(sample.words) for sample in samples), default=1)
    rest = HEADING + _WAVE + CAPTION + words + _GAP
    with style.page(sum(images) + len(bands) * rest, f"Rows of {samples[0].split}: image, audio and text") as (
        drawn,
        axes,
    ):
        top = 0.0
        for band, shown, height in zip(bands, thumbnails, images, strict=True):
            for column, (sample, thumbnail) in enumerate(zip(band, shown, strict=True)):
                left = style.EDGE + column * (_SIDE + _GAP)
                shorten(draw_heading(axes, sample.cls, left, top), _SIDE)
                draw_thumbnail(axes, thumbnail, left, top + HEADING, _SIDE)
                below = top + HEADING + height
                draw_wave(axes, sample, left, below, _SIDE, _WAVE)
                draw_words(axes, sample, left, below + _WAVE + CAPTION, _SIDE)
            top += height + rest
        style.save(drawn, path)


def caption_of(word: Word) -> str:
    """Return the caption of a word: the word and its English meaning where it is known, or only the meaning where no
    installed font has the word's script.

    >>> caption_of(Word(text="lion", lang="en", english="lion"))
    'lion'
    """
    if word.english in ("", word.text):
        return word.text
    # The mark keeps the order of the two parts where the word is written from right to left.
    return f"{_LEFT_TO_RIGHT}{word.text} ({word.english})" if drawable(word.text) else f"({word.english})"


def thumbnail_of(data: bytes | None, side: float) -> Thumbnail:
    """Decode an image for a square of `side` inches."""
    if data is None:
        return Thumbnail(None, "image missing")
    most = round(side * style.DPI)
    try:
        with open_image(data) as image:
            image.draft(None, (most, most))  # a JPEG need not be decoded in full
            whole = shown(image).convert("RGB")
        whole.thumbnail((most, most))
    except UnfitMediumError:
        return Thumbnail(None, "image unreadable")
    return Thumbnail(np.asarray(whole))


def draw_heading(axes: Axes, text: str, left: float, top: float) -> Text:
    """Write a heading into a line of `HEADING` inches."""
    look: dict[str, Any] = {"fontsize": 9, "fontweight": "bold", "fontfamily": families(text=text)}
    return axes.text(left, top + HEADING / 2, text, va="center_baseline", **look)


def draw_thumbnail(axes: Axes, thumbnail: Thumbnail, left: float, top: float, side: float) -> None:
    """Draw an image at the upper left of a square, or say that it is missing or unreadable."""
    width, height = thumbnail.size(side)
    if thumbnail.pixels is None:
        _draw_missing(axes, thumbnail.reason, left, top, width, height)
    else:
        axes.imshow(thumbnail.pixels, extent=(left, left + width, top + height, top), aspect="auto")


def draw_wave(axes: Axes, sample: Sample, left: float, top: float, width: float, height: float) -> None:
    """Draw the waveform of a sample's audio, with its language and duration in a line of `CAPTION` inches below it."""
    try:
        low, high, seconds = _envelope(sample.audio) if sample.audio is not None else (None, None, 0.0)
    except UnfitMediumError:
        _draw_missing(axes, "audio unreadable", left, top + 0.05, width, height)
        return
    if low is None or high is None:
        _draw_missing(axes, "audio missing", left, top + 0.05, width, height)
        return
    scale = 0.42 * height / max(float(np.abs([low, high]).max()), 1e-6)
    places, middle = np.linspace(left, left + width, len(low)), top + height / 2
    axes.fill_between(places, middle - scale * high, middle - scale * low, color=style.BLUE, linewidth=0)
    axes.plot([left, left + width], [middle, middle], color=style.BLUE, linewidth=0.6)  # silence
    axes.text(left, top + height + CAPTION / 2, f"spoken: {language_label(sample.lang)}, {seconds:.1f} s", **_SMALL)


def draw_words(
    axes: Axes,
    sample: Sample,
    left: float,
    top: float,
    width: float,
    *,
    label: Callable[[str], str] = str,
    label_width: float = _CODE,
) -> None:
    """Draw the words of a sample's text, each in a line of `LINE` inches, the target marked.

    Args:
        axes: Axes in inches.
        sample: The sample.
        left: Left end in inches.
        top: Top in inches.
        width: Width in inches, to which words are shortened.
        label: Returns what stands for a language, from its code.
        label_width: Width of a label in inches.
    """
    if not sample.words:
        axes.text(left, top + LINE / 2, "text missing", color=style.MUTED, **_SMALL)
        return
    start = left + _MARK + label_width
    for line, word in enumerate(sample.words):
        target = word.lang == (sample.target_lang or sample.lang) and word.text == sample.target_text
        colour, weight = (style.RED, "bold") if target else (style.INK, "normal")
        at = top + (line + 0.5) * LINE
        if target:
            axes.text(left, at, "▶", **_SMALL | {"fontsize": 6, "color": colour})
        code: dict[str, Any] = {"fontsize": 7, "color": colour if target else style.MUTED}
        axes.text(left + _MARK, at, "?" if word.lang is None else label(word.lang), **_SMALL | code)
        caption = caption_of(word)
        look = {"color": colour, "fontweight": weight, "fontfamily": families(word.lang or "", caption)}
        shorten(axes.text(start, at, caption, **_SMALL | look), left + width - start)


def _draw_missing(axes: Axes, text: str, left: float, top: float, width: float, height: float) -> None:
    hatched: dict[str, Any] = {"facecolor": "white", "edgecolor": style.FAINT, "hatch": "////", "linewidth": 0.5}
    axes.fill_between([left, left + width], top, top + height, **hatched)
    paper = {"facecolor": "white", "edgecolor": "none", "pad": 2}
    axes.text(left + width / 2, top + height / 2, text, ha="center", va="center", fontsize=8, bbox=paper)


def shorten(written: Text, width: float) -> None:
    """Shorten a text that is wider than `width` inches."""
    text = written.get_text()
    most = len(text)
    while most > 1 and style.width_of(written) > width:
        most -= 1
        written.set_text(text[:most].rstrip() + "…")


def _envelope(data: bytes) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.float32], float]:
    """Return the lowest and highest value in each step of a recording, and its duration in seconds."""
    wave, rate = read_audio(data)
    mono = wave.mean(axis=1)
    pieces = np.array_split(mono, min(_BINS, max(len(mono), 1)))
    low = np.array([piece.min(initial=0) for piece in pieces], dtype=np.float32)
    high = np.array([piece.max(initial=0) for piece in pieces], dtype=np.float32)
    return low, high, len(mono) / rate
