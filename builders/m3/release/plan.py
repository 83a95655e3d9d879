"""Rebuild the published dataset from its tables: `train.csv`, `val.csv` and `test.csv` say which picture, which clip
and which text each row has, so the rows need no drawing, only their media.

Columns, as the public generation script writes them: `lang`, `audio_path` (`cv/<locale>/clips/<name>`), `image_path`
(`.../<wnid>/<name>`), `cls`, `cls_id`, `target_text`, `text`; others are ignored. Rows, order and texts are kept
exactly. A picture or clip whose file is not there leaves its row in place with that modality missing, and is counted.

Each table is read once, in pieces, into a Parquet file under `.build/plan/`, from which shards take their rows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from symile_data.datasets.m3.names import SEPARATOR, imagenet_classes
from symile_data.errors import SourceError, UsageError
from symile_data.files import atomic_path, file_sha256
from symile_data.format.manifest import Dropped

from ...engine.build_dir import INTERNAL, Artifact, BuildDir
from ...engine.executor import run_stage
from ..audio.planned import PlannedAudio
from ..audio.sources import AudioSource
from ..images.imagenet import ImageCatalogue
from ..rows.columns import LABELS, LabelledRows
from .names import ReleaseNames, Unresolved, WordResolver, unresolved_words

COLUMNS = ("lang", "audio_path", "image_path", "cls", "cls_id", "target_text", "text")
FILES = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}  # file names by split

_BLOCK_BYTES = 16 << 20  # of a CSV file read at a time
_ROWS_PER_GROUP = 5000
_EXAMPLES = 5
_PLAN = pa.schema([*LABELS, ("slot", pa.int64()), ("clip", pa.int64())])


@dataclass(frozen=True)
class ReleasePlan:
    """The tables of a published dataset.

    Args:
        files: split -> CSV file.
        rows: split -> number of rows.
        words: Words of a text.
        fingerprint: split -> SHA-256 of the file.
    """

    files: dict[str, Path]
    rows: dict[str, int]
    words: int
    fingerprint: dict[str, str]


def open_plan(path: Path) -> ReleasePlan:
    """Find the tables and count their rows.

    Args:
        path: A folder with `train.csv`, `val.csv`, `test.csv` (or some of them, the first at least), or one of these.

    Raises:
        SourceError: no such file, columns that are missing, or no rows.
    """
    files = _files(path)
    rows: dict[str, int] = {}
    words = 0
    for split, file in files.items():
        rows[split] = 0
        for batch in _read(file, ("text",)):
            if not words and len(batch):
                words = len(str(batch["text"][0]).split(SEPARATOR))
            rows[split] += len(batch)
        if not rows[split]:
            raise SourceError("a table of the plan has no rows", where=file)
    return ReleasePlan(files, rows, words, {split: file_sha256(file) for split, file in files.items()})


def prepare_plan(
    build_dir: BuildDir,
    executor: Executor | None,
    plan: ReleasePlan,
    catalogue: ImageCatalogue,
    audio: AudioSource,
    names: ReleaseNames,
    strict: bool,
) -> list[Dropped]:
    """Read the tables: every row's picture and clip found by its name, every text's words told apart.

    Args:
        strict: Stop at the first file that is not there.

    Returns:
        Media that are not there, and words that are not told apart.

    Raises:
        SourceError: a broken table, a class that is not its picture's, or with `strict` a missing file.
    """
    if not isinstance(audio, PlannedAudio):
        raise UsageError("--plan needs recordings", do="give --audio common-voice:PATH")
    images = [
        f"{wnid}/{PurePosixPath(name).name}"
        for wnid, of_class in zip(catalogue.wnids, catalogue.files, strict=True)
        for name in of_class
    ]
    _write_ids(build_dir.internal / "plan" / "images.arrow", images)
    _write_ids(build_dir.internal / "plan" / "clips.arrow", audio.names)
    artifacts = [
        Artifact(
            path=f"{INTERNAL}/plan/{split}.parquet",
            arguments=PlanTask(build_dir.internal, file, names),
            key=[plan.fingerprint[split], names.fingerprint],
        )
        for split, file in plan.files.items()
    ]
    results = run_stage(build_dir, "plan", artifacts, make_plan, executor)
    dropped = []
    for medium, kind in (("image", "picture"), ("audio", "clip")):
        count = sum(result["absent"][medium][0] for result in results)
        examples = list(dict.fromkeys(name for result in results for name in result["absent"][medium][1]))[:_EXAMPLES]
        if count and strict:
            raise SourceError(
                f"{count} rows of the plan name a {kind} that is not there",
                where=catalogue.root if medium == "image" else None,
                got=examples[0],
                do="add the files, or leave out --strict to keep these rows with the modality missing",
            )
        if count == sum(plan.rows.values()):
            raise SourceError(
                f"none of the plan's {kind}s is there",
                where=catalogue.root if medium == "image" else None,
                got=examples[0],
                do="point --images and --audio common-voice:PATH at the sources that the plan was made from",
            )
        if count:
            reason = f"{medium}: rows of the plan whose {kind} is not there; it is missing in them"
            dropped.append(Dropped(reason=reason, count=count, examples=examples))
    return [*dropped, *unresolved_words([result["unresolved"] for result in results])]


@dataclass(frozen=True)
class PlanTask:
    """One table to read, in the build whose `.build/` folder is `internal`."""

    internal: Path
    file: Path
    names: ReleaseNames


@dataclass
class _Absent:
    """Names without a file: rows and a few examples."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, names: pa.Array, places: npt.NDArray[np.int64]) -> None:
        lost = np.flatnonzero(places < 0)
        self.rows += len(lost)
        if len(lost) and len(self.examples) < _EXAMPLES:
            new = names.take(pa.array(lost)).unique().to_pylist()
            self.examples = list(dict.fromkeys([*self.examples, *new]))[:_EXAMPLES]


