"""Wall time and peak memory of the default Symile-M3 build (8,000 / 1,000 / 1,000 rows of sample pictures), with card.

Run: python benchmarks/build_m3.py [--langs 10] [--workers 2]. Memory is the proportional set size of the whole process
tree, sampled.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

INTERVAL_SECONDS = 0.25


def process_tree(pid: int) -> Iterator[int]:
    """The process and all its descendants."""
    yield pid
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:  # it has just ended
        return
    for child in children:
        yield from process_tree(int(child))


def proportional_kib(pid: int) -> int:
    """A process's memory, shared pages divided among those who share them."""
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().split("\n")
    except OSError:
        return 0
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--langs", type=int, default=10)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        command = [sys.executable, "-m", "symile_data", "build", "m3", "--out", f"{directory}/m3"]
        command += ["--langs", str(arguments.langs), "--workers", str(arguments.workers)]
        start, peak = time.perf_counter(), 0
        process = subprocess.Popen(command)
        while process.poll() is None:
            peak = max(peak, sum(proportional_kib(pid) for pid in process_tree(process.pid)))
            time.sleep(INTERVAL_SECONDS)
        seconds = time.perf_counter() - start
        size = sum(path.stat().st_size for path in Path(directory).rglob("*") if path.is_file())
    print(f"{seconds:.1f} s, peak {peak / 1024:.0f} MB with {arguments.workers} workers, {size / 1e6:.0f} MB written")
    sys.exit(process.returncode)


if __name__ == "__main__":
    main()
