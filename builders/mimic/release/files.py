"""The published Symile-MIMIC 1.0.0 as downloaded from PhysioNet: tables, arrays and checksums.

The release repeats each retrieval candidate with all its media; here every admission is read once. Its X-rays are
320 x 320 crops as normalised colour planes, which are turned back into the gray bytes they were made from. Its
electrocardiograms were scaled to [-1, 1]; their whole units of 5 microvolts are recovered, except for the offset.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.schema import LEADS, SAMPLES, SHORTER_SIDE
from symile_data.errors import SourceError, no_directory
from symile_data.files import file_sha256

if TYPE_CHECKING:
    import polars as pl

SPLITS = {"train": "train", "validation": "val", "test": "test"}  # ours -> the release's
SETS = {"validation": "val_retrieval", "test": "test"}  # the table with a split's retrieval sets
SUMS = "SHA256SUMS.txt"
COHORT = "symile_mimic_data.csv"

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's red, green and blue
_TOLERANCE = 0.02  # fraction of a gray level or a unit, for the rounding of float32
_MOST_UNITS = 65_535
_SUM_LINE = re.compile(r"([0-9a-f]{64})\s+\*?(\S.*)")

Array = npt.NDArray[Any]


@dataclass(frozen=True)
class Release:
    """The folder of a release, with typed access to its files."""

    root: Path

    def table(self, name: str) -> pl.DataFrame:
        """Read one of the CSV files.

        Raises:
            SourceError: the file is missing or is not a table.
        """
        import polars as pl

        path = self._existing(name)
        try:
            return pl.read_csv(path, infer_schema_length=None)
        except pl.exceptions.PolarsError as error:
            first = str(error).split("\n", maxsplit=1)[0]
            raise SourceError("a table of the release cannot be read", where=path, got=first, do=_AGAIN) from None

    def array(self, split: str, kind: str) -> Array:
        """Map one of the arrays into memory.

        Args:
            split: The release's name of the split.
            kind: "cxr", "ecg", "labs_missingness", "hadm_id", ...

        Raises:
            SourceError: the file is missing or is not an array.
        """
        path = self._existing(f"data_npy/{split}/{kind}_{split}.npy")
        try:
            return _mapped(path)
        except (ValueError, OSError, EOFError) as error:
            raise SourceError("an array of the release cannot be read", where=path, got=error, do=_AGAIN) from None

    def sums(self) -> dict[str, str]:
        """Return file -> SHA-256 for the files that an import reads.

        Raises:
            SourceError: the list of checksums is missing, or it lacks a file.
        """
        text = self._existing(SUMS).read_text(encoding="utf-8")
        listed = {match[2]: match[1] for line in text.splitlines() if (match := _SUM_LINE.fullmatch(line.strip()))}
        absent = [name for name in files_read() if name not in listed]
        if absent:
            raise SourceError(f"{SUMS} does not list {absent[0]}", where=self.root, do=_AGAIN)
        return {name: listed[name] for name in files_read()}

    def check(self, name: str, sha256: str) -> None:
        """Compare one file with its checksum.

        Raises:
            SourceError: the file is missing, or its checksum differs.
        """
        found = file_sha256(self._existing(name))
        if found != sha256:
            raise SourceError(
                f"a file of the release differs from its checksum in {SUMS}",
                where=self.root / name,
                got=found,
                do=_AGAIN,
            )

    def _existing(self, name: str) -> Path:
        path = self.root / name
        if not self.root.is_dir():
            raise no_directory(self.root, SourceError)
        if not path.is_file():
            raise SourceError(
                f"the release has no {name}",
                where=self.root,
                do="give the folder of Symile-MIMIC 1.0.0, with all its files",
            )
        return path


_AGAIN = "download the release again"


def files_read() -> Iterator[str]:
    """Yield the name of every file that an import needs, in a fixed order."""
    yield COHORT
    for split in SPLITS.values():
        yield f"{split}.csv"
        yield from (f"data_npy/{split}/{kind}_{split}.npy" for kind in ("cxr", "ecg", "hadm_id", "labs_missingness"))
    yield "val_retrieval.csv"


def gray_png(planes: Array) -> bytes:
    """Turn normalised colour planes back into the gray PNG they were made from.

    Args:
        planes: (3, 320, 320) float32, normalised with the mean and deviation of ImageNet.

    Raises:
        ValueError: the planes are not a gray image of whole brightness levels.
    """
    if planes.shape != (3, SHORTER_SIDE, SHORTER_SIDE):
        raise ValueError(f"an X-ray has the shape {planes.shape}")
    scaled = [255 * (plane.astype(np.float64) * d + m) for plane, m, d in zip(planes, _MEAN, _DEVIATION, strict=True)]
    gray = np.rint(scaled[0])
    if max(float(np.abs(plane - gray).max()) for plane in scaled) > _TOLERANCE or gray.min() < 0 or gray.max() > 255:
        raise ValueError("an X-ray is not gray, or not normalised as the release's are")
    buffer = io.BytesIO()
    Image.fromarray(gray.astype(np.uint8)).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def whole_units(scaled: Array) -> npt.NDArray[np.int16]:
    """Recover the whole units of an electrocardiogram that was scaled to [-1, 1], with its median at zero.

    The smallest number of units is taken that makes every sample a whole number. It is the true one unless all
    differences of the record share a factor.

    Args:
        scaled: (1, 5000, 12) float32.

    Returns:
        (12, 5000) int16, lead-major.

    Raises:
        ValueError: the shape is wrong, the record is flat or not finite, or no number of units up to 65,535 fits.

    >>> raw = np.arange(60_000).reshape(1, 5000, 12) % 301 - 100
    >>> scaled = (2 * (raw - raw.min()) / (raw.max() - raw.min()) - 1).astype(np.float32)
    >>> found = whole_units(scaled)
    >>> bool((found - found.min() == raw[0].T + 100).all())
    True
    """
    if scaled.shape != (1, SAMPLES, len(LEADS)):
        raise ValueError(f"an electrocardiogram has the shape {scaled.shape}")
    share = (scaled[0].astype(np.float64) + 1) / 2
    levels = np.unique(share)
    steps = np.diff(levels)
    if not len(steps) or not np.isfinite(levels).all():
        raise ValueError("an electrocardiogram is flat or not finite")
    smallest = steps[steps > 1 / (2 * _MOST_UNITS)].min()
    for units in range(max(round(1 / smallest) - 1, 1), _MOST_UNITS + 1):
        if np.abs(levels * units - np.rint(levels * units)).max() < _TOLERANCE:
            whole = np.rint(share * units).astype(np.int64)
            centred = whole - round(float(np.median(whole)))
            if np.abs(centred).max() > np.iinfo(np.int16).max:
                break
            return np.ascontiguousarray(centred.T.astype(np.int16))
    raise ValueError("an electrocardiogram does not consist of whole units")


def retrieval_sets(table: pl.DataFrame, name: str) -> dict[int, list[int]]:
    """Return query -> candidates: the query itself first, then the others in the table's order.

    Args:
        table: A table with `hadm_id`, `label` and `label_hadm_id`.
        name: Name of the table, for messages.

    Raises:
        SourceError: a set does not have exactly one positive, the query itself.
    """
    sets: dict[int, list[int]] = {}
    others: dict[int, list[int]] = {}
    for hadm_id, label, query in table.select("hadm_id", "label", "label_hadm_id").iter_rows():
        (sets if label == 1 else others).setdefault(query, []).append(hadm_id)
    for query, found in sets.items():
        if found != [query]:
            raise SourceError("a retrieval set does not have its query as the one positive", where=name, got=query)
    if set(others) - set(sets):
        raise SourceError("a retrieval set has no positive", where=name, got=min(set(others) - set(sets)))
    return {query: [query, *others.get(query, [])] for query in sets}


def lab_values(table: pl.DataFrame) -> npt.NDArray[np.float64]:
    """Return the (N, 50) float64 values of a split's table in their units, NaN where not measured."""
    import polars as pl

    columns = [pl.col(str(item)).cast(pl.Float64) for item in ITEM_IDS]
    return table.select(columns).to_numpy().astype(np.float64)


def check_rows(release: Release, split: str, table: pl.DataFrame, values: npt.NDArray[np.float64]) -> None:
    """Check that a split's arrays and its table agree: the same admissions in the same order, and a mask that is 1
    exactly where the table has a value.

    Args:
        release: The release that holds the arrays.
        split: The release's name of the split.
        table: A table with `row`, the row in the arrays, and `hadm_id`.
        values: (N, 50) values of the table's rows.

    Raises:
        SourceError: they disagree.
    """
    rows = table["row"].to_numpy()
    ids = release.array(split, "hadm_id")
    if len(ids) <= rows.max() or ids[rows].tolist() != table["hadm_id"].to_list():
        raise SourceError("table and arrays of the release list different admissions", where=f"{split}.csv", do=_AGAIN)
    observed = release.array(split, "labs_missingness")[rows] == 1
    if (observed != ~np.isnan(values)).any():
        raise SourceError(
            "labs_missingness is not 1 exactly where the table has a value", where=f"{split}.csv", do=_AGAIN
        )


@lru_cache(maxsize=16)
def _mapped(path: Path) -> Array:
    array: Array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array
