"""`symile-data reproduce objectives`: all objectives on the same data, tuned alike, in one table and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.cores import worker_count

from ..choices import Effort, some_objectives
from ..common import Json, objective_names
from ..output import say
from .runs import Processes, no_dataset, show_comparison, this_run


def objectives(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where datasets, trials and results go.")] = Path(
        "runs/reproduce-objectives"
    ),
    preset: Annotated[Effort, typer.Option(help="Points, steps, grids and seeds.")] = "full",
    chosen: Annotated[
        str | None,
        typer.Option(
            "--objectives",
            help="With commas between; the first is compared with. Default: all.",
            autocompletion=some_objectives,
        ),
    ] = None,
    workers: Processes = 0,
    as_json: Json = False,
) -> None:
    """Accuracy of every objective on XOR, PID and Symile-M3, also with missing modalities, beside what is possible.

    Learning rate and start of the scale are tuned for each objective and point. results.csv has a line for each test,
    results.md the means with intervals, leaderboard.csv the same with command and version, results.json the plan
    besides, results.png the figure. Running again continues, and keeps what is finished, also where objectives are
    added.

    The full preset takes about 1 hour on 2 cores, the small one 10 minutes.

    Examples:

        symile-data reproduce objectives --preset small

        symile-data reproduce objectives --objectives symile,clip,my-objective
    """
    from symile_data.experiments.objective_plan import PRESETS
    from symile_data.workflows.objectives import run_comparison
    from symile_data.workflows.objectives.results import write_comparison

    plan = PRESETS[preset]
    rows = run_comparison(plan, out, [] if chosen is None else objective_names(chosen), worker_count(workers))
    show_comparison(write_comparison(plan, rows, out, this_run(out)), as_json)
    if not as_json:
        say(f"figure, tables and numbers: {out / 'results.png'}, results.csv, results.md, results.json")
