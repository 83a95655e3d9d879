"""The rules that every row of a Symile-M3 dataset obeys, for `symile-data verify`."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.format.id_set import IdSet, sample_ids
from symile_data.format.manifest import Manifest
from symile_data.format.stored_paths import has_paths, path_problems

from .names import SEPARATOR, imagenet_classes

_COLUMNS = ("sample_id", "lang", "cls", "cls_id", "wnid", "text", "target_text", "words", "image_id", "clip_id")
_MEDIA = ("image_id", "clip_id")
_SPOKEN = re.compile(r"(?:espeak|gtts)-([a-z]+)-")  # the store of a recording, whose sentences no other store has


class M3Invariants:
    """Check shard by shard, and remember sample ids exactly and media ids by hashes of 64 bits.

    Among three million media, two different ones have the same hash, and are reported as shared, in one of four million
    datasets.

    Args:
        manifest: Manifest of the dataset; its spec says which rules hold.
    """

    def __init__(self, manifest: Manifest) -> None:
        spec = manifest.identity.spec
        self._words, self._mode, self._disjoint = spec["words"], spec["mode"], spec["split_policy"] == "disjoint"
        names = manifest.identity.sources.get("names", {})
        self._published = names.get("kind") == "release"  # in published texts a word may be unknown or occur twice
        images = manifest.identity.sources.get("images", {})
        self._paths = has_paths(spec) and images.get("kind") != "release"  # imported media keep the release's paths
        self._wnids, _ = imagenet_classes()
        self._classes: dict[int, str] = {}  # cls_id -> cls
        self._texts = all(modality.kind == "text" for modality in manifest.modalities if modality.name == "text")
        self._sample_ids = IdSet()
        self._media: dict[str, dict[str, IdSet]] = {column: {} for column in _MEDIA}
        self._shared: dict[tuple[str, str, str], tuple[int, str]] = {}  # (column, two splits) -> count and an example

    @property
    def disjoint_media(self) -> bool:
        """Whether no image and no recording may be in two splits."""
        return bool(self._disjoint)

    def check_media(self, table: pa.Table) -> Iterator[str]:
        """Yield images and recordings whose stored path does not match their id."""
        if not self._paths:
            return
        if {"image", "image_id"} <= set(table.column_names):
            names = pc.replace_substring_regex(table["image_id"], "^.*/", "")
            yield from path_problems(table, "image", names)
        if {"audio", "clip_id"} <= set(table.column_names):
            yield from path_problems(table, "audio", pc.binary_join_element_wise(table["clip_id"], "flac", "."))

    def check(self, split: str, table: pa.Table) -> Iterator[str]:
        """Yield the problems of the rows of one shard."""
        if not self._classes and not self._published:
            self._classes.update(enumerate(_class_names(table)))
        twice = self._sample_ids.add(sample_ids(table))
        for index, row in enumerate(table.select(_COLUMNS).to_pylist()):
            for problem in self._row_problems(row):
                yield f"row {index} (sample {row['sample_id']}): {problem}"
            if twice[index]:
                yield f"row {index}: sample_id {row['sample_id']} occurs twice"
            spoken = _SPOKEN.match(row["clip_id"] or "")
            if self._disjoint and spoken and spoken[1] != split:
                yield f"row {index}: recording {row['clip_id']} speaks sentences of {spoken[1]}, not of {split}"
        if self._disjoint:
            for column in _MEDIA:
                self._meet(column, split, pc.unique(table[column].drop_null()).to_pylist())

    def finish(self) -> Iterator[str]:
        """Yield the media that two splits share although the split policy forbids it."""
        for (column, first, second), (count, example) in sorted(self._shared.items()):
            yield f"{column} {example} and {count - 1} more occur in both {first} and {second}"

    def _meet(self, column: str, split: str, media: list[str]) -> None:
        """Remember the media of a shard, and count those that are also in other splits."""
        by_split = self._media[column]
        hashes = np.fromiter(map(hash, media), dtype=np.int64, count=len(media))
        new = ~by_split.setdefault(split, IdSet()).add(hashes)
        for other, known in by_split.items():
            both = np.flatnonzero(new & known.holds(hashes)) if other != split else ()
            if len(both):
                key = (column, min(split, other), max(split, other))
                names = [media[index] for index in both]
                count, example = self._shared.get(key, (0, names[0]))
                self._shared[key] = (count + len(names), min(example, *names))

    def _row_problems(self, row: dict[str, Any]) -> Iterator[str]:
        yield from self._class_problems(row)
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
            yield "the text does not name exactly one class in the language of the audio, the image's"
        elif answers[0]["text"] != row["target_text"]:
            yield f"target_text is {row['target_text']!r}, the text says {answers[0]['text']!r}"
        if self._mode == "disjoint":
            if len({word["lang"] for word in words}) != len(words):
                yield "two words share a language"
            if len({word["cls_id"] for word in words}) != len(words):
                yield "two words share a class"

    def _class_problems(self, row: dict[str, Any]) -> Iterator[str]:
        """Compare the three columns that name a row's class. In published rows a class may have any name, but one."""
        cls_id = row["cls_id"]
        if cls_id is None or not 0 <= cls_id < len(self._wnids):
            yield f"cls_id is {cls_id}, which is not a class"
            return
        if row["wnid"] != self._wnids[cls_id]:
            yield f"wnid is {row['wnid']!r}, cls_id {cls_id} is {self._wnids[cls_id]!r}"
        name = self._classes.setdefault(cls_id, row["cls"])
        if row["cls"] != name:
            yield f"cls is {row['cls']!r}, cls_id {cls_id} is {name!r}"

    def _published_problems(self, row: dict[str, Any]) -> Iterator[str]:
        """Yield problems of a published text, which obeys fewer rules than a drawn one."""
        words = row["words"]
        if self._texts and row["text"] != SEPARATOR.join(word["text"] for word in words):
            yield "text is not its words joined by '_'"
        answers = [word for word in words if word["lang"] == row["lang"]]
        if [(word["text"], word["cls_id"]) for word in answers] != [(row["target_text"], row["cls_id"])]:
            yield "the text does not name exactly one class in the language of the audio, the image's"


def _class_names(table: pa.Table) -> list[str]:
    """Return the names of the classes by number, from the types of the shard's columns; empty without types."""
    try:
        described = json.loads((table.schema.metadata or {})[b"huggingface"])
        return list(described["info"]["features"]["cls_id"]["names"])
    except (KeyError, ValueError, TypeError):
        return []
