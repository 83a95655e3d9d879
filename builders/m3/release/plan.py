"""Rebuild a published dataset from its tables (see `tables`), which fix the rows; only the media have to be found.

The rows, their order and their texts are kept exactly. Where an image or a recording is not among the files, its row
stays in place with that modality missing, and is counted.

Each table is read once, in pieces, into a Parquet file under `.build/plan/`, from which the shards take their rows.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from symile_data.errors import SourceError, UsageError
from symile_data.files import atomic_path
from symile_data.format.manifest import Dropped
from symile_data.progress.amounts import counted

from ...engine.build_dir import INTERNAL, Artifact, BuildDir
from ...engine.executor import run_stage
from ..audio.planned import PlannedAudio
from ..audio.sources import AudioSource
from ..images.imagenet import ImageCatalogue
from ..media_store import read_ids, write_ids
from ..rows.columns import LABELS, LabelledRows
from .names import ReleaseNames, Unresolved, WordResolver, unresolved_words
from .tables import COLUMNS, ReleasePlan, last_parts, read_table, row_labels

_ROWS_PER_GROUP = 5000
_EXAMPLES = 5
_PLAN = pa.schema([*LABELS, ("slot", pa.int64()), ("clip", pa.int64())])


def prepare_plan(
    build_dir: BuildDir,
    executor: Executor | None,
    plan: ReleasePlan,
    catalogue: ImageCatalogue,
    audio: AudioSource,
    names: ReleaseNames,
    strict: bool,
) -> list[Dropped]:
    """Read the tables, find the image and the recording of every row by name, and resolve the words of every text.

    Args:
        build_dir: The build's directory.
        executor: Runs the tasks; None runs them in this process.
        plan: The tables.
        catalogue: The files of the image folder.
        audio: The recordings of the release.
        names: Names of the classes, which resolve the words.
        strict: Refuse a plan that names a missing file.

    Returns:
        Missing media and unresolved words, counted by reason.

    Raises:
        SourceError: a table is broken, a row's class is not that of its image, all files of a modality are missing, or
            one is and `strict` is true.
    """
    if not isinstance(audio, PlannedAudio):
        raise UsageError("`plan` needs recordings", do="give `recordings`")
    images = [
        f"{wnid}/{PurePosixPath(name).name}"
        for wnid, of_class in zip(catalogue.wnids, catalogue.files, strict=True)
        for name in of_class
    ]
    for cached in (_group, _group_starts):
        cached.cache_clear()  # a process may build twice; the old files may be gone
    write_ids(build_dir.internal / "plan" / "images.arrow", images)
    write_ids(build_dir.internal / "plan" / "clips.arrow", audio.names)
    artifacts = [
        Artifact(
            path=f"{INTERNAL}/plan/{split}.parquet",
            arguments=PlanTask(build_dir.internal, file, names),
            key=[plan.fingerprint[split], names.fingerprint],
        )
        for split, file in plan.files.items()
    ]
    results = [made.result for made in run_stage(build_dir, "plan", artifacts, make_plan, executor)]
    dropped = []
    for modality, kind in (("image", "image"), ("audio", "recording")):
        count = sum(result["absent"][modality][0] for result in results)
        examples = list(dict.fromkeys(name for result in results for name in result["absent"][modality][1]))[:_EXAMPLES]
        if count and strict:
            raise SourceError(
                f"the {modality} files of {counted(count, 'row')} of the plan do not exist",
                where=catalogue.root if modality == "image" else None,
                got=examples[0],
                do="add the files, or leave out `strict` to keep these rows with the modality missing",
            )
        if count == sum(plan.rows.values()):
            raise SourceError(
                f"none of the plan's {kind}s exists",
                where=catalogue.root if modality == "image" else None,
                got=examples[0],
                do="point `images` and `recordings` at the sources that the plan was made from",
            )
        if count:
            reason = f"{modality}: rows of the plan whose {kind} does not exist; the modality is missing in them"
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
    """Names without a file: the number of their rows and a few examples."""

    rows: int = 0
    examples: list[str] = field(default_factory=list)

    def add(self, names: pa.Array, places: npt.NDArray[np.int64]) -> None:
        lost = np.flatnonzero(places < 0)
        self.rows += len(lost)
        if len(lost) and len(self.examples) < _EXAMPLES:
            new = names.take(pa.array(lost)).unique().to_pylist()
            self.examples = list(dict.fromkeys([*self.examples, *new]))[:_EXAMPLES]


def make_plan(task: PlanTask, path: Path) -> dict[str, Any]:
    """Convert one table to Parquet.

    Returns:
        Counts and examples of rows whose image or recording is missing, and of unresolved words.
    """
    resolver, unresolved = WordResolver(task.names), Unresolved()
    known = {name: read_ids(task.internal / "plan" / f"{name}.arrow") for name in ("images", "clips")}
    absent = {"image": _Absent(), "audio": _Absent()}
    first = 0
    with (
        atomic_path(path) as temporary,
        pq.ParquetWriter(temporary, _PLAN, compression="zstd", write_page_checksum=True) as writer,
    ):
        for batch in read_table(task.file, COLUMNS):
            labels, unknown = row_labels(task.file, resolver, batch, first)
            unresolved.update(unknown)
            image_ids = pc.binary_join_element_wise(*last_parts(task.file, first, batch, "image_path"), "/")
            _, clip_names = last_parts(task.file, first, batch, "audio_path")
            clip_ids = pc.binary_join_element_wise(batch["lang"], clip_names, "/")
            slots, recordings = _places(image_ids, known["images"]), _places(clip_ids, known["clips"])
            absent["image"].add(image_ids, slots)
            absent["audio"].add(clip_ids, recordings)
            table = pa.table([*labels.columns, pa.array(slots), pa.array(recordings)], schema=_PLAN)
            writer.write_table(table, row_group_size=_ROWS_PER_GROUP)
            first += len(batch)
    return {
        "unresolved": unresolved.to_json(),
        "absent": {modality: [lost.rows, lost.examples] for modality, lost in absent.items()},
    }


@dataclass(frozen=True)
class PlannedRows:
    """The rows of a split as its table lists them.

    Args:
        internal: The build's `.build/` folder.
        split: Name of the split.
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
        slots, recordings = (table[name].to_numpy() for name in ("slot", "clip"))
        return LabelledRows(labels, slots, recordings)

    def used(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Return the distinct image slots and recording numbers that the split's rows use, each (U,) int64, sorted."""
        table = pq.read_table(
            self.internal / "plan" / f"{self.split}.parquet", columns=["slot", "clip"], page_checksum_verification=True
        )
        slots, recordings = (np.unique(table[name].to_numpy()) for name in ("slot", "clip"))
        return slots[slots >= 0], recordings[recordings >= 0]


def _places(names: pa.Array, known: pa.Array) -> npt.NDArray[np.int64]:
    return np.asarray(
        pc.fill_null(pc.index_in(names, value_set=known), -1).to_numpy(zero_copy_only=False), dtype=np.int64
    )


@lru_cache(maxsize=4)
def _group_starts(path: Path) -> npt.NDArray[np.int64]:
    footer = pq.read_metadata(path)
    sizes = [footer.row_group(group).num_rows for group in range(footer.num_row_groups)]
    return np.cumsum([0, *sizes], dtype=np.int64)


@lru_cache(maxsize=2)
def _group(path: Path, group: int) -> pa.Table:
    with pq.ParquetFile(path, memory_map=True, page_checksum_verification=True) as file:
        return file.read_row_group(group, use_threads=False)
