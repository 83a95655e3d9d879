"""`symile-data export meds`: admissions as events of the Medical Event Data Standard."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.progress.amounts import counted

from ..output import say


def meds(
    directory: Annotated[Path, typer.Argument(help="A dataset of symile-data build mimic or import mimic.")],
    out: Annotated[Path, typer.Option(help="A new or empty directory.")],
) -> None:
    """Write admissions as events of the Medical Event Data Standard (MEDS 0.4): data/, metadata/ and labels/.

    X-rays and ECGs are referred to by shard, row and column of the dataset; they stay where they are.

    Example:

        symile-data export meds build/symile-mimic --out build/symile-mimic-meds
    """
    from symile_data.workflows.export.meds import export_meds

    counts = export_meds(directory, out)
    told = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    say(f"{counted(sum(counts.values()), 'event')} in {out}: {told}")
    say("It holds what the dataset holds: where that is patients' data, so is this.")
