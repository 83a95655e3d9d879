"""Choose the rows that a card shows: a few of the first split, complete if possible, of different classes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from symile_data.datasets.m3.keys import TARGET_LANGUAGE
from symile_data.format.location import Location
from symile_data.format.manifest import Manifest
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.deduplicated import pooled_media

from .statistics.collect import open_listed, used_splits

COUNT = 6
_GROUPS = 8  # row groups that are searched

_NEEDED = ("lang", "cls_id", "cls", "words", "text", "target_text", "sample_id")
_MEDIA = ("image", "audio")


@dataclass(frozen=True, kw_only=True)
class Word:
    """One word of a text: the word as written, its language, and the English name of its class.

    Of a published word that could not be identified the language is None and the English name empty.
    """

    text: str
    lang: str | None
    english: str


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One M3 row to show. A missing image, recording or text is None, and a missing text has no words.

    `target_lang` is None where the language of the audio is the only key.
    """

    split: str
    sample_id: int
    lang: str
    target_lang: str | None
    cls: str
    text: str | None
    target_text: str | None
    words: tuple[Word, ...]
    image: bytes | None
    audio: bytes | None

    @property
    def complete(self) -> bool:
        """Whether no modality is missing."""
        return self.image is not None and self.audio is not None and self.text is not None

    def to_json(self) -> dict[str, Any]:
        """Return the labels and words as JSON; image and audio are left out."""
        return {
            "split": self.split,
            "sample_id": self.sample_id,
            "lang": self.lang,
            "cls": self.cls,
            "text": self.text,
            "target_text": self.target_text,
            "words": [{"text": word.text, "lang": word.lang, "english": word.english} for word in self.words],
            **({} if self.target_lang is None else {"target_lang": self.target_lang}),
        }


def choose_samples(directory: Path, manifest: Manifest, schema: DatasetSchema) -> list[Sample]:
    """Choose at most `COUNT` rows of the first split: complete ones first, languages in turn, no class twice.

    Returns:
        The rows; an empty list where the rows of the dataset do not have the columns of M3.
    """
    if not _is_m3(schema):
        return []
    split = next(iter(used_splits(manifest)))
    samples: list[Sample] = []
    groups = 0
    extra = [TARGET_LANGUAGE] if TARGET_LANGUAGE in schema.features else []
    media = pooled_media(Location.of(directory), manifest, split)
    for entry in manifest.shards(split):
        shard = open_listed(directory, entry, media)
        for group in range(len(shard.group_rows)):
            table = shard.read(group, [*_NEEDED, *_MEDIA, *extra])
            samples += [_sample(split, row, schema) for row in table.to_pylist()]
            samples = _best(samples)
            groups += 1
            if groups == _GROUPS:
                return samples
    return samples


def _is_m3(schema: DatasetSchema) -> bool:
    from datasets import Audio, ClassLabel, Image

    features = schema.features
    return (
        all(name in features for name in (*_NEEDED, *_MEDIA))
        and isinstance(features["image"], Image)
        and isinstance(features["audio"], Audio)
        and isinstance(features["cls_id"], ClassLabel)
    )


def _sample(split: str, row: dict[str, Any], schema: DatasetSchema) -> Sample:
    names = schema.features["cls_id"].names
    words = row["words"] or []
    return Sample(
        split=split,
        sample_id=row["sample_id"],
        lang=row["lang"],
        target_lang=row.get(TARGET_LANGUAGE),
        cls=row["cls"],
        text=row["text"],
        target_text=row["target_text"],
        words=tuple(_word(word, names) for word in words),
        image=row["image"] and row["image"]["bytes"],
        audio=row["audio"] and row["audio"]["bytes"],
    )


def _word(word: dict[str, Any], names: list[str]) -> Word:
    english = "" if word["cls_id"] is None else names[word["cls_id"]]
    return Word(text=word["text"], lang=word["lang"], english=english)


def _best(samples: list[Sample]) -> list[Sample]:
    """Return the rows to keep of those read so far: the first of each class, with languages in turn."""
    first_of_class: dict[str, Sample] = {}
    for sample in sorted(samples, key=lambda sample: (not sample.complete, sample.sample_id)):
        first_of_class.setdefault(sample.cls, sample)
    turns: dict[str, int] = {}
    ranked = []
    for sample in first_of_class.values():
        turn = turns[sample.lang] = turns.get(sample.lang, -1) + 1
        ranked.append(((not sample.complete, turn, sample.sample_id), sample))
    return [sample for _, sample in sorted(ranked, key=lambda pair: pair[0])[:COUNT]]
