"""The names table: every word tells its class and its language, and every fault is found by line and column."""

import unicodedata
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from factories import WNIDS, names_table

from symile_data.builders.m3.images.sample import sample_classes
from symile_data.builders.m3.text.languages import LANGUAGE_SETS, LANGUAGES, language_set
from symile_data.datasets.m3.names import (
    SEPARATOR,
    UnnamedClass,
    fingerprint,
    imagenet_classes,
    parse_names,
    read_names,
)
from symile_data.errors import SourceError, UsageError


def table(*lines: str) -> str:
    return "\n".join(line.replace("|", "\t") for line in lines) + "\n"


GOOD = ("wnid|en|el|uk", "n01|lion|λιοντάρι|лев", "n02|lemon|λεμόνι|лимон", "n03|drum|τύμπανο|барабан")


def select(
    *lines: str, wnids: tuple[str, ...] = ("n01", "n02", "n03"), languages: tuple[str, ...] = ("en", "el")
) -> list[Any]:
    return parse_names(table(*lines), "x.tsv").select(wnids, languages)


def test_names_come_in_the_order_asked() -> None:
    assert select(*GOOD, wnids=("n03", "n01"), languages=("uk", "en")) == [["барабан", "drum"], ["лев", "lion"]]


@pytest.mark.parametrize(
    ("line", "cells", "message"),
    [
        (
            2,
            "n02|lemon|",
            "the names table has 1 empty cell (x.tsv); got line 3, column el (n02). Give the names.",
        ),
        (
            2,
            "n02|lion|λεμόνι",
            "the name 'lion' occurs twice, so it would not tell its class and language (x.tsv, line 3, column en); "
            "got the same in line 2, column en. Give one of them a distinguishing form.",
        ),
        (
            2,
            "n02|lemon|Lion",
            "the name 'Lion' occurs twice, so it would not tell its class and language (x.tsv, line 3, column el); "
            "got the same in line 2, column en. Give one of them a distinguishing form.",
        ),
        (
            1,
            "n01|big_lion|λιοντάρι",
            "a name must be NFC, without outer blanks and without '_' (x.tsv, line 2, column en); got 'big_lion'. "
            "Correct the cell; unicodedata.normalize('NFC', name) makes the form NFC.",
        ),
        (
            1,
            "n01|lion | λ",
            "a name must be NFC, without outer blanks and without '_' (x.tsv, line 2, column en); got 'lion '. "
            "Correct the cell; unicodedata.normalize('NFC', name) makes the form NFC.",
        ),
        (
            2,
            "n02|lemon|λιον\u200dτάρι",
            "the name 'λιον\\u200dτάρι' occurs twice, so it would not tell its class and language (x.tsv, line 3, "
            "column el); got the same in line 2, column el. Give one of them a distinguishing form.",
        ),
        (
            2,
            "n02|le  mon|le mon",
            "the name 'le mon' occurs twice, so it would not tell its class and language (x.tsv, line 3, column el); "
            "got the same in line 3, column en. Give one of them a distinguishing form.",
        ),
        (
            2,
            "n02|lemon|λεμόνι\u200b",
            "a name has a character that cannot be seen (x.tsv, line 3, column el); got U+200B in 'λεμόνι\\u200b'. "
            "Remove it.",
        ),
        (
            2,
            "n02|lemon|\u200d",
            "a name has a character that cannot be seen (x.tsv, line 3, column el); got U+200D in '\\u200d'. "
            "Remove it.",
        ),
        (3, "n03|drum", "a line has 2 cells where the header has 3 (x.tsv, line 4)."),
        (3, "n03|drum|τύμπανο|x", "a line has 4 cells where the header has 3 (x.tsv, line 4)."),
        (3, "n01|drum|τύμπανο", "the class n01 has two lines (x.tsv, line 4); got line 2."),
    ],
)
def test_a_fault_is_named_with_line_and_column(line: int, cells: str, message: str) -> None:
    lines = ["wnid|en|el", "n01|lion|λιοντάρι", "n02|lemon|λεμόνι", "n03|drum|τύμπανο"]
    lines[line] = cells
    with pytest.raises(SourceError) as caught:
        select(*lines)
    assert str(caught.value) == message


