"""Check the sets of features beside a dataset: their files, and that they have the ids and gaps of the rows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from symile_data.errors import DamageError, UsageError
from symile_data.files import sorted_entries
from symile_data.format import manifest as manifests
from symile_data.format.feature_sets import FOLDER, SAMPLE_ID, FeatureSet, encoded_modality, read_feature_set
from symile_data.format.location import Location
from symile_data.format.manifest import FileEntry, Manifest
from symile_data.format.shards import open_shard
from symile_data.format.typed_json import read_text
from symile_data.progress import stage

from .examine import examine_file, in_order, to_read
from .unlisted import kind_of, unlisted_problems


def feature_folders(directory: Path) -> list[str]:
    """Return the names of the folders of sets of features, finished or not, in the directory of a dataset."""
    folder = directory / FOLDER
    if kind_of(folder) != "a directory":
        return []
    marks = (manifests.FILE_NAME, manifests.UNFINISHED)
    return [
        entry.name
        for entry in sorted_entries(folder)
        if entry.is_dir(follow_symlinks=False) and any((folder / entry.name / mark).exists() for mark in marks)
    ]


def feature_problems(
    directory: Path, name: str, dataset: Manifest, *, workers: int, sample: int | None
) -> Iterator[str]:
    """Yield one sentence for each problem of one set of features.

    Args:
        directory: Directory of the dataset.
        name: Name of the set.
        dataset: Manifest of the dataset.
        workers: Threads that read and hash.
        sample: As for `verify`: how many files of each split are read; None for all.
    """
    folder = f"{FOLDER}/{name}"
    if not (directory / folder / manifests.FILE_NAME).exists():
        yield f"{folder}: an unfinished set of features; encode them again to finish it, or remove the folder"
        return
    try:
        found = read_feature_set(Location.of(directory), name, dataset)
    except (DamageError, UsageError) as error:
        yield f"{folder}: {error.what}" + (f" ({error.got})" if error.got is not None else "")
        return
    manifest = found.manifest
    if not manifests.is_as_written(read_text(directory / folder / manifests.FILE_NAME)):
        yield f"{folder}/{manifests.FILE_NAME}: its blanks or line ends are not those that were written"
    task = partial(examine_file, directory / folder, manifest, to_read(manifest, sample), deep=False, compared=False)
    shards = {
        entry.path: shard
        for split in dataset.splits
        for entry, shard in zip(manifest.shards(split), dataset.shards(split), strict=True)
    }
    with (
        stage(f"verifying {folder}", len(manifest.files), "files") as advance,
        closing(in_order(task, manifest.files, workers)) as results,
    ):
        for entry, examined in zip(manifest.files, results, strict=True):
            problems = list(examined.problems)
            shard = shards.get(entry.path)
            if examined.table is not None and shard is not None and not problems:
                problems += _row_problems(directory, found, examined.table, shard, dataset)
            for problem in problems:
                yield f"{folder}/{entry.path}: {problem}"
            advance()
    for problem in unlisted_problems(directory / folder, {entry.path for entry in manifest.files}):
        yield f"{folder}/{problem}"


def _row_problems(
    directory: Path, found: FeatureSet, table: pa.Table, shard: FileEntry, dataset: Manifest
) -> Iterator[str]:
    """Compare the rows of one file with the ids and masks of the dataset's shard."""
    masks = {modality.name: modality.mask for modality in dataset.modalities}
    columns = {modality.column: masks[encoded_modality(modality)] for modality in found.manifest.modalities}
    absent = [name for name in (SAMPLE_ID, *columns) if name not in table.column_names]
    if absent:
        yield f"no column {', '.join(absent)}"
        return
    try:
        stored = open_shard(Location.of(directory), shard.path).read_all([SAMPLE_ID, *dict.fromkeys(columns.values())])
    except (DamageError, OSError, KeyError, pa.ArrowException):
        return  # a problem of the shard, which is named with its file
    if not table[SAMPLE_ID].equals(stored[SAMPLE_ID]):
        yield f"its ids are not those of {shard.path}"
        return
    for column, mask in columns.items():
        null = pc.is_null(table[column].combine_chunks())
        wrong = pc.indices_nonzero(pc.not_equal(null, stored[mask].combine_chunks()))
        if len(wrong):
            row = wrong[0].as_py()
            state = "null" if null[row].as_py() else "not null"
            yield f"row {row}: {column} is {state}, but {mask} is {stored[mask][row].as_py()} in {shard.path}"
