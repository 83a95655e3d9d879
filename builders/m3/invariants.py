"""The rules that every row of a Symile-M3 dataset keeps, for `symile-data verify`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import pyarrow as pa

from symile_data.manifest import Manifest

from .names import SEPARATOR

_COLUMNS = ("sample_id", "lang", "cls_id", "text", "target_text", "words", "image_id", "clip_id")
_MEDIA = ("image_id", "clip_id")
_SPOKEN = re.compile(r"(?:espeak|gtts)-([a-z]+)-")  # of a pool, which has sentences of its own


class M3Invariants:
    """Checks shard by shard and remembers which media each split uses.

    Args:
        manifest: Of the dataset that is verified; its spec says which rules hold.
    """

    def __init__(self, manifest: Manifest) -> None:
        spec = manifest.identity.spec
        self._words, self._mode, self._disjoint = spec["words"], spec["mode"], spec["split_policy"] == "disjoint"
        names = manifest.identity.sources.get("names", {})
        self._published = names.get("kind") == "release"  # texts as published: a word may be unknown or stand twice
        self._texts = all(modality.kind == "text" for modality in manifest.modalities if modality.name == "text")
        self._media: dict[str, dict[str, set[str]]] = {column: {} for column in _MEDIA}
        self._sample_ids: set[int] = set()

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Problems of the rows of one shard."""
        for index, row in enumerate(table.select(_COLUMNS).to_pylist()):
            for problem in self._row_problems(row):
                yield f"row {index} (sample {row['sample_id']}): {problem}"
            if row["sample_id"] in self._sample_ids:
                yield f"row {index}: sample_id {row['sample_id']} occurs twice"
            self._sample_ids.add(row["sample_id"])
            spoken = _SPOKEN.match(row["clip_id"] or "")
            if self._disjoint and spoken and spoken[1] != split:
                yield f"row {index}: clip {row['clip_id']} speaks sentences of {spoken[1]}, not of {split}"
            for column in _MEDIA:
                if row[column] is not None:
                    self._media[column].setdefault(split, set()).add(row[column])

    def finish(self) -> Iterator[str]:
        """Media that two splits share although the split policy forbids it."""
        if not self._disjoint:
            return
        for column, by_split in self._media.items():
            for first, second in combinations(sorted(by_split), 2):
                shared = by_split[first] & by_split[second]
                if shared:
                    yield f"{column} {min(shared)} and {len(shared) - 1} more occur in both {first} and {second}"

    def _row_problems(self, row: dict[str, Any]) -> Iterator[str]:
        words = row["words"]
        if words is None:
            return
        if self._published:
            yield from self._published_problems(row)
            return
        if len(words) != self._words:
            yield f"{len(words)} words, the spec says {self._words}"
        if self._texts and row["text"] != SEPARATOR.join(word["text"] for word in words):
            yield "text is not its words joined by '_'"
        texts = [word["text"] for word in words]
        if len(set(texts)) != len(texts):
            yield "a word occurs twice in the text"
        answers = [word for word in words if word["lang"] == row["lang"]]
        targets = [word for word in words if word["cls_id"] == row["cls_id"]]
        if len(answers) != 1 or len(targets) != 1 or answers != targets:
            yield "the text does not name exactly one class in the clip's language, the picture's"
        elif answers[0]["text"] != row["target_text"]:
            yield f"target_text is {row['target_text']!r}, the text says {answers[0]['text']!r}"
        if self._mode == "disjoint":
            if len({word["lang"] for word in words}) != len(words):
                yield "two words share a language"
            if len({word["cls_id"] for word in words}) != len(words):
                yield "two words share a class"

    def _published_problems(self, row: dict[str, Any]) -> Iterator[str]:
        """What even texts keep that were taken from the release as they are."""
        words = row["words"]
        if self._texts and row["text"] != SEPARATOR.join(word["text"] for word in words):
            yield "text is not its words joined by '_'"
        answers = [word for word in words if word["lang"] == row["lang"]]
        if [(word["text"], word["cls_id"]) for word in answers] != [(row["target_text"], row["cls_id"])]:
            yield "the text does not name exactly one class in the clip's language, the picture's"
