"""Estimate what a build of Symile-M3 needs before anything is written: prepare and time a few images, recordings and
rows, and multiply by the numbers of the build.

Times are CPU seconds of this machine at present; a worker is assumed to use one CPU fully. The card is not counted.
Sampled files go to the system's temporary directory and are removed.
"""

from __future__ import annotations

import contextlib
import itertools
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from symile_data.datasets.m3.schema import m3_modalities, m3_schema
from symile_data.errors import SourceError
from symile_data.files import file_sha256
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards import FORMATS
from symile_data.format.shards.writer import ROWS_PER_GROUP, shard_ranges, write_shard
from symile_data.rng import Stream

from ..audio.sources import SplitAudio
from ..audio.spoken import UnreadableAudioError
from ..build import new_build_state
from ..build_state import BuildState
from ..deduplicated import MEDIA_PER_FILE, MEDIA_PER_GROUP, ROWS_PER_TABLE, ROWS_PER_TABLE_GROUP, table_schemas
from ..images.hub import first_images
from ..images.imagenet import ImageCatalogue, SplitImages, UnreadableImageError, read_image, split_images
from ..images.sample import draw_image, sample_catalogue, sample_classes
from ..release.tables import first_rows
from ..rows.columns import DrawnRows
from ..rows.shard import ROWS_PER_SHARD
from ..sources import Sources, open_sources
from ..spec import M3Spec
from .cost import Estimate, StageCost, expected_used, masked_bytes
from .keys import SampledKey, key_stages, key_values, sample_keys
from .unreliable import unreliable_stages

SAMPLED = 24  # number of images and of recordings that are prepared

_LEAST_IMAGES = 3  # images of a class, where a repository does not say how many rows it has
_UNCOUNTED = (
    "the repository does not say how many images it has: "
    f"{_LEAST_IMAGES} of each class are counted, and no room for their download"
)
_SAMPLED_ROWS = 4 * ROWS_PER_TABLE_GROUP
_PROCESS_BYTES = 190 << 20  # a process with its libraries and one row group, measured
_BYTES_PER_MEDIA = 400  # memory of the main process for each image or recording: names, keys, places


@dataclass(frozen=True)
class _Sampled:
    """Media that were prepared to measure the cost of one: CPU seconds each, and their bytes."""

    seconds: float
    media: list[bytes]
    copied: float  # fraction of them that a media store copies
    stored: float = 0.0  # mean bytes of one in its source

    @property
    def size(self) -> float:
        return float(np.mean([len(data) for data in self.media]))


def estimate_m3(spec: M3Spec, out: Path, *, workers: int) -> Estimate:
    """Estimate the time, space and memory of a build.

    Args:
        spec: What to build.
        out: Output directory, whose disk's free space is reported; nothing is written there.
        workers: Worker processes.

    Raises:
        SymileDataError: the build would refuse the sources, or none of the sampled media can be used.
    """
    sources = open_sources(spec)
    spec = sources.spec
    catalogue = sources.catalogue or _imagined(sources)
    images = split_images(catalogue, spec.seed, dict(spec.rows), spec.split_policy == "shared")
    state = new_build_state(sources, catalogue, images)
    sampled_images, sampled_audio = _sampled_images(sources, catalogue, images), _sampled_audio(sources, state)
    images_by_store = _used(state, {split: np.diff(available.offsets).tolist() for split, available in images.items()})
    audio_by_store = _used(state, state.recordings_per_language)
    used_images, used_audio = sum(images_by_store), sum(audio_by_store)
    keys = sample_keys(state)
    used_keys = [used for key in keys.values() for used in key.used]
    media = {"image": sampled_images.media, "audio": sampled_audio.media}
    media |= {name: key.media for name, key in keys.items()}
    stages = [
        *_gathered(sources, sampled_images, used_images),
        StageCost(
            stage="images",
            units=used_images,
            cpu_seconds_each=sampled_images.seconds,
            working_bytes_each=sampled_images.size * sampled_images.copied,
        ),
        StageCost(
            stage="audio",
            units=used_audio,
            cpu_seconds_each=sampled_audio.seconds,
            working_bytes_each=sampled_audio.size,
        ),
        *key_stages(keys),
        *_written(sources, catalogue, images, state, (used_images, used_audio), (sampled_images, sampled_audio), keys),
        *unreliable_stages(state, media),
    ]
    return Estimate(
        rows=dict(state.rows),
        stages=tuple(stages),
        files=_files(spec, state, [*images_by_store, *audio_by_store, *used_keys]),
        workers=workers,
        memory_bytes=(workers + 1) * _PROCESS_BYTES + (used_images + used_audio + sum(used_keys)) * _BYTES_PER_MEDIA,
        free_bytes=shutil.disk_usage(_existing(out)).free,
        notes=_notes(sources),
    )


def _notes(sources: Sources) -> tuple[str, ...]:
    """Return sentences on what is left out or could not be counted."""
    uncounted = sources.hub is not None and not sources.hub.rows
    return (*(note.removesuffix(".") for note in sources.names.notes), *((_UNCOUNTED,) if uncounted else ()))


