"""Where the audio of Symile-M3 comes from: one interface, with an implementation for each source.

A source divides its audio among media stores: one for each split, or the single store "shared". A store holds a number
of recordings in each language. Recordings travel to worker processes, which encode those that rows use.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from symile_data.format.manifest import Dropped

from ..text.languages import language_row
from ..text.sentences import Sentence, SentenceBank, split_sentences
from .spoken import SpokenAudio, recordings_per_language, spoken_audio

SHARED = "shared"  # name of the store that all splits draw from under --splits shared


class SourceAudio(Protocol):
    """One recording: a small, picklable description that a worker encodes."""

    @property
    def clip_id(self) -> str:
        """Unique in the dataset."""
        ...

    def encode(self) -> bytes:
        """The clip as FLAC, 16 kHz mono.

        Raises:
            UnreadableAudioError: the clip is no usable sound; the next one of its language and store takes its place.
        """
        ...


class AudioSource(Protocol):
    """Audio by store name and by position among the build's languages."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions decide the bytes."""
        ...

    @property
    def dropped(self) -> list[Dropped]:
        """Lines and files that the source itself left out, by reason."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences for the card."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """What the clips are made of, JSON-like, without paths; `kind` names the source."""
        ...

    def sizes(self, store: str, /) -> tuple[int, ...]:
        """(L,) clips of a store in each language."""
        ...

    def recording(self, store: str, language: int, index: int, /) -> SourceAudio:
        """The clip at a position of a language's store."""
        ...


@dataclass(frozen=True)
class SplitAudio:
    """One store of a source, its clips numbered language by language.

    Args:
        source: Where the recordings come from.
        name: The store.
    """

    source: AudioSource
    name: str

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(L + 1,) language l owns the numbers offsets[l] to offsets[l + 1] - 1."""
        return np.cumsum([0, *self.source.sizes(self.name)], dtype=np.int64)

    def recording(self, number: int) -> SourceAudio:
        """The clip of a number."""
        offsets = self.offsets
        language = _owner(offsets, number)
        return self.source.recording(self.name, language, number - int(offsets[language]))

    def following(self, number: int) -> int:
        """The next number of the same language, around its end."""
        offsets = self.offsets
        language = _owner(offsets, number)
        return int(offsets[language]) if number + 1 == offsets[language + 1] else number + 1


def _owner(offsets: npt.NDArray[np.int64], number: int) -> int:
    return int(np.searchsorted(offsets, number, side="right")) - 1


class EspeakSource:
    """Everyday sentences spoken by espeak-ng.

    Args:
        seed: The build's seed.
        languages: (L,) codes.
        rows: Rows of each split.
        shared: One store for all splits.
        bank: The sentences.
    """

    packages: tuple[str, ...] = ("espeakng-loader",)

    def __init__(
        self, seed: int, languages: Sequence[str], rows: Mapping[str, int], shared: bool, bank: SentenceBank
    ) -> None:
        self._seed, self._languages, self._bank = seed, tuple(languages), bank
        parts = split_sentences(seed, dict(rows), languages, bank)
        if shared:
            parts = {SHARED: sorted(position for part in parts.values() for position in part)}
            rows = {SHARED: max(rows.values())}
        self._sentences = parts
        self._sizes = {store: recordings_per_language(rows[store], len(languages)) for store in parts}

    @property
    def languages(self) -> tuple[str, ...]:
        """(L,) language codes, in the build's order."""
        return self._languages

    @property
    def stores(self) -> tuple[str, ...]:
        """Names of the stores that have sentences."""
        return tuple(store for store, sentences in self._sentences.items() if sentences)

    def sentences_of(self, store: str) -> int:
        """How many sentences a store has."""
        return len(self._sentences[store])

    def sentence(self, store: str, language: str, position: int) -> Sentence:
        """One sentence of a store."""
        return self._bank.sentences(language)[self._sentences[store][position]]

    @property
    def dropped(self) -> list[Dropped]:
        """The list is empty: every sentence can be spoken."""
        return []

    @property
    def notes(self) -> list[str]:
        """A sentence that the speech is synthetic."""
        return ["Speech is synthetic (espeak-ng); the same voices are heard in every language and split."]

    def fingerprint(self) -> dict[str, Any]:
        """Kind of the bank and hash of the sentences."""
        return {"kind": "espeak", "bank": self._bank.kind, "sentences": self._bank.fingerprint(self._languages)}

    def sizes(self, store: str) -> tuple[int, ...]:
        """The same number in each language."""
        return (self._sizes[store],) * len(self._languages)

    def recording(self, store: str, language: int, index: int) -> SpokenAudio:
        """A sentence of the store in a voice."""
        row = language_row(self._languages[language])
        return spoken_audio(self._seed, store, row.code, self._sentences[store], index, self._bank.sentences(row.code))
