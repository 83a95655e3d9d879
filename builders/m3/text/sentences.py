"""The bank of everyday sentences that the synthetic voices speak. No sentence names a class, so a recording tells its
language and nothing else.

`data/sentences.tsv` has `sentence_id`, one column per language code, and the spoken form of texts that espeak-ng cannot
read: `ar_vowelled`, `ja_kana` (the reading of the Japanese column) and `th_phonemes` (espeak-ng phonemes of the Thai
column). Sentences are parallel by id, and splits are made by id: a sentence of the training split is never spoken in
the test split, in any language.

A user's table has the same form. It replaces the bundled bank for the languages of its columns, and must have the same
ids as the bank where the bank speaks the other languages.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

import numpy as np

from symile_data.errors import SourceError
from symile_data.files import digest, open_text
from symile_data.format.schema import SPLITS
from symile_data.rng import Stream

from .languages import LANGUAGES, language_row

KEY = "sentence_id"
LEAST_SENTENCES = 10  # in each split

_BUNDLED = "sentences.tsv"


@dataclass(frozen=True)
class Sentence:
    """One sentence of one language: `text` as written, `spoken` as given to the synthesiser."""

    sentence_id: int
    text: str
    spoken: str


@dataclass(frozen=True)
class SentenceBank:
    """The sentences that one build speaks: language code -> its sentences, parallel by position.

    Args:
        path: The file, for messages.
        by_language: Language code -> its sentences, in id order.
    """

    path: str
    by_language: Mapping[str, tuple[Sentence, ...]]

    @property
    def kind(self) -> str:
        """The origin of the sentences: "bundled", or "table" for a user's table."""
        return "bundled" if self.path == _BUNDLED else "table"

    def sentences(self, language: str) -> tuple[Sentence, ...]:
        """Return the sentences of one language, in id order."""
        return self.by_language[language]

    def fingerprint(self, languages: Sequence[str]) -> str:
        """Return a hash of the ids and spoken forms of the languages' sentences."""
        return digest([[sentence.spoken for sentence in self.by_language[language]] for language in languages])


def read_bank(path: Path | None, languages: Sequence[str]) -> SentenceBank:
    """Read the sentences of a build's languages.

    Args:
        path: A user's table, or None for the bundled bank.
        languages: Language codes of the build.

    Raises:
        SourceError: the file is not a table of that form, a language has no column, or the tables are not parallel.
    """
    if path is None:
        return SentenceBank(_BUNDLED, {language: read_sentences(language) for language in languages})
    table = _parse(_read(path), str(path))
    own = [language for language in languages if language in table.columns]
    if not own:
        raise SourceError(
            "the sentence table has no column of the build's languages", where=path, got=", ".join(table.columns)
        )
    by_language = {code: table.sentences(code) if code in own else read_sentences(code) for code in languages}
    ids = [sentence.sentence_id for sentence in by_language[own[0]]]
    for language in languages:
        if [sentence.sentence_id for sentence in by_language[language]] != ids:
            raise SourceError(
                f"the sentence table is not parallel to the bundled sentences of {language}",
                where=path,
                got=f"{len(ids)} sentences",
                do=f"give it the same sentence ids, or a column {language}",
            )
    return SentenceBank(str(path), by_language)


@cache
def read_sentences(language: str) -> tuple[Sentence, ...]:
    """Read the bundled sentences of one language, in id order.

    Raises:
        SourceError: the bank has no column for the language.
    """
    path = resources.files("symile_data.builders.m3") / "data" / _BUNDLED
    return _parse(path.read_text(encoding="utf-8"), _BUNDLED).sentences(language)


@dataclass(frozen=True)
class _Table:
    path: str
    columns: list[str]
    cells: list[list[str]]

    @property
    def languages(self) -> list[str]:
        """The codes whose columns are all in the table. A column such as `ja_kana`, which only gives the spoken form,
        is not a language.
        """
        spoken = {row.spoken for row in LANGUAGES.values() if row.spoken != row.code}
        return sorted(
            code for code in self.columns[1:] if code not in spoken and language_row(code).spoken in self.columns
        )

    def sentences(self, language: str) -> tuple[Sentence, ...]:
        row = language_row(language)
        for column in (row.code, row.spoken):
            if column not in self.columns:
                raise SourceError(
                    "the sentence bank has no column for a language",
                    where=self.path,
                    got=column,
                    do=f"choose among {', '.join(self.languages)}, or give a table that has it with `sentences`",
                )
        text, spoken = self.columns.index(row.code), self.columns.index(row.spoken)
        for number, cells in enumerate(self.cells, start=2):
            if not (cells[text].strip() and cells[spoken].strip()):
                raise SourceError("a sentence is empty", where=f"{self.path}, line {number}, column {language}")
        return tuple(Sentence(int(cells[0]), cells[text], cells[spoken]) for cells in self.cells)


