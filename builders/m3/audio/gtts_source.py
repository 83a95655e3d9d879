"""Speech from gTTS as a source of audio: one voice in each language speaks each sentence once. espeak-ng speaks the
sentences that the engine does not.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symile_data.files import digest
from symile_data.format.manifest import Dropped

from .espeak import encode_flac
from .framing import framed
from .gtts_speech import gather_speech, gtts_speech
from .sources import EspeakSource, SourceAudio


@dataclass(frozen=True, kw_only=True)
class OnlineAudio:
    """A sentence that the engine spoke into the cache, with `lead` and `tail` samples of silence around it."""

    clip_id: str
    text: str
    language: str
    cache: Path
    lead: int
    tail: int

    def encode(self) -> bytes:
        """Encode the recording as FLAC, 16 kHz mono.

        Raises:
            SourceError: the cache no longer has it and the engine does not answer.
        """
        wave = gtts_speech(self.text, self.language, cache=self.cache, strict=True)
        return encode_flac(framed(wave, self.lead, self.tail))


class GttsSource:
    """The sentences of each store, spoken by Google Translate.

    The constructor fetches all of them, one request after the other, so that workers need no network.

    Args:
        espeak: Divides the sentences among the stores, and speaks those that the engine does not.
        cache: Directory of answers.
        strict: Stop at the first failure.
    """

    def __init__(self, espeak: EspeakSource, cache: Path, strict: bool) -> None:
        self._espeak, self._cache = espeak, cache
        texts = [
            (sentence.text, language)
            for language in espeak.languages
            for sentence in (
                espeak.sentence(store, language, i) for store in espeak.stores for i in _range(espeak, store)
            )
        ]
        self._failed, self._dropped = gather_speech(texts, cache=cache, strict=strict)
        self.packages: tuple[str, ...] = ("espeakng-loader", "gTTS")

    @property
    def dropped(self) -> list[Dropped]:
        """Sentences that espeak-ng speaks instead, counted by reason."""
        return self._dropped

    @property
    def notes(self) -> list[str]:
        """A sentence for the card: the speech is synthetic."""
        return ["Speech is synthetic (Google Translate): one voice a language, the same in all splits."]

    def fingerprint(self) -> dict[str, Any]:
        """Return hashes of the sentences, and of those that the engine did not speak."""
        return {**self._espeak.fingerprint(), "kind": "gtts", "failed": digest(sorted(self._failed))}

    def sizes(self, store: str) -> tuple[int, ...]:
        """Return the number of a store's sentences in each language."""
        return (len(_range(self._espeak, store)),) * len(self._espeak.languages)

    def recording(self, store: str, language: int, index: int) -> SourceAudio:
        """Return the sentence at a position of a language; espeak-ng speaks it where the engine did not."""
        code = self._espeak.languages[language]
        sentence = self._espeak.sentence(store, code, index)
        espeak = self._espeak.recording(store, language, index)
        if (sentence.text, code) in self._failed:
            return espeak
        return OnlineAudio(
            clip_id=f"gtts-{store}-{code}-{sentence.sentence_id:06d}",
            text=sentence.text,
            language=code,
            cache=self._cache,
            lead=espeak.utterance.lead,
            tail=espeak.utterance.tail,
        )


def _range(espeak: EspeakSource, store: str) -> range:
    return range(espeak.sentences_of(store))
