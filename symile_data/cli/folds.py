"""`symile-data folds`: divide the rows of a dataset into folds for cross-validation."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from .common import MOST_REPEATS, Directory, Json, Seed, at_most
from .output import say, say_json

if TYPE_CHECKING:
    from symile_data.training.run_record import FoldChoice

FoldsFile = Annotated[
    Path | None, typer.Option("--folds", help="File of `symile-data folds`, whose splits replace the dataset's own.")
]
Fold = Annotated[int | None, typer.Option(min=0, help="With --folds: the fold to test on, from 0.")]
Repeat = Annotated[int, typer.Option(min=0, help="With --folds: the repetition, from 0.")]


def folds(
    directory: Directory,
    repeats: Annotated[
        int, typer.Option(min=1, callback=at_most(MOST_REPEATS), help="Number of times that the rows are divided.")
    ] = 3,
    folds: Annotated[int, typer.Option(min=3, help="Number of folds.")] = 5,
    stratify: Annotated[
        str | None, typer.Option(help="Column of labels that are to be equally frequent in all folds.")
    ] = None,
    group: Annotated[
        str | None,
        typer.Option(help="Column whose rows stay together; default: subject_id, the patient, where there is one."),
    ] = None,
    seed: Seed = 0,
    out: Annotated[Path | None, typer.Option(help="File to write; default: <dataset>-folds.json beside it.")] = None,
    as_json: Json = False,
) -> None:
    """Divide all rows of a dataset into folds and write them as a file with checksums, which names rows by sample_id.

    Examples:

        symile-data folds build/symile-mimic --stratify chexpert_edema

        symile-data folds build/symile-m3-2 --repeats 1 --folds 10 --group image_id --out m3-folds.json

    Then give the file to train: --folds build/symile-mimic-folds.json --fold 0
    """
    from symile_data.workflows.folds.fold_file import write_folds
    from symile_data.workflows.folds.make import fold_counts, make_folds

    made = make_folds(directory, repeats=repeats, folds=folds, stratify=stratify, group=group, seed=seed)
    place = directory.resolve()
    path = out or place.with_name(f"{place.name}-folds.json")
    write_folds(path, made)
    counts = list(fold_counts(made, directory))
    if as_json:
        say_json({"file": str(path), "digest": made.digest, "folds": counts})
        return
    _report(path, counts)


def chosen_fold(file: Path | None, fold: int | None, repeat: int) -> FoldChoice | None:
    """Return what --folds, --fold and --repeat choose; None where they are not given.

    Raises:
        BadParameter: only some of them are given.
    """
    from symile_data.training.run_record import FoldChoice

    if file is None:
        if fold is not None or repeat:
            raise typer.BadParameter("it needs --folds FILE", param_hint="--fold" if fold is not None else "--repeat")
        return None
    if fold is None:
        raise typer.BadParameter("it needs --fold K, the fold to test on", param_hint="--folds")
    return FoldChoice(file=str(file), fold=fold, repeat=repeat)


def _report(path: Path, counts: list[dict[str, Any]]) -> None:
    from symile_data.workflows.folds.make import in_order

    from .output.tables import print_wide

    labels = in_order(label for counted in counts for label in counted.get("labels", {}))
    columns = ["repeat", "fold", "rows", *(["groups"] if "groups" in counts[0] else [])]
    table = [[*columns, *labels]]
    for counted in counts:
        shares = [str(counted["labels"].get(label, 0)) for label in labels]
        table.append([*(f"{counted[column]:,}" for column in columns), *shares])
    print_wide(table, "Rows of each fold" + (", and of each label" if labels else ""))
    for label in labels:
        found = sum(label in counted["labels"] for counted in counts)
        if found < len(counts):
            say(f"the label {label} is in {found} of {len(counts)} folds; fewer --folds may spread it over all")
    say(f"written: {path}")
