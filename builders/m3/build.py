"""Build Symile-M3 in stages: sources, plan, media, shards, card, manifest. Each resumes where it was interrupted."""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.datasets.m3.schema import m3_modalities, m3_schema
from symile_data.errors import SourceError
from symile_data.format.manifest import Dropped, Manifest
from symile_data.format.schema import SPLITS

from ..engine.build_dir import INTERNAL, Artifact, BuildDir
from ..engine.card_hook import CardWriter
from ..engine.dask_executor import LOCAL
from ..engine.executor import run_stage
from ..engine.source_files import pack_files, unpack_files
from ..engine.stages import run_build, run_shards
from .audio.sources import SHARED, AudioSource, SplitAudio
from .build_state import BuildState
from .deduplicated import write_deduplicated
from .images.hub import write_hub
from .images.imagenet import ImageCatalogue, SplitImages, list_images, split_images
from .images.sample import draw_class, sample_catalogue
from .keys.media import prepare_keys
from .prepare_media import prepare_audio, prepare_images
from .release.plan import prepare_plan
from .rows.shard import ROWS_PER_SHARD, ShardTask, make_shard
from .rows.sources import row_source
from .sources import Sources, open_sources
from .spec import M3Spec


def build_m3(
    spec: M3Spec, out: Path, *, workers: int, executor: str = LOCAL, write_card: CardWriter, command: str = ""
) -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: What to build.
        workers: Worker processes; the bytes do not depend on it.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards (card, statistics, figures) and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        SymileDataError: bad sources, an unsuitable output directory, or a failing disk. Finished artifacts are kept.
    """
    sources = open_sources(spec)
    return run_build(
        out,
        sources.identity,
        m3_schema(spec.keys, len(spec.languages), spec.reliability),
        partial(_stages, sources),
        workers=workers,
        executor=executor,
        write_card=write_card,
        command=command,
    )


def _stages(sources: Sources, build_dir: BuildDir, executor: Executor | None) -> Manifest:
    spec, identity = sources.spec, sources.identity
    dropped = [*sources.names.dropped, *sources.audio.dropped]
    if sources.hub is not None:
        dropped += write_hub(sources.hub, build_dir.internal / "hub")
        sources = sources.with_images(list_images(build_dir.internal / "hub"))
    catalogue = sources.catalogue or sample_catalogue(build_dir.internal / "imagenet", sources.names.wnids)
    dropped += catalogue.dropped
    state, unreadable = _prepare(build_dir, executor, sources, catalogue)
    deduplicated = None
    if spec.layout == "pooled":
        shards, deduplicated = write_deduplicated(build_dir, executor, state)
    else:
        task = partial(ShardTask, build_dir.internal)
        shards, _ = run_shards(
            build_dir, executor, state.rows, ROWS_PER_SHARD, task, make_shard, shard_format=spec.shard_format
        )
    return Manifest(
        identity=identity,
        modalities=m3_modalities(spec.keys),
        splits={split: rows for split, rows in spec.rows.items() if rows},
        files=shards,
        dropped=[*sources.names.left_out, *_merged([*dropped, *unreadable])],
        notes=[*sources.names.notes, *_notes(spec, sources.audio)],
        pooled=deduplicated,
    )


def new_build_state(sources: Sources, catalogue: ImageCatalogue, images: dict[str, SplitImages]) -> BuildState:
    """Collect everything that the rows of a build are drawn from.

    Args:
        sources: The opened sources.
        catalogue: The files of the image folder.
        images: split -> the images that its rows can draw.
    """
    spec = sources.spec
    used = [split for split in SPLITS if spec.rows[split]]
    pool_names = {split: SHARED if spec.split_policy == "shared" else split for split in used}
    return BuildState(
        seed=spec.seed,
        languages=list(spec.languages),
        wnids=list(catalogue.wnids),
        class_ids=sources.names.class_ids,
        names=sources.names.chosen,
        words=spec.words,
        mode=spec.mode,
        rows={split: spec.rows[split] for split in used},
        image_offsets={split: images[split].offsets.tolist() for split in used},
        recordings_per_language={split: list(sources.audio.sizes(pool_names[split])) for split in used},
        image_stores=pool_names,
        audio_stores=pool_names,
        image_root=str(catalogue.root.resolve()),
        missing={name: rate for name, rate in spec.missing.items() if rate},
        masked_splits=[split for split in used if split != "test" or spec.missing_test],
        planned=sources.published is not None,
        keys=list(spec.keys),
        reliability=spec.reliability.to_json(),
    )


def _merged(dropped: list[Dropped]) -> list[Dropped]:
    """Add up the entries of the same reason."""
    merged: dict[str, Dropped] = {}
    for entry in dropped:
        before = merged.get(entry.reason, Dropped(reason=entry.reason, count=0, examples=[]))
        examples = [*before.examples, *entry.examples][:5]
        merged[entry.reason] = Dropped(
            reason=entry.reason, count=(before.count or 0) + (entry.count or 0), examples=examples
        )
    return list(merged.values())


@dataclass(frozen=True)
class _SampleTask:
    wnid: str
    seed: int
    numbers: tuple[int, ...]


def _draw_sample(
    build_dir: BuildDir,
    executor: Executor | None,
    catalogue: ImageCatalogue,
    stores: Iterable[tuple[SplitImages, npt.NDArray[np.int64]]],
    seed: int,
) -> None:
    """Draw the sample images that rows use, as files of an ImageNet folder."""
    used: dict[str, set[int]] = {}
    for available, slots in stores:
        for slot in slots.tolist():
            used.setdefault(catalogue.wnids[available.class_of(slot)], set()).add(int(available.order[slot]))
    artifacts = []
    for wnid, numbers in sorted(used.items()):
        task = _SampleTask(wnid, seed, tuple(sorted(numbers)))
        key = [wnid, seed, list(task.numbers)]
        artifacts.append(Artifact(path=f"{INTERNAL}/sample/{wnid}.arrow", arguments=task, key=key))
    run_stage(build_dir, "sample images", artifacts, _draw_class, executor)
    unpack_files(build_dir, artifacts, build_dir.internal / "imagenet")


def _draw_class(task: _SampleTask, path: Path) -> dict[str, Any]:
    return pack_files(path, draw_class(task.wnid, task.seed, task.numbers))


def _prepare(
    build_dir: BuildDir, executor: Executor | None, sources: Sources, catalogue: ImageCatalogue
) -> tuple[BuildState, list[Dropped]]:
    """Draw the plan or read it, write the build state, and prepare the media that the rows use."""
    spec, published = sources.spec, sources.published
    images = split_images(catalogue, spec.seed, dict(spec.rows), spec.split_policy == "shared")
    state = new_build_state(sources, catalogue, images)
    state.write(build_dir.internal)
    dropped: list[Dropped] = []
    if published is not None:
        names, strict = published.names, spec.strict
        dropped += prepare_plan(build_dir, executor, published.plan, catalogue, sources.audio, names, strict)
    slots, numbers = _used_media(build_dir.internal, state)
    image_stores: dict[str, tuple[SplitImages, npt.NDArray[np.int64]]] = {
        name: (images[split], slots[name]) for split, name in state.image_stores.items()
    }
    if sources.catalogue is None:
        _draw_sample(build_dir, executor, catalogue, image_stores.values(), spec.seed)
    audio_stores = {name: (numbers[name], SplitAudio(sources.audio, name)) for name in state.audio_stores.values()}
    replaced = published is None  # rows of a published plan have their own media or none
    unreadable = prepare_images(build_dir, executor, catalogue, image_stores, spec.image_size, replaced)
    unreadable += prepare_audio(build_dir, executor, audio_stores, replaced)
    prepare_keys(build_dir, executor, state)
    if unreadable and not replaced and spec.strict:
        raise SourceError(
            "an image or a recording that the plan names cannot be used",
            got=f"{unreadable[0].examples[0]} ({unreadable[0].reason})",
            do="replace the file, or leave out `strict` to keep its rows with the modality missing",
        )
    return state, [*dropped, *unreadable]


def _used_media(
    internal: Path, state: BuildState
) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, npt.NDArray[np.int64]]]:
    """Image slots and recording numbers that rows use, by media store."""
    slots: dict[str, npt.NDArray[np.int64]] = {}
    numbers: dict[str, npt.NDArray[np.int64]] = {}
    for split in state.rows:
        some_slots, some_numbers = row_source(internal, split).used()
        for stores, name, keys in (
            (slots, state.image_stores[split], some_slots),
            (numbers, state.audio_stores[split], some_numbers),
        ):
            stores[name] = np.union1d(stores[name], keys) if name in stores else keys
    return slots, numbers


def _notes(spec: M3Spec, audio: AudioSource) -> list[str]:
    notes = list(audio.notes)
    if spec.split_policy == "shared":
        notes.append(
            "Splits share images, recordings and sentences, as in the paper: nearly every test image is also in train."
        )
    if spec.plan is not None:
        notes.append(
            "The rows, their order and their texts come from a published plan; this build gathered only the media."
        )
    return notes
