"""Read the tables of a published dataset: `train.csv`, `val.csv` and `test.csv` name the image, audio and text of each
row.

The public generation script writes these columns: `lang`, `audio_path` (`cv/<locale>/clips/<name>`), `image_path`
(`.../<wnid>/<name>`), `cls`, `cls_id`, `target_text` and `text`. Other columns are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv

from symile_data.datasets.m3.names import SEPARATOR, imagenet_classes
from symile_data.errors import SourceError
from symile_data.files import file_sha256

from ..rows.columns import LABELS
from .names import ReleaseNames, Unresolved, WordResolver

COLUMNS = ("lang", "audio_path", "image_path", "cls", "cls_id", "target_text", "text")
FILES = {"train": ("train",), "validation": ("val", "validation"), "test": ("test",)}  # split -> stems of its file

_BLOCK_BYTES = 16 << 20  # bytes of a CSV file that are read at a time
_FIRST_LINE = 2  # of the rows, below the names of the columns


@dataclass(frozen=True)
class ReleasePlan:
    """The tables of a published dataset.

    Args:
        files: split -> CSV file.
        rows: split -> number of rows.
        words: Number of words in a text.
        fingerprint: split -> SHA-256 of its file.
    """

    files: dict[str, Path]
    rows: dict[str, int]
    words: int
    fingerprint: dict[str, str]


def open_plan(path: Path) -> ReleasePlan:
    """Find the tables and count their rows.

    Args:
        path: A folder with `train.csv` and possibly `val.csv` and `test.csv`, or the file `train.csv`.

    Raises:
        SourceError: there is no such file, or it lacks columns or rows.
    """
    files = _files(path)
    rows: dict[str, int] = {}
    words = 0
    for split, file in files.items():
        rows[split] = 0
        for batch in read_table(file, ("text",)):
            if not words and len(batch):
                words = len(str(batch["text"][0]).split(SEPARATOR))
            rows[split] += len(batch)
        if not rows[split]:
            raise SourceError("a table of the plan has no rows", where=file)
    return ReleasePlan(files, rows, words, {split: file_sha256(file) for split, file in files.items()})


def first_rows(plan: ReleasePlan, names: ReleaseNames, count: int) -> pa.RecordBatch:
    """Return `count` rows of a plan (`LABELS`), which start again from the first where the plan has fewer."""
    file = next(iter(plan.files.values()))
    batch = next(read_table(file, COLUMNS))
    batch = batch.take(pa.array(np.arange(count) % len(batch)))
    return row_labels(file, WordResolver(names), batch, 0)[0]


def _files(path: Path) -> dict[str, Path]:
    if path.is_dir():
        found = {
            split: file for split, stems in FILES.items() for stem in stems if (file := path / f"{stem}.csv").is_file()
        }
        if "train" not in found:
            raise SourceError(
                "the plan's folder has no train.csv",
                where=path,
                do="point `plan` at the folder with train.csv, val.csv",
            )
        return found
    split = next((split for split, stems in FILES.items() if path.stem in stems), None)
    if not path.is_file():
        raise SourceError("there is no plan", where=path, do="give `plan` a CSV file or the folder that holds them")
    if split != "train":
        raise SourceError(
            "a dataset needs training rows", where=path, do="point `plan` at train.csv or at the folder that holds it"
        )
    return {split: path}


def read_table(file: Path, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
    """Read some columns of a CSV file, in pieces."""
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
        raise SourceError("the plan is not a readable CSV file", where=file, got=str(error).splitlines()[0]) from None


def row_labels(
    file: Path, resolver: WordResolver, batch: pa.RecordBatch, first: int
) -> tuple[pa.RecordBatch, Unresolved]:
    """Return the rows as `LABELS`, and the words whose class or language could not be resolved."""
    wnids, _ = last_parts(file, first, batch, "image_path")
    cls_id = _class_ids(file, batch, wnids, first)
    words, unresolved = resolver.resolve(batch["text"], batch["lang"], cls_id, batch["target_text"])
    columns = {name: batch[name] for name in ("lang", "text", "cls", "target_text")}
    columns |= {"cls_id": pa.array(cls_id), "wnid": wnids, "words": words}
    return pa.RecordBatch.from_arrays([columns[name] for name in LABELS.names], schema=LABELS), unresolved


def last_parts(file: Path, first: int, batch: pa.RecordBatch, column: str) -> tuple[pa.Array, pa.Array]:
    """Split the paths of a column into the name of the last folder and the file name."""
    parts = pc.split_pattern(batch[column], "/")
    lengths = pc.list_value_length(parts).to_numpy(zero_copy_only=False)
    short = np.flatnonzero(lengths < 2)
    if len(short):
        row = int(short[0])
        raise SourceError(
            "a path does not name a folder and a file",
            where=f"{file}, line {first + row + _FIRST_LINE}, column {column}",
            got=repr(batch[column][row].as_py()),
        )
    ends = np.cumsum(lengths)
    flat = parts.flatten()
    return flat.take(pa.array(ends - 2)), flat.take(pa.array(ends - 1))


def _class_ids(file: Path, batch: pa.RecordBatch, wnids: pa.Array, first: int) -> npt.NDArray[np.int64]:
    """Read the class ids, and check that each is that of its image's folder."""
    known = pa.array(imagenet_classes()[0], pa.string())
    expected = pc.fill_null(pc.index_in(wnids, value_set=known), -1).to_numpy(zero_copy_only=False)
    told = pc.fill_null(batch["cls_id"], -1).to_numpy(zero_copy_only=False)
    wrong = np.flatnonzero((expected != told) | (told < 0))
    if len(wrong):
        row = int(wrong[0])
        raise SourceError(
            "a row's class id is not the position of its image's folder in ILSVRC's order",
            where=f"{file}, line {first + row + _FIRST_LINE}",
            got=f"cls_id {batch['cls_id'][row]}, folder {wnids[row]}",
        )
    return np.asarray(told, dtype=np.int64)
