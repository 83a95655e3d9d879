"""`symile-data export embeddings`: the embeddings of a run as a dataset of features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from ..choices import EachSplit, Selection
from ..common import Out, command_line, report
from ..folds import Fold, FoldsFile, Repeat, chosen_fold


def embeddings(
    run: Annotated[Path, typer.Argument(help="A run directory, such as runs/symile-mimic/symile.")],
    out: Out,
    split: Annotated[list[EachSplit] | None, typer.Option(help="Split to embed; default: all. Repeatable.")] = None,
    data: Annotated[Path | None, typer.Option(help="The dataset, where it has moved.")] = None,
    select: Annotated[
        Selection | None, typer.Option(help="Figure by which the weights were chosen; default: the config's.")
    ] = None,
    folds: FoldsFile = None,
    fold: Fold = None,
    repeat: Repeat = 0,
) -> None:
    """Write the embeddings of every row with its ids, labels and masks as Parquet.

    `load_dataset` opens the files.

    Examples:

        symile-data export embeddings runs/symile-mimic/symile --out build/mimic-embeddings

        symile-data export embeddings runs/published --split test --out build/published-embeddings
    """
    from symile_data.cards import write_card
    from symile_data.training.run_record import read_run
    from symile_data.workflows.export.embeddings import export_embeddings
    from symile_data.workflows.training_data import data_of_run

    opened = data_of_run(read_run(run), data, chosen_fold(folds, fold, repeat))
    manifest = export_embeddings(
        run,
        opened,
        out,
        splits=[str(name) for name in split or ()],
        select=select,
        write_card=write_card,
        command=command_line(run, out, *([] if data is None else [data]), *([] if folds is None else [folds])),
    )
    report(out, manifest, opened.manifest)
