"""`symile-data reproduce robustness`: all objectives on unreliable training rows, in tables and one figure."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.cores import worker_count
from symile_data.experiments.robustness_plan import PRESETS

from ..choices import Effort, some_objectives
from ..common import Json, objective_names
from ..output import say, say_json
from .runs import no_dataset, this_run


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
    workers: Annotated[int, typer.Option(help="Processes; 0 for one per core.")] = 0,
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
    from symile_data.cli.output.tables import print_wide
    from symile_data.experiments.leaderboard import compared_entries, leaderboard_csv
    from symile_data.experiments.objective_plan import described
    from symile_data.experiments.objectives import summaries, tidy_csv
    from symile_data.experiments.robustness import panels, robustness_notes, robustness_table
    from symile_data.experiments.robustness_figure import draw_robustness
    from symile_data.experiments.tables import markdown
    from symile_data.files import pretty_json, write_text
    from symile_data.workflows.objectives import run_comparison

    plan = PRESETS[preset]
    rows = run_comparison(plan, out, [] if chosen is None else objective_names(chosen), worker_count(workers))
    lines = summaries(rows)
    notes = [*described(plan), *robustness_notes(lines)]
    tables = [(f"{panel.data}: {panel.heading}", robustness_table(panel)) for panel in panels(lines)]
    sections = [f"## {heading}\n\n{markdown(table)}\n" for heading, table in tables]
    write_text(out / "robustness.csv", tidy_csv(rows))
    write_text(out / "leaderboard.csv", leaderboard_csv(compared_entries(lines, this_run(out))))
    write_text(out / "robustness.json", pretty_json({"plan": plan.to_json(), "notes": notes, "points": lines}))
    write_text(out / "robustness.md", "".join([*sections, *(f"- {note}\n" for note in notes)]))
    draw_robustness(out / "robustness.png", panels(lines))
    if as_json:
        say_json({"points": lines})
        return
    for heading, table in tables:
        print_wide(table, heading)
    for note in notes:
        say(note)
    files = ", ".join(f"robustness.{ending}" for ending in ("csv", "md", "json"))
    say(f"figure, tables and numbers: {out / 'robustness.png'}, {files}")
