"""`symile-data import`: write a published release as a dataset of ours."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.cli.build import Out, Workers, command_line, report, worker_count

app = typer.Typer(help="Write a published release, as downloaded, as a dataset of ours.", no_args_is_help=True)


@app.command()
def mimic(
    release: Annotated[Path, typer.Argument(help="The folder of Symile-MIMIC 1.0.0: CSV files, data_npy/, checksums.")],
    out: Out,
    workers: Workers = 0,
) -> None:
    """The published Symile-MIMIC, with its own splits and retrieval sets.

    Example:

        symile-data import mimic symile-mimic/1.0.0 --out build/symile-mimic-release
    """
    from symile_data.builders.mimic.import_release import import_mimic
    from symile_data.cards import write_card

    words = command_line(release, out)
    manifest = import_mimic(release, out, workers=worker_count(workers), document=write_card, command=words)
    report(out, manifest)
