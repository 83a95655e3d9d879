"""Estimate what the images and tones of keys need: draw or play a few, and multiply."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.m3.keys import KEYS

from ..build_state import BuildState
from ..keys.draw import VARIANTS
from ..keys.media import stored_keys
from ..keys.render import RENDERERS, codes
from .cost import StageCost, expected_used

_SAMPLED = 24  # images or tones of a key that are made


@dataclass(frozen=True)
class SampledKey:
    """Images or tones of one key that were made to measure the cost of one.

    Args:
        seconds: CPU seconds of one.
        media: Their bytes.
        used: Expected number of those that rows use, of each media store.
    """

    seconds: float
    media: list[bytes]
    used: list[int]

    @property
    def stage(self) -> Mapping[str, float]:
        """The costs of one, by the names of `StageCost`."""
        return {
            "cpu_seconds_each": self.seconds,
            "working_bytes_each": sum(map(len, self.media)) / len(self.media),
        }


def sample_keys(state: BuildState) -> dict[str, SampledKey]:
    """Make a few images or tones of each key that is stored as files."""
    stores: dict[str, int] = {}
    for split, store in state.image_stores.items():
        stores[store] = stores.get(store, 0) + state.rows[split]
    used = [expected_used([state.key_values * VARIANTS], rows) for rows in stores.values()]
    found = {}
    for key in stored_keys(state):
        make = partial(RENDERERS[key.name], state.seed, next(iter(stores)), 0)
        make(0)  # loads the artwork or the encoder
        start = time.process_time()
        media = [make(variant) for variant in range(_SAMPLED)]
        found[key.name] = SampledKey((time.process_time() - start) / _SAMPLED, media, used)
    return found


def key_stages(sampled: Mapping[str, SampledKey]) -> Iterator[StageCost]:
    """Yield the cost of the stage that makes the images or tones of each key."""
    for name, key in sampled.items():
        yield StageCost(stage=f"{name}s", units=sum(key.used), **key.stage)


def key_values(state: BuildState, sampled: Mapping[str, SampledKey], count: int) -> dict[str, Any]:
    """Return `count` values of each column of keys other than labels and masks, repeating the sampled ones."""
    numbers = np.arange(count)
    columns: dict[str, Any] = {}
    for key in (KEYS[name] for name in state.keys):
        if key.name in sampled:
            media = itertools.islice(itertools.cycle(sampled[key.name].media), count)
            columns[key.name] = [{"bytes": data, "path": "sample"} for data in media]
            columns[str(key.media_id)] = pa.array([f"{key.name}-train-0-{n % VARIANTS}" for n in range(count)])
            columns[f"{key.name}_row"] = numbers
        else:
            table = codes(state.seed, "train", state.key_values)
            columns[key.name] = list(table[numbers % len(table)])
    return columns
