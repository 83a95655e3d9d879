"""Draw the contact sheet: images with the waveform of their audio and the words of their text, the target marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

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

_LINE = 0.165  # height of a word in inches
_WORD_AT = 0.24  # left end of the words, as a fraction of a column's width
_WORD_WIDTH = style.WIDTH / COLUMNS * (1 - _WORD_AT) - 0.22  # inches
_LEFT_TO_RIGHT = "\u200e"
_BINS = 160  # steps of a waveform
_SHOWN = (480, 480)  # largest size of a drawn image in pixels


def draw_contact_sheet(path: Path, samples: list[Sample]) -> None:
    """Draw some samples, `COLUMNS` in a row."""
    lines = max((len(sample.words) for sample in samples), default=1) or 1
    ratios = [2.1, 0.42, _LINE * lines + 0.2]
    bands = -(-len(samples) // COLUMNS)
    height = bands * (sum(ratios) + 0.3)
    with style.figure(height, 3 * bands, COLUMNS, height_ratios=ratios * bands) as (drawn, axes):
        grid = np.array(axes, dtype=object).reshape(3 * bands, COLUMNS)
        for index in range(bands * COLUMNS):
            band, column = divmod(index, COLUMNS)
            panel, wave, words = grid[3 * band : 3 * band + 3, column]
            if index < len(samples):
                sample = samples[index]
                shorten(panel.set_title(sample.cls), style.WIDTH / COLUMNS - 0.2)
                draw_image(panel, sample.image)
                draw_wave(wave, sample)
                draw_words(words, sample, lines, _WORD_WIDTH)
            for one in (panel, wave, words):
                one.set_axis_off()
        style.save(drawn, path)


def caption_of(word: Word) -> str:
    """Return the caption of a word: the word and its English meaning, or only the meaning where no installed font has
    the word's script.

    >>> caption_of(Word(text="lion", lang="en", english="lion"))
    'lion'
    """
    if word.text == word.english:
        return word.text
    # The mark keeps the order of the two parts where the word is written from right to left.
    return f"{_LEFT_TO_RIGHT}{word.text} ({word.english})" if drawable(word.text) else f"({word.english})"


def draw_image(axes: Axes, data: bytes | None) -> None:
    """Draw an image at the upper left of its axes, or say that it is missing or unreadable."""
    if data is None:
        _draw_missing(axes, "image missing")
        return
    try:
        with open_image(data) as image:
            image.draft(None, _SHOWN)  # a JPEG need not be decoded in full
            whole = shown(image).convert("RGB")
        whole.thumbnail(_SHOWN)
        axes.imshow(np.asarray(whole))
    except UnfitMediumError:
        _draw_missing(axes, "image unreadable")
    axes.set_anchor("NW")


def draw_wave(axes: Axes, sample: Sample) -> None:
    """Draw the waveform of a sample's audio, with its language and duration below it."""
    if sample.audio is None:
        _draw_missing(axes, "audio missing")
        return
    try:
        low, high, seconds = _envelope(sample.audio)
    except UnfitMediumError:
        _draw_missing(axes, "audio unreadable")
        return
    axes.fill_between(np.arange(len(low)), low, high, color=style.BLUE, linewidth=0)
    most = max(float(np.abs([low, high]).max()), 1e-6)
    axes.set(xlim=(0, len(low)), ylim=(-2.1 * most, most))
    axes.text(
        0,
        0,
        f"spoken: {language_label(sample.lang)}, {seconds:.1f} s",
        transform=axes.transAxes,
        va="bottom",
        fontsize=7.5,
    )


def draw_words(axes: Axes, sample: Sample, lines: int, width: float) -> None:
    """Draw the words of a sample's text, one on each of `lines` lines, the target marked.

    Args:
        axes: Axes of which nothing else is drawn.
        sample: The sample.
        lines: Number of lines of the axes, at least the number of words.
        width: Largest width of a word in inches.
    """
    axes.set(xlim=(0, 1), ylim=(lines + 0.2 / _LINE, 0))
    if not sample.words:
        axes.text(0, 0.6, "text missing", fontsize=7.5, color=style.MUTED)
        return
    for line, word in enumerate(sample.words):
        target = word.lang == (sample.target_lang or sample.lang) and word.text == sample.target_text
        colour, weight = (style.RED, "bold") if target else (style.INK, "normal")
        at = line + 0.5
        if target:
            axes.text(0, at, "▶", fontsize=6, color=colour, va="center_baseline")
        axes.text(0.06, at, word.lang, fontsize=7, color=colour if target else style.MUTED, va="center_baseline")
        written = axes.text(
            _WORD_AT,
            at,
            caption_of(word),
            fontsize=7.5,
            fontfamily=families(word.lang),
            color=colour,
            fontweight=weight,
            va="center_baseline",
        )
        shorten(written, width)
    for drawn in axes.texts:
        drawn.set_in_layout(False)  # long words must not squeeze the images


def _draw_missing(axes: Axes, text: str) -> None:
    axes.set(xlim=(0, 1), ylim=(0, 1))
    axes.fill_between([0, 1], 0, 1, facecolor="white", edgecolor=style.FAINT, hatch="////", linewidth=0.5)
    axes.text(
        0.5, 0.5, text, ha="center", va="center", fontsize=8, bbox={"facecolor": "white", "edgecolor": "none", "pad": 2}
    )


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
