"""The chest X-rays that an admission could have: frontal views in the window whose file exists, earliest first."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.datasets.mimic.windows import CXR_WINDOW, events_of
from symile_data.errors import SourceError
from symile_data.files import digest
from symile_data.format.manifest import Dropped

from ..spec import MimicSpec, Roots
from ..tables import CHEXPERT, METADATA, read
from ..tables.cells import ROW
from ..tables.checks import lines, require_any
from ..tables.file_sizes import file_size
from ..tables.files import find_table

if TYPE_CHECKING:
    import polars as pl

VIEWS = ("AP", "PA")
KINDS = {".jpg": "mimic-cxr-jpg", ".dcm": "mimic-cxr-dicom"}

_TIMELESS = METADATA.reason("its study has no readable date and time")
_FILELESS = METADATA.reason("it lies in an admission's window, but its file is not there")
_MOST_VIEWS = 20  # most views that are counted by name
_VIEW = r"^[A-Z0-9 _-]{1,16}$"  # only codes are counted by name, not free text


@dataclass(frozen=True, kw_only=True)
class Radiographs:
    """The X-rays from which admissions choose.

    Args:
        candidates: One row for each admission and X-ray in its window, in order of preference within an admission:
            `hadm_id`, `dicom_id`, `study_id`, `view`, `hours`, `path` (below the root, with suffix).
        in_window: Admissions with an X-ray in the window, whether or not its file exists.
        suffix: Suffix of all files: ".jpg" or ".dcm".
        listing: Digest of the candidates' names and sizes.
        dropped: X-rays that cannot be placed in time, are not frontal, or lie in a window but have no file, and lines
            of the table that were left out.
    """

    candidates: pl.DataFrame
    in_window: frozenset[int]
    suffix: str
    listing: str
    dropped: list[Dropped]


def find_radiographs(roots: Roots, admissions: pl.DataFrame, spec: MimicSpec) -> Radiographs:
    """Choose by time and view, then check which files exist.

    Raises:
        SourceError: a table or the folder of images is missing; with `reference`, a study has no time.
    """
    import polars as pl

    path = find_table(roots, METADATA)
    listed = read(path, METADATA)
    studies, timeless = _timed(listed.frame, path, spec.reference)
    require_any(len(studies), timeless, path)
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
    stems = sorted(set(candidates["path"].to_list()))
    suffix, sizes = _sizes(roots.mimic_cxr, stems)
    there = candidates.filter(pl.col("path").is_in(list(sizes))).with_columns(pl.col("path") + suffix)
    return Radiographs(
        candidates=there,
        in_window=in_window,
        suffix=suffix,
        listing=digest([[name, sizes[name]] for name in sorted(sizes)]),
        dropped=[
            *listed.dropped,
            *timeless,
            *other_views(studies["ViewPosition"]),
            *_without_file(len(stems) - len(sizes)),
        ],
    )


def read_findings(roots: Roots) -> tuple[pl.DataFrame, list[Dropped]]:
    """Read CheXpert's labels.

    Returns:
        `study_id` and one int8 column for each finding (1, 0, -1 for uncertain, or null); and the lines of the table
        that are left out, by reason.

    Raises:
        SourceError: the table is missing or damaged, has other labels, or labels a study in two ways.
    """
    listed = read(find_table(roots, CHEXPERT), CHEXPERT)
    return listed.frame.drop(ROW).rename(FINDINGS), listed.dropped


def other_views(views: pl.Series) -> list[Dropped]:
    """Count the X-rays that are not frontal by their view.

    >>> import polars as pl
    >>> [(entry.reason, entry.count) for entry in other_views(pl.Series(["PA", "LL", None, "LL"], dtype=pl.String))]
    [('X-ray: its view is LL, neither AP nor PA', 2), ('X-ray: its view is not given', 1)]
    """
    import polars as pl

    others = pl.DataFrame({"view": views}).filter(pl.col("view").is_null() | ~pl.col("view").is_in(VIEWS))
    blank = others["view"].null_count()
    named = others.filter(pl.col("view").str.contains(_VIEW)).group_by("view").len()
    most = named.sort(["len", "view"], descending=[True, False]).head(_MOST_VIEWS)
    counts = {f"its view is {view}, neither AP nor PA": count for view, count in most.sort("view").iter_rows()}
    counts["its view is not one of the usual codes"] = len(others) - blank - sum(counts.values())
    counts["its view is not given"] = blank
    return [Dropped(reason=METADATA.reason(why), count=count, examples=[]) for why, count in counts.items() if count]


def _without_file(count: int) -> list[Dropped]:
    return [Dropped(reason=_FILELESS, count=count, examples=[])] if count else []


def _timed(metadata: pl.DataFrame, path: Path, reference: bool) -> tuple[pl.DataFrame, list[Dropped]]:
    """Add `taken`, the time of each X-ray to the second, and count the X-rays without one."""
    import polars as pl

    text = pl.col("StudyDate").dt.strftime("%Y%m%d") + " " + pl.col("StudyTime")
    taken = text.str.to_datetime("%Y%m%d %H%M%S", time_unit="us", strict=False)
    timed = metadata.with_columns(taken=taken)
    timeless = timed.filter(pl.col("taken").is_null())
    if reference and len(timeless):
        raise SourceError(
            "an X-ray has no readable StudyDate and StudyTime, where the public pipeline stops",
            where=f"{path}, {lines(path, timeless[ROW].to_list())}",
            do="build without `reference`: such X-rays are then left out and counted",
        )
    dropped = [Dropped(reason=_TIMELESS, count=len(timeless), examples=[])] if len(timeless) else []
    return timed.filter(pl.col("taken").is_not_null()), dropped


def _sizes(root: Path, stems: list[str]) -> tuple[str, dict[str, int]]:
    """Find the suffix of the images and the sizes of those that exist.

    JPEGs are preferred. JPEG and DICOM never mix in one dataset, since they were windowed differently.
    """
    if not (root / "files").is_dir():
        raise SourceError("`mimic_cxr` has no folder files", where=root, do="give it the folder that holds files/p10")
    for suffix in KINDS:
        listed = {stem: file_size(root / (stem + suffix)) for stem in stems}
        sizes = {stem: size for stem, size in listed.items() if size is not None}
        if sizes:
            return suffix, sizes
    return next(iter(KINDS)), {}
