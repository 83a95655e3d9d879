"""How much CPU the loader costs, beside the usual ways of reading the same data.

    python benchmarks/loaders.py [--rows 1000] [--repeats 5] [--workers 2]

Every cell is one whole pass: raw bytes, decoded pictures of 224 pixels and 3 s waveforms in batches of 32, or
precomputed features in batches of 256. CPU milliseconds count this process and its workers; the cells take turns in
each repeat and the medians are printed, since wall time says little on a shared machine. "Same kernel" gives the
other readers this package's fast decoders, so that a loader is compared with a loader; "stock" is what users write
(resize everything, float32, normalise, default_collate); the floor is the kernels alone, in one thread, on bytes in
memory. Memory is what a process of its own has beyond one that only imported the same things.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from functools import cache, partial
from pathlib import Path
from typing import Any

import torch
from loading.data import FEATURES, write_features, write_media
from loading.readers import (
    AUDIO,
    FAST,
    Floor,
    InMemory,
    Mapped,
    PlainFiles,
    Streamed,
    listed,
    raw,
    same_kernel,
    stock,
    tars,
)
from torch.utils.data import DataLoader

from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    ImageSettings,
    Resources,
    StoredSettings,
    VectorSettings,
    open_split,
)

BATCH, FEATURE_BATCH = 32, 256
IMAGE = ImageSettings(size=224, shorter_side=256)
MEL = AudioSettings(seconds=3.0, n_mels=80)

Cell = Callable[[], Iterable[Any]]


def cells(media_at: Path, features_at: Path, rows: int, workers: int) -> dict[str, Cell]:
    """Name of each cell, and what makes one pass of it."""
    split = open_split(media_at, "train")
    table: dict[str, Cell] = {}

    def ours(name: str, image: object, audio: object) -> None:
        transforms = {"image": image, "audio": audio}
        table[name] = lambda: BatchLoader(
            split, BATCH, transforms=transforms, resources=Resources(threads=workers), drop_last=False
        )

    def torchs(name: str, make: Callable[[], Any], shuffle: bool | None, collate: Any = None) -> None:
        table[name] = lambda: DataLoader(make(), BATCH, shuffle=shuffle, num_workers=workers, collate_fn=collate)

    ours("raw: this loader", StoredSettings(), StoredSettings())
    ours("decoded: this loader, fast kernel", FAST, AUDIO)
    ours("decoded: this loader, exact kernel", IMAGE, AUDIO)
    ours("decoded: this loader, fast kernel, log-mel", FAST, MEL)
    files = media_at / "files"
    for level, decode in (("raw", raw), ("decoded, same kernel", same_kernel), ("decoded, stock", stock)):
        collate = listed if decode is raw else None
        torchs(f"{level}: plain files", partial(PlainFiles, files, rows, decode), True, collate)
        torchs(f"{level}: datasets, map-style", partial(Mapped, media_at, decode), True, collate)
        torchs(f"{level}: datasets, streaming", partial(Streamed, media_at, decode), None, collate)
        torchs(f"{level}: webdataset", partial(tars, media_at, decode), None, collate)
    table["floor: fast kernel"] = lambda: Floor(media_at, rows, same_kernel)
    features, in_memory = partial(mapped, features_at), partial(in_ram, features_at)
    return table | {"features: this loader, memory-mapped": features, "features: tensors in RAM, DataLoader": in_memory}


@cache
def mapped(features_at: Path) -> BatchLoader:
    """Features in memory-mapped columns."""
    halves = {name: VectorSettings(dtype="float16") for name in FEATURES}
    split = open_split(features_at, "train")
    return BatchLoader(split, FEATURE_BATCH, transforms=halves, cache=features_at / "cache", drop_last=False)


@cache
def in_ram(features_at: Path) -> DataLoader[Any]:
    """Features as the public training code reads them."""
    return DataLoader(InMemory(features_at / "train.parquet"), FEATURE_BATCH, shuffle=True)


def measure(make: Cell) -> tuple[float, float]:
    """Samples a second, and CPU milliseconds a sample, of one pass."""
    before, start, samples = _cpu_seconds(), time.perf_counter(), 0
    for batch in make():
        samples += len(batch["image"])
    wall = time.perf_counter() - start
    return samples / wall, (_cpu_seconds() - before) / samples * 1e3


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(entry.ru_utime + entry.ru_stime for entry in used)


def memory_mb(make: Callable[[Path], Iterable[Any]], directory: Path) -> list[float]:
    """Megabytes of its own (anonymous memory) that a process has more than before: the most in the second and in the
    last quarter of a pass.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_memory_of, (make, directory))


