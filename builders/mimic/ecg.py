"""Which electrocardiograms an admission could have: records in the window, earliest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symile_data.files import digest

from .spec import MimicSpec, Roots
from .tables import RECORDS, ROW, find_table, read
from .windows import ECG_WINDOW, events_of

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Electrocardiograms:
    """Records that admissions could have.

    Args:
        candidates: One row for each admission and record in its window, in order of preference within an admission:
            `hadm_id`, `study_id`, `hours`, `path` (below the root, without suffix).
        listing: Digest of the candidates' names and sizes.
    """

    candidates: pl.DataFrame
    listing: str


def find_electrocardiograms(roots: Roots, admissions: pl.DataFrame, spec: MimicSpec) -> Electrocardiograms:
    """Choose by time; nothing is read but the table and the sizes of the files.

    Raises:
        SourceError: the table is missing or damaged.
    """
    records = read(find_table(roots, RECORDS), RECORDS).lazy()
    tie = ROW if spec.reference else "study_id"
    inside = events_of(records, admissions, "ecg_time", ECG_WINDOW, spec.within_stay).collect()
    candidates = inside.sort("hadm_id", "hours", tie).select("hadm_id", "study_id", "hours", "path")
    paths = sorted(set(candidates["path"].to_list()))
    sizes = [[path, _size(roots, path + ".hea"), _size(roots, path + ".dat")] for path in paths]
    return Electrocardiograms(candidates=candidates, listing=digest(sizes))


def _size(roots: Roots, name: str) -> int | None:
    try:
        return (roots.mimic_ecg / name).stat().st_size
    except FileNotFoundError:
        return None
