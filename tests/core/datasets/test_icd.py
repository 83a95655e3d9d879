"""Chapters of ICD codes: ends of the chapters, codes of both versions, and text that is no code."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS, CHAPTERS, chapter_of


@pytest.mark.parametrize(
    ("version", "codes"),
    [
        (9, {"0010": "infectious", "1398": "infectious", "1400": "neoplasms", "2399": "neoplasms", "2400": "endocrine",
             "27903": "endocrine", "2800": "blood", "2899": "blood", "29010": "mental", "319": "mental",
             "3200": "nervous", "3599": "nervous", "36000": "eye", "37999": "eye", "38000": "ear", "3899": "ear",
             "390": "circulatory", "4599": "circulatory", "460": "respiratory", "5199": "respiratory",
             "5200": "digestive", "5799": "digestive", "5800": "genitourinary", "6299": "genitourinary",
             "630": "pregnancy", "67914": "pregnancy", "6800": "skin", "7099": "skin", "7100": "musculoskeletal",
             "7399": "musculoskeletal", "7400": "congenital", "7599": "congenital", "7600": "perinatal",
             "7799": "perinatal", "78001": "symptoms", "7999": "symptoms", "80000": "injury", "9999": "injury",
             "E0000": "external", "E9999": "external", "V010": "factors", "V9199": "factors"}),
        (10, {"A000": "infectious", "B9999": "infectious", "C000": "neoplasms", "C7A010": "neoplasms",
              "D499": "neoplasms", "D500": "blood", "D899": "blood", "E000": "endocrine", "E8989": "endocrine",
              "F0150": "mental", "F99": "mental", "G000": "nervous", "G998": "nervous", "H00011": "eye",
              "H5989": "eye", "H6000": "ear", "H9599": "ear", "I00": "circulatory", "I999": "circulatory",
              "J00": "respiratory", "J998": "respiratory", "K000": "digestive", "K9589": "digestive",
              "L00": "skin", "L998": "skin", "M0000": "musculoskeletal", "M1A00X0": "musculoskeletal",
              "M9989": "musculoskeletal", "N000": "genitourinary", "N999": "genitourinary", "O000": "pregnancy",
              "O9A53": "pregnancy", "P000": "perinatal", "P969": "perinatal", "Q000": "congenital",
              "Q999": "congenital", "R000": "symptoms", "R99": "symptoms", "S0000XA": "injury", "T889XXS": "injury",
              "U071": "special", "V0001XA": "external", "Y99": "external", "Z0000": "factors", "Z3A42": "factors",
              "Z992": "factors"}),
    ],
)  # fmt: skip
def test_a_code_lies_in_its_chapter(version: int, codes: dict[str, str]) -> None:
    assert {code: chapter_of(code, version) for code in codes} == codes
    assert set(codes.values()) | {"special"} == set(CHAPTERS)


def test_gaps_and_other_text_lie_in_no_chapter() -> None:
    assert [chapter_of(code, 9) for code in ("V92", "A000", "12", "", "E00", "000", "4280000")] == [None] * 7
    assert [chapter_of(code, 10) for code in ("F00", "4280", "I", "", "D9", "K99", "I50900000", "U99")] == [None] * 8
    assert chapter_of("i4891", 10) == "circulatory"


@given(st.text(max_size=8), st.sampled_from([9, 10]))
def test_any_text_has_a_chapter_or_none(text: str, version: int) -> None:
    found = chapter_of(text, version)
    assert found is None or f"icd_{found}" in CHAPTER_COLUMNS