def _memory_of(make: Callable[[Path], Iterable[Any]], directory: Path) -> list[float]:
    torch.set_num_threads(1)
    before = _anonymous_mb()
    counts = [_anonymous_mb() - before for _ in make(directory)]
    quarter = len(counts) // 4
    return [max(counts[quarter : 2 * quarter]), max(counts[-quarter:])]


def _anonymous_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("Anonymous:"))) / 1024


def streamed(media_at: Path) -> BatchLoader:
    """Decoded media, two threads."""
    transforms = {"image": FAST, "audio": AUDIO}
    return BatchLoader(open_split(media_at, "train"), BATCH, transforms=transforms, resources=Resources(window=4))


def main() -> None:
    """Write the data, run the cells, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--feature-rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="threads of this loader, processes of the others")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        media_at, features_at = Path(folder) / "media", Path(folder) / "features"
        write_media(media_at, arguments.rows)
        write_features(features_at, arguments.feature_rows)
        table = cells(media_at, features_at, arguments.rows, arguments.workers)
        for first in ("raw: datasets, map-style", *(name for name in table if name.startswith("features"))):
            measure(table[first])  # fills a cache or memory
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in table}
        for _ in range(arguments.repeats):
            for name, make in table.items():
                found[name].append(measure(make))
        memory = {
            "streaming media": memory_mb(streamed, media_at),
            "features: this loader, memory-mapped": memory_mb(mapped, features_at),
            "features: tensors in RAM, DataLoader": memory_mb(in_ram, features_at),
        }
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in found.items()}
    print(f"{arguments.workers} workers, load average {os.getloadavg()[0]:.1f}")
    print("| reader | samples/s | CPU ms/sample |", "|---|---|---|", sep="\n")
    for name, (rate, cpu) in medians.items():
        print(f"| {name} | {rate:,.0f} | {cpu:.4f} |")
    print("| memory of its own, MB | second quarter of an epoch | last quarter |", "|---|---|---|", sep="\n")
    for name, (early, late) in memory.items():
        print(f"| {name} | {early:.0f} | {late:.0f} |")
    print("| goal | samples/s | CPU |", "|---|---|---|", sep="\n")
    for name, ratios in goals(medians).items():
        print(f"| {name} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    print(json.dumps({"medians": medians, "memory": memory}))


def goals(medians: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """How many times better this loader is than the best of the others, by rate and by CPU."""

    def best(mine: str, others: str) -> tuple[float, float]:
        rivals = [values for name, values in medians.items() if name.startswith(others) and name != mine]
        rate, cpu = medians[mine]
        return rate / max(values[0] for values in rivals), min(values[1] for values in rivals) / cpu

    fast = "decoded: this loader, fast kernel"
    return {
        "raw bytes, best other reader (1.5)": best("raw: this loader", "raw: "),
        "fast decode, best stock pipeline (2.0)": best(fast, "decoded, stock: "),
        "fast decode, best with the same kernel (1.15)": best(fast, "decoded, same kernel: "),
        "share of the decode floor, CPU only (0.85)": (
            float("nan"),
            medians["floor: fast kernel"][1] / medians[fast][1],
        ),
        "features, public dataset class (4.0)": best("features: this loader, memory-mapped", "features: tensors"),
    }


if __name__ == "__main__":
    main()
