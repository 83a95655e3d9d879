"""Speech: the same bytes wherever a recording is spoken, at one loudness, in every language and voice."""

import io
import subprocess
import sys
import unicodedata
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import soundfile

from symile_data.builders.m3.audio import espeak as speech
from symile_data.builders.m3.audio.espeak import VOICES, Utterance, encode_flac, synthesise
from symile_data.builders.m3.audio.spoken import SpokenAudio, recordings_per_language, spoken_audio
from symile_data.builders.m3.text.languages import LANGUAGES
from symile_data.builders.m3.text.sentences import read_sentences
from symile_data.errors import MissingPackageError, SourceError

HASHES = """
import hashlib
from symile_data.builders.m3.audio.spoken import spoken_audio
for language, index in {asked!r}:
    print(hashlib.sha256(spoken_audio(3, "test", language, list(range(40)), index).encode()).hexdigest())
"""


def utterance(**changes: Any) -> Utterance:
    settings: dict[str, Any] = {
        "text": "Good morning.",
        "language": "en",
        "voice": "m1",
        "rate": 170,
        "pitch": 50,
        "intonation": 50,
    }
    return Utterance(**(settings | {"seed": 0} | changes))


def test_a_recording_is_the_same_in_any_process_and_company() -> None:
    asked = [(language, index) for language in ("ar", "ja", "th", "zh-CN") for index in (0, 7)]
    code = HASHES.format(asked=asked)
    here = io.StringIO()
    exec(code, {"print": lambda line: here.write(line + "\n")})  # in another order than there, and after other clips
    there = subprocess.check_output(
        [sys.executable, "-c", HASHES.format(asked=asked[::-1])], text=True, timeout=120
    ).splitlines()
    assert here.getvalue().splitlines() == there[::-1]
    assert len(set(there)) == len(asked)


def test_a_voice_opened_by_its_file_speaks_as_one_searched_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    languages = ["el", "en", "ko", "cmn", "pt-BR", "vi-VN-x-south"]
    assert [speech._voice_file(name) for name in languages] == [
        "grk/el", "gmw/en", "ko", "sit/cmn", "roa/pt-BR", "aav/vi-VN-x-south",
    ]  # fmt: skip
    assert speech._voice_file("no-such-language") == "no-such-language"
    by_file = [synthesise(utterance(language=name, voice="f2")).tobytes() for name in languages]
    monkeypatch.setattr(speech, "_voice_file", lambda language: language)
    assert [synthesise(utterance(language=name, voice="f2")).tobytes() for name in languages] == by_file


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_is_heard_at_one_loudness(language: str) -> None:
    sentences = list(range(len(read_sentences(language))))
    clips = [spoken_audio(0, "train", language, sentences, index) for index in range(8)]
    assert len({spoken.utterance.voice for spoken in clips}) > 3
    for spoken in clips:
        wave, rate = soundfile.read(io.BytesIO(spoken.encode()), dtype="float64")
        assert (rate, wave.ndim) == (16_000, 1)
        assert 0.5 < len(wave) / rate < 8.0
        assert abs(20 * np.log10(np.sqrt(np.mean(wave**2))) + 23.0) < 0.5
        assert np.abs(wave).max() <= 1.0


def test_every_voice_speaks_and_sounds_different() -> None:
    assert len(VOICES) >= 20
    waves = {voice: synthesise(utterance(text="Hello.", voice=voice)).tobytes() for voice in VOICES}
    assert len(set(waves.values())) == len(VOICES)


@pytest.mark.parametrize(
    "change", [{"rate": 140}, {"pitch": 70}, {"intonation": 30}, {"text": "Good night."}, {"voice": "f3"}]
)
def test_every_setting_is_heard(change: dict[str, Any]) -> None:
    assert not np.array_equal(synthesise(utterance()), synthesise(utterance(**change)))


@pytest.mark.parametrize("word", ["كُلَّ", "عَلَّمَنِي", "مَرَّةً"])
def test_arabic_is_spoken_with_its_vowels_in_any_order_of_its_signs(word: str) -> None:
    """Unicode's normal forms write a vowel sign before a shadda; espeak-ng alone would drop that vowel."""
    normal = unicodedata.normalize("NFC", word)
    sign, shadda = normal[normal.index("\u0651") - 1], "\u0651"
    shadda_first = normal.replace(sign + shadda, shadda + sign)
    assert shadda_first != normal
    waves = [synthesise(utterance(text=text, language="ar")) for text in (normal, shadda_first)]
    assert np.array_equal(waves[0], waves[1])
    without_vowel = synthesise(utterance(text=normal.replace(sign + shadda, shadda), language="ar"))
    assert not np.array_equal(waves[0], without_vowel)


def sounding(wave: np.ndarray) -> tuple[int, int]:
    """Samples before the first and after the last that is 1 % of the peak."""
    loud = np.abs(wave)
    first, last = np.flatnonzero(loud >= 0.01 * loud.max())[[0, -1]]
    return int(first), int(len(wave) - 1 - last)


