"""Time and memory of every objective, forward and backward, beside a plain torch form of the same formula.

    python benchmarks/loss.py                                     256 and 1024 rows, 128 and 1024 numbers wide
    python benchmarks/loss.py --objectives clip,symile --sizes 1024x128,4096x128
    python benchmarks/loss_of_package.py                          the Symile loss against the public package's

The plain forms are in `plain_losses.py`. A row of the table is one process with one thread, in which the two forms take
turns; CPU seconds of the process count, so that other programs disturb little. Time: the median of many turns after one
warm-up. Memory: the highest resident size during the first forward and backward over that before. Where a form would
hold more than --gigabytes, or need more than --flops operations, it is skipped and the table says why. Inputs are three
modalities of unit-norm Gaussian rows, float32; objectives with a policy for missing modalities get a mask of 20 %.

The two values are compared, too: the benchmark stops where they differ.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

MODALITIES, RATE = 3, 0.2
# Least factor by which an objective must be faster than its plain form.
GOALS = {
    ("clip", "256x128"): 1.0,
    ("clip", "1024x128"): 1.4,
    ("symile", "1024x128"): 1.15,
    ("clip", "4096x128"): 2.0,
    ("symile", "4096x128"): 2.0,
}
SEED = 0


def main() -> None:
    """Measure every objective at every size in processes of their own, and print a table."""
    from plain_losses import PLAIN

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--objectives", default=",".join(PLAIN), help="names, with commas between")
    parser.add_argument("--sizes", default="256x128,256x1024,1024x128,1024x1024", help="rows x width")
    parser.add_argument("--seconds", type=float, default=2.0, help="CPU time of a row's turns")
    parser.add_argument("--gigabytes", type=float, default=3.0, help="skip a plain form that would hold more")
    parser.add_argument("--flops", type=float, default=4e11, help="skip an objective that would need more")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        print(json.dumps(measure(**json.loads(arguments.one))))
        return
    figures = []
    for size in arguments.sizes.split(","):
        for name in arguments.objectives.split(","):
            row = {"name": name, "size": size, "seconds": arguments.seconds}
            figures.append(in_subprocess({**row, "gigabytes": arguments.gigabytes, "flops": arguments.flops}))
            print(line(figures[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")


def in_subprocess(row: dict[str, Any]) -> dict[str, Any]:
    """`measure` in a fresh interpreter with one thread."""
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    command = [sys.executable, __file__, "--one", json.dumps(row)]
    done = subprocess.run(command, env=environment, check=True, stdout=subprocess.PIPE, text=True)
    return dict(json.loads(done.stdout.splitlines()[-1]))


def measure(name: str, size: str, seconds: float, gigabytes: float, flops: float) -> dict[str, Any]:
    """Milliseconds, peak megabytes and value of both forms of an objective, in this process."""
    import torch
    from plain_losses import AT_RANDOM, PLAIN, WITH_MASKS

    from symile_data.losses import BatchShape, make_objective
    from symile_data.losses.kernels.budget import flops as flops_of_exact

    torch.set_num_threads(1)
    rows, width = map(int, size.split("x"))
    row: dict[str, Any] = {"name": name, "size": size}
    if name == "symile-exact" and flops_of_exact(rows, width, MODALITIES) > flops:
        return {**row, "skipped": f"ours needs {flops_of_exact(rows, width, MODALITIES):.0e} operations"}
    plain, numbers = PLAIN[name]
    torch.manual_seed(SEED)
    loss = make_objective(name, BatchShape(modalities=MODALITIES, dim=width, rows=rows, seed=SEED))
    inputs = [torch.nn.functional.normalize(torch.randn(rows, width), dim=1) for _ in range(MODALITIES)]
    leaves = [one.requires_grad_() for one in inputs]
    scale = torch.tensor(loss.start_scale(MODALITIES, width, True), requires_grad=loss.learns_scale)
    missing = torch.rand(rows, MODALITIES) < RATE if name in WITH_MASKS else None
    forms: dict[str, Callable[[], torch.Tensor]] = {
        "ours": lambda: loss(leaves, scale, missing=missing),
        "plain": lambda: plain(loss, leaves, scale, missing),
    }
    needed = 4 * numbers(rows, width) / 2**30
    if needed > gigabytes:
        del forms["plain"]
        row["skipped"] = f"the plain form would hold {needed:.0f} GB"

    def step(form: str) -> float:
        for tensor in (*leaves, scale, *loss.parameters()):
            tensor.grad = None
        value = forms[form]()
        torch.autograd.backward(value)
        return float(value.detach())

    # Loads what torch loads lazily, so that it does not count as the loss's memory.
    few = [one.detach()[:8].clone().requires_grad_() for one in inputs]
    first = None if missing is None else missing[:8]
    torch.autograd.backward(loss(few, scale, missing=first) + plain(loss, few, scale, first))
    for form in forms:
        before = resident_peak(reset=True)
        value = step(form)
        row[form] = {"value": value, "megabytes": resident_peak(reset=False) - before}
    if "plain" in forms and name not in AT_RANDOM:
        torch.testing.assert_close(row["ours"]["value"], row["plain"]["value"], rtol=1e-4, atol=1e-5)
    times: dict[str, list[float]] = {form: [] for form in forms}
    while sum(map(sum, times.values())) < seconds or len(times["ours"]) < 3:
        for form in forms:
            start = time.process_time()
            step(form)
            times[form].append(time.process_time() - start)
    for form in forms:
        row[form]["milliseconds"] = 1000 * statistics.median(times[form])
    return row


def resident_peak(*, reset: bool) -> float:
    """Highest memory use so far in megabytes; with `reset` the present use, from which a new peak is counted."""
    if reset:
        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the high-water mark falls to the present size
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(status["VmHWM"].split()[0]) / 1024


def line(row: dict[str, Any]) -> str:
    """One row of a Markdown table: times and memory of both forms, and how much faster and smaller ours is."""
    cells = [row["name"], row["size"].replace("x", " x ")]
    ours, plain = row.get("ours"), row.get("plain")
    if ours is None:
        return f"| {' | '.join([*cells, row['skipped']])} |"
    cells += [f"{ours['milliseconds']:.1f}", f"{ours['megabytes']:.0f}"]
    if plain is None:
        return f"| {' | '.join([*cells, row['skipped']])} |"
    faster = plain["milliseconds"] / ours["milliseconds"]
    goal = GOALS.get((row["name"], row["size"]), 1.0)
    cells += [f"{plain['milliseconds']:.1f}", f"{plain['megabytes']:.0f}", f"{faster:.2f}"]
    return f"| {' | '.join([*cells, '' if faster >= goal else f'goal {goal} missed'])} |"


if __name__ == "__main__":
    main()
