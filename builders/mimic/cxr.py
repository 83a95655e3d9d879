"""Which chest X-rays an admission could have: frontal views in the window, earliest first, whose file is there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.errors import SourceError
from symile_data.files import digest
from symile_data.manifest import Dropped

from .schema import FINDINGS
from .spec import MimicSpec, Roots
from .tables import CHEXPERT, METADATA, ROW, find_table, read
from .windows import CXR_WINDOW, events_of

if TYPE_CHECKING:
    import polars as pl

VIEWS = ("AP", "PA")
KINDS = {".jpg": "mimic-cxr-jpg", ".dcm": "mimic-cxr-dicom"}

_TIMELESS = "X-ray: its study has no readable date and time"


@dataclass(frozen=True, kw_only=True)
class Radiographs:
    """X-rays that admissions could have.

    Args:
        candidates: One row for each admission and X-ray in its window, in order of preference within an admission:
            `hadm_id`, `dicom_id`, `study_id`, `view`, `hours`, `path` (below the root, with suffix).
        in_window: Admissions with an X-ray in the window, its file there or not.
        suffix: Of all files: ".jpg" or ".dcm".
        listing: Digest of the candidates' names and sizes.
        dropped: X-rays that cannot be placed in time.
    """

    candidates: pl.DataFrame
    in_window: frozenset[int]
    suffix: str
    listing: str
    dropped: list[Dropped]


def find_radiographs(roots: Roots, admissions: pl.DataFrame, spec: MimicSpec) -> Radiographs:
    """Choose by time and view, then look which files are there.

    Raises:
        SourceError: a table or the folder of pictures is missing; under `reference`, a study without time.
    """
    import polars as pl

    path = find_table(roots, METADATA)
    studies, timeless = _timed(read(path, METADATA), path, spec.reference)
    frontal = studies.filter(pl.col("ViewPosition").is_in(VIEWS))
    tie = ROW if spec.reference else "dicom_id"
    inside = events_of(frontal.lazy(), admissions, "taken", CXR_WINDOW, spec.within_stay).collect()
    candidates = inside.sort("hadm_id", "hours", tie).select(
        "hadm_id",
        "dicom_id",
        "study_id",
        pl.col("ViewPosition").alias("view"),
        "hours",
        path=pl.format(
            "files/p{}/p{}/s{}/{}",
            pl.col("subject_id").cast(pl.String).str.slice(0, 2),
            "subject_id",
            "study_id",
            "dicom_id",
        ),
    )
    in_window = frozenset(candidates["hadm_id"].to_list())
    suffix, sizes = _sizes(roots.mimic_cxr, sorted(set(candidates["path"].to_list())))
    there = candidates.filter(pl.col("path").is_in(list(sizes))).with_columns(pl.col("path") + suffix)
    dropped = [Dropped(reason=_TIMELESS, count=timeless, examples=[])] if timeless else []
    return Radiographs(
        candidates=there,
        in_window=in_window,
        suffix=suffix,
        listing=digest([[name, sizes[name]] for name in sorted(sizes)]),
        dropped=dropped,
    )


def read_findings(roots: Roots) -> pl.DataFrame:
    """CheXpert's labels: `study_id` and one int8 column for each finding (1, 0, -1 for uncertain, or null).

    Raises:
        SourceError: the table is missing or damaged, or lists a study twice.
    """
    import polars as pl

    path = find_table(roots, CHEXPERT)
    table = read(path, CHEXPERT).drop(ROW)
    twice = table.filter(table["study_id"].is_duplicated())
    if len(twice):
        raise SourceError("a study is listed twice", where=path, got=twice["study_id"][0], do="remove one of them")
    return table.rename(FINDINGS).with_columns(pl.col(list(FINDINGS.values())).cast(pl.Int8))


def _timed(metadata: pl.DataFrame, path: Path, reference: bool) -> tuple[pl.DataFrame, int]:
    """The moment each X-ray was taken, to the second, and how many have none."""
    import polars as pl

    clock = pl.col("StudyTime").floor().cast(pl.Int64).cast(pl.String).str.zfill(6)
    text = pl.col("StudyDate").cast(pl.String) + " " + clock
    taken = text.str.to_datetime("%Y%m%d %H%M%S", time_unit="us", strict=False)
    timed = metadata.with_columns(taken=taken)
    timeless = timed.filter(pl.col("taken").is_null())
    if reference and len(timeless):
        raise SourceError(
            "an X-ray has no readable StudyDate and StudyTime, where the public pipeline stops",
            where=f"{path}, row {timeless[ROW][0] + 1}",
            got=f"{timeless['StudyDate'][0]} and {timeless['StudyTime'][0]}",
            do="build without --reference: such X-rays are then left out and counted",
        )
    return timed.filter(pl.col("taken").is_not_null()), len(timeless)


def _sizes(root: Path, stems: list[str]) -> tuple[str, dict[str, int]]:
    """The pictures' suffix and the sizes of those that are there. JPEGs are preferred; the two kinds never mix, since
    they were windowed differently.
    """
    if not (root / "files").is_dir():
        raise SourceError("--mimic-cxr has no folder files", where=root, do="give it the folder that holds files/p10")
    for suffix in KINDS:
        sizes = {}
        for stem in stems:
            try:
                sizes[stem] = (root / (stem + suffix)).stat().st_size
            except FileNotFoundError:
                continue
        if sizes:
            return suffix, sizes
    return next(iter(KINDS)), {}
