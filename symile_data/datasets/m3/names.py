"""The table of class names, wnid -> English name and translations, with the invariants that make a text readable.

`data/class_names.tsv` is the bundled table; a user's table has the same form: a header `wnid`, `en` and language codes,
then one line per class. Within a language no two classes share a name, and no string occurs in two languages, since a
word must tell both its class and its language.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from symile_data.errors import SourceError
from symile_data.files import digest, open_text

SEPARATOR = "_"  # joins the words of a text, so no name may contain it

KEY = "wnid"

JOINERS = "\u200c\u200d"  # these have no width, but belong to the spelling in Indic scripts
_UNSEEN = ("Cc", "Cf", "Zl", "Zp")  # categories of characters that a reader does not see

_PLACES = 10  # missing names that an error lists


@dataclass(frozen=True)
class UnnamedClass:
    """A class that lacks a name in some languages.

    Args:
        wnid: The wnid of the class.
        line: Its line in the table's file; None where the table has no line for it.
        languages: The languages without a name.
    """

    wnid: str
    line: int | None
    languages: tuple[str, ...]


@dataclass(frozen=True)
class NamesTable:
    """Names by wnid and language.

    Args:
        path: The file, for messages.
        wnids: The classes in the file's order. The bundled table has ILSVRC's order, so the position is the class id (0
            to 999).
        names: Language code -> names, parallel to `wnids`.
    """

    path: str
    wnids: tuple[str, ...]
    names: dict[str, tuple[str, ...]]

    def unnamed(self, wnids: Sequence[str], languages: Sequence[str]) -> list[UnnamedClass]:
        """Return the classes that lack a name in some of the languages, in the given order. A cell of blanks is empty.

        Raises:
            SourceError: a language has no column.
        """
        absent = [language for language in languages if language not in self.names]
        if absent:
            raise SourceError(
                f"the names table has no column for {'a language' if len(absent) == 1 else f'{len(absent)} languages'}",
                where=self.path,
                got=", ".join(absent),
                do=f"choose among {', '.join(sorted(self.names))}, or give a table that has it with `names`",
            )
        rows = {wnid: row for row, wnid in enumerate(self.wnids)}
        found = []
        for wnid in wnids:
            row = rows.get(wnid)
            if row is None:
                found.append(UnnamedClass(wnid, None, tuple(languages)))
            elif empty := tuple(language for language in languages if not self.names[language][row].strip()):
                found.append(UnnamedClass(wnid, row + 2, empty))
        return found

    def select(self, wnids: Sequence[str], languages: Sequence[str], otherwise: str = "") -> list[list[str]]:
        """Return the names of some classes, checked.

        Args:
            wnids: The classes.
            languages: The languages.
            otherwise: Further advice in the error about missing names, beside giving them.

        Returns:
            names[class][language], both in the given order.

        Raises:
            SourceError: a class, a language or a name is missing (all of these are counted, and the first ten
                listed), or the names are ambiguous.
        """
        unnamed = self.unnamed(wnids, languages)
        if unnamed:
            raise SourceError(
                f"the names table has {_counted(unnamed)}",
                where=self.path,
                got=_listed(unnamed),
                do="give the names" + (f", or {otherwise}" if otherwise else ""),
            )
        rows = {wnid: row for row, wnid in enumerate(self.wnids)}
        table = [[self.names[language][rows[wnid]] for language in languages] for wnid in wnids]
        self._check(table, wnids, languages)
        return table

    def _check(self, table: list[list[str]], wnids: Sequence[str], languages: Sequence[str]) -> None:
        place_of: dict[str, tuple[str, str]] = {}
        lines = {wnid: row + 2 for row, wnid in enumerate(self.wnids)}
        for wnid, names in zip(wnids, table, strict=True):
            for language, name in zip(languages, names, strict=True):
                where = f"{self.path}, line {lines[wnid]}, column {language}"
                if SEPARATOR in name or name != name.strip() or unicodedata.normalize("NFC", name) != name:
                    raise SourceError(
                        f"a name must be NFC, without outer blanks and without {SEPARATOR!r}",
                        where=where,
                        got=repr(name),
                        do="correct the cell; unicodedata.normalize('NFC', name) makes the form NFC",
                    )
                unseen = [letter for letter in name if unicodedata.category(letter) in _UNSEEN]
                foreign = [letter for letter in unseen if letter not in JOINERS]
                if foreign or len(unseen) == len(name):
                    raise SourceError(
                        "a name has a character that cannot be seen",
                        where=where,
                        got=f"U+{ord((foreign or unseen)[0]):04X} in {name!r}",
                        do="remove it",
                    )
                other = place_of.setdefault(alike(name), (wnid, language))
                if other != (wnid, language):
                    raise SourceError(
                        f"the name {name!r} occurs twice, so it would not tell its class and language",
                        where=where,
                        got=f"the same in line {lines[other[0]]}, column {other[1]}",
                        do="give one of them a distinguishing form",
                    )


def alike(name: str) -> str:
    """Return a key that is equal for names that look alike.

    >>> alike("Big  Lion") == alike("big lion")
    True
    """
    return " ".join("".join(letter for letter in name.casefold() if letter not in JOINERS).split())


def _counted(unnamed: Sequence[UnnamedClass]) -> str:
    """Say how many cells are empty and how many classes have no line, as the end of a sentence."""
    cells = sum(len(cls.languages) for cls in unnamed if cls.line is not None)
    classes = sum(cls.line is None for cls in unnamed)
    parts = []
    if cells:
        parts.append(f"{cells:,} empty {'cell' if cells == 1 else 'cells'}")
    if classes:
        parts.append(f"no line for {classes:,} of the classes")
    return " and ".join(parts)


def _listed(unnamed: Sequence[UnnamedClass]) -> str:
    """List the first missing names, and say how many more there are."""
    places = []
    for cls in unnamed:
        if cls.line is None:
            places.append(f"no line ({cls.wnid})")
        else:
            places += [f"line {cls.line}, column {language} ({cls.wnid})" for language in cls.languages]
    more = [f"and {len(places) - _PLACES:,} more"] if len(places) > _PLACES else []
    return "; ".join([*places[:_PLACES], *more])


def read_names(path: Path | None = None) -> NamesTable:
    """Read a names table, or the bundled one without a path.

    Raises:
        SourceError: the file is not a table of that form; the error names line and column.
    """
    if path is None:
        return _bundled_names()
    try:
        with open_text(path) as file:
            text = file.read()
    except FileNotFoundError:
        raise SourceError("there is no names table", where=path) from None
    except OSError as error:
        raise SourceError("cannot open the names table", where=path, got=error.strerror) from error
    except UnicodeDecodeError as error:
        raise SourceError("the names table is not UTF-8 text", where=path, got=error) from None
    return parse_names(text, str(path))


@cache
def _bundled_names() -> NamesTable:
    bundled = resources.files("symile_data.builders.m3") / "data" / "class_names.tsv"
    return parse_names(bundled.read_text(encoding="utf-8"), "class_names.tsv")


def parse_names(text: str, path: str) -> NamesTable:
    r"""Parse the text of a names table.

    >>> parse_names("wnid\ten\tel\nn02129165\tlion\tλιοντάρι\n", "x.tsv").names["el"]
    ('λιοντάρι',)
    """
    header, *lines = text.rstrip("\n").split("\n")
    columns = header.split("\t")
    if columns[0] != KEY or "en" not in columns:
        raise SourceError(
            "a names table starts with the header 'wnid', 'en' and language codes, separated by tabs",
            where=f"{path}, line 1",
            got=repr(header[:80]),
        )
    cells = []
    for number, line in enumerate(lines, start=2):
        row = line.split("\t")
        if len(row) != len(columns):
            raise SourceError(
                f"a line has {len(row)} cells where the header has {len(columns)}", where=f"{path}, line {number}"
            )
        cells.append(row)
    wnids = tuple(row[0] for row in cells)
    lines_of: dict[str, int] = {}
    for number, wnid in enumerate(wnids, start=2):
        if lines_of.setdefault(wnid, number) != number:
            raise SourceError(
                f"the class {wnid} has two lines", where=f"{path}, line {number}", got=f"line {lines_of[wnid]}"
            )
    names = {column: tuple(row[position] for row in cells) for position, column in enumerate(columns) if position}
    return NamesTable(path=path, wnids=wnids, names=names)


@cache
def imagenet_classes() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the 1000 classes in ILSVRC's order (sorted by wnid).

    Returns:
        The wnids and the English names, both of length 1000; the position is `cls_id`.
    """
    table = read_names()
    return table.wnids, table.names["en"]


def fingerprint(table: list[list[str]]) -> str:
    """Return a hash of the names that a build uses."""
    return digest(table)
