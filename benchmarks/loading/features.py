"""Precomputed features: this loader's memory-mapped columns against tensors in memory."""

from __future__ import annotations

import multiprocessing
import statistics
import time
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch.utils.data import DataLoader

from symile_data.loaders import BatchLoader, VectorSettings, open_split

from .data import FEATURES
from .one_pass import cpu_seconds, proportional_mb
from .readers import InMemory

BATCH = 256
Make = Callable[[Path], Iterable[Any]]


@cache
def mapped(features_at: Path) -> BatchLoader:
    """Features in memory-mapped columns."""
    halves = {name: VectorSettings(dtype="float16") for name in FEATURES}
    split = open_split(features_at, "train")
    return BatchLoader(split, BATCH, transforms=halves, cache=features_at / "cache", drop_last=False)


@cache
def in_ram(features_at: Path) -> DataLoader[Any]:
    """Features as the public training code reads them."""
    return DataLoader(InMemory(features_at / "train.parquet"), BATCH, shuffle=True)


def streamed(features_at: Path) -> BatchLoader:
    """Features read from the shards in every epoch."""
    halves = {name: VectorSettings(dtype="float16") for name in FEATURES}
    return BatchLoader(open_split(features_at, "train"), BATCH, transforms=halves, drop_last=False)


MAKERS: dict[str, Make] = {
    "this loader, memory-mapped": mapped,
    "this loader, streamed": streamed,
    "tensors in RAM, DataLoader": in_ram,
}


def features_table(features_at: Path, repeats: int) -> str:
    """Measure a second pass of each in turns, and memory in processes of their own."""
    torch.set_num_threads(1)
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in MAKERS}
    for _ in range(repeats + 1):
        for name, make in MAKERS.items():
            before, start, samples = cpu_seconds(), time.perf_counter(), 0
            for batch in make(features_at):
                samples += len(batch["image"])
            wall = time.perf_counter() - start
            found[name].append(((cpu_seconds() - before) / samples * 1e3, samples / wall))
    lines = ["| features | CPU ms | rows/s | MB |", "|---|---|---|---|"]
    for name, make in MAKERS.items():
        spent, rate = (statistics.median(values) for values in zip(*found[name][1:], strict=True))
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            lines.append(f"| {name} | {spent:.4f} | {rate:,.0f} | {pool.apply(_memory_of, (make, features_at)):.0f} |")
    return "\n".join(lines)


def _memory_of(make: Make, features_at: Path) -> float:
    """Return the megabytes that a pass adds to a process, those of mapped files left out."""
    before = proportional_mb(anonymous=True)
    return max(proportional_mb(anonymous=True) - before for _ in make(features_at))