def test_a_decomposed_name_is_refused() -> None:
    decomposed = unicodedata.normalize("NFD", "λιοντάρι")
    with pytest.raises(SourceError, match=r"must be NFC.*line 2, column el"):
        select("wnid|en|el", f"n01|lion|{decomposed}", wnids=("n01",))


@pytest.mark.parametrize("header", ["class|en|el", "wnid|english|el", "", "wnid,en,el", "\ufeffwnid|en|el"])
def test_another_header_is_refused(header: str) -> None:
    with pytest.raises(
        SourceError, match=r"a names table starts with the header 'wnid', 'en' .*\(x.tsv, line 1\); got"
    ):
        select(header, "n01|lion|λιοντάρι")


def test_all_empty_cells_and_absent_lines_are_told_at_once() -> None:
    lines = ["wnid|en|el|uk", "n03|drum|| ", "n01|lion|λιοντάρι|лев", "n02||λεμόνι|\u00a0", "n04|||"]
    with pytest.raises(SourceError) as caught:
        select(*lines, wnids=("n01", "n02", "n03", "n07", "n08"), languages=("el", "en", "uk"))
    assert str(caught.value) == (
        "the names table has 4 empty cells and no line for 2 of the classes (x.tsv); got line 4, column en (n02); "
        "line 4, column uk (n02); line 2, column el (n03); line 2, column uk (n03); no line (n07); no line (n08). "
        "Give the names."
    )
    assert parse_names(table(*lines), "x.tsv").unnamed(("n07", "n02", "n01"), ("en", "el")) == [
        UnnamedClass("n07", None, ("en", "el")),
        UnnamedClass("n02", 4, ("en",)),
    ]


@pytest.mark.parametrize(("places", "rest"), [(10, ""), (12, "; and 2 more")])
def test_the_first_ten_places_without_a_name_are_listed(places: int, rest: str) -> None:
    wnids = tuple(f"n{number:02}" for number in range(1, places + 1))
    lines = table("wnid|en|el", *(f"{wnid}|{wnid}|" for wnid in wnids))
    with pytest.raises(SourceError) as caught:
        parse_names(lines, "x.tsv").select(wnids, ["el", "en"], otherwise="do without")
    start, end = "got line 2, column el (n01);", f"line 11, column el (n10){rest}. Give the names, or do without."
    assert str(caught.value).startswith(f"the names table has {places} empty cells (x.tsv); {start}")
    assert str(caught.value).endswith(end)


def test_languages_without_a_column_are_named() -> None:
    with pytest.raises(SourceError, match=r"no column for a language \(x.tsv\); got te"):
        select(*GOOD, languages=("en", "te"))
    with pytest.raises(SourceError, match=r"no column for 2 languages \(x.tsv\); got te, fr"):
        select(*GOOD, languages=("te", "en", "fr"))


def test_faults_of_classes_and_languages_that_are_not_used_do_not_matter() -> None:
    lines = [*GOOD, "n04|lion||лев"]
    assert len(select(*lines)) == 3
    assert select(*lines, wnids=("n02", "n04"), languages=("en",)) == [["lemon"], ["lion"]]


@pytest.mark.parametrize(
    ("content", "message"),
    [(None, "there is no names table"), (b"wnid\ten\n\xff\xfe\t\x80\n", "the names table is not UTF-8 text")],
)
def test_a_file_that_is_no_table_is_named(tmp_path: Path, content: bytes | None, message: str) -> None:
    path = tmp_path / "names.tsv"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(SourceError, match=rf"{message} \(.*names.tsv\)"):
        read_names(path)


