"""How much CPU the loader costs, beside other loaders that read the same data.

    python benchmarks/loaders.py [--rows 2000] [--decoded-rows 400] [--repeats 5] [--workers 2] [--environments FOLDER]
        [--only NAME ...]

Every number is of one whole pass in a fresh process: raw bytes, or decoded images of 224 pixels and 3 s waveforms, in
batches of 32. CPU counts the process and all that it starts, from after the imports on; the readers take turns in each
repeat, and medians are printed, since wall time says little on a shared machine. "Same kernel" gives the other readers
this package's fast decoders, so that a loader is compared with a loader; "stock" is what users write (resize
everything, float32, normalise, default_collate). Memory is the proportional set size beyond the imports.

Peers that are not among this project's packages are measured with `--environments`: each gets an environment there,
made by the pip command that `loading/peers.py` states (about 400 MB in all). The others are listed with the reason, as
are passes that failed. Each pass is printed on stderr as it ends, and the tables also where the run is interrupted.
All readers keep compiled modules (.pyc), whatever PYTHONDONTWRITEBYTECODE says here: imports would cost this package
alone, whose modules no installer has compiled, a compilation in each process.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

from loading.data import write_features, write_media
from loading.environments import python_of
from loading.features import features_table
from loading.table import OURS, READERS

HERE = Path(__file__).parent
MINUTES = 10  # after which a pass is given up
Pass = dict[str, float]


@dataclass
class Measured:
    """What is known of one reader.

    Args:
        python: Its interpreter.
        reason: Why it is not measured at all; "" if it is.
        failed: Level -> why it is not measured any more there.
        passes: Level -> the passes so far.
        memory: Level -> megabytes beyond the imports.
    """

    python: str
    reason: str = ""
    failed: dict[str, str] = field(default_factory=dict)
    passes: dict[str, list[Pass]] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    def median(self, level: str, what: str) -> float:
        """Return the median of the passes at a level; nan if there are none."""
        found = self.passes.get(level)
        return statistics.median(one[what] for one in found) if found else float("nan")


def run(python: str, module: str, *arguments: str) -> tuple[str, str]:
    """Run a module of this folder; returns the last line that it printed, and why it failed."""
    command = [python, "-m", module, *arguments]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    try:
        ended = subprocess.run(
            command, cwd=HERE, env=environment, capture_output=True, text=True, check=False, timeout=60 * MINUTES
        )
    except subprocess.TimeoutExpired:
        return "", f"it did not end within {MINUTES} minutes"
    errors = ended.stderr.strip().splitlines() or ["it failed without a message"]
    return (ended.stdout.strip().splitlines() or [""])[-1], errors[-1][:200] if ended.returncode else ""


def measure(
    measured: dict[str, Measured], media_at: Path, rows: int, levels: list[str], arguments: argparse.Namespace
) -> None:
    """Write the data in every format, and let the readers take turns."""
    write_media(media_at, rows)
    for name, one in measured.items():
        if not one.reason and READERS[name].prepare is not None:
            reason = run(one.python, "loading.prepare", name, str(media_at), str(rows))[1]
            one.failed |= dict.fromkeys(levels if reason else (), reason)
    for kind in ["memory", *[""] * arguments.repeats]:  # the first pass fills caches too
        for level in levels:
            for name, one in measured.items():
                if one.reason or level in one.failed:
                    continue
                line, reason = run(
                    one.python, "loading.one_pass", name, level, str(media_at), str(rows), str(arguments.workers), kind
                )
                print(name, level, reason or line, sep=" | ", file=sys.stderr)
                found = json.loads(line) if not reason else {}
                if reason or found["samples"] != rows:
                    one.failed[level] = reason or f"it delivered {found['samples']} of {rows} rows"
                elif kind:
                    one.memory[level] = found["memory"]
                else:
                    one.passes.setdefault(level, []).append(found)


def main() -> None:
    """Write the data, run the readers, print tables and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=2000, help="rows of a raw pass; 0 for none")
    parser.add_argument("--decoded-rows", type=int, default=400, help="rows of a decoded pass; 0 for none")
    parser.add_argument("--feature-rows", type=int, default=50_000, help="rows of precomputed features; 0 for none")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="threads or processes of each reader")
    parser.add_argument("--levels", default="same kernel,stock,exact kernel,log-mel", help="of decoded passes")
    parser.add_argument(
        "--environments", type=Path, help="folder for environments of peers, made where they are missing"
    )
    parser.add_argument("--only", nargs="+", default=[""], help="beginnings of the names of readers; all by default")
    arguments = parser.parse_args()
    chosen = [name for name in READERS if name.lower().startswith(tuple(map(str.lower, arguments.only)))]
    if not chosen:
        parser.error(f"no reader has such a name; known: {'; '.join(READERS)}")
    measured = {name: Measured(*python_of(READERS[name], arguments.environments)) for name in chosen}
    with tempfile.TemporaryDirectory() as folder:
        try:
            if arguments.rows:
                measure(measured, Path(folder) / "raw", arguments.rows, ["raw"], arguments)
            if arguments.decoded_rows:
                levels = arguments.levels.split(",")
                measure(measured, Path(folder) / "decoded", arguments.decoded_rows, levels, arguments)
        finally:
            print(f"{arguments.workers} workers, {os.cpu_count()} cores, load average {os.getloadavg()[0]:.1f}")
            print_table(measured)
        if arguments.feature_rows:
            write_features(Path(folder) / "features", arguments.feature_rows)
            print(features_table(Path(folder) / "features", arguments.repeats))
    print(json.dumps({name: vars(one) for name, one in measured.items()}))


def print_table(measured: dict[str, Measured]) -> None:
    """Print a row for each reader, the passes that failed, and what this loader needs of the best other one."""
    levels = list(dict.fromkeys(level for one in measured.values() for level in one.passes))
    of_raw = ["first batch, CPU s", "raw rows/s"] if "raw" in levels else []
    heads = [*(f"{level}, CPU ms" for level in levels), *of_raw, *(f"{level}, MB" for level in levels)]
    print(f"| reader | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|", sep="\n")
    costs = {name: {level: cost(one, level) for level in levels} for name, one in measured.items()}
    for name, one in measured.items():
        if one.reason:
            print(f"| {name} | not measured: {one.reason} |")
            continue
        cells = [f"{costs[name][level]:.3f}" for level in levels]
        if of_raw:
            rate = one.median("raw", "samples") / one.median("raw", "wall")
            cells += [f"{one.median('raw', 'first'):.3f}", f"{rate:,.0f}"]
        print(f"| {name} | {' | '.join([*cells, *(f'{one.memory.get(level, 0):.0f}' for level in levels)])} |")
    for name, one in measured.items():
        for level, why in one.failed.items():
            print(f"{name}, {level}: {why}")
    for level in levels:
        others = {name: costs[name][level] for name in measured if not name.startswith(OURS) and costs[name][level] > 0}
        if others and OURS in measured:
            best = min(others, key=lambda name: others[name])
            print(f"{level}: this loader needs {costs[OURS][level] / others[best]:.2f} of the CPU of {best}")


def cost(one: Measured, level: str) -> float:
    """Return CPU milliseconds for a row."""
    return one.median(level, "cpu") / one.median(level, "samples") * 1e3


if __name__ == "__main__":
    main()
