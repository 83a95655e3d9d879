"""Time and memory of drawing the plan of the largest published size: 11,000,000 rows of Symile-M3-10 on one core.

Run: python benchmarks/plan.py [--rows N] [--peer-rows N]. The peer is a row-by-row draw by the public script's rules
with the standard library's `random` (the public script itself adds pandas' `apply` on top), in the same process on
fewer rows; rates are compared.
"""

from __future__ import annotations

import argparse
import random
import resource
import time

import numpy as np
from rich.console import Console
from rich.table import Table

from symile_data.builders.m3.rows.plan import CHUNK_ROWS, SplitPlan
from symile_data.datasets.m3.words import WordRule

CLASSES, LANGUAGES, IMAGES_PER_CLASS, CLIPS = 1000, 10, 1281, 5000


def ours(rows: int) -> int:
    """Draw all rows and keep them, as compact arrays; returns their size in bytes."""
    rule = WordRule(words=LANGUAGES, classes=CLASSES, languages=LANGUAGES, mode="disjoint")
    plan = SplitPlan(0, "train", rule, np.arange(CLASSES + 1, dtype=np.int64) * IMAGES_PER_CLASS, CLIPS)
    kept = [plan.draw(start, min(start + CHUNK_ROWS, rows)) for start in range(0, rows, CHUNK_ROWS)]
    return sum(array.nbytes for drawn in kept for array in vars(drawn).values())


def peer(rows: int) -> list[tuple[int, int, int, int, list[tuple[int, int]]]]:
    """The same rule, one row at a time."""
    table = []
    for _ in range(rows):
        language, cls = random.randrange(LANGUAGES), random.randrange(CLASSES)
        clip, image = random.randrange(CLIPS), random.randrange(IMAGES_PER_CLASS)
        classes = [c for c in range(CLASSES) if c != cls]
        languages = [other for other in range(LANGUAGES) if other != language]
        words = [(cls, language)]
        for _ in range(LANGUAGES - 1):
            words.append((classes.pop(random.randrange(len(classes))), languages.pop(random.randrange(len(languages)))))
        random.shuffle(words)
        table.append((language, clip, cls, image, words))
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=11_000_000)
    parser.add_argument("--peer-rows", type=int, default=20_000)
    arguments = parser.parse_args()
    start = time.process_time()
    size = ours(arguments.rows)
    our_seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    start = time.process_time()
    peer(arguments.peer_rows)
    peer_rate = arguments.peer_rows / (time.process_time() - start)
    our_rate = arguments.rows / our_seconds
    table = Table("", "rows", "CPU s", "rows / CPU s", "ratio", title="Plan of Symile-M3-10")
    table.add_row(
        "ours", f"{arguments.rows:,}", f"{our_seconds:.1f}", f"{our_rate:,.0f}", f"{our_rate / peer_rate:.0f}"
    )
    table.add_row("row by row", f"{arguments.peer_rows:,}", "", f"{peer_rate:,.0f}", "1")
    Console().print(table)
    print(f"plan kept in memory: {size / 1e6:,.0f} MB; peak of the process: {peak:,.0f} MB")


if __name__ == "__main__":
    main()