def _used(state: BuildState, sizes: Mapping[str, list[int]]) -> list[int]:
    """Return the number of different media that rows use of each store. Splits that share a store add their draws."""
    images_by_store: dict[str, list[str]] = {}
    for split in state.rows:
        images_by_store.setdefault(state.image_stores[split], []).append(split)
    return [
        expected_used([size for size in sizes[splits[0]] if size], sum(state.rows[split] for split in splits))
        for splits in images_by_store.values()
    ]


def _imagined(sources: Sources) -> ImageCatalogue:
    """Return the catalogue of the folder that drawn or streamed images will make."""
    wnids = tuple(sources.names.wnids)
    if sources.hub is None:
        return sample_catalogue(Path(), wnids)
    known = sources.hub.wnids or sources.names.table.wnids
    each = max(-(-sources.hub.rows // len(known)), _LEAST_IMAGES)
    files = tuple(tuple(f"{wnid}_{index:08d}.JPEG" for index in range(each)) for wnid in wnids)
    return ImageCatalogue(root=Path(), wnids=wnids, files=files, fingerprint="")


def _sampled_images(sources: Sources, catalogue: ImageCatalogue, images: dict[str, SplitImages]) -> _Sampled:
    """Read some images as the build will."""
    with tempfile.TemporaryDirectory() as folder:
        if sources.catalogue is not None:
            available = next(iter(images.values()))
            slots = np.linspace(0, len(available.order) - 1, SAMPLED).astype(int)
            paths = [catalogue.root / available.image_id(catalogue, int(slot)) for slot in slots]
        else:
            paths = []
            for number, data in enumerate(_new_images(sources)):
                paths.append(Path(folder) / f"{number}.JPEG")
                paths[-1].write_bytes(data)
        read: list[tuple[bytes, str]] = []
        start = time.process_time()
        for path in paths:
            try:
                read.append(read_image(path, sources.spec.image_size))
            except (UnreadableImageError, SourceError):
                continue  # the build will count it
        stored = float(np.mean([path.stat().st_size for path in paths])) if paths else 0.0
        seconds = (time.process_time() - start) / max(len(paths), 1)
    if not read:
        where = catalogue.root if sources.hub is None else sources.hub.images.repo
        raise SourceError("none of the sampled images can be read", where=where, got=paths[0].name if paths else None)
    copied = sum(outcome == "converted" for _, outcome in read) / len(read)
    return _Sampled(seconds, [data for data, _ in read], copied, stored)


def _new_images(sources: Sources) -> Iterator[bytes]:
    """Yield a few images that the build will draw or stream."""
    if sources.hub is not None:
        yield from first_images(sources.hub, SAMPLED)
        return
    stems = [sample_classes()[wnid][0] for wnid in sources.names.wnids[:SAMPLED]]
    for number, stem in enumerate(stems):
        yield draw_image(stem, Stream(sources.spec.seed, "estimate").generator(number))


def _gathered(sources: Sources, sampled_images: _Sampled, used_images: int) -> Iterator[StageCost]:
    """Yield the cost of the stage that makes the image folder, where none is given."""
    if sources.hub is not None:  # the network is not timed
        yield StageCost(
            stage="streaming", units=sources.hub.rows, cpu_seconds_each=0.0, working_bytes_each=sampled_images.stored
        )
    elif sources.catalogue is None:
        yield _drawing(used_images, sources.spec.seed)


def _drawing(count: int, seed: int) -> StageCost:
    """Measure the cost of drawing the sample images."""
    stem = next(iter(sample_classes().values()))[0]
    draw_image(stem, Stream(seed, "estimate").generator(0))  # renders the artwork
    start = time.process_time()
    sizes = [len(draw_image(stem, Stream(seed, "estimate").generator(number))) for number in range(SAMPLED)]
    seconds = (time.process_time() - start) / SAMPLED
    twice = 2 * float(np.mean(sizes))  # each image is stored in a task's chunk and as a file
    return StageCost(stage="drawing", units=count, cpu_seconds_each=seconds, working_bytes_each=twice)


def _sampled_audio(sources: Sources, state: BuildState) -> _Sampled:
    """Encode some recordings as the build will."""
    available = SplitAudio(sources.audio, next(iter(state.audio_stores.values())))
    numbers = np.linspace(0, int(available.offsets[-1]) - 1, SAMPLED).astype(int)
    encoded = []
    with contextlib.suppress(UnreadableAudioError):
        available.recording(0).encode()  # loads the speech library or the decoder
    start = time.process_time()
    for number in numbers:
        try:
            encoded.append(available.recording(int(number)).encode())
        except UnreadableAudioError:
            continue  # the build will count it
    seconds = (time.process_time() - start) / SAMPLED
    if not encoded:
        raise SourceError("none of the sampled recordings can be used", got=available.recording(0).clip_id)
    return _Sampled(seconds, encoded, 1.0)


def _written(
    sources: Sources,
    catalogue: ImageCatalogue,
    images: dict[str, SplitImages],
    state: BuildState,
    used: tuple[int, int],
    sampled: tuple[_Sampled, _Sampled],
    keys: Mapping[str, SampledKey],
) -> Iterator[StageCost]:
    """Yield the costs of the stages that write the dataset's files."""
    rows, (sampled_images, sampled_audio) = sum(state.rows.values()), sampled
    split = next(iter(state.rows))
    split_audio = SplitAudio(sources.audio, state.audio_stores[split])
    ids = {  # made before the timing, since the build looks them up in its media stores
        "image_id": _some(lambda slot: images[split].image_id(catalogue, slot), len(images[split].order)),
        "clip_id": _some(lambda number: split_audio.recording(number).clip_id, int(split_audio.offsets[-1])),
    }

    def columns(count: int) -> dict[str, Any]:
        return _some_rows(sources, state, split, ids, count) | key_values(state, keys, count)

    schemas = table_schemas(tuple(state.keys), state.key_values)
    if sources.spec.layout == "pooled":
        seconds, size = _measure(schemas["pairs"], _SAMPLED_ROWS, ROWS_PER_TABLE_GROUP, columns)
        yield StageCost(stage="pairs", units=rows, cpu_seconds_each=seconds, bytes_each=size)
        for title, name, column, count, some in (
            ("images", "images", "image", used[0], sampled_images),
            ("audio", "clips", "audio", used[1], sampled_audio),
        ):

            def with_media(n: int, column: str = column, some: _Sampled = some) -> dict[str, Any]:
                return columns(n) | {column: _values(some, n)}

            seconds, size = _measure(schemas[name], 2 * SAMPLED, MEDIA_PER_GROUP, with_media)
            yield StageCost(stage=f"tables of {title}", units=count, cpu_seconds_each=seconds, bytes_each=size)
        return
    seconds, size = _measure(
        m3_schema(state.keys, state.key_values),
        4 * ROWS_PER_GROUP,
        ROWS_PER_GROUP,
        lambda n: columns(n) | {"image": _values(sampled_images, n), "audio": _values(sampled_audio, n)},
        FORMATS[sources.spec.shard_format],
    )
    media = {"image": sampled_images.media, "audio": sampled_audio.media} | {name: keys[name].media for name in keys}
    yield StageCost(stage="shards", units=rows, cpu_seconds_each=seconds, bytes_each=size - masked_bytes(state, media))


def _measure(
    schema: DatasetSchema,
    rows: int,
    group: int,
    columns: Callable[[int], dict[str, pa.Array]],
    suffix: str = FORMATS["parquet"],
) -> tuple[float, float]:
    """Return the CPU seconds and bytes of a row, measured by writing some rows to a file and hashing it."""
    arrow = schema.arrow
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"sample{suffix}"

        def batches() -> Iterator[pa.RecordBatch]:
            for _ in range(0, rows, group):
                made = columns(group)
                arrays = [pa.array(made[name], arrow.field(name).type) for name in arrow.names]
                yield pa.RecordBatch.from_arrays(arrays, schema=arrow)

        start = time.process_time()
        written = write_shard(path, schema, batches())
        file_sha256(path)
        return (time.process_time() - start) / written, path.stat().st_size / written


def _some_rows(sources: Sources, state: BuildState, split: str, ids: dict[str, pa.Array], count: int) -> dict[str, Any]:
    """Return the columns of a split's first rows, without their media."""
    if sources.published is not None:
        labels = first_rows(sources.published.plan, sources.published.names, count)
    else:
        labels = DrawnRows(state, split).rows(0, count).labels
    numbers = np.arange(count)
    return {
        **dict(zip(labels.schema.names, labels.columns, strict=True)),
        **{modality.mask: np.zeros(count, dtype=bool) for modality in m3_modalities(state.keys)},
        **{name: values.take(pa.array(numbers % len(values))) for name, values in ids.items()},
        **dict.fromkeys(("sample_id", "image_row", "clip_row"), numbers),
    }


def _some(name: Callable[[int], str], count: int) -> pa.Array:
    """Return the names of some of `count` media, evenly spread."""
    return pa.array([name(int(number)) for number in np.linspace(0, count - 1, ROWS_PER_TABLE_GROUP)], pa.string())


def _values(sampled: _Sampled, count: int) -> list[dict[str, Any]]:
    """Return `count` values of a column of images or audio, repeating the sampled ones."""
    return [{"bytes": data, "path": "sample"} for data in itertools.islice(itertools.cycle(sampled.media), count)]


def _files(spec: M3Spec, state: BuildState, media: Sequence[int]) -> int:
    """Return the number of data files, given the numbers of used media."""
    if spec.layout != "pooled":
        return sum(len(shard_ranges(count, ROWS_PER_SHARD)) for count in state.rows.values())
    tables = sum(len(shard_ranges(count, ROWS_PER_TABLE)) for count in state.rows.values())
    return tables + sum(len(shard_ranges(count, MEDIA_PER_FILE)) for count in media)


def _existing(path: Path) -> Path:
    """Return the path, or the nearest folder above it that exists."""
    resolved = path.resolve()
    return next(place for place in (resolved, *resolved.parents) if place.exists())