def _parse(text: str, path: str) -> _Table:
    header, *lines = text.rstrip("\n").split("\n")
    columns = header.split("\t")
    if columns[0] != KEY or len(columns) < 2:
        raise SourceError(
            f"a sentence table starts with the header {KEY!r} and language codes, separated by tabs",
            where=f"{path}, line 1",
            got=repr(header[:80]),
        )
    cells: list[list[str]] = []
    line_of: dict[str, int] = {}
    for number, line in enumerate(lines, start=2):
        row = line.split("\t")
        if len(row) != len(columns):
            raise SourceError(
                f"a line has {len(row)} cells where the header has {len(columns)}", where=f"{path}, line {number}"
            )
        if not row[0].isdecimal():
            raise SourceError("a sentence id is a number", where=f"{path}, line {number}", got=repr(row[0]))
        if line_of.setdefault(row[0], number) != number:
            raise SourceError(
                f"the sentence {row[0]} has two lines", where=f"{path}, line {number}", got=f"line {line_of[row[0]]}"
            )
        cells.append(row)
    return _Table(path, columns, cells)


def _read(path: Path) -> str:
    try:
        with open_text(path) as file:
            return file.read()
    except FileNotFoundError:
        raise SourceError("there is no sentence table", where=path) from None
    except OSError as error:
        raise SourceError("cannot open the sentence table", where=path, got=error.strerror) from error
    except UnicodeDecodeError as error:
        raise SourceError("the sentence table is not UTF-8 text", where=path, got=error) from None


def split_sentences(
    seed: int, rows: dict[str, int], languages: Sequence[str], bank: SentenceBank | None = None
) -> dict[str, list[int]]:
    """Divide the sentences among the splits: a seeded partition in proportion to the splits' rows, at least 10 each.

    Args:
        seed: The build's seed.
        rows: Rows of each split; a split without rows gets no sentences.
        languages: Language codes of the build.
        bank: The sentences; None uses the bundled ones.

    Returns:
        split -> positions of its sentences in the bank.

    Raises:
        SourceError: there are too few sentences for the splits.

    >>> parts = split_sentences(0, {"train": 8, "validation": 1, "test": 1}, ["en"])
    >>> len(set(parts["train"]) & set(parts["test"]))
    0
    """
    count = len(read_sentences(languages[0]) if bank is None else bank.sentences(languages[0]))
    needed = LEAST_SENTENCES * sum(n > 0 for n in rows.values())
    if count < needed:
        raise SourceError(
            f"too few sentences: each split needs {LEAST_SENTENCES} different ones",
            where=_BUNDLED if bank is None else bank.path,
            got=count,
            do=f"give {needed} or more; with 150 or more a model does not memorise them",
        )
    order = Stream(seed, "m3/sentences").generator().permutation(count)
    parts = proportions(count, rows, least=LEAST_SENTENCES)
    edges = np.cumsum([0, *(parts[split] for split in SPLITS)])
    return {split: sorted(order[edges[i] : edges[i + 1]].tolist()) for i, split in enumerate(SPLITS)}


def proportions(count: int, rows: dict[str, int], least: int) -> dict[str, int]:
    """Divide `count` items among the splits in proportion to their rows, with at least `least` for each used split.

    >>> proportions(6, {"train": 8000, "validation": 1000, "test": 1000}, least=1)
    {'train': 4, 'validation': 1, 'test': 1}
    """
    total = max(sum(rows.values()), 1)
    small = {split: max(least, count * rows[split] // total) if rows[split] else 0 for split in SPLITS}
    largest = max(SPLITS, key=lambda split: rows[split])
    small[largest] = count - sum(size for split, size in small.items() if split != largest)
    return small


def fingerprint(languages: Sequence[str]) -> str:
    """Return a hash of the bundled sentences of some languages."""
    return digest([[sentence.spoken for sentence in read_sentences(language)] for language in languages])