def make_plan(task: PlanTask, path: Path) -> dict[str, Any]:
    """Read one table into Parquet.

    Returns:
        Rows without a picture or a clip, and words that are not told apart.
    """
    resolver, unresolved = WordResolver(task.names), Unresolved()
    known = {name: _ids(task.internal / "plan" / f"{name}.arrow") for name in ("images", "clips")}
    absent = {"image": _Absent(), "audio": _Absent()}
    first = 0
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, _PLAN, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in _read(task.file, COLUMNS):
            labels, unknown = _labels(task.file, resolver, batch, first)
            unresolved.update(unknown)
            image_ids = pc.binary_join_element_wise(*_last_parts(task.file, first, batch, "image_path"), "/")
            _, clip_names = _last_parts(task.file, first, batch, "audio_path")
            clip_ids = pc.binary_join_element_wise(batch["lang"], clip_names, "/")
            slots, clips = _places(image_ids, known["images"]), _places(clip_ids, known["clips"])
            absent["image"].add(image_ids, slots)
            absent["audio"].add(clip_ids, clips)
            table = pa.table([*labels.columns, pa.array(slots), pa.array(clips)], schema=_PLAN)
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
            first += len(batch)
    return {
        "unresolved": unresolved.to_json(),
        "absent": {medium: [lost.rows, lost.examples] for medium, lost in absent.items()},
    }


def first_rows(plan: ReleasePlan, names: ReleaseNames, count: int) -> pa.RecordBatch:
    """At most `count` rows of a plan, again from the first where it has fewer, as they are read (`LABELS`)."""
    file = next(iter(plan.files.values()))
    batch = next(_read(file, COLUMNS))
    batch = batch.take(pa.array(np.arange(count) % len(batch)))
    return _labels(file, WordResolver(names), batch, 0)[0]


@dataclass(frozen=True)
class PlannedRows:
    """The rows of a split as its table has them.

    Args:
        internal: The build's `.build/` folder.
        split: Which one.
    """

    internal: Path
    split: str

    def rows(self, start: int, stop: int) -> LabelledRows:
        """The rows `start` to `stop - 1`."""
        path = self.internal / "plan" / f"{self.split}.parquet"
        starts = _group_starts(path)
        pieces = []
        first, last = np.searchsorted(starts, start, side="right") - 1, np.searchsorted(starts, stop, side="left")
        for group in range(int(first), int(last)):
            low, high = max(start, int(starts[group])), min(stop, int(starts[group + 1]))
            pieces.append(_group(path, group).slice(low - int(starts[group]), high - low))
        table = pa.concat_tables(pieces).combine_chunks()
        labels = table.select(LABELS.names).to_batches()[0]
        slots, clips = (table[name].to_numpy() for name in ("slot", "clip"))
        return LabelledRows(labels, slots, clips)

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Picture slots and clip numbers that the split's rows use, sorted, once each."""
        table = pq.read_table(
            self.internal / "plan" / f"{self.split}.parquet", columns=["slot", "clip"], page_checksum_verification=True
        )
        slots, clips = (np.unique(table[name].to_numpy()) for name in ("slot", "clip"))
        return slots[slots >= 0], clips[clips >= 0]


def _files(path: Path) -> dict[str, Path]:
    if path.is_dir():
        found = {
            split: file for split, stems in FILES.items() for stem in stems if (file := path / f"{stem}.csv").is_file()
        }
        if "train" not in found:
            raise SourceError(
                "the plan's folder has no train.csv",
                where=path,
                do="point --plan at the folder with train.csv, val.csv",
            )
        return found
    split = next((split for split, stems in FILES.items() if path.stem in stems), None)
    if not path.is_file():
        raise SourceError("there is no plan", where=path, do="give --plan a CSV file or the folder that holds them")
    if split != "train":
        raise SourceError(
            "a dataset needs training rows", where=path, do="point --plan at train.csv or at the folder that holds it"
        )
    return {split: path}


