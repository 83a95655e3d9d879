"""The state of a running build: one small file under `.build/` with everything that the shards need except the media.

The main process writes it once, and workers read it. Given the state and the media stores, a shard is a pure function
of (split, rows).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from symile_data.datasets.m3.words import Mode, WordRule
from symile_data.files import pretty_json, write_text

from .rows.plan import SplitPlan

FILE_NAME = "build_state.json"


@dataclass(frozen=True, kw_only=True)
class BuildState:
    """Everything that the rows of a build are drawn from.

    Args:
        seed: The build's seed.
        languages: (L,) codes.
        wnids: (C,) class folders, sorted.
        class_ids: (C,) ImageNet class ids, 0 to 999.
        names: [class][language] names.
        words: Number W of words in a text.
        mode: How the words are drawn; see `symile_data.datasets.m3.words`.
        rows: Rows of each split.
        image_offsets: split -> (C + 1,) slot offsets.
        recordings_per_language: split -> (L,) number of recordings of each language.
        image_stores: split -> name of its store of images.
        audio_stores: split -> name of its store of audio.
        image_root: Folder of the original images.
        missing: modality -> rate.
        masked_splits: Splits that the rates apply to.
        planned: Whether the rows come from a published table; see `release.plan`.
        keys: Names of the keys beside the language of the audio.
        reliability: Rates of misaligned modalities, as the manifest stores them.
    """

    seed: int
    languages: list[str]
    wnids: list[str]
    class_ids: list[int]
    names: list[list[str]]
    words: int
    mode: Mode
    rows: Mapping[str, int]
    image_offsets: Mapping[str, list[int]]
    recordings_per_language: Mapping[str, list[int]]
    image_stores: Mapping[str, str]
    audio_stores: Mapping[str, str]
    image_root: str
    missing: Mapping[str, float]
    masked_splits: list[str]
    planned: bool = False
    keys: list[str] = field(default_factory=list)
    reliability: Mapping[str, Any] = field(default_factory=dict)

    @property
    def key_values(self) -> int:
        """Number of values of a key, which is that of the languages."""
        return len(self.languages)

    def plan(self, split: str) -> SplitPlan:
        """Return the plan from which the rows of one split are drawn."""
        rule = WordRule(words=self.words, classes=len(self.wnids), languages=len(self.languages), mode=self.mode)
        offsets = np.array(self.image_offsets[split], dtype=np.int64)
        return SplitPlan(self.seed, split, rule, offsets, self.recordings_per_language[split], self.keys)

    def rate(self, split: str, modality: str) -> float:
        """Return the rate, from 0 to 1, at which a modality is made missing in a split."""
        return self.missing.get(modality, 0.0) if split in self.masked_splits else 0.0

    def write(self, internal: Path) -> None:
        """Write to the build's `.build/` folder."""
        _read.cache_clear()
        write_text(internal / FILE_NAME, pretty_json(asdict(self)))


def read_build_state(internal: Path) -> BuildState:
    """Read the state of the build whose `.build/` folder is `internal`. The result is cached in the process."""
    return _read(internal / FILE_NAME)


@lru_cache(maxsize=2)
def _read(path: Path) -> BuildState:
    return BuildState(**json.loads(path.read_text(encoding="utf-8")))
