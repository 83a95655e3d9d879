"""The fonts of all figures and pages: subsets that come with the package, so that no machine shows boxes for letters.

`fonts/` has one family for each group of scripts; `.ci/subset_fonts.py` makes them from OFL fonts. They write every
name and sentence of the bundled tables, and the whole alphabet where a script has one.
"""

from __future__ import annotations

import base64
import contextlib
import io
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from contextvars import ContextVar
from dataclasses import replace
from functools import cache
from importlib import resources
from pathlib import Path

BASE = "Symile Sans"  # Latin, Greek and Cyrillic

# family -> weight in CSS -> file
FILES: Mapping[str, Mapping[int, str]] = {
    BASE: {400: "SymileSans-Regular.ttf", 700: "SymileSans-Bold.ttf"},
    f"{BASE} Arabic": {400: "SymileSansArabic-Regular.ttf"},
    f"{BASE} Devanagari": {400: "SymileSansDevanagari-Regular.ttf"},
    f"{BASE} Telugu": {400: "SymileSansTelugu-Regular.ttf"},
    f"{BASE} Thai": {400: "SymileSansThai-Regular.ttf"},
    f"{BASE} JP": {400: "SymileSansJP-Regular.otf"},
    f"{BASE} KR": {400: "SymileSansKR-Regular.otf"},
    f"{BASE} SC": {400: "SymileSansSC-Regular.otf"},
}
# Languages whose letters share code points with those of another language but have a form of their own.
PREFERRED: Mapping[str, str] = {"ja": f"{BASE} JP", "ko": f"{BASE} KR", "zh": f"{BASE} SC"}

_LAST = "DejaVu Sans"  # comes with matplotlib and has many signs, such as arrows
# Fonts for the scripts of users' own tables, used where they are installed.
_INSTALLED = (
    "Noto Sans",
    "Noto Sans CJK JP",
    "Noto Sans CJK SC",
    "Noto Sans CJK KR",
    "Noto Sans Devanagari",
    "Noto Sans Telugu",
    "Noto Sans Thai",
    "Noto Sans Arabic",
    "Source Han Sans",
    "WenQuanYi Zen Hei",
    "IPAGothic",
    "NanumGothic",
    "Lohit Devanagari",
    "Lohit Telugu",
    "Garuda",
    "Arial Unicode MS",
)
# Scripts whose letters do not join or combine. Others need a text shaper, which matplotlib has from 3.11 on.
_UNSHAPED = ("LATIN", "GREEK", "CYRILLIC", "CJK", "HIRAGANA", "KATAKANA", "HANGUL")

_searched: ContextVar[frozenset[str] | None] = ContextVar("searched", default=None)


def path_of(file: str) -> Path:
    """Return the path of one of the bundled font files, or of the licence beside them."""
    return Path(str(resources.files("symile_data.plotting") / "fonts" / file))


def families(language: str = "", text: Iterable[str] | None = None) -> list[str]:
    """Return the families that matplotlib searches for a letter, in this order: the bundled ones first.

    Args:
        language: Code of the text's language, whose own forms of shared letters are chosen: Japanese, Korean and
            Chinese share code points.
        text: The text, or its letters. Families that have none of them are left out, which changes no letter:
            matplotlib looks all families of a text up again whenever it measures or draws it. Without it, the text
            that `searched` names, or else any text.

    >>> families("ja")[:2]
    ['Symile Sans', 'Symile Sans JP']
    >>> families(text="lion")
    ['Symile Sans', 'DejaVu Sans']
    """
    own = PREFERRED.get(language.partition("-")[0], BASE)
    order = list(dict.fromkeys((BASE, own, *_registered())))
    letters = _searched.get() if text is None else {letter for part in text for letter in part}
    if letters is None:
        return order
    points = {ord(letter) for letter in letters}
    return [family for family in order if family in (BASE, _LAST) or not _points(family).isdisjoint(points)]


