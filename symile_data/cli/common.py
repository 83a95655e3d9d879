"""What the verbs that write datasets share: options, the command line as the card shows it, the closing report."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from symile_data.disclosure import told

if TYPE_CHECKING:
    from symile_data.manifest import Manifest

Out = Annotated[Path, typer.Option(help="Directory to build in; an interrupted build there is finished.")]
Seed = Annotated[int, typer.Option(help="Decides everything random; same seed, same bytes.")]
Workers = Annotated[int, typer.Option(help="Worker processes (0: one per core). The bytes do not depend on it.")]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="local: --workers processes here; dask:ADDRESS or dask-local:N: workers of a cluster (docs/scale.md).",
    ),
]
Format = Annotated[
    str, typer.Option("--format", help="Of the shards: parquet or webdataset (tar); docs/formats.md compares them.")
]
RowCount = Annotated[int | None, typer.Option(min=0, help="Rows of this split.")]


def worker_count(asked: int) -> int:
    """As asked, or one for each core."""
    return asked if asked > 0 else len(os.sched_getaffinity(0))


def command_line(*paths: Path | str) -> str:
    """The command line as the card shows it: directories of this machine by their last part only."""
    known = {Path(path) for path in paths}
    return shlex.join(["symile-data", *(_without_directories(word, known) for word in sys.argv[1:])])


def _without_directories(word: str, known: set[Path]) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    for prefix in ("common-voice:", "hf:"):
        path = value.removeprefix(prefix)
        if path != value and Path(path).is_dir():
            return option + equals + prefix + Path(path).resolve().name
    return option + equals + (Path(value).resolve().name if value and Path(value) in known else value)


def report(out: Path, manifest: Manifest) -> None:
    """Say on stdout what was written."""
    from symile_data.schema import SPLITS

    rows = ", ".join(f"{rows:,} {split}" for split, rows in manifest.splits.items())
    size = sum(entry.bytes for entry in manifest.files)
    print(f"{manifest.identity.dataset} in {out}: {rows} rows, {size / 1e6:,.0f} MB")
    for split in SPLITS:
        if split not in manifest.splits:
            print(f"the {split} split is empty")
    for entry in manifest.dropped:
        examples = f", such as {', '.join(entry.examples[:2])}" if entry.examples else ""
        print(f"dropped: {told(entry.count)} ({entry.reason}){examples}")
    config = "" if manifest.pooled is None else ", 'pairs'"
    print(f"load it with: datasets.load_dataset({str(out)!r}{config})")
