"""Import the published Symile-M3: stream its rows into our columns. Images and recordings keep their bytes, and their
ids are hashes of these, so that repeated ones have equal ids. `names` finds the class and language of each word. An
interrupted import resumes with its finished shards.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from symile_data.datasets import M3
from symile_data.datasets.m3.names import imagenet_classes
from symile_data.datasets.m3.schema import MODALITIES, m3_schema
from symile_data.errors import SourceError, UsageError
from symile_data.files import pretty_json, write_text
from symile_data.format.manifest import BuildFingerprint, Dropped, Manifest, library_versions
from symile_data.format.schema import DatasetSchema
from symile_data.format.shards.writer import ROWS_PER_GROUP, write_shard

from ...engine.build_dir import BuildDir
from ...engine.card_hook import CardWriter
from ...engine.dask_executor import LOCAL
from ...engine.stages import run_build, run_shards
from ..rows.shard import ROWS_PER_SHARD
from ..text.languages import LANGUAGE_SETS
from .files import Part, Release, open_release, read_rows, read_text
from .names import ReleaseNames, Unresolved, WordResolver, parse_translations, read_release_names, unresolved_words

_STATE_FILE = "import.json"
_ID_DIGITS = 32  # digits of a SHA-256: with 128 bits different media have different ids
_PACKAGES = ("numpy", "pyarrow")
_NOTES = (
    "Imported from the published release: images, audio and texts are unchanged, byte for byte.",
    "`image_id` and `clip_id` are hashes of the media's bytes. Splits share images and recordings.",
)


@dataclass(frozen=True)
class ImportTask:
    """Rows `start` to `stop - 1` of a split, in the import whose `.build/` folder is `internal`."""

    internal: Path
    split: str
    start: int
    stop: int


@dataclass(frozen=True, kw_only=True)
class ImportState:
    """The state of a running import, which the workers read.

    Args:
        parts: split -> (URL, first row, rows) of its files.
        first_ids: split -> sample id of its first row.
        languages: (L,) codes.
        names: (name, class id, position of its language) for every name.
    """

    parts: dict[str, list[tuple[str, int, int]]]
    first_ids: dict[str, int]
    languages: list[str]
    names: list[tuple[str, int, int]]


def import_m3(
    place: str,
    out: Path,
    *,
    config: str | None,
    rows: int | None,
    names: Path | None,
    workers: int,
    executor: str = LOCAL,
    write_card: CardWriter,
    command: str = "",
) -> Manifest:
    """Import a configuration of the release into `out`, or finish an import that was interrupted there.

    Args:
        place: A folder in the release's layout, or "hf:REPO[@REVISION]".
        config: "10-xs" or "symile-m3-10-xs"; None where the release has only one.
        rows: Largest number of rows of each split, the first ones; None imports all.
        names: A names table or translations.json; None uses that of the release, or else the bundled table.
        workers: Worker processes; the bytes do not depend on it.
        executor: "local", or a cluster in place of the worker processes: see `cluster_pool`.
        write_card: Writes the files beside the shards and returns their paths.
        command: The command line, for the card.

    Raises:
        SymileDataError: the release does not exist, a row is not one of Symile-M3, the output directory is unsuitable,
            or the disk or the network fails. Finished shards are kept.
    """
    release = open_release(place, config, rows)
    languages = _languages(release)
    found = _names(release, names, languages)
    identity = _identity(release, rows, found)

    def stages(build_dir: BuildDir, executor: Executor | None) -> Manifest:
        _write_state(build_dir.internal, release, found)
        task = partial(ImportTask, build_dir.internal)
        shards, results = run_shards(build_dir, executor, release.rows, ROWS_PER_SHARD, task, make_shard)
        return Manifest(
            identity=identity,
            modalities=m3_schema().modalities,
            splits=dict(release.rows),
            files=shards,
            dropped=_dropped(results),
            notes=list(_NOTES),
        )

    return run_build(
        out, identity, m3_schema(), stages, workers=workers, executor=executor, write_card=write_card, command=command
    )


def make_shard(task: ImportTask, path: Path) -> dict[str, Any]:
    """Write one shard.

    Returns:
        The number of rows, the words that were not resolved, and the counts of absent media.
    """
    unresolved, absent = Unresolved(), Counter[str]()
    count = write_shard(path, _schema(), _batches(task, unresolved, absent))
    return {"rows": count, "unresolved": unresolved.to_json(), "absent": dict(sorted(absent.items()))}


def _batches(task: ImportTask, unresolved: Unresolved, absent: Counter[str]) -> Iterator[pa.RecordBatch]:
    state, resolver = _read_state(task.internal / _STATE_FILE)
    parts = [Part(*part) for part in state.parts[task.split]]
    row, held = task.start, []
    for table in read_rows(parts, task.start, task.stop):
        held.append(table)
        ready = sum(map(len, held))
        last = row + ready == task.stop
        if ready < ROWS_PER_GROUP and not last:
            continue
        joined = pa.concat_tables(held).combine_chunks()
        whole = ready if last else ready - ready % ROWS_PER_GROUP
        for start in range(0, whole, ROWS_PER_GROUP):
            piece = joined.slice(start, min(ROWS_PER_GROUP, whole - start))
            yield _batch(state, resolver, task.split, row, piece, unresolved, absent)
            row += len(piece)
        held = [joined.slice(whole)]


def _batch(
    state: ImportState,
    resolver: WordResolver,
    split: str,
    first: int,
    table: pa.Table,
    unresolved: Unresolved,
    absent: Counter[str],
) -> pa.RecordBatch:
    """Convert one row group to our columns."""
    schema, count = _schema().arrow, len(table)
    cls_id = _class_ids(table, split, first)
    columns = {name: table[name].combine_chunks() for name in ("lang", "text", "cls", "target_text")}
    foreign = [code for code in pc.unique(columns["lang"]).to_pylist() if code not in state.languages]
    if foreign:
        raise SourceError(
            "a row is in a language that the configuration does not have",
            where=f"{split}, rows {first} to {first + count - 1}",
            got=repr(foreign[0]),
        )
    words, unknown = resolver.resolve(columns["text"], columns["lang"], cls_id, columns["target_text"])
    unresolved.update(unknown)
    images, image_ids = _media(table["image"])
    audio, clip_ids = _media(table["audio"])
    columns |= {
        "words": words,
        "cls_id": pa.array(cls_id),
        "wnid": pa.array([imagenet_classes()[0][cls] for cls in cls_id], pa.string()),
        "sample_id": pa.array(state.first_ids[split] + np.arange(first, first + count)),
        "image": pa.array(images, schema.field("image").type),
        "audio": pa.array(audio, schema.field("audio").type),
        "image_id": pa.array(image_ids, pa.string()),
        "clip_id": pa.array(clip_ids, pa.string()),
    }
    for modality in MODALITIES:
        missing = columns[modality.column].is_null()
        absent[modality.name] += int(pc.sum(missing).as_py() or 0)
        columns[modality.mask] = missing
        if modality.name == "text":
            kept = pa.array(np.arange(count), mask=missing.to_numpy(zero_copy_only=False))
            columns |= {name: columns[name].take(kept) for name in modality.null_columns}
    arrays = [columns[name].cast(schema.field(name).type) for name in schema.names]
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _class_ids(table: pa.Table, split: str, first: int) -> np.ndarray[Any, np.dtype[np.int64]]:
    ids = table["cls_id"].combine_chunks()
    numbers = pc.fill_null(ids.cast(pa.int64()), -1).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((numbers < 0) | (numbers >= len(imagenet_classes()[0])))
    if len(wrong):
        raise SourceError(
            "a class id is not in 0 to 999", where=f"{split}, row {first + wrong[0]}", got=ids[int(wrong[0])].as_py()
        )
    return np.asarray(numbers, dtype=np.int64)


def _media(column: pa.ChunkedArray) -> tuple[list[dict[str, Any] | None], list[str | None]]:
    """Return the values and ids of a column of images or audio; None where the release has no bytes."""
    values: list[dict[str, Any] | None] = []
    ids: list[str | None] = []
    for value in column.to_pylist():
        data = value and value["bytes"]
        values.append({"bytes": data, "path": value["path"]} if data else None)
        ids.append(hashlib.sha256(data).hexdigest()[:_ID_DIGITS] if data else None)
    return values, ids


def _dropped(results: Sequence[Mapping[str, Any]]) -> list[Dropped]:
    """Add up the unresolved words and absent media of all shards."""
    absent = Counter[str]()
    for result in results:
        absent.update(result["absent"])
    missing = [
        Dropped(reason=f"{name}: absent in the release", count=count, examples=[])
        for name, count in sorted(absent.items())
        if count
    ]
    return [*missing, *unresolved_words([result["unresolved"] for result in results])]


def _languages(release: Release) -> tuple[str, ...]:
    """Return the languages of a configuration, which its name tells."""
    number = release.config.removeprefix("symile-m3-").partition("-")[0]
    if not number.isdecimal() or int(number) not in LANGUAGE_SETS:
        raise UsageError(
            "a configuration's folder is named by its languages and size, like symile-m3-10-xs",
            got=repr(release.config),
            do="keep the release's folder names",
        )
    return LANGUAGE_SETS[int(number)]


def _names(release: Release, path: Path | None, languages: tuple[str, ...]) -> ReleaseNames:
    if path is None and release.translations is not None:
        return parse_translations(read_text(release.translations), release.translations, languages)
    return read_release_names(path, languages)


def _identity(release: Release, rows: int | None, names: ReleaseNames) -> BuildFingerprint:
    published = {"kind": "release", "release": release.name, "config": release.config}
    return BuildFingerprint(
        dataset=M3,
        spec={
            "config": release.config,
            "rows": dict(release.rows),
            "first_rows": rows,
            "languages": list(names.languages),
            "words": len(names.languages),
            "mode": "disjoint",
            "split_policy": "shared",
            "images": "release",
            "audio": "release",
            "translations": "release",
            "layout": "shards",
        },
        sources={
            "images": {**published, "listing": release.listing},
            "audio": published,
            "names": {**published, "table": names.fingerprint},
        },
        versions=library_versions(_PACKAGES),
    )


def _write_state(internal: Path, release: Release, names: ReleaseNames) -> None:
    _read_state.cache_clear()
    state = ImportState(
        parts={split: [(p.url, p.first, p.rows) for p in parts] for split, parts in release.parts.items()},
        first_ids=release.first_ids,
        languages=list(names.languages),
        names=list(names.names),
    )
    write_text(internal / _STATE_FILE, pretty_json(asdict(state)))


@lru_cache(maxsize=2)
def _read_state(path: Path) -> tuple[ImportState, WordResolver]:
    state = ImportState(**json.loads(path.read_text(encoding="utf-8")))
    names = ReleaseNames(tuple(state.languages), tuple((name, cls, lang) for name, cls, lang in state.names))
    return state, WordResolver(names)


@lru_cache(maxsize=1)
def _schema() -> DatasetSchema:
    return m3_schema()
