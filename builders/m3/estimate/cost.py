"""What a build of Symile-M3 takes, in numbers: the arithmetic of `estimate`, apart from its measurements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, kw_only=True)
class StageCost:
    """One stage of a build.

    Args:
        stage: "pictures", "clips", "pairs", ...
        units: Number of images, recordings or rows.
        cpu_seconds_each: Measured.
        bytes_each: That stay in the dataset.
        working_bytes_each: That lie in `.build/` until the build ends.
    """

    stage: str
    units: int
    cpu_seconds_each: float
    bytes_each: float = 0.0
    working_bytes_each: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What a build will take.

    Args:
        rows: split -> number of rows.
        stages: In order.
        files: Data files.
        workers: Worker processes.
        memory_bytes: Of all processes together.
        free_bytes: On the disk that would take it.
        notes: What could not be known or is left out.
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
        """Bytes of the finished dataset without its card."""
        return round(sum(stage.units * stage.bytes_each for stage in self.stages))

    @property
    def working_bytes(self) -> int:
        """Bytes that are needed besides until the build ends."""
        return round(sum(stage.units * stage.working_bytes_each for stage in self.stages))

    @property
    def cpu_seconds(self) -> float:
        """CPU seconds of all stages together."""
        return sum(stage.units * stage.cpu_seconds_each for stage in self.stages)

    @property
    def seconds(self) -> float:
        """Seconds until the build ends, with all workers busy."""
        return self.cpu_seconds / self.workers

    @property
    def fits(self) -> bool:
        """Whether the disk has room."""
        return self.dataset_bytes + self.working_bytes <= self.free_bytes

    def to_json(self) -> dict[str, Any]:
        """The fields and the totals, as `--json` prints them."""
        totals = ("dataset_bytes", "working_bytes", "cpu_seconds", "seconds", "fits")
        return {**asdict(self), **{name: getattr(self, name) for name in totals}}


def expected_used(sizes: Sequence[int], rows: int) -> int:
    """How many different media `rows` draws are expected to meet.

    Args:
        sizes: Media of each kind; a draw takes a kind uniformly, then one of its media uniformly.

    >>> expected_used([10, 10], 1_000_000), expected_used([1000], 1), expected_used([1], 3)
    (20, 1, 1)
    """
    counts = np.asarray(sizes, dtype=np.float64)
    with np.errstate(divide="ignore"):  # one medium in all: log 0, and e to the minus infinity is 0
        never = np.exp(rows * np.log1p(-1 / (counts * len(counts)))) if rows else np.ones(len(counts))
    return round(float((counts * (1 - never)).sum()))
