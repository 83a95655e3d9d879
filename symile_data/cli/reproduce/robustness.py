"""`symile-data reproduce robustness`: all objectives on unreliable training rows, in tables and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.cores import worker_count

from ..choices import Effort, some_objectives
from ..common import Json, objective_names
from ..output import say
from .runs import Processes, no_dataset, show_comparison, this_run


def robustness(
    out: Annotated[Path, typer.Option(callback=no_dataset, help="Where datasets, trials and results go.")] = Path(
        "runs/reproduce-robustness"
    ),
    preset: Annotated[Effort, typer.Option(help="Rates, steps, grids and seeds.")] = "full",
    chosen: Annotated[
        str | None,
        typer.Option(
            "--objectives",
            help="With commas between. Default: all of the registry.",
            autocompletion=some_objectives,
        ),
    ] = None,
    workers: Processes = 0,
    as_json: Json = False,
) -> None:
    """Accuracy of every objective where training rows are missing, misaligned or noisy in a modality.

    On XOR, PID data and Symile-M3 with five languages, at rates up to 0.75, beside the best possible. Each objective is
    tuned at each rate on reliable validation rows. It is tested on reliable rows and, where training rows are
    misaligned or noisy, also on test rows that are so too. robustness.csv has a line for each test, robustness.md the
    means by rate, robustness.json intervals and the plan besides, leaderboard.csv the means with command and version,
    robustness.png the figure. Running again continues,
    and keeps what is finished.

    The full preset takes about 1 hour on 2 cores, the small one 10 minutes.

    Examples:

        symile-data reproduce robustness --preset small

        symile-data reproduce robustness --objectives symile,symile-pair,clip,gated
    """
    from symile_data.experiments.robustness_plan import PRESETS
    from symile_data.workflows.objectives import run_comparison
    from symile_data.workflows.objectives.results import write_robustness

    plan = PRESETS[preset]
    rows = run_comparison(plan, out, [] if chosen is None else objective_names(chosen), worker_count(workers))
    show_comparison(write_robustness(plan, rows, out, this_run(out)), as_json)
    if not as_json:
        files = ", ".join(f"robustness.{ending}" for ending in ("csv", "md", "json"))
        say(f"figure, tables and numbers: {out / 'robustness.png'}, {files}")
