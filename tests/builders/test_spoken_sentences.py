"""What espeak-ng says for the sentences: words of their language, by its own phonemes."""

import re
from itertools import groupby

import pytest
from espeak_phonemes import Words, phonemes

from symile_data.builders.m3.text.languages import LANGUAGES
from symile_data.builders.m3.text.sentences import read_sentences

VOWELS = frozenset("aeiouyäõãẽĩũæøœɐɑɒɔəɚɛɜɤɨɪɯʉʊʌʏᵻ")

# The most consonants that a word begins with, has inside and ends in.
CLUSTERS = {
    "ar": (1, 2, 2),
    "el": (3, 3, 1),
    "en": (3, 4, 3),
    "hi": (2, 2, 3),
    "ja": (1, 2, 1),
    "ko": (3, 3, 1),
    "te": (2, 3, 2),
    "th": (3, 4, 1),
    "uk": (3, 4, 2),
    "zh-CN": (2, 3, 1),
}
WITHOUT_VOWELS = {"el": {"t", "n"}, "uk": {"b", "f", "j", "s", "z", "β"}}  # such as Ukrainian в and й
BETWEEN_BLANKS = ("ar", "el", "en", "hi", "ko", "te", "uk")  # languages with blanks between words

MARKS = re.compile("[\u064b-\u0652\u0670]")
SUKUN, WASLA = "\u0652", "\u0671"


def faults(words: Words, language: str) -> list[str]:
    """Words that the language cannot have."""
    found = []
    for word in words:
        shown = "".join(word)
        runs = [(sound, len(list(run))) for sound, run in groupby(word, key=lambda phoneme: phoneme[0] in VOWELS)]
        consonants = [0 if runs[0][0] else runs[0][1], 0, 0 if runs[-1][0] else runs[-1][1]]
        consonants[1] = max((length for sound, length in runs[1:-1] if not sound), default=0)
        if shown.startswith("("):
            found.append(f"{shown} another language")
        elif not any(sound for sound, _ in runs):
            found += [] if shown in WITHOUT_VOWELS.get(language, ()) else [f"{shown} without a vowel"]
        elif any(length > most for length, most in zip(consonants, CLUSTERS[language], strict=True)):
            found.append(f"{shown} has too many consonants together")
    return found


@pytest.fixture(scope="module", params=LANGUAGES)
def spoken(request: pytest.FixtureRequest) -> tuple[str, list[Words]]:
    row = LANGUAGES[request.param]
    return row.code, phonemes([sentence.spoken for sentence in read_sentences(row.code)], row.espeak)


def test_every_word_is_one_of_its_language(spoken: tuple[str, list[Words]]) -> None:
    language, sentences = spoken
    assert [fault for words in sentences for fault in faults(words, language)] == []


def test_no_letter_is_spelled_out(spoken: tuple[str, list[Words]]) -> None:
    """A letter that the engine spells, or a sign that it names, is a word more than the text has."""
    language, sentences = spoken
    if language in BETWEEN_BLANKS:
        written = [len(re.findall(r"[^\s\-–]+", sentence.text)) for sentence in read_sentences(language)]
        assert [words for words, count in zip(sentences, written, strict=True) if len(words) > count] == []


def test_the_lint_hears_what_was_wrong_before() -> None:
    """Arabic without short vowels, Chinese signs in Japanese, Latin letters, Thai letters."""
    unvowelled = phonemes([sentence.text for sentence in read_sentences("ar")], "ar")
    assert sum(bool(faults(words, "ar")) for words in unvowelled) > 100
    for voice, language, text in (("ja", "ja", "赤い鳥"), ("el", "el", "το computer"), ("th", "th", "นี่")):
        assert faults(phonemes([text], voice)[0], language) != []


def letters(text: str) -> str:
    """Arabic without vowel signs, and without what is spelled for the ear: a pausal h, an alif that is not spoken."""
    return MARKS.sub("", text).replace(WASLA, "ا").replace("ة", "ه")


def test_the_vowelled_arabic_is_the_written_arabic() -> None:
    for sentence in read_sentences("ar"):
        assert letters(sentence.spoken) == letters(sentence.text)


def test_every_arabic_consonant_has_its_sign() -> None:
    """All but alifs, the letters that lengthen a vowel, and the l of an article whose sound the next letter takes."""
    for sentence in read_sentences("ar"):
        for word in re.findall("[\u0621-\u0652\u0670\u0671]+", sentence.spoken):
            signs = re.findall("([\u0621-\u064a\u0671])([\u064b-\u0652\u0670]*)", word)
            for place, (letter, marks) in enumerate(signs):
                before = signs[place - 1][1][-1:] if place else ""
                long = (letter, before) in {("و", "\u064f"), ("ي", "\u0650")}
                article = letter == "ل" and place and signs[place - 1][0] in "ال"
                assert marks or letter in f"اىآ{WASLA}" or long or article, (sentence.sentence_id, word)


def test_arabic_ends_as_before_a_pause() -> None:
    for sentence in read_sentences("ar"):
        last = re.sub("[.؟]$", "", sentence.spoken)
        assert last[-1] in f"{SUKUN}اىيو", sentence.spoken
