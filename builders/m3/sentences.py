"""The bank of everyday sentences that the clips speak. No sentence names a class: a clip tells its language and
nothing else.

`data/sentences.tsv`: `sentence_id`, one column per language code, `ja_kana` (the reading of the Japanese column) and
`th_phonemes` (espeak-ng phonemes of the Thai column). Sentences are parallel by id, and splits are made by id: a
sentence heard in training is never heard in the test split, in any language.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import numpy as np

from symile_data.errors import SourceError
from symile_data.files import digest
from symile_data.schema import SPLITS
from symile_data.streams import Stream

from .languages import LANGUAGES


@dataclass(frozen=True)
class Sentence:
    """One sentence of one language: `text` as written, `spoken` as given to the synthesiser."""

    sentence_id: int
    text: str
    spoken: str


@cache
def read_sentences(language: str) -> tuple[Sentence, ...]:
    """The bank of one language, in id order.

    Raises:
        SourceError: the bank has no column for the language.
    """
    path = resources.files("symile_data.builders.m3") / "data" / "sentences.tsv"
    header, *lines = path.read_text(encoding="utf-8").rstrip("\n").split("\n")
    columns = header.split("\t")
    row = LANGUAGES[language]
    for column in (row.code, row.spoken):
        if column not in columns:
            raise SourceError("the sentence bank has no column for a language", where="sentences.tsv", got=column)
    text, spoken = columns.index(row.code), columns.index(row.spoken)
    cells = [line.split("\t") for line in lines]
    return tuple(Sentence(int(row[0]), row[text], row[spoken]) for row in cells)


def split_sentences(seed: int, rows: dict[str, int], languages: Sequence[str]) -> dict[str, list[int]]:
    """Sentence positions of each split: a seeded partition in proportion to the splits' rows, at least 10 each.

    Args:
        rows: Rows of each split; a split without rows gets no sentences.

    >>> parts = split_sentences(0, {"train": 8, "validation": 1, "test": 1}, ["en"])
    >>> len(set(parts["train"]) & set(parts["test"]))
    0
    """
    count = len(read_sentences(languages[0]))
    order = Stream(seed, "m3/sentences").generator().permutation(count)
    parts = proportions(count, rows, least=10)
    edges = np.cumsum([0, *(parts[split] for split in SPLITS)])
    return {split: sorted(order[edges[i] : edges[i + 1]].tolist()) for i, split in enumerate(SPLITS)}


def proportions(count: int, rows: dict[str, int], least: int) -> dict[str, int]:
    """Divide `count` things among the splits as their rows are, but at least `least` to each split that has rows.

    >>> proportions(6, {"train": 8000, "validation": 1000, "test": 1000}, least=1)
    {'train': 4, 'validation': 1, 'test': 1}
    """
    total = max(sum(rows.values()), 1)
    small = {split: max(least, count * rows[split] // total) if rows[split] else 0 for split in SPLITS}
    largest = max(SPLITS, key=lambda split: rows[split])
    small[largest] = count - sum(size for split, size in small.items() if split != largest)
    return small


def fingerprint(languages: Sequence[str]) -> str:
    """Hash of the sentences that a build uses."""
    return digest([[sentence.spoken for sentence in read_sentences(language)] for language in languages])
