"""Share the options, the recorded command line and the final report among the verbs that write datasets."""

from __future__ import annotations

import glob
import json
import shlex
import sys
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Annotated, Any

import typer

from symile_data.arguments import MOST_ROWS
from symile_data.cores import MOST_WORKERS
from symile_data.losses.objectives import find_objective
from symile_data.progress.amounts import counted, size

from .choices import ShardFormat, one_of
from .output import say

if TYPE_CHECKING:
    from symile_data.format.manifest import Manifest

Directory = Annotated[Path, typer.Argument(help="A dataset's directory.")]
Out = Annotated[Path, typer.Option(help="Directory to build in; an interrupted build there is finished.")]
MOST_SEED = 2**63 - 1
MOST_REPEATS = 10_000  # repetitions: seeds, divisions into folds
MOST_SAMPLES = 10**7  # of a sample source: patients, images of a class, recordings of a language


def at_most(most: int) -> Callable[[int | None], int | None]:
    """Return the callback of an option whose bound is so large that help had better not show it."""

    def check(value: int | None) -> int | None:
        if value is not None and value > most:
            raise typer.BadParameter(f"it is at most {most:,}; got {value:,}")
        return value

    return check


Seed = Annotated[
    int, typer.Option(min=0, callback=at_most(MOST_SEED), help="Seed of all random draws; same seed, same bytes.")
]
Workers = Annotated[
    int,
    typer.Option(
        min=0,
        callback=at_most(MOST_WORKERS),
        help="Worker processes (0: one per core). The bytes do not depend on it.",
    ),
]
ExecutorName = Annotated[
    str,
    typer.Option(
        "--executor",
        help="local: --workers processes here; dask:ADDRESS or dask-local:N: workers of a cluster (docs/scale.md).",
        autocompletion=one_of("local", "dask:", "dask-local:"),
    ),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for machines.")]
Format = Annotated[
    ShardFormat,
    typer.Option("--format", help="Format of the shards; webdataset writes tars. docs/formats.md compares them."),
]
RowCount = Annotated[int | None, typer.Option(min=0, callback=at_most(MOST_ROWS), help="Rows of this split.")]


def command_line(*paths: Path | str) -> str:
    """Return the command line for the card, in which a directory of this machine appears only by its last part."""
    known = {Path(path) for path in paths}
    return shlex.join(["symile-data", *(_without_directories(word, known) for word in sys.argv[1:])])


def _without_directories(word: str, known: set[Path]) -> str:
    option, equals, value = word.partition("=") if word.startswith("--") else ("", "", word)
    for prefix in ("common-voice:", "hf:"):
        path = value.removeprefix(prefix)
        if path != value and Path(path).is_dir():
            return option + equals + prefix + Path(path).resolve().name
    return option + equals + (Path(value).resolve().name if value and Path(value) in known else value)


def objective_names(text: str) -> list[str]:
    """The objectives of --objectives, each once, in the order given.

    Raises:
        UsageError: there is no such objective.
    """
    names = [name.strip() for name in text.split(",")]
    if not all(names) or len(set(names)) != len(names):
        raise typer.BadParameter("it takes different objectives with commas between", param_hint="--objectives")
    for name in names:
        find_objective(name)
    return names


def say_fitted(config: str, rows: int, fitted: Mapping[str, Any]) -> None:
    """Say in one line in which settings a default config yields to few training rows; nothing where it need not."""
    if fitted:
        told = ", ".join(f"{name} = {json.dumps(value)}" for name, value in fitted.items())
        fewness = counted(rows, "training row")
        say(f"{config} is fitted to {fewness}: {told}. A config or setting that you name stays as it is.", error=True)


def report(out: Path, manifest: Manifest, source: Manifest | None = None) -> None:
    """Print what was written on stdout.

    Args:
        out: The directory.
        manifest: The manifest that was written.
        source: Manifest of the dataset from which it was made; what that one dropped is not said again.
    """
    from symile_data.format.disclosure import told
    from symile_data.format.schema import SPLITS

    rows = ", ".join(f"{rows:,} {split}" for split, rows in manifest.splits.items())
    written = sum(entry.bytes for entry in manifest.files)
    say(f"{manifest.identity.dataset} in {out}: {rows} rows, {size(written)}")
    for split in SPLITS:
        if split not in manifest.splits:
            say(f"the {split} split is empty")
    for entry in manifest.dropped:
        if source is not None and entry in source.dropped:
            continue
        examples = f", such as {', '.join(entry.examples[:2])}" if entry.examples else ""
        say(f"dropped: {told(entry.count)} ({entry.reason}){examples}")
    say(f"load it with: {loading_line(out, manifest)}")


def loading_line(directory: Path, manifest: Manifest) -> str:
    """Return the Python expression that loads a dataset with Hugging Face `datasets`.

    `datasets` treats a directory's path as a pattern, in which brackets, stars and question marks have a meaning. For
    such a path the expression names the files, with escaped paths. `datasets` cannot read a path with "::".
    """
    from symile_data.format.shards import FORMATS

    path = str(directory.resolve())
    if "::" in path:  # fsspec reads it as a chain of file systems
        return f"symile_data.loaders.open_split(pathlib.Path({path!r}), {next(iter(manifest.splits))!r})"
    escaped = glob.escape(path)
    if escaped == path:
        config = "" if manifest.pooled is None else ", 'pairs'"
        shown = path if str(directory).startswith("~") else str(directory)
        return f"datasets.load_dataset({shown!r}{config})"
    shards = {split: PurePosixPath(manifest.shards(split)[0].path) for split, rows in manifest.splits.items() if rows}
    files = {split: f"{escaped}/{shard.parent}/{split}-*{shard.suffix}" for split, shard in shards.items()}
    suffix = next(iter(shards.values())).suffix
    kind = next(name for name, its in FORMATS.items() if its == suffix)
    return f"datasets.load_dataset({kind!r}, data_files={files!r})"
