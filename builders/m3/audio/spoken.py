"""Synthetic speech: choose the sentences and voices of a split's recordings, and encode them.

Recording `i` of a language in a split is a pure function of (seed, split, language, i): one of the split's sentences, a
voice, a rate, a pitch, a pitch range and the silence before and after it, all from one named stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from symile_data.rng import Stream, below

from ..text.languages import language_row
from ..text.sentences import Sentence, read_sentences
from .espeak import INTONATION_RANGE, PITCH_RANGE, RATE_RANGE, VOICES, Utterance, encode_flac, synthesise
from .framing import SILENCE_SAMPLES

ROWS_PER_RECORDING = 2  # a recording is used in about this many rows of its split ...
MOST_RECORDINGS = 5000  # ... until a language has this many; more variety has no effect


class UnreadableAudioError(Exception):
    """A recording has no usable sound; the argument is the reason under which it is counted."""


@dataclass(frozen=True, kw_only=True)
class SpokenAudio:
    """One recording to be synthesised: its id, its sentence and its voice."""

    clip_id: str
    language: str
    sentence_id: int
    utterance: Utterance

    def encode(self) -> bytes:
        """Synthesise the recording and encode it as FLAC, 16 kHz mono."""
        return encode_flac(synthesise(self.utterance))


def recordings_per_language(rows: int, languages: int) -> int:
    """Return the number of recordings that a split has in each language.

    >>> recordings_per_language(8000, 10), recordings_per_language(10_000_000, 10), recordings_per_language(3, 10)
    (400, 5000, 1)
    """
    return min(MOST_RECORDINGS, -(-rows // (languages * ROWS_PER_RECORDING))) if rows else 0


def spoken_audio(
    seed: int, store: str, language: str, sentences: list[int], index: int, bank: Sequence[Sentence] | None = None
) -> SpokenAudio:
    """Choose the sentence and the voice of the recording at one position of a store.

    Args:
        seed: The build's seed.
        store: Name of the store: the split, or "shared".
        language: Language code.
        sentences: Positions in the sentence bank that the store may use.
        index: Position among the language's recordings in the store.
        bank: The language's sentences; None uses the bundled ones.
    """
    u = Stream(seed, f"m3/clip/{store}/{language}").rows(index, index + 1, 8)[0]
    bank = read_sentences(language) if bank is None else bank
    sentence = bank[sentences[int(below(u[0], len(sentences)))]]
    utterance = Utterance(
        text=sentence.spoken,
        language=language_row(language).espeak,
        voice=VOICES[int(below(u[1], len(VOICES)))],
        rate=_within(RATE_RANGE, u[2]),
        pitch=_within(PITCH_RANGE, u[3]),
        intonation=_within(INTONATION_RANGE, u[4]),
        seed=int(below(u[5], 2**31)),
        lead=_within(SILENCE_SAMPLES, u[6]),
        tail=_within(SILENCE_SAMPLES, u[7]),
    )
    return SpokenAudio(
        clip_id=f"espeak-{store}-{language}-{index:06d}",
        language=language,
        sentence_id=sentence.sentence_id,
        utterance=utterance,
    )


def _within(limits: tuple[int, int], uniform: float) -> int:
    low, high = limits
    return low + int(uniform * (high - low + 1))