@pytest.mark.parametrize(("language", "text"), [("en", "Hello."), ("th", "[[sa2 wa2t di:3]]"), ("te", "నమస్కారం")])
def test_a_recording_has_the_silence_that_it_was_given_and_no_other(language: str, text: str) -> None:
    bare = synthesise(utterance(language=language, text=text))
    assert sounding(bare) == (0, 0)
    wave = synthesise(utterance(language=language, text=text, lead=900, tail=4000))
    assert len(wave) == 900 + len(bare) + 4000
    assert sounding(wave) == (900, 4000)
    assert not wave[:900].any() and not wave[-4000:].any()


def test_silence_is_drawn_alike_for_every_language() -> None:
    for draw in ("lead", "tail"):
        drawn = {
            code: sorted(getattr(spoken_audio(0, "train", code, [0], index).utterance, draw) for index in range(400))
            for code in ("ar", "th", "zh-CN")
        }
        assert len(set(map(tuple, drawn.values()))) == 3
        for samples in drawn.values():
            assert 800 <= samples[0] < 900 and 4700 < samples[-1] <= 4800  # 50 to 300 ms
            assert abs(np.mean(samples) - 2800) < 200


def test_an_unknown_language_is_an_error_that_names_the_voice() -> None:
    with pytest.raises(SourceError, match=r"espeak-ng does not know a voice; got xx\+m1"):
        synthesise(utterance(language="xx"))


def test_a_text_without_sound_is_an_error() -> None:
    with pytest.raises(SourceError, match=r"espeak-ng gave no sound \(language en\); got ' '"):
        synthesise(utterance(text=" "))


@pytest.fixture
def fresh_engine() -> Iterator[None]:
    """The engine is looked for again, before and after."""
    speech._engine.cache_clear()
    yield
    speech._engine.cache_clear()


@pytest.mark.usefixtures("fresh_engine")
def test_a_voice_that_the_engine_lacks_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(speech, "VOICES", ("m1", "nobody"))
    with pytest.raises(SourceError, match=r"espeak-ng lacks voice variants .*; got nobody. Reinstall espeakng-loader."):
        synthesise(utterance())


@pytest.mark.usefixtures("fresh_engine")
@pytest.mark.parametrize("package", ["soxr", "espeakng_loader"])
def test_a_missing_package_is_an_error_with_the_command(monkeypatch: pytest.MonkeyPatch, package: str) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MissingPackageError, match=r"[Rr]un: pip install -c constraints.txt -e '\.\[speech\]'"):
        synthesise(utterance())


def test_encoding_keeps_the_wave() -> None:
    wave = np.linspace(-0.5, 0.5, 4000, dtype=np.float32)
    again, rate = soundfile.read(io.BytesIO(encode_flac(wave)), dtype="float32")
    assert rate == 16_000
    assert np.abs(again - wave).max() < 2**-15


def test_a_recording_is_a_function_of_its_place_alone() -> None:
    def drawn(**changes: Any) -> SpokenAudio:
        place: dict[str, Any] = {
            "seed": 0,
            "store": "train",
            "language": "el",
            "sentences": list(range(100)),
            "index": 5,
        } | changes
        return spoken_audio(**place)

    assert drawn() == drawn()
    assert drawn().clip_id == "espeak-train-el-000005"
    for change in ({"seed": 1}, {"store": "test"}, {"index": 6}):
        assert drawn(**change).utterance != drawn().utterance


def test_what_a_recording_says_belongs_to_the_writer() -> None:
    """Whoever changes what is drawn here raises `manifest.WRITER`."""
    drawn = spoken_audio(0, "train", "ar", list(range(100)), 5)
    assert drawn.sentence_id == 48
    assert drawn.utterance == Utterance(
        text=read_sentences("ar")[48].spoken, language="ar", voice="victor", rate=182, pitch=63, intonation=61,
        seed=802990451, lead=2754, tail=3261,
    )  # fmt: skip


def test_recordings_say_only_the_sentences_they_may() -> None:
    allowed = [3, 11, 17]
    said = {spoken_audio(0, "test", "en", allowed, index).sentence_id for index in range(60)}
    assert said == set(allowed)


def test_voices_and_ranges_are_the_same_in_every_language() -> None:
    for language in ("en", "th"):
        spoken = [spoken_audio(0, "train", language, list(range(100)), index).utterance for index in range(1200)]
        assert {utterance.voice for utterance in spoken} == set(VOICES)
        assert (min(u.rate for u in spoken), max(u.rate for u in spoken)) == speech.RATE_RANGE
        assert (min(u.pitch for u in spoken), max(u.pitch for u in spoken)) == speech.PITCH_RANGE


@pytest.mark.parametrize(("rows", "languages", "clips"), [(0, 2, 0), (1, 10, 1), (20, 2, 5), (21, 2, 6)])
def test_the_number_of_recordings_follows_the_rows(rows: int, languages: int, clips: int) -> None:
    assert recordings_per_language(rows, languages) == clips
