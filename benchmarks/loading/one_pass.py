"""One pass of one reader in this fresh process: prints CPU seconds, of which the first batch's, and memory as JSON.

    python -m loading.one_pass NAME LEVEL FOLDER ROWS WORKERS [memory]

CPU seconds are those of this process and of all that it started, from after the imports on. Memory is the largest
proportional set size of them all, beyond that after the imports; it is read every few batches, so a pass that measures
memory does not measure time.
"""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

EVERY = 4  # batches between two looks at memory


def cpu_seconds() -> float:
    """Return the CPU time of this process and of the children that have ended."""
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(entry.ru_utime + entry.ru_stime for entry in used)


def proportional_mb(process: str = "self", *, anonymous: bool = False) -> float:
    """Return the proportional set size of a process and its descendants, all of it or without mapped files."""
    wanted = "Pss_Anon:" if anonymous else "Pss:"
    total = 0.0
    with contextlib.suppress(OSError):
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
        total = float(next(line.split()[1] for line in lines if line.startswith(wanted))) / 1024
        for thread in Path(f"/proc/{process}/task").iterdir():
            total += sum(
                proportional_mb(child, anonymous=anonymous) for child in (thread / "children").read_text().split()
            )
    return total


def size_of(batch: Any) -> int:
    """Count the rows of a batch."""
    return len(batch["image"]) if isinstance(batch, dict) else len(batch)


def main(name: str, level: str, folder: str, rows: str, workers: str, memory: str = "") -> None:
    """Run the pass."""
    torch.set_num_threads(1)
    at_start = cpu_seconds()
    from . import readers
    from .table import READERS

    peer = READERS[name]
    peer.load()
    begun, base, start = cpu_seconds(), proportional_mb() if memory else 0.0, time.perf_counter()
    first, most, samples = 0.0, 0.0, 0
    batches: Iterator[Any] = iter(peer.read(Path(folder), int(rows), readers.LEVELS[level], int(workers)))
    for number, batch in enumerate(batches):
        first = first or cpu_seconds() - begun
        samples += size_of(batch)
        if memory and number % EVERY == 0:
            most = max(most, proportional_mb() - base)
    wall = time.perf_counter() - start
    del batches, batch
    for child in multiprocessing.active_children():
        child.join(5)
    found = {"imports": begun - at_start, "first": first, "cpu": cpu_seconds() - begun, "wall": wall}
    print("\n" + json.dumps({**found, "samples": samples, "memory": most}))


if __name__ == "__main__":
    main(*sys.argv[1:])
