"""`symile-data export`: write what a run or a dataset holds in a form that other tools read, one module for each."""

from __future__ import annotations

import typer

from . import embeddings, meds

app = typer.Typer(help="Export embeddings of a run, or admissions, for other tools.", no_args_is_help=True)
app.command()(embeddings.embeddings)
app.command()(meds.meds)
