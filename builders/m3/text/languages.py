"""The languages of Symile-M3, one row each, and the language sets of the paper.

A new language needs a row here, a name in `symile_data/datasets/m3/languages.py`, a column in `data/class_names.tsv`
and one in `data/sentences.tsv`. For a single build no row is needed: any code that is the name of an espeak-ng voice
works with tables that have its column.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from symile_data.datasets.m3.languages import LANGUAGE_NAMES
from symile_data.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class Language:
    """One language.

    Args:
        code: As in the published dataset and in the tables' column names.
        name: English name.
        espeak: espeak-ng voice; it knows Mandarin only as "cmn".
        spoken: Column of the sentence bank that is spoken. Arabic is spoken from its vowelled form (espeak-ng speaks
            only consonants of unvowelled text), Japanese from its kana reading (espeak-ng spells out kanji) and Thai
            from phonemes (espeak-ng has no reading rules for Thai vowels and tones).
    """

    code: str
    name: str
    espeak: str
    spoken: str


LANGUAGES = {
    language.code: language
    for language in (
        Language(code="ar", name=LANGUAGE_NAMES["ar"], espeak="ar", spoken="ar_vowelled"),
        Language(code="el", name=LANGUAGE_NAMES["el"], espeak="el", spoken="el"),
        Language(code="en", name=LANGUAGE_NAMES["en"], espeak="en", spoken="en"),
        Language(code="hi", name=LANGUAGE_NAMES["hi"], espeak="hi", spoken="hi"),
        Language(code="ja", name=LANGUAGE_NAMES["ja"], espeak="ja", spoken="ja_kana"),
        Language(code="ko", name=LANGUAGE_NAMES["ko"], espeak="ko", spoken="ko"),
        Language(code="te", name=LANGUAGE_NAMES["te"], espeak="te", spoken="te"),
        Language(code="th", name=LANGUAGE_NAMES["th"], espeak="th", spoken="th_phonemes"),
        Language(code="uk", name=LANGUAGE_NAMES["uk"], espeak="uk", spoken="uk"),
        Language(code="zh-CN", name=LANGUAGE_NAMES["zh-CN"], espeak="cmn", spoken="zh-CN"),
    )
}

_CODE = re.compile("[A-Za-z]{2,8}(-[A-Za-z0-9]+)*")

# Symile, section 5.2: the languages of M3-2, M3-5 and M3-10.
LANGUAGE_SETS = {
    2: ("el", "en"),
    5: ("el", "en", "hi", "ja", "uk"),
    10: tuple(LANGUAGES),
}


def language_set(count: int) -> tuple[str, ...]:
    """Language codes of one of the paper's sets, sorted.

    Raises:
        UsageError: there is no set of that many languages.

    >>> language_set(2)
    ('el', 'en')
    """
    if count not in LANGUAGE_SETS:
        raise UsageError(
            "`languages` takes the number of languages",
            got=count,
            do="choose 2, 5 or 10, or give codes such as el,en,fr",
        )
    return LANGUAGE_SETS[count]


def language_row(code: str) -> Language:
    """Return the row of a language. A code without a row is spoken by the espeak-ng voice of that name.

    >>> language_row("zh-CN").espeak, language_row("eo").espeak
    ('cmn', 'eo')
    """
    return LANGUAGES.get(code) or Language(code=code, name=code, espeak=code, spoken=code)


def languages_of(asked: str) -> tuple[str, ...]:
    """Return the language codes that `--langs` names by the size of one of the paper's sets, or separated by commas.

    Raises:
        UsageError: the text is neither, names a code twice, or names fewer than two.

    >>> languages_of("2"), languages_of("fr,en,el")
    (('el', 'en'), ('el', 'en', 'fr'))
    """
    if asked.isdecimal():
        return language_set(int(asked))
    codes = [code.strip() for code in asked.split(",")]
    foreign = [code for code in codes if not _CODE.fullmatch(code)]
    twice = [code for code in codes if codes.count(code) > 1]
    if foreign or twice or len(codes) < 2:
        raise UsageError(
            "`languages` takes the number of languages (2, 5 or 10) or different codes separated by commas",
            got=repr(asked),
            do="write it like el,en,fr",
        )
    return tuple(sorted(codes))
