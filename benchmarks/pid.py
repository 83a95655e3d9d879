"""PID data: how fast a million rows of vectors are built, and whether the closed forms agree with enumeration.

Run: python benchmarks/pid.py [--rows 1000000] [--designs 1000]

Two parts. Speed: CPU seconds and peak memory of a build of vectors (preset trifeature) in one process without the card,
in a process of its own. Truth: the entropy of every set of modalities, every Bayes accuracy and the sums that a
decomposition keeps, for random designs, against sums over every row that can occur (`tests/pid_enumeration.py`).
"""

from __future__ import annotations

import argparse
import itertools
import resource
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

from rich.console import Console
from rich.table import Table

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.pid.build import build_pid
from symile_data.builders.pid.spec import PidSpec
from symile_data.datasets.pid import PRESETS, Design
from symile_data.datasets.pid.bayes import accuracies
from symile_data.datasets.pid.decomposition import bipartitions, decompose
from symile_data.datasets.pid.information import entropy

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from pid_enumeration import best_accuracy, joint_law, random_designs
from pid_enumeration import entropy as enumerated

MOST_SECONDS, MOST_BYTES = 10, 500e6  # of a million rows of vectors
TOLERANCE = 1e-9
SEED = 7

_BUILD = "--build-here"  # this script calls itself with it, to measure a process that does nothing else


def build_here(rows: int) -> None:
    """Build vectors and print CPU seconds and peak bytes."""
    tenth = rows // 10
    spec = PidSpec(design=PRESETS["trifeature"], rows={"train": rows - 2 * tenth, "validation": tenth, "test": tenth})
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        build_pid(spec, Path(folder) / "pid", workers=1, write_card=no_card)
    print(time.process_time() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)


def worst_differences(designs: int) -> dict[str, float]:
    """The largest difference from enumeration, by quantity."""
    worst: dict[str, float] = defaultdict(float)
    for design in random_designs(SEED, designs, 20_000):
        for quantity, difference in _differences(design):
            worst[quantity] = max(worst[quantity], difference)
    return worst


def _differences(design: Design) -> list[tuple[str, float]]:
    law, names = joint_law(design), design.names
    places = {name: place for place, name in enumerate(names)}
    sets = [chosen for size in range(len(names) + 1) for chosen in itertools.combinations(names, size)]
    known = {frozenset(chosen): enumerated(law, [places[name] for name in chosen]) for chosen in sets}
    found = [("entropy", abs(value - entropy(design, chosen))) for chosen, value in known.items()]
    for target in names:
        for readers, accuracy in accuracies(design, target).items():
            expected = best_accuracy(law, places[target], [places[name] for name in readers])
            found.append(("Bayes accuracy", abs(accuracy - expected)))
        for first, second in bipartitions(design, target):
            parts = decompose(design, target, first, second)
            sums = (
                (first, parts.redundant + parts.unique_first),
                (second, parts.redundant + parts.unique_second),
                ((*first, *second), parts.total),
            )
            for group, value in sums:
                told = known[frozenset({target})] + known[frozenset(group)] - known[frozenset({target, *group})]
                found.append(("decomposition", abs(value - told)))
    return found


def main() -> None:
    """Print both tables; fail where a limit is exceeded."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--designs", type=int, default=1_000)
    parser.add_argument(_BUILD, action="store_true", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.build_here:
        build_here(asked.rows)
        return
    command = [sys.executable, __file__, _BUILD, "--rows", str(asked.rows)]
    seconds, peak = map(float, subprocess.check_output(command, text=True, stderr=subprocess.DEVNULL).split())
    console = Console()
    table = Table("rows", "CPU s", "rows a CPU s", "peak MB")
    table.add_row(f"{asked.rows:,}", f"{seconds:.1f}", f"{asked.rows / seconds:,.0f}", f"{peak / 1e6:.0f}")
    console.print(table)
    differences = worst_differences(asked.designs)
    table = Table(f"of {asked.designs:,} random designs", "worst difference from enumeration")
    for quantity, difference in differences.items():
        table.add_row(quantity, f"{difference:.1e}")
    console.print(table)
    scale = max(asked.rows / 1_000_000, 1)
    if seconds > MOST_SECONDS * scale or peak > MOST_BYTES or max(differences.values()) > TOLERANCE:
        sys.exit("a limit is exceeded")


if __name__ == "__main__":
    main()
