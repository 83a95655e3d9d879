"""Translate class names with an online engine, and check each answer before it replaces a bundled name.

Free translators translate homonyms in the wrong sense, answer in the wrong script or not at all, or return their quota
warning as if it were the translation. Where an answer fails a check, the cell keeps its name, and the failure is
counted.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

from symile_data.datasets.m3.names import JOINERS, KEY, SEPARATOR, NamesTable, alike
from symile_data.errors import MissingPackageError, UsageError
from symile_data.format.manifest import Dropped
from symile_data.progress import stage

from .online import (
    NOT_ASKED,
    PATIENT,
    PAUSE_SECONDS,
    AnswerCache,
    FailureCounts,
    NoAnswerError,
    OnlineError,
    Patience,
    ask,
    no_answer,
    watched,
)

Engine = Literal["google", "mymemory"]
ENGINES: tuple[Engine, ...] = get_args(Engine)

ENGLISH = "en"
LONGEST_NAME = 60  # letters; the longest bundled name has 36

# First words of the Unicode names of a language's letters. The names of any other language must be in the scripts of
# its column.
SCRIPTS = {
    "ar": {"ARABIC"},
    "el": {"GREEK"},
    "en": {"LATIN"},
    "hi": {"DEVANAGARI"},
    "ja": {"HIRAGANA", "KATAKANA", "KATAKANA-HIRAGANA", "CJK", "IDEOGRAPHIC"},
    "ko": {"HANGUL"},
    "te": {"TELUGU"},
    "th": {"THAI"},
    "uk": {"CYRILLIC"},
    "zh-CN": {"CJK", "IDEOGRAPHIC"},
}
_FOREIGN_LETTERS = {"uk": frozenset("ыэёъЫЭЁЪ")}  # Russian, the usual wrong answer

# MyMemory accepts language codes only with a country.
_MYMEMORY = {
    "ar": "ar-SA", "el": "el-GR", "en": "en-GB", "hi": "hi-IN", "ja": "ja-JP", "ko": "ko-KR", "te": "te-IN",
    "th": "th-TH", "uk": "uk-UA", "zh-CN": "zh-CN",
}  # fmt: skip

# Texts that MyMemory sends in place of a translation, with HTTP 200.
_WARNINGS = ("MYMEMORY WARNING", "YOU USED ALL AVAILABLE FREE TRANSLATIONS")
_COMPLAINTS = (
    "QUERY LENGTH LIMIT",
    "INVALID LANGUAGE PAIR",
    "NO QUERY SPECIFIED",
    "INVALID EMAIL",
    "PLEASE SELECT TWO",
)

_HARMLESS = frozenset("-’・·")
_APOSTROPHES = str.maketrans({"'": "’", "ʼ": "’", "`": "’", "‘": "’", SEPARATOR: " "})
_OUTER = ' .。．।!！"“”«»「」'

Ask = Callable[[str], object]


@dataclass(frozen=True)
class _Cell:
    row: int
    language: str


@dataclass(frozen=True)
class _CachedEngine:
    """An online engine with the answers that it gave before, asked until it no longer answers."""

    name: Engine
    answers: AnswerCache
    failures: FailureCounts
    patience: Patience
    pause_seconds: float

    def translate(self, ask_once: Ask, english: str, language: str) -> object:
        """Return the answer to one name, from the cache or from the engine.

        Raises:
            NoAnswerError: the engine does not answer, or did not too often before.
        """
        request = {"engine": self.name, "source": ENGLISH, "target": language, "text": english}
        known = self.answers.read(request)
        if known is not None:
            return known
        if self.failures.given_up:
            raise NoAnswerError(NOT_ASKED)
        self.patience.sleep(self.pause_seconds)
        try:
            answer = _ask(ask_once, english, self.patience)
        except NoAnswerError as error:
            self.failures.unanswered(error)
            raise
        self.failures.heard()
        if isinstance(answer, str) and answer.strip():
            self.answers.write(request, answer)
        return answer


def translate_names(
    table: NamesTable,
    wnids: Sequence[str],
    languages: Sequence[str],
    *,
    engine: Engine,
    cache: Path,
    strict: bool,
    pause_seconds: float = PAUSE_SECONDS,
    patience: Patience = PATIENT,
) -> tuple[NamesTable, list[Dropped]]:
    """Translate English names; a cell without a usable answer keeps the table's own name.

    Args:
        table: The English names, and the names that cells without a usable answer keep.
        wnids: Classes to translate.
        languages: Languages to translate to; English names stay as they are.
        engine: Online engine that translates.
        cache: Directory of answers; a request that it answers is not sent again.
        strict: Stop at the first cell without a usable answer.
        pause_seconds: Pause between requests.
        patience: Retries and time-outs.

    Returns:
        The table with names replaced, with the invariants of `NamesTable.select`, and the counts of cells that kept
        their name.

    Raises:
        SourceError: the table lacks a class, a language or a name; with `strict`, the reason of the first failure.
        UsageError: there is no such engine, or it does not know a language.
        MissingPackageError: the extra `online` is not installed.
    """
    targets = [language for language in dict.fromkeys(languages) if language != ENGLISH]
    table.select(wnids, [ENGLISH, *targets])
    translators = {language: _translator(engine, language, patience) for language in targets}
    rows = {wnid: row for row, wnid in enumerate(table.wnids)}
    failures = FailureCounts()
    asked = _CachedEngine(engine, AnswerCache(cache), failures, patience, pause_seconds)
    accepted: dict[_Cell, str] = {}

    def fail(cell: _Cell, reason: str, got: object = None) -> None:
        wnid, english = table.wnids[cell.row], table.names[ENGLISH][cell.row]
        if strict:
            raise OnlineError(
                f"no translation: {reason}",
                where=f"{engine}, {wnid} {english!r} in {cell.language}",
                got=got,
                do="run the same command again to go on from here, or allow the table's own names (no `strict`)",
            )
        failures.failed(reason, f"{wnid} {cell.language}")

    with stage(f"translating names ({engine})", len(targets) * len(wnids), "names") as advance:
        for language in targets:
            scripts = _scripts(table, language)
            for wnid in wnids:
                cell = _Cell(rows[wnid], language)
                advance()
                try:
                    answer = asked.translate(translators[language], table.names[ENGLISH][cell.row], language)
                except NoAnswerError as error:
                    fail(cell, error.reason)
                    continue
                name, fault = check_name(answer, language, scripts)
                if fault:
                    fail(cell, fault, repr(answer))
                else:
                    accepted[cell] = name
    for cell in _colliding(table, accepted):
        fail(cell, "same as another name", repr(accepted.pop(cell)))
    names = {language: list(column) for language, column in table.names.items()}
    for cell, name in accepted.items():
        names[cell.language][cell.row] = name
    columns = {language: tuple(column) for language, column in names.items()}
    return replace(table, path=f"{table.path} ({engine})", names=columns), failures.dropped("translation")


def check_name(answer: object, language: str, scripts: set[str]) -> tuple[str, str | None]:
    """Normalise an answer and check it.

    Args:
        answer: What the engine returned.
        language: Language code of the name.
        scripts: First words of the Unicode names that the letters may have.

    Returns:
        The name (NFC, single blanks, no underscore), and the fault of it, or None for a usable name.

    >>> check_name("  золота_рибка. ", "uk", {"CYRILLIC"})
    ('золота рибка', None)
    >>> check_name("gold fish", "uk", {"CYRILLIC"})[1], check_name(None, "uk", {"CYRILLIC"})[1]
    ('wrong script', 'no answer')
    """
    if not isinstance(answer, str):
        return "", "no answer"
    text = unicodedata.normalize("NFC", answer).translate(_APOSTROPHES)
    kept = "".join(letter for letter in text if unicodedata.category(letter) != "Cf" or letter in JOINERS)
    name = " ".join(kept.split()).strip(_OUTER)
    return name, _fault(name, language, scripts)


def _fault(name: str, language: str, scripts: set[str]) -> str | None:
    if not name:
        return "empty answer"
    if any(complaint in name.upper() for complaint in _COMPLAINTS):
        return "error text"
    if len(name) > LONGEST_NAME:
        return "too long"
    kinds = {letter: unicodedata.category(letter) for letter in name if letter not in JOINERS}
    letters = [letter for letter, kind in kinds.items() if kind[0] in "LM"]
    if not letters or any(unicodedata.name(letter, "?").split()[0] not in scripts for letter in letters):
        return "wrong script"
    if _FOREIGN_LETTERS.get(language, frozenset()).intersection(letters):
        return "wrong language"
    if any(kind[0] in "PSC" and letter not in _HARMLESS for letter, kind in kinds.items()):
        return "punctuation"
    return None


def format_names(table: NamesTable, languages: Sequence[str]) -> str:
    r"""Format a names table as text: the columns `wnid`, `en`, then the other languages in the order given.

    >>> format_names(NamesTable("x.tsv", ("n02129165",), {"en": ("lion",), "el": ("λιοντάρι",)}), ["el", "en"])
    'wnid\ten\tel\nn02129165\tlion\tλιοντάρι\n'
    """
    columns = [ENGLISH, *(language for language in languages if language != ENGLISH)]
    lines = [[KEY, *columns]]
    lines += [[wnid, *(table.names[column][row] for column in columns)] for row, wnid in enumerate(table.wnids)]
    return "".join("\t".join(line) + "\n" for line in lines)


def _scripts(table: NamesTable, language: str) -> set[str]:
    if language in SCRIPTS:
        return SCRIPTS[language]
    letters = {letter for name in table.names[language] for letter in name if letter.isalpha()}
    return {unicodedata.name(letter, "?").split()[0] for letter in letters}


def _colliding(table: NamesTable, accepted: dict[_Cell, str]) -> list[_Cell]:
    """Return the cells whose answers must be discarded so that no name of the table occurs twice.

    A cell that falls back to its old name can collide with an answer elsewhere, so this repeats until all names differ.
    Of equal answers the one that equals its cell's old name stays, or else the first.
    """
    remaining = dict(accepted)
    gone: list[_Cell] = []
    while True:
        users: defaultdict[str, list[_Cell]] = defaultdict(list)
        for language, column in table.names.items():
            for row, own in enumerate(column):
                cell = _Cell(row, language)
                users[alike(remaining.get(cell, own))].append(cell)
        losers = [cell for cells in users.values() if len(cells) > 1 for cell in _losers(table, cells, remaining)]
        if not losers:
            return gone
        for cell in losers:
            del remaining[cell]
        gone += losers


def _losers(table: NamesTable, cells: list[_Cell], remaining: dict[_Cell, str]) -> list[_Cell]:
    def confirmed(cell: _Cell) -> bool:
        return cell not in remaining or alike(remaining[cell]) == alike(table.names[cell.language][cell.row])

    doubtful = [cell for cell in cells if not confirmed(cell)]
    return doubtful if len(doubtful) < len(cells) else doubtful[1:]


def _ask(translate: Ask, text: str, patience: Patience) -> object:
    answer = ask(lambda: translate(text), patience, f"translate/{text}")
    if isinstance(answer, str) and any(warning in answer.upper() for warning in _WARNINGS):
        raise NoAnswerError("quota text", silent=True)
    return answer


def _translator(engine: str, language: str, patience: Patience) -> Ask:
    """Return a function that makes one request. Each function has its own translator, since translators keep state."""
    try:
        from deep_translator import GoogleTranslator, MyMemoryTranslator, exceptions
    except ImportError:
        raise MissingPackageError("deep-translator", "online", "translating names") from None

    try:
        if engine == "google":
            translator: Any = GoogleTranslator(source=ENGLISH, target=language)
        elif engine == "mymemory":
            target = _MYMEMORY.get(language, f"{language}-{language.upper()}")
            translator = MyMemoryTranslator(source=_MYMEMORY[ENGLISH], target=target)
        else:
            raise UsageError("unknown translation engine", got=repr(engine), do=f"choose among {', '.join(ENGINES)}")
    except exceptions.LanguageNotSupportedException:
        raise UsageError(f"{engine} does not know a language", got=language, do="choose another engine") from None

    def translate(text: str) -> object:
        with watched(patience.timeout_seconds) as watch:
            try:
                return translator.translate(text)
            # These two errors share no base class with the library's other errors.
            except (exceptions.TooManyRequests, exceptions.RequestError):
                raise no_answer(watch.status) from None
            except exceptions.TranslationNotFound:
                raise NoAnswerError("no answer", silent=True) from None
            except (exceptions.NotValidLength, exceptions.NotValidPayload):
                raise NoAnswerError("not a text that the engine takes") from None
            # The library parses MyMemory's answer without checking its form.
            except (AttributeError, IndexError, KeyError, StopIteration, TypeError):
                raise NoAnswerError("unreadable answer", silent=True) from None

    return translate