@contextlib.contextmanager
def searched(text: Iterable[str]) -> Iterator[None]:
    """Let figures search the fonts of some text alone: all that they write, save for the package's own words."""
    token = _searched.set(frozenset(letter for part in text for letter in part))
    try:
        yield
    finally:
        _searched.reset(token)


def drawable(text: str) -> bool:
    """Whether figures can draw every letter of a text properly.

    >>> drawable("λιοντάρι"), drawable(chr(0x13000))
    (True, False)
    """
    letters = [letter for letter in text if not letter.isspace()]
    if not _shapes() and any(letter.isalpha() and not _unshaped(letter) for letter in letters):
        return False
    return all(ord(letter) in _glyphs() for letter in letters)


def font_faces(text: Iterable[str]) -> str:
    """Return CSS that brings the bundled fonts, cut down to the letters of a page, as data URIs.

    Args:
        text: Parts of the page's text.

    Returns:
        One `@font-face` rule for each file that has some of the letters; the same letters give the same bytes.
    """
    wanted = {ord(letter) for part in text for letter in part}
    rules = []
    for family, files in FILES.items():
        for weight, file in files.items():
            if data := _cut(path_of(file), wanted):
                source = f"url(data:font/woff;base64,{base64.b64encode(data).decode('ascii')}) format('woff')"
                rules.append(f'@font-face {{ font-family: "{family}"; font-weight: {weight}; src: {source}; }}')
    return "\n".join(rules)


def css_families() -> str:
    """Return CSS that gives a page's text the bundled families first, and each language its own forms of letters."""
    rules = [f":root {{ font-family: {_stack(BASE)}; }}"]
    rules += [f":lang({language}) {{ font-family: {_stack(own)}; }}" for language, own in PREFERRED.items()]
    return "\n".join(rules)


def _stack(own: str) -> str:
    return ", ".join([*(f'"{family}"' for family in dict.fromkeys((BASE, own, *FILES))), "system-ui", "sans-serif"])


def _cut(path: Path, wanted: set[int]) -> bytes:
    """Cut a font down to some code points, as WOFF; empty where it has none of them."""
    from fontTools import subset
    from fontTools.ttLib import TTFont

    with TTFont(path, recalcTimestamp=False) as font:
        kept = wanted & set(font.getBestCmap())
        if not {point for point in kept if not chr(point).isspace()}:
            return b""
        options = subset.Options()
        options.desubroutinize = True
        subsetter = subset.Subsetter(options)
        subsetter.populate(unicodes=kept)
        subsetter.subset(font)
        font.flavor = "woff"
        buffer = io.BytesIO()
        font.save(buffer)
    return buffer.getvalue()


@cache
def _registered() -> tuple[str, ...]:
    """Tell matplotlib of the bundled fonts once, and return all families that it has, the bundled ones first."""
    from matplotlib import font_manager

    for files in FILES.values():
        for file in files.values():
            font_manager.fontManager.addfont(path_of(file))
        if 700 not in files:  # a bold text in this script is drawn in the regular weight, without a warning
            regular = font_manager.fontManager.ttflist[-1]
            font_manager.fontManager.ttflist.append(replace(regular, weight=700))
    installed = {entry.name for entry in font_manager.fontManager.ttflist}
    return (*FILES, _LAST, *(family for family in _INSTALLED if family in installed))


@cache
def _glyphs() -> frozenset[int]:
    """Return the code points that one of the used fonts has."""
    return frozenset().union(*(_points(family) for family in _registered()))


@cache
def _points(family: str) -> frozenset[int]:
    """Return the code points of a family."""
    from matplotlib import font_manager

    font = font_manager.get_font(font_manager.findfont(font_manager.FontProperties(family=[family])))
    return frozenset(font.get_charmap())


@cache
def _shapes() -> bool:
    from matplotlib import ft2font

    return hasattr(ft2font, "__libraqm_version__")


def _unshaped(letter: str) -> bool:
    return unicodedata.name(letter, "").startswith(_UNSHAPED)
