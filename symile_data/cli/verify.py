"""`symile-data verify` and `info`: check and describe a dataset on disk."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.cores import MOST_WORKERS, worker_count
from symile_data.progress.amounts import counted, setting, size

from .common import Directory, Json, at_most
from .output import cell, say, say_json

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest


def verify(
    directory: Directory,
    sample: Annotated[
        int | None, typer.Option(min=1, help="A quick look: read this many shards of each split, evenly spaced.")
    ] = None,
    deep: Annotated[
        bool,
        typer.Option(
            "--deep",
            help="Decode all images and audio, and compare their bytes across splits that must not share any.",
        ),
    ] = False,
    workers: Annotated[
        int, typer.Option(min=0, callback=at_most(MOST_WORKERS), help="Threads that read (0: one per core).")
    ] = 0,
    as_json: Json = False,
) -> None:
    """Re-read everything: hashes, rows, schema, masks, the dataset's own rules.

    The exit code is 1 if anything is wrong.

    Examples:

        symile-data verify build/symile-m3-10

        symile-data verify build/symile-m3-10 --sample 4 --deep
    """
    import pyarrow as pa

    from symile_data.format import manifest as manifests
    from symile_data.format.verify import feature_folders, to_read
    from symile_data.format.verify import verify as find_problems
    from symile_data.workflows.datasets import invariants_of

    pa.set_memory_pool(pa.system_memory_pool())  # Arrow's own keeps 8 MB more for each thread, and is no faster here
    manifest = manifests.read(directory)
    found = find_problems(directory, invariants_of(manifest), workers=worker_count(workers), sample=sample, deep=deep)
    problems = list(found)
    chosen = to_read(manifest, sample)
    sets = feature_folders(directory)
    unread = [entry for entry in manifest.files if entry.path not in chosen]
    if as_json:
        looked = {} if sample is None else {"unread": [entry.path for entry in unread]}
        say_json({"ok": not problems, "problems": problems, **looked, **({"features": sets} if sets else {})})
    elif problems:
        for problem in problems:
            say(problem)
    elif not unread:
        beside = f", with the features {', '.join(sets)} beside them" if sets else ""
        files, rows_in_all = len(manifest.files), sum(manifest.splits.values())
        say(f"{directory}: {counted(files, 'file')}, {counted(rows_in_all, 'row')}{beside}, all as built")
    if unread and not as_json:
        rows = sum(entry.rows or 0 for entry in unread)
        verdict = "" if problems else ", all as built"
        say(
            f"{directory}: {len(chosen)} of {counted(len(manifest.files), 'file')} were read{verdict}. "
            f"Of the other {len(unread):,}, with {counted(rows, 'row')}, only the sizes were checked, and no rules"
            " across shards."
        )
    if problems:
        raise typer.Exit(1)


def info(directory: Directory, as_json: Json = False) -> None:
    """Show what a dataset is: splits, modalities, columns, settings, sources, dropped items.

    It reads the manifest and no shard.

    Example:

        symile-data info build/symile-m3-10
    """
    from symile_data.format import manifest as manifests

    manifest = manifests.read(directory)
    if as_json:
        value = manifest.to_json()
        say_json({key: value[key] for key in value if key != "files"})
        return
    from rich.console import Console
    from rich.table import Table

    from symile_data.format.disclosure import told
    from symile_data.format.verify import feature_folders

    table = Table(title=cell(f"{manifest.identity.dataset} ({manifest.identity.fingerprint[:12]})"), show_header=False)
    for split, rows in manifest.splits.items():
        table.add_row(cell(split), f"{counted(rows, 'row')} in {counted(len(manifest.shards(split)), 'shard')}")
    table.add_row("modalities", cell(", ".join(f"{m.name} ({m.kind})" for m in manifest.modalities)))
    table.add_row("columns", cell(_columns(directory, manifest)))
    if sets := feature_folders(directory):
        table.add_row("features", cell(", ".join(sets)))
    for name, value in manifest.identity.spec.items():
        table.add_row(cell(name), cell(setting(value)))
    for entry in manifest.dropped:
        table.add_row("dropped", cell(f"{told(entry.count)}: {entry.reason}"))
    table.add_row("size", size(sum(entry.bytes for entry in manifest.files)))
    Console().print(table)


def _columns(directory: Path, manifest: Manifest) -> str:
    """Name the columns of the rows; of damaged shards say what is wrong with them."""
    from symile_data.errors import SymileDataError
    from symile_data.loaders import open_split

    try:
        split = next(split for split in manifest.splits if manifest.splits[split])
        return ", ".join(open_split(directory, split, manifest=manifest).columns)
    except StopIteration:
        return "no rows"
    except SymileDataError as error:
        return str(error)
