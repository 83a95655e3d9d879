"""The bundled fonts write every name and sentence of the tables, on figures and on pages, without any other font."""

from __future__ import annotations

import base64
import csv
import importlib.util
import io
import re
import sys
import warnings
from pathlib import Path
from types import ModuleType

import pytest
from fontTools.ttLib import TTFont
from test_layers import REPOSITORY

from symile_data.datasets.m3.names import read_names
from symile_data.plotting import fonts, style

FOLDER = fonts.path_of("OFL.txt").parent
NAMES = read_names().names
MOST_BYTES = 1_000_000


def script() -> ModuleType:
    """The script that makes the fonts."""
    path = REPOSITORY / ".ci" / "subset_fonts.py"
    spec = importlib.util.spec_from_file_location("subset_fonts", path)
    assert spec is not None
    assert spec.loader is not None
    module = sys.modules.setdefault(spec.name, importlib.util.module_from_spec(spec))  # dataclasses look it up
    spec.loader.exec_module(module)
    return module


def sentences(language: str) -> list[str]:
    table = (REPOSITORY / "builders" / "m3" / "data" / "sentences.tsv").read_text(encoding="utf-8")
    return [row[language] for row in csv.DictReader(io.StringIO(table), delimiter="\t")]


def bundled_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take all other fonts away, as on a machine that has none."""
    fonts._registered()
    monkeypatch.setattr(fonts, "_registered", lambda: tuple(fonts.FILES))


@pytest.mark.parametrize("language", NAMES)
def test_every_name_and_sentence_is_drawn_without_a_missing_glyph(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundled_only(monkeypatch)
    with style.figure(2.0) as (drawn, (axes,)), warnings.catch_warnings():
        warnings.simplefilter("error")  # matplotlib warns of a glyph that no font has
        words = dict.fromkeys(word for text in (*NAMES[language], *sentences(language)) for word in text.split())
        axes.text(0, 0, " ".join(words), fontfamily=fonts.families(language)).get_window_extent()
        assert drawn.axes == [axes]


def test_a_missing_glyph_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled_only(monkeypatch)
    with style.figure(2.0) as (_, (axes,)), pytest.warns(UserWarning, match="Glyph 77824"):
        axes.text(0, 0, chr(0x13000)).get_window_extent()  # a hieroglyph


def test_only_fonts_of_a_text_are_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    bundled_only(monkeypatch)
    everything = fonts.families()
    assert everything == list(fonts.FILES)
    assert fonts.families(text="lion, λιοντάρι") == [fonts.BASE]
    assert fonts.families(text=["lion", "सिंह"]) == [fonts.BASE, "Symile Sans Devanagari"]
    with fonts.searched(["lion", "사자"]):
        assert fonts.families() == [fonts.BASE, "Symile Sans KR"]
        assert fonts.families("ja", "獅子")[:2] == [fonts.BASE, "Symile Sans JP"]
    assert fonts.families() == everything


@pytest.mark.parametrize("language", NAMES)
def test_fonts_that_are_left_out_have_no_letter_of_the_text(language: str) -> None:
    text = "".join(NAMES[language])
    kept = fonts.families(language, text)
    assert [family for family in fonts.families(language) if family in kept] == kept
    first = {
        letter: next((f for f in fonts.families(language) if ord(letter) in fonts._points(f)), "") for letter in text
    }
    assert set(first.values()) <= {*kept, ""}


def test_glyphs_of_the_tables_have_outlines() -> None:
    """A code point could lead to .notdef or to a glyph that draws nothing."""
    letters = {letter for language in NAMES for text in (*NAMES[language], *sentences(language)) for letter in text}
    drawn: set[str] = set()
    for files in fonts.FILES.values():
        with TTFont(fonts.path_of(files[400])) as font:
            glyphs, names = font.getGlyphSet(), font.getBestCmap()
            for letter in letters - drawn:
                pen = _Pen()
                if names.get(ord(letter), ".notdef") != ".notdef":
                    glyphs[names[ord(letter)]].draw(pen)
                    drawn |= {letter} if pen.drawn else set()
    assert {letter for letter in letters - drawn if not letter.isspace()} == set()


class _Pen:
    """Tells whether anything was drawn."""

    def __init__(self) -> None:
        self.drawn = False

    def __getattr__(self, name: str) -> object:
        return lambda *_: setattr(self, "drawn", True)


def test_the_folder_holds_its_fonts_and_their_licence_in_less_than_a_megabyte() -> None:
    files = {path.name for path in FOLDER.iterdir()}
    assert files == {"OFL.txt", *(file for family in fonts.FILES.values() for file in family.values())}
    assert files - {"OFL.txt"} == {source.file for source in script().SOURCES}
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < MOST_BYTES
    licence = (FOLDER / "OFL.txt").read_text(encoding="utf-8")
    assert "SIL OPEN FONT LICENSE Version 1.1" in licence
    for family, weights in fonts.FILES.items():
        for file in weights.values():
            with TTFont(FOLDER / file) as font:
                name = font["name"]
                assert name.getDebugName(1) == family
                owner = re.sub("©", "(c)", name.getDebugName(0))
                assert owner in licence
                assert "SIL Open Font License" in name.getDebugName(13)


def test_the_script_keeps_what_the_tables_need() -> None:
    """A table that gets a letter needs the script to be run again."""
    module = script()
    for source in module.SOURCES:
        with TTFont(FOLDER / source.file) as font:
            held = set(font.getBestCmap())
        needed = {point for point in module.letters(source.languages) if point >= source.lowest and point > 0x20}
        assert {chr(point) for point in needed - held - set(range(0x80))} == set(), source.file


def test_shared_letters_take_the_form_of_their_language() -> None:
    assert fonts.families("ja")[1] == "Symile Sans JP"
    assert fonts.families("zh-CN")[1] == "Symile Sans SC"
    assert fonts.families("ko")[1] == "Symile Sans KR"
    assert fonts.families()[0] == fonts.families("ja")[0] == "Symile Sans"
    han = {}
    for script_name in ("JP", "SC"):
        with TTFont(fonts.path_of(f"SymileSans{script_name}-Regular.otf")) as font:
            han[script_name] = set(font.getBestCmap())
    assert len(han["JP"] & han["SC"]) > 100  # so that the order of the families decides


def test_a_page_brings_just_its_letters() -> None:
    css = fonts.font_faces(["lion", "浴槽", "สิงโต"])
    assert css == fonts.font_faces(["สิงโต", "浴槽lion"])
    faces = dict(
        re.findall(r'font-family: "([^"]+)"; font-weight: 400; src: url\(data:font/woff;base64,([^)]+)\)', css)
    )
    assert set(faces) == {
        "Symile Sans",
        "Symile Sans Thai",
        "Symile Sans JP",
        "Symile Sans SC",
    }  # shared letters in both forms
    with TTFont(io.BytesIO(base64.b64decode(faces["Symile Sans JP"]))) as font:
        assert {chr(point) for point in font.getBestCmap()} == set("浴槽")
    with TTFont(io.BytesIO(base64.b64decode(faces["Symile Sans Thai"]))) as font:
        assert {chr(point) for point in font.getBestCmap()} == set("สิงโต")
        assert "GPOS" in font  # places vowels and tones above each other


def test_a_font_that_a_machine_has_never_takes_the_place_of_a_bundled_one() -> None:
    from matplotlib import font_manager

    for family, files in fonts.FILES.items():
        found = font_manager.findfont(font_manager.FontProperties(family=[family]))
        assert Path(found).samefile(fonts.path_of(files[400]))


def test_bold_text_of_every_script_is_drawn_without_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    with style.figure(2.0) as (_, (axes,)):
        axes.text(0, 0, "lion 浴槽 สิงโต", fontweight="bold").get_window_extent()
    assert caplog.records == []
