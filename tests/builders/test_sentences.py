"""The sentence bank: parallel, everyday, silent about classes; no sentence is in two splits."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from symile_data.builders.m3.text.languages import LANGUAGES
from symile_data.builders.m3.text.sentences import fingerprint, proportions, read_sentences, split_sentences
from symile_data.datasets.m3.names import read_names

SPLITS = ("train", "validation", "test")
WITHOUT_BLANKS = ("ja", "th", "zh-CN")  # languages that do not put blanks between words


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_has_as_many_different_sentences(language: str) -> None:
    bank = read_sentences(language)
    assert len(bank) >= 150
    assert [sentence.sentence_id for sentence in bank] == [sentence.sentence_id for sentence in read_sentences("en")]
    assert len({sentence.text for sentence in bank}) == len({sentence.spoken for sentence in bank}) == len(bank)
    assert all(sentence.spoken.strip() for sentence in bank)


@pytest.mark.parametrize("language", LANGUAGES)
def test_no_sentence_names_a_class(language: str) -> None:
    names = [name.casefold() for name in read_names().names[language]]
    found = []
    for sentence in read_sentences(language):
        text = " ".join(re.sub(r"[^\w\s]", " ", sentence.text.casefold()).split())
        if language in WITHOUT_BLANKS:
            found += [(sentence.sentence_id, name) for name in names if len(name) > 1 and name in text]
        else:
            found += [(sentence.sentence_id, name) for name in names if f" {name} " in f" {text} "]
    assert found == []


counts = st.tuples(st.integers(1, 10_000), st.integers(0, 10_000), st.integers(0, 10_000))


@given(st.integers(0, 2**32), counts)
def test_splits_share_no_sentence(seed: int, rows: tuple[int, int, int]) -> None:
    parts = split_sentences(seed, dict(zip(SPLITS, rows, strict=True)), ["en", "el"])
    together = [position for positions in parts.values() for position in positions]
    assert sorted(together) == list(range(len(read_sentences("en"))))
    assert all(
        len(parts[split]) >= 10 if count else not parts[split] for split, count in zip(SPLITS, rows, strict=True)
    )


def test_another_seed_divides_otherwise() -> None:
    rows = {"train": 8, "validation": 1, "test": 1}
    assert split_sentences(0, rows, ["en"]) != split_sentences(1, rows, ["en"])
    assert split_sentences(0, rows, ["en"]) == split_sentences(0, rows, ["el", "en"])


@given(st.integers(3, 2000), counts)
def test_shares_add_up_and_leave_nobody_out(count: int, rows: tuple[int, int, int]) -> None:
    parts = proportions(count, dict(zip(SPLITS, rows, strict=True)), least=1)
    assert sum(parts.values()) == count
    for split, asked in zip(SPLITS, rows, strict=True):
        assert (parts[split] >= 1) == (asked > 0)
        assert abs(parts[split] - count * asked / sum(rows)) <= 2


def test_fingerprints_are_of_the_languages_used() -> None:
    assert len({fingerprint(languages) for languages in (["en"], ["el"], ["el", "en"])}) == 3
