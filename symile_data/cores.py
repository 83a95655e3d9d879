"""The number of cores on which this process may run: the default number of workers and threads."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """Return the number of cores that this process may use; where the system keeps no such list, as macOS, of all."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def worker_count(asked: int) -> int:
    """Return the number of workers that was asked for, or one for each usable core where it was 0.

    >>> worker_count(3), worker_count(0) >= 1
    (3, True)
    """
    return asked if asked > 0 else usable_cores()
