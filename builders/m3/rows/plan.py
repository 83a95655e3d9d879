"""Draw the image, the recording, the keys and the words of each row, vectorised, from named streams indexed by row.

The rule (Symile, section 5.2) draws a language uniformly, a recording of that language uniformly, a class uniformly, an
image of that class uniformly, then the words (`datasets.m3.words`). In `disjoint` mode the target word stands at each
position equally often; `overlap` mode draws its position independently in each row. With further keys
(`datasets.m3.keys`) the sum of all keys, not the language that is spoken, decides the language of the target word. Any
range of rows can be drawn alone, so a shard's plan is a function of (state, split, range), and eleven million rows take
seconds and little memory.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.keys import target_language
from symile_data.datasets.m3.words import WordRule, draw_words, target_positions
from symile_data.rng import Stream, below

from ..keys.draw import KeyValues, draw_key

CHUNK_ROWS = 1 << 14  # rows drawn at a time: the temporaries fit in cache

_FIXED_DRAWS = 4  # language, recording, class, image


@dataclass(frozen=True)
class RowIndices:
    """Drawn rows of one split, as indices into classes, languages and media.

    Args:
        language: (N,) int16.
        recording: (N,) int32, position among the language's recordings.
        cls: (N,) int32, index into the build's classes.
        slot: (N,) int64, number of the image among the split's images.
        word_classes: (N, W) int32.
        word_languages: (N, W) int16.
        target_language: (N,) int64, the language of the target word: that which is spoken, unless there are more keys.
        keys: The values of the keys beside the language of the audio, by name.
    """

    language: npt.NDArray[np.int16]
    recording: npt.NDArray[np.int32]
    cls: npt.NDArray[np.int32]
    slot: npt.NDArray[np.int64]
    word_classes: npt.NDArray[np.int32]
    word_languages: npt.NDArray[np.int16]
    target_language: npt.NDArray[np.int64]
    keys: Mapping[str, KeyValues]


@dataclass(frozen=True)
class SplitPlan:
    """Everything the rows of one split are drawn from.

    Args:
        seed: The build's seed.
        split: Names the stream.
        rule: How the words of a row are drawn.
        image_offsets: (C + 1,) int64; class c owns the image slots offsets[c] to offsets[c + 1] - 1.
        recordings_per_language: Number of recordings in each language: one number for all, or (L,) numbers.
        keys: Names of the keys beside the language of the audio.
    """

    seed: int
    split: str
    rule: WordRule
    image_offsets: npt.NDArray[np.int64]
    recordings_per_language: int | Sequence[int]
    keys: Sequence[str] = ()

    @property
    def recording_offsets(self) -> npt.NDArray[np.int64]:
        """(L + 1,) int64; language l owns the recording numbers offsets[l] to offsets[l + 1] - 1."""
        counts = np.broadcast_to(self.recordings_per_language, (self.rule.languages,))
        return np.concatenate([[0], np.cumsum(counts, dtype=np.int64)])

    def draw(self, start: int, stop: int) -> RowIndices:
        """The rows `start` to `stop - 1`."""
        width = _FIXED_DRAWS + self.rule.draws
        recordings = np.diff(self.recording_offsets)
        uniform = Stream(self.seed, f"m3/rows/{self.split}").rows(start, stop, width)
        language = below(uniform[:, 0], self.rule.languages)
        cls = below(uniform[:, 2], self.rule.classes)
        first, count = self.image_offsets[cls], np.diff(self.image_offsets)[cls]
        position = None
        if self.rule.mode == "disjoint":
            position = target_positions(Stream(self.seed, f"m3/positions/{self.split}"), self.rule.words, start, stop)
        values = self.rule.languages
        keys = {name: draw_key(self.seed, name, self.split, values, start, stop) for name in self.keys}
        target = target_language([language, *(key.values for key in keys.values())], values)
        word_classes, word_languages = draw_words(self.rule, cls, target, uniform[:, _FIXED_DRAWS:], position)
        return RowIndices(
            language=language.astype(np.int16),
            recording=below(uniform[:, 1], recordings[language]).astype(np.int32),
            cls=cls.astype(np.int32),
            slot=first + below(uniform[:, 3], count),
            word_classes=word_classes,
            word_languages=word_languages,
            target_language=target,
            keys=keys,
        )

    def used(self, rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers (recording_offsets[language] + recording) that the
        split's rows use, each (U,) int64, sorted.
        """
        slots = np.zeros(int(self.image_offsets[-1]), dtype=bool)
        offsets = self.recording_offsets
        recordings = np.zeros(int(offsets[-1]), dtype=bool)
        for start in range(0, rows, CHUNK_ROWS):
            drawn = self.draw(start, min(start + CHUNK_ROWS, rows))
            slots[drawn.slot] = True
            recordings[offsets[drawn.language] + drawn.recording] = True
        return np.flatnonzero(slots), np.flatnonzero(recordings)
