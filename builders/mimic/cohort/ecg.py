"""The electrocardiograms that an admission could have: records in the window, earliest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from symile_data.datasets.mimic.windows import ECG_WINDOW, events_of
from symile_data.files import digest
from symile_data.format.manifest import Dropped

from ..spec import MimicSpec, Roots
from ..tables import RECORDS, read
from ..tables.cells import ROW
from ..tables.file_sizes import file_size
from ..tables.files import find_table

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Electrocardiograms:
    """The records from which admissions choose.

    Args:
        candidates: One row for each admission and record in its window, in order of preference within an admission:
            `hadm_id`, `study_id`, `hours`, `path` (below the root, without suffix).
        listing: Digest of the candidates' names and sizes.
        dropped: Lines of the table that were left out.
    """

    candidates: pl.DataFrame
    listing: str
    dropped: list[Dropped]


def find_electrocardiograms(roots: Roots, admissions: pl.DataFrame, spec: MimicSpec) -> Electrocardiograms:
    """Choose by time. Only the table and the sizes of the files are read.

    Raises:
        SourceError: the table is missing or damaged.
    """
    listed = read(find_table(roots, RECORDS), RECORDS)
    tie = ROW if spec.reference else "study_id"
    inside = events_of(listed.frame.lazy(), admissions, "ecg_time", ECG_WINDOW, spec.within_stay).collect()
    candidates = inside.sort("hadm_id", "hours", tie).select("hadm_id", "study_id", "hours", "path")
    paths = sorted(set(candidates["path"].to_list()))
    sizes = [[path, *(file_size(roots.mimic_ecg / (path + suffix)) for suffix in (".hea", ".dat"))] for path in paths]
    return Electrocardiograms(candidates=candidates, listing=digest(sizes), dropped=listed.dropped)
