"""What all builds share: `run_build` runs the stages of a build in order, and `run_shards` writes the shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from symile_data.datasets.confidential import disclosed
from symile_data.format.location import Location
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest, file_entry
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import open_listed
from symile_data.format.shards.writer import shard_path, shard_ranges

from .build_dir import Artifact, BuildDir, FinishedArtifact, open_build_dir
from .card_hook import CardWriter
from .dask_executor import LOCAL
from .executor import MakeArtifact, open_pool, run_stage

# Runs all stages of a build and returns its manifest, still without card and command line.
Stages = Callable[[BuildDir, Executor | None], Manifest]


def run_build(
    out: Path,
    identity: BuildFingerprint,
    schema: DatasetSchema,
    stages: Stages,
    *,
    workers: int,
    executor: str = LOCAL,
    write_card: CardWriter,
    command: str = "",
) -> Manifest:
    """Build a dataset in `out`, or finish an interrupted build: stages first, then the card, the manifest last.

    Args:
        out: Output directory.
        identity: Fingerprint of the build.
        schema: Schema of the rows.
        stages: The part of this dataset's builder: writes the shards and returns the manifest.
        workers: Worker processes; the bytes do not depend on their number.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards (card, statistics, figures) and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written, or the existing one where the same build is already finished.

    Raises:
        OutputError: the output directory is unsuitable, or the disk fails. Finished artifacts are kept.
    """
    with open_build_dir(out, identity) as build_dir:
        if isinstance(build_dir, Manifest):
            return build_dir
        with open_pool(workers, executor) as pool:
            manifest = disclosed(replace(stages(build_dir, pool), command=command))
        manifest = replace(manifest, files=[_with_footer(out, entry) for entry in manifest.files])
        documents = [file_entry(out, path) for path in sorted(write_card(out, manifest, schema))]
        manifest = replace(manifest, files=[*manifest.files, *documents])
        build_dir.finish(manifest)
        return manifest


def run_shards(
    build_dir: BuildDir,
    pool: Executor | None,
    rows: Mapping[str, int],
    rows_per_shard: int,
    task: Callable[[str, int, int], Any],
    make: MakeArtifact,
    *,
    title: str = "shards",
    shard_format: str = "parquet",
) -> tuple[list[FileEntry], list[dict[str, Any]]]:
    """Write the shards of every split, one task each.

    Args:
        rows: Split -> its number of rows.
        rows_per_shard: The largest number of rows in a shard.
        task: (split, start, stop) -> the argument of `make` for a shard of rows `start` to `stop - 1`.
        make: Writes a shard; its result has the number of rows under "rows".
        title: The label of the progress bar.
        shard_format: "parquet" or "webdataset".

    Returns:
        The manifest entries of the shards and the results of `make`, both in the order of the shards.
    """
    splits, artifacts = [], []
    for split, count in rows.items():
        ranges = shard_ranges(count, rows_per_shard)
        for index, (start, stop) in enumerate(ranges):
            path = shard_path(split, index, len(ranges), shard_format)
            artifacts.append(Artifact(path=path, arguments=task(split, start, stop), key=[split, start, stop]))
            splits.append(split)
    finished = run_stage(build_dir, title, artifacts, make, pool)
    entries = [
        listed(artifact, made, split=split) for split, artifact, made in zip(splits, artifacts, finished, strict=True)
    ]
    return entries, [made.result for made in finished]


def _with_footer(out: Path, entry: FileEntry) -> FileEntry:
    """Add the digest of a shard's footer, by which a loader tells it from any other of its size."""
    if entry.rows is None:  # a list beside the shards
        return entry
    return replace(entry, footer=open_listed(Location.of(out), entry).footer_sha256)


def listed(
    artifact: Artifact, made: FinishedArtifact, *, split: str | None = None, pool: str | None = None
) -> FileEntry:
    """Return the manifest's entry of a file with rows, from the size and hash that were measured when it was made."""
    return FileEntry(
        path=artifact.path, bytes=made.bytes, sha256=made.sha256, rows=made.result["rows"], split=split, pool=pool
    )
