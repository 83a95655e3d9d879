"""The chapters of ICD-9-CM and ICD-10-CM, in which hospitals code the diagnoses of a stay for billing.

Both classifications have the same chapters, except that ICD-10-CM divides the sense organs from the nervous system and
has chapters for special purposes. Codes are written without a dot, as in MIMIC-IV's `diagnoses_icd`.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass

PREFIX = "icd_"  # of the columns of the dataset


@dataclass(frozen=True)
class _Chapter:
    """A chapter: its name in a column, what it holds, and its first and last categories of three characters."""

    name: str
    title: str
    ninth: tuple[tuple[str, str], ...]
    tenth: tuple[str, str]


_CHAPTERS = (
    _Chapter("infectious", "infectious and parasitic diseases", (("001", "139"),), ("A00", "B99")),
    _Chapter("neoplasms", "neoplasms", (("140", "239"),), ("C00", "D49")),
    _Chapter("blood", "diseases of the blood and immune disorders", (("280", "289"),), ("D50", "D89")),
    _Chapter("endocrine", "endocrine, nutritional and metabolic diseases", (("240", "279"),), ("E00", "E89")),
    _Chapter("mental", "mental and behavioural disorders", (("290", "319"),), ("F01", "F99")),
    _Chapter("nervous", "diseases of the nervous system", (("320", "359"),), ("G00", "G99")),
    _Chapter("eye", "diseases of the eye", (("360", "379"),), ("H00", "H59")),
    _Chapter("ear", "diseases of the ear", (("380", "389"),), ("H60", "H95")),
    _Chapter("circulatory", "diseases of the circulatory system", (("390", "459"),), ("I00", "I99")),
    _Chapter("respiratory", "diseases of the respiratory system", (("460", "519"),), ("J00", "J99")),
    _Chapter("digestive", "diseases of the digestive system", (("520", "579"),), ("K00", "K95")),
    _Chapter("skin", "diseases of the skin", (("680", "709"),), ("L00", "L99")),
    _Chapter("musculoskeletal", "diseases of muscles, bones and connective tissue", (("710", "739"),), ("M00", "M99")),
    _Chapter("genitourinary", "diseases of the genitourinary system", (("580", "629"),), ("N00", "N99")),
    _Chapter("pregnancy", "pregnancy and childbirth", (("630", "679"),), ("O00", "O9A")),
    _Chapter("perinatal", "conditions from the perinatal period", (("760", "779"),), ("P00", "P96")),
    _Chapter("congenital", "congenital malformations", (("740", "759"),), ("Q00", "Q99")),
    _Chapter("symptoms", "symptoms and findings without a diagnosis", (("780", "799"),), ("R00", "R99")),
    _Chapter("injury", "injury and poisoning", (("800", "999"),), ("S00", "T88")),
    _Chapter("external", "external causes of injury", (("E000", "E999"),), ("V00", "Y99")),
    _Chapter("factors", "other reasons for contact with health services", (("V01", "V91"),), ("Z00", "Z99")),
    _Chapter("special", "codes for special purposes", (), ("U00", "U85")),
)

CHAPTERS = {chapter.name: chapter.title for chapter in _CHAPTERS}  # name -> what it holds
CHAPTER_COLUMNS = tuple(PREFIX + name for name in CHAPTERS)
NINTH, TENTH = 9, 10

_BOUNDS = {
    NINTH: sorted((first, last, chapter.name) for chapter in _CHAPTERS for first, last in chapter.ninth),
    TENTH: sorted((*chapter.tenth, chapter.name) for chapter in _CHAPTERS),
}
_CATEGORY = {NINTH: re.compile(r"(\d{3}|V\d{2}|E\d{3})\d{0,2}"), TENTH: re.compile(r"([A-Z]\d[\dA-Z])[\dA-Z]{0,4}")}


def chapter_of(code: str, version: int) -> str | None:
    """Return the chapter of a code, or None for a code that lies in none, such as one that is cut short.

    Args:
        code: The code without a dot, as `diagnoses_icd` writes it.
        version: 9 for ICD-9-CM, 10 for ICD-10-CM.

    >>> chapter_of("42731", 9), chapter_of("V5861", 9), chapter_of("I4891", 10), chapter_of("D62", 10)
    ('circulatory', 'factors', 'circulatory', 'blood')
    >>> chapter_of("42", 9) is None
    True
    """
    found = _CATEGORY[version].fullmatch(code.upper())
    if found is None:
        return None
    bounds = _BOUNDS[version]
    place = bisect_right(bounds, found[1], key=lambda bound: bound[0]) - 1
    return bounds[place][2] if place >= 0 and found[1] <= bounds[place][1] else None
