"""The arithmetic of an estimate: what a build of Symile-M3 needs, given the measurements of `estimate`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ..build_state import BuildState


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """The cost of one stage of a build.

    Args:
        stage: Name of the stage: "images", "audio", "shards", ...
        units: Number of images, recordings or rows.
        cpu_seconds_each: Measured CPU seconds of a unit.
        bytes_each: Bytes of a unit in the finished dataset.
        working_bytes_each: Bytes of a unit in `.build/` until the build ends.
    """

    stage: str
    units: int
    cpu_seconds_each: float
    bytes_each: float = 0.0
    working_bytes_each: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """The time, space and memory that a build needs.

    Args:
        rows: split -> number of rows.
        stages: The stages in their order.
        files: Number of data files.
        workers: Number of worker processes.
        memory_bytes: Memory of all processes together.
        free_bytes: Free bytes on the disk of the output directory.
        notes: Sentences on what is left out or could not be counted.
    """

    rows: dict[str, int]
    stages: tuple[StageCost, ...]
    files: int
    workers: int
    memory_bytes: int
    free_bytes: int
    notes: tuple[str, ...] = ()

    @property
    def dataset_bytes(self) -> int:
        """Bytes of the finished dataset, without its card."""
        return round(sum(stage.units * stage.bytes_each for stage in self.stages))

    @property
    def working_bytes(self) -> int:
        """Further bytes that the build needs until it ends."""
        return round(sum(stage.units * stage.working_bytes_each for stage in self.stages))

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all stages together."""
        return sum(stage.units * stage.cpu_seconds_each for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Seconds until the build ends, if all workers are busy."""
        return self.cpu_seconds / self.workers

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.dataset_bytes + self.working_bytes <= self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """Return the fields and the totals, as `--json` prints them."""
        totals = ("dataset_bytes", "working_bytes", "cpu_seconds", "seconds", "fits")
        return {**asdict(self), **{name: getattr(self, name) for name in totals}}


def masked_bytes(state: BuildState, media: Mapping[str, Sequence[bytes]]) -> float:
    """Return the mean bytes of a row that `missing` takes away, where each row stores its media.

    Args:
        state: State of the build.
        media: Modality -> some of its images or recordings, for those that are stored as files.
    """
    taken = sum(
        rows * state.rate(split, name) * sum(map(len, some)) / len(some)
        for split, rows in state.rows.items()
        for name, some in media.items()
    )
    return taken / sum(state.rows.values())


def expected_used(sizes: Sequence[int], rows: int) -> int:
    """Return the expected number of different media that `rows` draws use.

    Args:
        sizes: Number of media of each class or language; a draw takes one of these uniformly, then one of its media.
        rows: Number of draws.

    >>> expected_used([10, 10], 1_000_000), expected_used([1000], 1), expected_used([1], 3)
    (20, 1, 1)
    """
    counts = np.asarray(sizes, dtype=np.float64)
    with np.errstate(divide="ignore"):  # a single image or recording gives log 0, and exp(-inf) is 0 as it should be
        never = np.exp(rows * np.log1p(-1 / (counts * len(counts)))) if rows else np.ones(len(counts))
    return round(float((counts * (1 - never)).sum()))
