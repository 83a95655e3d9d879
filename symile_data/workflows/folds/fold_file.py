"""The file of folds: JSON with the ids of a dataset's rows, the fold of each row in every repetition, and checksums.

It names rows by `sample_id`, which no patient can be found by, so a file of folds may be published where the dataset
may not.

Legend: N rows, R repetitions, K folds.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from symile_data.errors import DamageError, OutputError, UsageError
from symile_data.files import digest, write_text
from symile_data.format.manifest import Manifest, check_outside
from symile_data.format.schema import SPLITS
from symile_data.format.typed_json import MOST_BYTES, parse_json, read_text, record
from symile_data.progress.amounts import counted

FORMAT = "symile-data/folds-1"
LEAST_FOLDS = 3  # one to test on, one to choose weights on, and the others to train on

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class FoldFile:
    """The folds of a dataset.

    Args:
        dataset: Name of the dataset.
        fingerprint: Fingerprint of its build.
        shards: Digest of the checksums of its shards; see `shards_digest`.
        folds: K.
        seed: Seed of the folds.
        group: Column whose values are never parted, None for none.
        stratify: Column whose values are spread evenly, None for none.
        versions: Versions of the libraries that made the folds.
        sample_ids: (N,) ids of all rows, in the order of the splits and files.
        fold_of: (R, N) fold of each row, from 0.
    """

    dataset: str
    fingerprint: str
    shards: str
    folds: int
    seed: int
    group: str | None
    stratify: str | None
    versions: Mapping[str, str]
    sample_ids: list[int]
    fold_of: list[list[int]]

    @property
    def repeats(self) -> int:
        """R, the number of repetitions."""
        return len(self.fold_of)

    @property
    def digest(self) -> str:
        """SHA-256 (hex) of the contents."""
        return digest({"format": FORMAT, **asdict(self)})


def shards_digest(manifest: Manifest) -> str:
    """Return the SHA-256 (hex) of the paths and checksums of a dataset's shards, which its card does not change."""
    return digest([[entry.path, entry.sha256] for entry in manifest.shards()])


def write_folds(path: Path, folds: FoldFile) -> None:
    """Write a file of folds. One with the same contents stays; another one is never replaced.

    Raises:
        OutputError: there is a file with other contents, or the disk fails.
        UsageError: the dataset has too many rows for a file of this kind, or the file would be inside a dataset.
    """
    check_outside(path, "the file of folds")
    value = {"format": FORMAT, **asdict(folds), "digest": folds.digest}
    text = "{\n" + ",\n".join(f"  {json.dumps(name)}: {json.dumps(part)}" for name, part in value.items()) + "\n}\n"
    if len(text) > MOST_BYTES:
        raise UsageError(
            "the dataset has too many rows for a file of folds",
            got=f"{counted(len(folds.sample_ids), 'row')}, {counted(folds.repeats, 'repetition')}",
            do=f"ask for fewer `repeats`: a file has at most {MOST_BYTES >> 20} MiB",
        )
    try:
        there = None if not path.exists() else read_text(path)
    except (OSError, ValueError):
        there = ""
    if there is not None and there != text:
        raise OutputError("there is another file", where=path, do="choose another `out`, or remove the file")
    if there is None:
        write_text(path, text)


def read_folds(path: Path) -> FoldFile:
    """Read a file of folds.

    Raises:
        DamageError: it cannot be read, was changed, or is no such file.
    """
    try:
        value = parse_json(read_text(path))
    except OSError as error:
        raise DamageError("a file of folds cannot be read", where=path, got=error.strerror) from None
    except ValueError as error:
        raise _unfit(path, error) from None
    if not isinstance(value, dict) or value.get("format") != FORMAT:
        raise _unfit(path, f"no format {FORMAT}")
    sealed = value.get("digest")
    try:
        folds = record(FoldFile, {name: part for name, part in value.items() if name not in ("format", "digest")})
    except TypeError as error:
        raise _unfit(path, error) from None
    if sealed != folds.digest:
        raise DamageError(
            "a file of folds was changed: its digest does not match its contents", where=path, do="make it again"
        )
    _check_numbers(folds, path)
    return folds


def fold_rows(folds: FoldFile, fold: int, repeat: int = 0) -> dict[str, IntArray]:
    """Return the rows of each split: test is the fold itself, validation the one after it, train all others.

    The fold after the last one is the first, so every row is tested on once and validated on once in a repetition.

    Args:
        folds: The file.
        fold: The fold to test on, from 0.
        repeat: The repetition, from 0.

    Returns:
        Split -> (n,) int64 sample ids.

    Raises:
        UsageError: there is no such fold or repetition.
    """
    for name, asked, count in (("fold", fold, folds.folds), ("repeat", repeat, folds.repeats)):
        if not 0 <= asked < count:
            raise UsageError(f"there is no such `{name}`", got=asked, do=f"choose from 0 to {count - 1}")
    numbers, ids = np.array(folds.fold_of[repeat]), np.array(folds.sample_ids, dtype=np.int64)
    test, validation = numbers == fold, numbers == (fold + 1) % folds.folds
    masks = {"train": ~test & ~validation, "validation": validation, "test": test}
    return {split: ids[masks[split]] for split in SPLITS}


def check_dataset(folds: FoldFile, manifest: Manifest, directory: Path, path: Path) -> None:
    """Check that a file of folds belongs to a dataset.

    Raises:
        UsageError: it is of another dataset.
    """
    identity = manifest.identity
    if (folds.fingerprint, folds.shards) == (identity.fingerprint, shards_digest(manifest)):
        return
    same = folds.dataset == identity.dataset
    raise UsageError(
        "the file of folds was made for another dataset",
        where=path,
        got=f"folds of {'another build of ' if same else ''}{folds.dataset} for {directory}",
        do="make folds of this dataset, or name the one that they were made for",
    )


def _check_numbers(folds: FoldFile, path: Path) -> None:
    rows = len(folds.sample_ids)
    whole = folds.folds >= LEAST_FOLDS and rows and folds.fold_of and len(set(folds.sample_ids)) == rows
    if not whole or any(len(of) != rows or set(of) != set(range(folds.folds)) for of in folds.fold_of):
        raise _unfit(path, "rows without a fold, or folds without rows")


def _unfit(path: Path, error: Any) -> DamageError:
    return DamageError("this is no file of folds", where=path, got=error, do="make one with `symile-data folds`")
