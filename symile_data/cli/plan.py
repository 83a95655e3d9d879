"""`symile-data plan`: estimate what a build will need, before it begins."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.progress.amounts import counted, duration, size

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
_OUT = inspect.Parameter(
    "out",
    inspect.Parameter.KEYWORD_ONLY,
    default=Path(),
    annotation=Annotated[
        Path, typer.Option(help="Where it would be built; its disk is examined.", show_default="here")
    ],
)


@app.command()
@with_m3_options(_OUT, _JSON)
def m3(*, as_json: bool, **options: Any) -> None:
    """Estimate `symile-data build m3` with the same options: a few images, recordings and rows are prepared and timed.

    A warning says where the disk is too small. The card is not counted.

    Examples:

        symile-data plan m3 --langs 10

        symile-data plan m3 --out /data/l --images /data/imagenet --size l --layout pooled
    """
    from symile_data.builders.m3.estimate.estimate import estimate_m3

    asked = m3_request(**options)
    estimate = estimate_m3(asked.spec, asked.out, workers=asked.workers)
    _report(estimate, asked.out, as_json, "fewer rows, --layout pooled or --image-size")


@app.command()
@with_pid_options(_OUT, _JSON)
def pid(*, as_json: bool, **options: Any) -> None:
    """Estimate `symile-data build pid` with the same options: a few images, sounds and rows are made and timed.

    A warning says where the disk is too small. The card is not counted.

    Example:

        symile-data plan pid --rows 1000000
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
        needed = size(estimate.dataset_bytes + estimate.working_bytes)
        say(
            f"symile-data: the disk of {out.resolve() if out == Path() else out} is too small: {needed} are needed, "
            f"{size(estimate.free_bytes)} are free. Choose another --out, {remedy}.",
            error=True,
        )


def _show(estimate: Estimate) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("stage", "units", "ms each", "CPU s", "bytes each", "kept", "working")
    for stage in estimate.stages:
        table.add_row(
            stage.stage,
            f"{stage.units:,}",
            f"{1000 * stage.cpu_seconds_each:.3f}",
            f"{stage.units * stage.cpu_seconds_each:,.0f}",
            f"{stage.bytes_each or stage.working_bytes_each:,.0f}",
            size(stage.units * stage.bytes_each) if stage.bytes_each else "",
            size(stage.units * stage.working_bytes_each) if stage.working_bytes_each else "",
        )
    Console().print(table)
    rows = ", ".join(f"{count:,} {split}" for split, count in estimate.rows.items())
    until = f", and {size(estimate.working_bytes)} until it is built" if estimate.working_bytes else ""
    workers = counted(estimate.workers, "worker")
    print(f"rows: {rows}, in {counted(estimate.files, 'file')}")
    print(f"disk: {size(estimate.dataset_bytes)}{until}")
    print(
        f"time: {duration(estimate.cpu_seconds)} of CPU, {duration(estimate.seconds)} with {workers};"
        " the card comes on top"
    )
    print(f"memory: {size(estimate.memory_bytes)}")
