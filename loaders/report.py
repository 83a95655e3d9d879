"""Where a loader's time goes: seconds and bytes by stage, and one sentence on what to change."""

from __future__ import annotations

import threading
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from symile_data.cores import usable_cores
from symile_data.progress.amounts import counted, size

READ, GATHER, FILL, MEASURE = "read", "gather from the cache", "fill the cache", "measure audio"
_T = TypeVar("_T")
_LITTLE = 0.05  # share of the time that a consumer may wait without harm


@dataclass(frozen=True, kw_only=True)
class LoadReport:
    """What a loader has done since it was made.

    Args:
        rows: Rows delivered.
        waited: Seconds in which the consumer waited for batches.
        used: Seconds in which the consumer worked with them.
        seconds: Stage -> seconds of work, summed over the threads: "read" (disk or network, checksums, inflation),
            "decode image" and so on for each modality, "measure audio" with `bucket_by`; with a cache "fill the cache"
            and "gather from the cache".
        bytes: Bytes of the columns that were read, inflated.
        threads: Threads of the loader.
    """

    rows: int
    waited: float
    used: float
    seconds: dict[str, float]
    bytes: int
    threads: int

    @property
    def idle(self) -> float:
        """Seconds in which threads of the loader had nothing to do, because enough batches were ready."""
        return max(self.threads * (self.waited + self.used) - sum(self.seconds.values()), 0.0)

    @property
    def columns(self) -> dict[str, float]:
        """The numbers under names for a table: "load_wait_s", "load_idle_s", "load_mb" and one for each stage."""
        stages = {f"load_{stage.replace(' ', '_')}_s": seconds for stage, seconds in self.seconds.items()}
        return {"load_wait_s": self.waited, "load_idle_s": self.idle, "load_mb": self.bytes / 1e6, **stages}

    @property
    def advice(self) -> str:
        """One sentence that names the bottleneck and what to change."""
        total = self.waited + self.used
        if not self.rows or not total:
            return "Nothing was loaded yet."
        share = self.waited / total
        if share < _LITTLE:
            return f"The loader keeps up: its consumer waited {share:.0%} of the time, so loading is no bottleneck."
        stage = max(self.seconds, key=lambda name: self.seconds[name])
        part = self.seconds[stage] / max(sum(self.seconds.values()), 1e-9)
        return (
            f"The loader is the bottleneck: its consumer waited {share:.0%} of the time, and {part:.0%} of the work is"
            f" to {stage}; {self._remedy(stage)}."
        )

    def _remedy(self, stage: str) -> str:
        cores = usable_cores()
        more = f"raise `threads` (now {self.threads}; {cores} cores can be used) or " if self.threads < cores else ""
        if stage == FILL:
            return "give `cache` a directory, so that the next run finds the decoded values"
        if stage == MEASURE:
            return "store the lengths in a column of the dataset that has the name in `bucket_by`"
        if stage == GATHER:
            return "lower `batch_size` or leave out modalities that the consumer does not use"
        if stage == READ:
            return f"{more}bring the data nearer (a local disk) or leave modalities unread (`modalities`)"
        return f"{more}decode once (`cache`), to a smaller size (`transforms`), or embed the dataset beforehand"

    def __str__(self) -> str:
        """Return a table of the stages, and the advice."""
        lines = [
            f"{counted(self.rows, 'row')}, {size(self.bytes)} read",
            f"{self.waited:9.2f} s waited by the consumer",
        ]
        lines += [f"{seconds:9.2f} s {stage}" for stage, seconds in sorted(self.seconds.items(), key=lambda i: -i[1])]
        return "\n".join([*lines, f"{self.idle:9.2f} s idle threads", self.advice])


@dataclass
class LoadClock:
    """Collects the numbers of a report; threads may add at once."""

    rows: int = 0
    waited: float = 0.0
    used: float = 0.0
    bytes: int = 0
    _seconds: defaultdict[str, float] = field(default_factory=lambda: defaultdict(float))
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __getstate__(self) -> dict[str, Any]:
        """Leave out the lock, as a loader may be sent to another process."""
        return {name: value for name, value in vars(self).items() if name != "_lock"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state, _lock=threading.Lock())

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        """Count the time of a block as work at a stage."""
        start = time.perf_counter()
        try:
            yield
        finally:
            with self._lock:
                self._seconds[name] += time.perf_counter() - start

    def timed(self, name: str, items: Iterable[_T]) -> Iterator[_T]:
        """Yield items, and count the time that each takes to come as work at a stage."""
        iterator = iter(items)
        while True:
            with self.stage(name):
                item = next(iterator, None)
            if item is None:
                return
            yield item

    def delivered(self, rows: int, started: float) -> float:
        """Count a batch for which the consumer has waited since `started`; returns the time."""
        now = time.perf_counter()
        self.rows, self.waited = self.rows + rows, self.waited + now - started
        return now

    def returned(self, delivered: float) -> float:
        """Count the consumer's work since a batch was delivered; returns the time."""
        now = time.perf_counter()
        self.used += now - delivered
        return now

    def read(self, size: int) -> None:
        """Count bytes that were read."""
        with self._lock:
            self.bytes += size

    def report(self, threads: int) -> LoadReport:
        """Return the numbers so far."""
        with self._lock:
            seconds = dict(self._seconds)
        return LoadReport(
            rows=self.rows, waited=self.waited, used=self.used, seconds=seconds, bytes=self.bytes, threads=threads
        )
