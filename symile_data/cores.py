"""The number of cores on which this process may run: the default number of workers and threads."""

from __future__ import annotations

import os

from .errors import UsageError

MOST_WORKERS = 10_000  # processes or threads


def usable_cores() -> int:
    """Return the number of cores that this process may use; where the system keeps no such list, as macOS, of all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(asked: int) -> int:
    """Return the number of workers that was asked for, or one for each usable core where it was 0.

    Raises:
        UsageError: the number is negative, or more than `MOST_WORKERS`.

    >>> worker_count(3), worker_count(0) >= 1
    (3, True)
    """
    if not 0 <= asked <= MOST_WORKERS:
        raise UsageError(f"`workers` is from 0, which means one for each core, to {MOST_WORKERS:,}", got=asked)
    return asked or usable_cores()
