"""Time and memory of the Symile loss, this package's against the public package `symile`.

    python benchmarks/loss_of_package.py                 CPU, one thread: exact and "n" at three sizes
    python benchmarks/loss_of_package.py --sizes 128x1024 --processes 5
    python benchmarks/loss_of_package.py --device cuda   on a GPU, with bfloat16 matrix products as a further row

Each figure is taken in fresh processes, the two packages in turn, so that neither meets a warm allocator or the other's
memory.
Time: forward and backward after one warm-up, CPU seconds of the process (on a GPU: wall seconds between
synchronisations), median over processes and repetitions. Memory: the highest resident size during the first forward and
backward over that after imports (on a GPU: the allocator's peak), median over processes. Inputs are three modalities of
unit-norm Gaussian rows, float32.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

GOALS = {("exact", "128x1024"): (3.0, None), ("exact", "256x1024"): (3.0, 20.0), ("exact", "512x1024"): (None, None)}
MAX_MEGABYTES = {("exact", "512x1024"): 150.0}
MODALITIES = 3
SECONDS = 2.0  # repeat a measurement for about so long


def main() -> None:
    """Run all rows in subprocesses and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", default="128x1024,256x1024,512x1024", help="rows x width, comma separated")
    parser.add_argument("--modes", default="exact,n")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument(
        "--processes", type=int, default=3, help="fresh processes a figure (1 for rows of 512 and more)"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return
    figures = run_all(arguments.sizes.split(","), arguments.modes.split(","), arguments.device, arguments.processes)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n")
    show(figures, arguments.device)


def run_all(sizes: list[str], modes: list[str], device: str, processes: int) -> list[dict[str, object]]:
    """One entry per mode, size and implementation, with medians over its processes."""
    figures: list[dict[str, object]] = []
    for mode in modes:
        for size in sizes:
            names = ["symile package", "symile_data"]
            if mode == "exact":
                names.append("symile_data, no cache")
            if device == "cuda":
                names.append("symile_data, bf16 products")
            runs: dict[str, list[dict[str, float]]] = {name: [] for name in names}
            for _ in range(1 if mode == "exact" and int(size.split("x")[0]) >= 512 else processes):
                for name in names:
                    print(f"{mode} {size} {name} ...", file=sys.stderr)
                    runs[name].append(in_subprocess(name=name, mode=mode, size=size, device=device))
            for name in names:
                figures.append({"mode": mode, "size": size, "name": name, **medians(runs[name])})
    return figures


def in_subprocess(**row: str) -> dict[str, float]:
    """`measure` in a fresh interpreter with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", json.dumps(row)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def medians(runs: list[dict[str, float]]) -> dict[str, float]:
    """Column by column."""
    return {key: statistics.median(run[key] for run in runs) for key in runs[0]}


def measure(name: str, mode: str, size: str, device: str) -> dict[str, float]:
    """Seconds, peak megabytes and value of one implementation, in this process."""
    import torch

    rows, width = map(int, size.split("x"))
    torch.set_num_threads(1)
    loss = implementation(name, mode)
    # Loads what torch loads lazily (autograd's threads, the matrix library), so that it does not count as the loss's
    # memory.
    warm = torch.ones(8, 8, device=device, requires_grad=True)
    torch.autograd.backward((warm @ warm).exp().sum())

    before = resident_peak(reset=True, device=device)
    generator = torch.Generator().manual_seed(0)
    inputs = [torch.randn(rows, width, generator=generator) for _ in range(MODALITIES)]
    inputs = [(row / row.norm(dim=1, keepdim=True)).to(device).requires_grad_() for row in inputs]
    scale = torch.tensor(10.0, device=device, requires_grad=True)

    def step() -> float:
        for tensor in (*inputs, scale):
            tensor.grad = None
        value = loss(inputs, scale)
        value.backward()
        return float(value.detach())

    value = step()
    peak = resident_peak(reset=False, device=device) - before
    seconds: list[float] = []
    while sum(seconds) < SECONDS and len(seconds) < 50:
        start = clock(device)
        step()
        seconds.append(clock(device) - start)
    return {"seconds": statistics.median(seconds), "megabytes": peak, "value": value}


def implementation(name: str, mode: str) -> Callable[..., Any]:
    """The loss to call with (embeddings, logit scale)."""
    import torch

    if name == "symile package":
        from symile import Symile

        package: Callable[..., Any] = Symile("n_squared" if mode == "exact" else "n")
        return package
    from symile_data.losses import SymileLoss

    return SymileLoss(
        mode,
        cache_bytes=0 if "no cache" in name else None,
        gemm_dtype=torch.bfloat16 if "bf16" in name else None,
        max_flops=float("inf"),
    )


def clock(device: str) -> float:
    """CPU seconds of this process, or wall seconds once the GPU is idle."""
    if device == "cpu":
        return time.process_time()
    import torch

    torch.cuda.synchronize()
    return time.perf_counter()


def resident_peak(*, reset: bool, device: str) -> float:
    """Highest memory use so far in megabytes; with `reset` the present use, from which a new peak is counted."""
    if device == "cuda":
        import torch

        if reset:
            torch.cuda.reset_peak_memory_stats()
        return float(torch.cuda.max_memory_allocated() / 2**20)
    if reset:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark falls to the present size
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def show(figures: list[dict[str, object]], device: str) -> None:
    """Print the table, with ratios to the public package and whether the goals are met."""
    from rich.console import Console
    from rich.table import Table

    table = Table(title=f"Symile loss, forward and backward, three modalities, {device}, medians")
    for column in ("mode", "rows x width", "implementation"):
        table.add_column(column)
    for column in ("seconds", "times faster", "peak MB", "times smaller", "loss"):
        table.add_column(column, justify="right")
    table.add_column("goal")
    base: dict[str, object] = {}
    for row in figures:
        key = (str(row["mode"]), str(row["size"]))
        if row["name"] == "symile package":
            base = row
            table.add_section()
        faster = float(str(base["seconds"])) / float(str(row["seconds"]))
        smaller = float(str(base["megabytes"])) / max(float(str(row["megabytes"])), 0.1)
        verdict = ""
        if row["name"] == "symile_data" and device == "cpu" and key in GOALS:
            wanted_faster, wanted_smaller = GOALS[key]
            fine = faster >= (wanted_faster or 0.0) and smaller >= (wanted_smaller or 0.0)
            verdict = "met" if fine and float(str(row["megabytes"])) <= MAX_MEGABYTES.get(key, 1e9) else "missed"
        numbers = (f"{row['seconds']:.4f}", f"{faster:.2f}", f"{row['megabytes']:.1f}", f"{smaller:.1f}")
        table.add_row(*key, str(row["name"]), *numbers, f"{row['value']:.5f}", verdict)
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
