"""What all builds share: the frame around their stages, and the stage that writes the shards."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from pathlib import Path
from typing import Any

from symile_data.format.disclosure import disclosed
from symile_data.format.manifest import BuildFingerprint, FileEntry, Manifest, file_entry
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import shard_path, shard_ranges

from .build_dir import Artifact, BuildDir, open_build_dir
from .card_hook import CardWriter
from .dask_executor import LOCAL
from .executor import MakeArtifact, open_pool, run_stage

# Do all the work of a build; the manifest that comes of it, without documents and command line.
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
    """Build a dataset in `out`, or finish a build that was interrupted there: its stages, the card, the manifest last.

    Args:
        out: Output directory.
        identity: Of the build.
        schema: Of the rows.
        stages: The build's own part.
        workers: Worker processes; the bytes do not depend on it.
        executor: "local" for these, or a cluster in their place: see `cluster_pool`.
        write_card: Writes the files beside the shards (card, statistics, figures) and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written, or that was there.

    Raises:
        OutputError: the output directory is unsuitable, or the disk refuses. What is finished is kept.
    """
    with open_build_dir(out, identity) as build_dir:
        if isinstance(build_dir, Manifest):
            return build_dir
        with open_pool(workers, executor) as pool:
            manifest = disclosed(replace(stages(build_dir, pool), command=command))
        documents = [file_entry(out, path) for path in sorted(write_card(out, manifest, schema))]
        manifest = replace(manifest, files=[*manifest.files, *documents])
        build_dir.finish(manifest)
        return manifest


def run_shards(
    build_dir: BuildDir,
    pool: Executor | None,
    rows: Mapping[str, int],
    rows_per_shard: int,
    job: Callable[[str, int, int], Any],
    make: MakeArtifact,
    *,
    title: str = "shards",
    shard_format: str = "parquet",
) -> tuple[list[FileEntry], list[dict[str, Any]]]:
    """Write the shards of every split, one task each.

    Args:
        rows: split -> its rows.
        rows_per_shard: At most.
        job: (split, start, stop) -> the argument of `make` for a shard of rows `start` to `stop - 1`.
        make: Writes a shard; its result names the number of its "rows".
        title: What the progress says.
        shard_format: "parquet" or "webdataset".

    Returns:
        The files' entries, and the results.
    """
    splits, artifacts = [], []
    for split, count in rows.items():
        ranges = shard_ranges(count, rows_per_shard)
        for index, (start, stop) in enumerate(ranges):
            path = shard_path(split, index, len(ranges), shard_format)
            artifacts.append(Artifact(path=path, arguments=job(split, start, stop), key=[split, start, stop]))
            splits.append(split)
    results = run_stage(build_dir, title, artifacts, make, pool)
    entries = [
        file_entry(build_dir.directory, build_dir.directory / artifact.path, rows=result["rows"], split=split)
        for split, artifact, result in zip(splits, artifacts, results, strict=True)
    ]
    return entries, results