def _read(file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """A CSV file in pieces, by column name."""
    types = {name: pa.int64() if name == "cls_id" else pa.string() for name in COLUMNS}
    try:
        with pacsv.open_csv(
            file,
            read_options=pacsv.ReadOptions(block_size=_BLOCK_BYTES, use_threads=False),
            parse_options=pacsv.ParseOptions(newlines_in_values=False),
            convert_options=pacsv.ConvertOptions(column_types=types, strings_can_be_null=False),
        ) as reader:
            absent = [name for name in COLUMNS if name not in reader.schema.names]
            if absent:
                raise SourceError(
                    f"the plan has no column {', '.join(absent)}",
                    where=file,
                    got=", ".join(reader.schema.names),
                    do=f"give a table with the columns {', '.join(COLUMNS)}",
                )
            for batch in reader:
                yield batch.select(list(columns))
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise SourceError("the plan is no readable CSV file", where=file, got=str(error).splitlines()[0]) from None


def _labels(file: Path, resolver: WordResolver, batch: pa.RecordBatch, first: int) -> tuple[pa.RecordBatch, Unresolved]:
    """Rows as `LABELS`, and words that are not told apart."""
    wnids, _ = _last_parts(file, first, batch, "image_path")
    cls_id = _class_ids(file, batch, wnids, first)
    words, unresolved = resolver.resolve(batch["text"], batch["lang"], cls_id, batch["target_text"])
    columns = {name: batch[name] for name in ("lang", "text", "cls", "target_text")}
    columns |= {"cls_id": pa.array(cls_id), "wnid": wnids, "words": words}
    return pa.RecordBatch.from_arrays([columns[name] for name in LABELS.names], schema=LABELS), unresolved


def _last_parts(file: Path, first: int, batch: pa.RecordBatch, column: str) -> tuple[pa.Array, pa.Array]:
    """The folder and the file name of paths."""
    parts = pc.split_pattern(batch[column], "/")
    lengths = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    short = np.flatnonzero(lengths < 2)
    if len(short):
        row = int(short[0])
        raise SourceError(
            "a path names no folder and file",
            where=f"{file}, row {first + row}, column {column}",
            got=repr(batch[column][row].as_py()),
        )
    ends = np.cumsum(lengths)
    flat = parts.flatten()
    return flat.take(pa.array(ends - 2)), flat.take(pa.array(ends - 1))


def _class_ids(file: Path, batch: pa.RecordBatch, wnids: pa.Array, first: int) -> npt.NDArray[np.int64]:
    """Class ids, each of which must be its picture's folder."""
    known = pa.array(imagenet_classes()[0], pa.string())
    expected = pc.fill_null(pc.index_in(wnids, value_set=known), -1).to_numpy(zero_copy_only=False)
    told = pc.fill_null(batch["cls_id"], -1).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((expected != told) | (told < 0))
    if len(wrong):
        row = int(wrong[0])
        raise SourceError(
            "a row's class id is not that of its picture's folder, in ILSVRC's order",
            where=f"{file}, row {first + row}",
            got=f"cls_id {batch['cls_id'][row]}, folder {wnids[row]}",
        )
    return np.asarray(told, dtype=np.int64)


def _places(names: pa.Array, known: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(
        pc.fill_null(pc.index_in(names, value_set=known), -1).to_numpy(zero_copy_only=False), dtype=np.int64
    )


def _write_ids(path: Path, ids: Sequence[str]) -> None:
    _ids.cache_clear()
    _group.cache_clear()
    _group_starts.cache_clear()
    batch = pa.record_batch([pa.array(ids, pa.string())], ["id"])
    with (
        atomic_path(path) as temporary,
        pa.OSFile(str(temporary), "wb") as file,
        pa.ipc.new_file(file, batch.schema) as writer,
    ):
        writer.write_batch(batch)


@lru_cache(maxsize=4)
def _ids(path: Path) -> pa.Array:
    return pa.ipc.open_file(pa.memory_map(str(path))).read_all()["id"].combine_chunks()


@lru_cache(maxsize=4)
def _group_starts(path: Path) -> npt.NDArray[np.int64]:
    footer = pq.read_metadata(path)
    sizes = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    return np.cumsum([0, *sizes], dtype=np.int64)


@lru_cache(maxsize=2)
def _group(path: Path, group: int) -> pa.Table:
    with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
        return file.read_row_group(group, use_threads=False)
