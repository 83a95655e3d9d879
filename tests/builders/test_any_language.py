"""An eleventh language: one column in a names table, one in a sentence table; the espeak-ng voice of its code."""

from pathlib import Path
from typing import Any

import pytest
from factories import WNIDS, build, contents, problems, rows_of

from symile_data.builders.m3.text.languages import languages_of
from symile_data.builders.m3.text.overrides import override_names
from symile_data.builders.m3.text.sentences import read_bank, read_sentences
from symile_data.datasets.m3.names import read_names
from symile_data.errors import SourceError, UsageError

NAMES = ("tinko", "orfiŝo", "leopardo", "leono")
ROWS = {"train": 40, "validation": 4, "test": 4}


def names(path: Path, language: str = "eo", columns: tuple[str, ...] = ()) -> Path:
    """A table of the four classes with Esperanto, English left empty or filled."""
    table = read_names()
    lines = ["\t".join(["wnid", "en", *columns, language])]
    for wnid, name in zip(WNIDS, NAMES, strict=True):
        known = [table.names[column][table.wnids.index(wnid)] if columns else "" for column in ("en", *columns)]
        lines.append("\t".join([wnid, *known, name]))
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def sentences(path: Path, language: str = "eo", count: int | None = None) -> Path:
    ids = [sentence.sentence_id for sentence in read_sentences("en")][:count]
    lines = [f"sentence_id\t{language}", *(f"{i}\tBonan tagon, numero {'a' * (i % 7)} {i}." for i in ids)]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


@pytest.mark.parametrize("own_table", [False, True])
def test_an_eleventh_language_is_built(tree: Path, tmp_path: Path, own_table: bool) -> None:
    tables: dict[str, Any] = (
        {"names": names(tmp_path / "n.tsv", columns=("el",))} if own_table else {"manual": names(tmp_path / "n.tsv")}
    )
    manifest = build(
        tree, tmp_path / "out", languages=("el", "en", "eo"), words=3, rows=ROWS,
        sentences=sentences(tmp_path / "s.tsv"), **tables,
    )  # fmt: skip
    assert problems(tmp_path / "out") == []
    rows = rows_of(tmp_path / "out", "train")
    assert {row["lang"] for row in rows} == {"el", "en", "eo"}
    assert {row["target_text"] for row in rows if row["lang"] == "eo"} <= set(NAMES)
    assert {row["clip_id"].split("-")[2] for row in rows if row["lang"] == "eo"} == {"eo"}
    assert manifest.identity.spec["languages"] == ["el", "en", "eo"]
    assert ("corrected" in manifest.identity.sources["names"]) == (not own_table)


def test_a_table_of_the_users_sentences_is_spoken(tree: Path, tmp_path: Path) -> None:
    rows = {"train": 8, "validation": 0, "test": 0}
    build(tree, tmp_path / "plain", rows=rows)
    own = build(tree, tmp_path / "own", rows=rows, sentences=sentences(tmp_path / "s.tsv", "en"))
    assert contents(tmp_path / "plain") != contents(tmp_path / "own")
    assert own.identity.sources["audio"]["bank"] == "table"


def test_a_table_of_arabic_without_its_spoken_column_is_refused(tmp_path: Path) -> None:
    """As of Japanese and Thai: what is written there would not be spoken rightly."""
    with pytest.raises(SourceError, match=r"no column for a language \(.*s.tsv\); got ar_vowelled"):
        read_bank(sentences(tmp_path / "s.tsv", "ar"), ["ar"])


@pytest.mark.parametrize(
    ("language", "changes", "message"),
    [
        ("eo", {"manual": None}, "no column for a language .*got eo"),
        ("eo", {"sentences": None}, "no column for a language .*got eo. Choose among ar, el, .* `sentences`"),
        ("zz", {}, "does not know a voice; got zz"),
    ],
)
def test_a_language_without_what_it_needs_is_refused_before_anything_is_written(
    tree: Path, tmp_path: Path, language: str, changes: dict[str, Any], message: str
) -> None:
    given = {"manual": names(tmp_path / "n.tsv", language), "sentences": sentences(tmp_path / "s.tsv", language)}
    with pytest.raises(SourceError, match=message):
        build(tree, tmp_path / "out", languages=("en", language), **(given | changes))
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id\ten\n", "header 'sentence_id' .*line 1"),
        ("sentence_id\ten\n1\n", r"1 cells where the header has 2 \(.*line 2\)"),
        ("sentence_id\ten\n1\tyes\n1\tno\n", r"the sentence 1 has two lines \(.*line 3\); got line 2"),
        ("sentence_id\ten\nx\tyes\n", "a sentence id is a number"),
        ("sentence_id\ten\n0\t \n", r"a sentence is empty \(.*line 2, column en\)"),
        ("sentence_id\tfr\n0\toui\n", "no column of the build's languages"),
        ("sentence_id\ten\n0\tyes\n", "not parallel to the bundled sentences of el"),
    ],
)
def test_broken_sentence_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "s.tsv").write_text(text, encoding="utf-8")
    with pytest.raises(SourceError, match=message):
        read_bank(tmp_path / "s.tsv", ["en", "el"])
    with pytest.raises(SourceError, match=r"there is no sentence table"):
        read_bank(tmp_path / "nothing.tsv", ["en"])


def test_a_byte_order_mark_is_passed_over(tmp_path: Path) -> None:
    path = sentences(tmp_path / "s.tsv", "en")
    plain = read_bank(path, ["en"]).sentences("en")
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    assert read_bank(path, ["en"]).sentences("en") == plain


def test_too_few_sentences_are_refused(tree: Path, tmp_path: Path) -> None:
    table = sentences(tmp_path / "s.tsv", "en", count=12)
    table.write_text(table.read_text().replace("\ten\n", "\ten\tel\n").replace(".\n", ".\tναι\n"), encoding="utf-8")
    with pytest.raises(SourceError, match=r"each split needs 10 different ones .*got 12"):
        build(tree, tmp_path / "out", sentences=table)


def test_single_names_are_overridden(tmp_path: Path) -> None:
    path = tmp_path / "manual.tsv"
    path.write_text(f"wnid\ten\tel\n{WNIDS[0]}\t\tΤίγκα\n", encoding="utf-8")
    before = read_names()
    after, changed = override_names(before, path)
    assert changed == 1
    assert after.names["el"] == ("Τίγκα", *before.names["el"][1:])
    assert {code: column for code, column in after.names.items() if code != "el"} == {
        code: column for code, column in before.names.items() if code != "el"
    }
    path.write_text("wnid\ten\nn00000001\tx\n", encoding="utf-8")
    with pytest.raises(SourceError, match=r"corrected class is not in the names table \(.*line 2\); got n00000001"):
        override_names(before, path)


@pytest.mark.parametrize("asked", ["en", "en,en", "en,", "3", "", "en,../x"])
def test_lists_that_make_no_sense_are_refused(asked: str) -> None:
    with pytest.raises(UsageError, match=r"`languages` takes"):
        languages_of(asked)
