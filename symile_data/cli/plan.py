"""`symile-data plan`: estimate what a build will need, before it begins."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from .build_options.m3 import m3_request, with_m3_options
from .build_options.pid import pid_request, with_pid_options
from .common import Json
from .output import say, say_json

if TYPE_CHECKING:
    from symile_data.builders.m3.estimate.cost import Estimate

app = typer.Typer(
    help="Estimate rows, bytes, time and memory of a build before anything is written.", no_args_is_help=True
)

_JSON = inspect.Parameter("as_json", inspect.Parameter.KEYWORD_ONLY, default=False, annotation=Json)


@app.command()
@with_m3_options(_JSON)
def m3(*, as_json: bool, **options: Any) -> None:
    """Estimate `symile-data build m3` with the same options: a few images, recordings and rows are prepared and timed.

    A warning says where the disk is too small. The card is not counted.

    Example:

        symile-data plan m3 --out build/l --images /data/imagenet --size l --layout pooled
    """
    from symile_data.builders.m3.estimate.estimate import estimate_m3

    asked = m3_request(**options)
    estimate = estimate_m3(asked.spec, asked.out, workers=asked.workers)
    _report(estimate, asked.out, as_json, "fewer rows, --layout pooled or --image-size")


@app.command()
@with_pid_options(_JSON)
def pid(*, as_json: bool, **options: Any) -> None:
    """Estimate `symile-data build pid` with the same options: a few images, sounds and rows are made and timed.

    A warning says where the disk is too small. The card is not counted.

    Example:

        symile-data plan pid --out build/pid-large --rows 1000000
    """
    from symile_data.builders.pid.estimate import estimate_pid

    asked = pid_request(**options)
    _report(estimate_pid(asked.spec, asked.out, workers=asked.workers), asked.out, as_json, "or fewer rows")


def _report(estimate: Estimate, out: Path, as_json: bool, remedy: str) -> None:
    """Print an estimate, and say where the disk is too small and what else would help."""
    if as_json:
        say_json(estimate.to_json())
    else:
        _show(estimate)
    for note in estimate.notes:
        say(f"symile-data: {note}.", error=True)
    if not estimate.fits:
        needed = (estimate.dataset_bytes + estimate.working_bytes) / 1e9
        say(
            f"symile-data: the disk of {out} is too small: {needed:,.1f} GB are needed, "
            f"{estimate.free_bytes / 1e9:,.1f} GB are free. Choose another --out, {remedy}.",
            error=True,
        )


def _show(estimate: Estimate) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "units", "ms each", "CPU s", "bytes each", "GB kept", "GB working")
    for stage in estimate.stages:
        table.add_row(
            stage.stage,
            f"{stage.units:,}",
            f"{1000 * stage.cpu_seconds_each:.3f}",
            f"{stage.units * stage.cpu_seconds_each:,.0f}",
            f"{stage.bytes_each or stage.working_bytes_each:,.0f}",
            f"{stage.units * stage.bytes_each / 1e9:,.2f}",
            f"{stage.units * stage.working_bytes_each / 1e9:,.2f}",
        )
    Console().print(table)
    rows = ", ".join(f"{count:,} {split}" for split, count in estimate.rows.items())
    print(f"rows: {rows}, in {estimate.files:,} files")
    print(f"disk: {estimate.dataset_bytes / 1e9:,.2f} GB, and {estimate.working_bytes / 1e9:,.2f} GB until it is built")
    print(f"time: {estimate.cpu_seconds / 3600:,.2f} CPU hours, {estimate.seconds / 60:,.0f} minutes with "
          f"{estimate.workers} workers; the card comes on top")  # fmt: skip
    print(f"memory: {estimate.memory_bytes / 1e6:,.0f} MB")
