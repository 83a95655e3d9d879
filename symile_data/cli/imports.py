"""`symile-data import`: convert the published releases to shards of this format, and their checkpoint to a run."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from symile_data.cores import worker_count
from symile_data.progress.amounts import counted

from .choices import PaperObjective
from .common import ExecutorName, Format, Out, Workers, command_line, report
from .output import say

app = typer.Typer(
    help="Import a published release into our shards, or its checkpoint into a run.", no_args_is_help=True
)


@app.command()
def m3(
    release: Annotated[str, typer.Argument(help="Folder of the download, or hf:REPO[@REVISION] to stream it.")],
    out: Out,
    config: Annotated[str | None, typer.Option(help="Configuration, such as 10-xs; default: the only one.")] = None,
    rows: Annotated[int | None, typer.Option(min=1, help="Import at most this many rows of each split.")] = None,
    translations: Annotated[
        Path | None,
        typer.Option(
            help="translations.json or a names table (TSV); default: that of the release, else the bundled one."
        ),
    ] = None,
    workers: Workers = 0,
    executor: ExecutorName = "local",
) -> None:
    """Import Symile-M3 as published on the Hugging Face Hub (arsaporta/symile-m3).

    Images and audio keep their bytes.

    Examples:

        symile-data import m3 /data/symile-m3 --config 10-xs --out build/m3-10-xs

        symile-data import m3 hf:arsaporta/symile-m3 --config 2-xs --rows 1000 --out build/m3-2-first
    """
    from symile_data.builders.m3.release.import_release import import_m3
    from symile_data.cards import write_card

    paths = [path for path in (out, release, translations) if path is not None]
    manifest = import_m3(
        release,
        out,
        config=config,
        rows=rows,
        names=translations,
        workers=worker_count(workers),
        executor=executor,
        write_card=write_card,
        command=command_line(*paths),
    )
    report(out, manifest)


@app.command()
def mimic(
    release: Annotated[Path, typer.Argument(help="The folder of Symile-MIMIC 1.0.0: CSV files, data_npy/, checksums.")],
    out: Out,
    rows: Annotated[
        int | None,
        typer.Option(min=1, help="Import at most this many rows of each split; retrieval sets stay whole."),
    ] = None,
    shard_format: Format = "parquet",
    workers: Workers = 0,
    executor: ExecutorName = "local",
) -> None:
    """Import the published Symile-MIMIC with its splits and retrieval sets.

    The release is on PhysioNet, for credentialed users.

    Examples:

        symile-data import mimic symile-mimic/1.0.0 --out build/symile-mimic-release

        symile-data import mimic symile-mimic/1.0.0 --rows 150 --out build/symile-mimic-150
    """
    from symile_data.builders.mimic.release.import_release import import_mimic
    from symile_data.cards import write_card

    manifest = import_mimic(
        release,
        out,
        rows=rows,
        shard_format=shard_format,
        workers=worker_count(workers),
        executor=executor,
        write_card=write_card,
        command=command_line(release, out),
    )
    report(out, manifest)


@app.command()
def checkpoint(
    file: Annotated[Path, typer.Argument(help="symile_mimic_model.ckpt of the release on PhysioNet.")],
    data: Annotated[Path, typer.Option(help="The dataset to evaluate on, as `import mimic` writes it.")],
    out: Annotated[Path, typer.Option(help="Run directory to write.")],
    objective: Annotated[PaperObjective | None, typer.Option(help="Default: what the file says, else symile.")] = None,
) -> None:
    """Import the published checkpoint of Symile-MIMIC as a run that evaluate takes. Nothing in it is executed.

    Example:

        symile-data import checkpoint symile_mimic_model.ckpt --data build/symile-mimic-release --out runs/published

    Then: symile-data evaluate runs/published --bootstrap 10
    """
    from symile_data.workflows.published.checkpoint import import_checkpoint
    from symile_data.workflows.training_data import TrainingData

    config = import_checkpoint(file, TrainingData(data), out, objective)
    numbers = counted(config.dim, "number")
    say(f"{config.objective} with {numbers} in {out}; evaluate it with: symile-data evaluate {out}")