def test_a_folder_is_no_table(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="cannot open the names table"):
        read_names(tmp_path)


def test_windows_line_ends_are_read(tmp_path: Path) -> None:
    path = names_table(tmp_path / "names.tsv")
    path.write_bytes(path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_names(path).select(WNIDS, ["en", "el"]) == read_names().select(WNIDS, ["en", "el"])


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = names_table(tmp_path / "names.tsv")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_names(path).select(WNIDS, ["en", "el"]) == read_names().select(WNIDS, ["en", "el"])


def test_the_bundled_table_names_all_classes_in_all_languages() -> None:
    bundled = read_names()
    wnids, english = imagenet_classes()
    assert len(wnids) == len(set(wnids)) == len(set(english)) == 1000
    assert list(wnids) == sorted(wnids)
    names = bundled.select(wnids, list(LANGUAGES))
    assert all(SEPARATOR not in name for row in names for name in row)
    assert set(sample_classes()) <= set(wnids)


@pytest.mark.parametrize(
    ("language", "script"),
    [
        ("ar", "ARABIC"),
        ("el", "GREEK"),
        ("en", "LATIN"),
        ("hi", "DEVANAGARI"),
        ("ko", "HANGUL"),
        ("te", "TELUGU"),
        ("th", "THAI"),
        ("uk", "CYRILLIC"),
        ("zh-CN", "CJK"),
    ],
)
def test_bundled_names_are_in_their_script(language: str, script: str) -> None:
    names = read_names().names[language]
    foreign = [name for name in names if not any(script in unicodedata.name(letter, "") for letter in name)]
    assert foreign == []


def skeleton(name: str) -> str:
    """What is left of a name without case, spaces, vowel signs and hamza: what a careless reader or renderer sees."""
    decomposed = unicodedata.normalize("NFKD", name.casefold())
    bare = (letter for letter in decomposed if unicodedata.category(letter)[0] in "LN")
    plain: dict[str, str | int | None] = {"ء": None, "ٱ": "ا", "ى": "ي", "ة": "ه"}
    return "".join(bare).translate(str.maketrans(plain))


@pytest.mark.parametrize(
    ("one", "other"), [("किला", "केला"), ("మేకు", "మింక్"), ("فأر", "فار"), ("Ice cream", "icecream"), ("λέων", "λεών")]
)
def test_names_that_differ_in_marks_only_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_two_bundled_names_differ_in_marks_only(language: str) -> None:
    names = read_names().names[language]
    seen: dict[str, list[str]] = {}
    for name in names:
        seen.setdefault(skeleton(name), []).append(name)
    assert [group for group in seen.values() if len(group) > 1] == []


def test_the_record_of_changes_agrees_with_the_table() -> None:
    folder = resources.files("symile_data.builders.m3") / "data"
    lines = (folder / "class_names_changes.tsv").read_text(encoding="utf-8").splitlines()
    assert lines[0].split("\t") == ["wnid", "language", "before", "now", "why"]
    bundled = read_names()
    wnids, _ = imagenet_classes()
    for line in lines[1:]:
        wnid, language, before, now, why = line.split("\t")
        assert bundled.names[language][wnids.index(wnid)] == now != before
        assert why


def test_another_name_is_another_fingerprint() -> None:
    assert fingerprint([["lion", "λιοντάρι"]]) != fingerprint([["lion", "λέων"]])


def test_language_sets_are_those_of_the_paper() -> None:
    assert language_set(10) == ("ar", "el", "en", "hi", "ja", "ko", "te", "th", "uk", "zh-CN")
    assert all(codes == tuple(sorted(codes)) for codes in LANGUAGE_SETS.values())
    for count in (0, 1, 3, 11):
        with pytest.raises(
            UsageError,
            match=f"`languages` takes the number of languages; got {count}. Choose 2, 5 or 10, or give codes",
        ):
            language_set(count)
