"""The sources of the audio of Symile-M3: one interface, with an implementation for each source.

A source divides its audio among media stores: one for each split, or the single store "shared". A store has a number of
recordings in each language. Recordings are sent to worker processes, which encode those that rows use.
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

SHARED = "shared"  # name of the only store under --splits shared


class SourceAudio(Protocol):
    """One recording: a small picklable description from which a worker encodes the audio."""

    @property
    def clip_id(self) -> str:
        """Name of the recording, unique in the dataset."""
        ...

    def encode(self) -> bytes:
        """Encode the recording as FLAC, 16 kHz mono.

        Raises:
            UnreadableAudioError: it has no usable sound; the next recording of its language and store takes its place.
        """
        ...


class AudioSource(Protocol):
    """Audio by store name and by position among the build's languages."""

    @property
    def packages(self) -> tuple[str, ...]:
        """Distributions whose versions affect the bytes."""
        ...

    @property
    def dropped(self) -> list[Dropped]:
        """Lines and files that the source left out, counted by reason."""
        ...

    @property
    def notes(self) -> list[str]:
        """Sentences for the card."""
        ...

    def fingerprint(self) -> dict[str, Any]:
        """Return a JSON-like description of the recordings, without paths; `kind` names the source."""
        ...

    def sizes(self, store: str, /) -> tuple[int, ...]:
        """Return the (L,) numbers of a store's recordings in each language."""
        ...

    def recording(self, store: str, language: int, index: int, /) -> SourceAudio:
        """Return the recording at a position of a language's store."""
        ...


@dataclass(frozen=True)
class SplitAudio:
    """One store of a source, whose recordings are numbered language by language.

    Args:
        source: Where the recordings come from.
        name: The store.
    """

    source: AudioSource
    name: str

    @property
    def offsets(self) -> npt.NDArray[np.int64]:
        """(L + 1,) int64; language l owns the numbers offsets[l] to offsets[l + 1] - 1."""
        return np.cumsum([0, *self.source.sizes(self.name)], dtype=np.int64)

    def recording(self, number: int) -> SourceAudio:
        """Return the recording with a number."""
        offsets = self.offsets
        language = _owner(offsets, number)
        return self.source.recording(self.name, language, number - int(offsets[language]))

    def following(self, number: int) -> int:
        """Return the next number of the same language; the first follows the last."""
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
        shared: Whether one store serves all splits.
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
        """Return the number of a store's sentences."""
        return len(self._sentences[store])

    def sentence(self, store: str, language: str, position: int) -> Sentence:
        """Return the sentence at a position of a store."""
        return self._bank.sentences(language)[self._sentences[store][position]]

    @property
    def dropped(self) -> list[Dropped]:
        """An empty list: every sentence can be spoken."""
        return []

    @property
    def notes(self) -> list[str]:
        """A sentence for the card: the speech is synthetic."""
        return ["Speech is synthetic (espeak-ng); the same voices are heard in every language and split."]

    def fingerprint(self) -> dict[str, Any]:
        """Return the kind of the bank and a hash of the sentences."""
        return {"kind": "espeak", "bank": self._bank.kind, "sentences": self._bank.fingerprint(self._languages)}

    def sizes(self, store: str) -> tuple[int, ...]:
        """Return the number of a store's recordings, which is the same in each language."""
        return (self._sizes[store],) * len(self._languages)

    def recording(self, store: str, language: int, index: int) -> SpokenAudio:
        """Return the recording at a position of a language's store: a sentence in a voice."""
        row = language_row(self._languages[language])
        return spoken_audio(self._seed, store, row.code, self._sentences[store], index, self._bank.sentences(row.code))
