"""Count the words of M3's texts: the number of words, the position of the target, and how evenly languages and classes
occur as the target and as distractors.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.datasets.m3.languages import language_label
from symile_data.plotting import style

from .quantiles import draw_box, quantiles

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PARTS = ("target", "distractor")


class WordCounts:
    """Counts of one split, collected batch by batch. Memory grows with languages x classes."""

    def __init__(self) -> None:
        self._lengths: Counter[int] = Counter()
        self._positions: Counter[int] = Counter()
        self._classes: dict[str, Counter[tuple[str, int]]] = {part: Counter() for part in PARTS}

    def add(self, batch: pa.RecordBatch) -> None:
        """Count the rows that have a text. Words of a published text whose class and language are unknown count for its
        length alone.

        The batch has `words`, and `target_lang` or else `lang`, the language of the recording.
        """
        present = batch.filter(pc.is_valid(batch["words"]))
        if not len(present):
            return
        lengths = pc.list_value_length(present["words"]).to_numpy(zero_copy_only=False)
        self._lengths.update(lengths.tolist())
        words = present["words"].flatten()
        language = TARGET_LANGUAGE if TARGET_LANGUAGE in present.schema.names else "lang"
        target = np.repeat(present[language].to_numpy(zero_copy_only=False), lengths)
        written = words.field("lang").to_numpy(zero_copy_only=False)
        starts = np.repeat(np.cumsum(lengths) - lengths, lengths)
        is_target = target == written
        self._positions.update((np.arange(len(written)) - starts)[is_target].tolist())
        known = words.field("cls_id").is_valid().to_numpy(zero_copy_only=False)
        classes = pc.fill_null(words.field("cls_id"), 0).to_numpy(zero_copy_only=False)
        for part, chosen in zip(PARTS, (known & is_target, known & ~is_target), strict=True):
            self._classes[part].update(zip(written[chosen].tolist(), classes[chosen].tolist(), strict=True))

    def summary(self) -> dict[str, Any]:
        """Return the rows by number of words and by the target's position (from 0); and for each language, as target
        and as distractor, the number of its words and quantiles over classes of a class's words in it.
        """
        classes = sorted({cls for counts in self._classes.values() for _, cls in counts})
        return {
            "lengths": {str(length): self._lengths[length] for length in sorted(self._lengths)},
            "target_position": {str(place): self._positions[place] for place in sorted(self._positions)},
            **{part: _by_language(self._classes[part], classes) for part in PARTS},
        }


def draw_words(path: Path, words: dict[str, Any]) -> None:
    """Draw the words per class in each language, as target and as distractor, from one split's summary."""
    languages = sorted({language for part in PARTS for language in words[part]})
    title = "Words of each class, by the language in which they are written"
    with style.figure(0.85 + 0.21 * len(languages), 1, 2, title=title, sharey=True) as (drawn, panels):
        for axes, part in zip(panels, PARTS, strict=True):
            _draw_part(axes, languages, words[part])
            axes.set_title(f"As {part}")
            axes.set_xlabel("words of a class")
        style.save(drawn, path)


def _draw_part(axes: Axes, languages: list[str], counts: dict[str, Any]) -> None:
    for place, language in enumerate(languages):
        if language in counts:
            draw_box(axes, place, counts[language]["per_class"], style.BLUE)
    axes.set_yticks(range(len(languages)), [language_label(language) for language in languages])
    axes.set_ylim(len(languages) - 0.4, -0.6)
    axes.set_xlim(left=0)
    axes.tick_params(axis="y", length=0, pad=6)  # beyond the median's dot, which may be at zero
    axes.grid(axis="x")
    style.thousands(axes.xaxis)


def _by_language(counts: Counter[tuple[str, int]], classes: list[int]) -> dict[str, Any]:
    languages = sorted({language for language, _ in counts})
    found = {}
    for language in languages:
        of_language = [counts[language, cls] for cls in classes]
        found[language] = {"words": sum(of_language), "per_class": quantiles(of_language, 1)}
    return found
