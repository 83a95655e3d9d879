"""Read the first value of each of the 50 blood tests around an admission, in one pass over labevents."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from symile_data.datasets.mimic.lab_items import ITEM_IDS, LABS
from symile_data.datasets.mimic.windows import LABS_WINDOW, events_of
from symile_data.format.manifest import Dropped

from ..tables import LABEVENTS, collect, scan
from ..tables.cells import ROW, CellKind, finite, typed, wrong
from ..tables.checks import faults, once, report, require_any

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class LabValues:
    """The laboratory values of N admissions; NaN where a test was not made in the window.

    Args:
        values: (N, 50) float64, in the unit of each test.
        hours: (N, 50) float64, hours since admission.
        units: Item -> its most frequent unit, "" where none is given.
        conflicts: Item -> number of values with another unit than that.
    """

    values: npt.NDArray[np.float64]
    hours: npt.NDArray[np.float64]
    units: dict[int, str]
    conflicts: dict[int, int]


_CHOOSE = ("itemid", "subject_id")  # the columns that select lines of the 50 tests and the cohort's patients
_OTHERS = tuple(name for name in LABEVENTS.columns if name not in _CHOOSE)  # read from the selected lines only


def first_labs(
    path: Path, admissions: pl.DataFrame, *, reference: bool, stay: bool
) -> tuple[pl.DataFrame, list[Dropped]]:
    """Read the first value of each test for each admission, and count the lines that are left out.

    Ties in time go to the smallest labevent_id; under `reference` to the first in the file. A value that is not finite
    in single precision is not a measurement. Lines without item or patient are counted in the whole table; of the
    others only lines with a value of one of the 50 tests and one of the patients are read and counted.

    Args:
        path: The table labevents. It is read once as a stream, in memory that does not grow with its length.
        admissions: The table of `admissions.read_admissions`; only values of its patients are kept.
        reference: Break ties as the public pipeline does.
        stay: Keep only values within the stay.

    Returns:
        `hadm_id`, `itemid`, `valuenum`, `valueuom`, `hours`, one row for each admission and test; and the lines left
        out, by reason.

    Raises:
        SourceError: the table is damaged, a cell does not have its column's type, two events of one labevent_id in the
            windows differ, or no line of the tests and patients can be used.
    """
    import polars as pl

    # The caches are nodes of the stream, not copies: the queries after them share one pass over the file.
    lines = typed(scan(path, LABEVENTS), {name: LABEVENTS.columns[name] for name in _CHOOSE}).cache()
    patients = admissions["subject_id"].unique().implode()
    chosen = lines.filter(pl.col("itemid").is_in(ITEM_IDS) & pl.col("subject_id").is_in(patients))
    events = typed(chosen, {name: LABEVENTS.columns[name] for name in _OTHERS})
    number: dict[str, CellKind] = {"valuenum": LABEVENTS.columns["valuenum"]}
    measured = events.filter(pl.col("valuenum").is_not_null() | wrong(number)).cache()
    usable = measured.with_columns(finite(LABEVENTS.columns)).filter(
        pl.all_horizontal(pl.col("labevent_id", "charttime", "valuenum").is_not_null())
    )
    inside, numbers, of_choice, of_others = collect(
        [
            events_of(usable.select(ROW, *LABEVENTS.columns), admissions, "charttime", LABS_WINDOW, stay),
            usable.select(pl.len()),
            faults(lines, LABEVENTS, _CHOOSE),
            faults(measured, LABEVENTS, _OTHERS),
        ],
        path,
    )
    unplaced = report(of_choice, path, LABEVENTS, lambda: scan(path, LABEVENTS))
    unusable = report(of_others, path, LABEVENTS, lambda: scan(path, LABEVENTS))
    require_any(numbers.item(), unusable, path)
    distinct, repeated = once(inside.unique(ROW).sort(ROW), path, LABEVENTS)  # an event may serve several admissions
    tie = ROW if reference else "labevent_id"
    first = (
        inside.join(distinct, on=ROW, how="semi")
        .sort("hadm_id", "itemid", "charttime", tie)
        .unique(["hadm_id", "itemid"], keep="first", maintain_order=True)
    )
    return first.select("hadm_id", "itemid", "valuenum", "valueuom", "hours"), [*unplaced, *unusable, *repeated]


def lab_values(first: pl.DataFrame, hadm_ids: list[int]) -> LabValues:
    """Arrange the first values by admission and test, and compare their units.

    >>> import polars as pl
    >>> table = {"hadm_id": [7], "itemid": [50802], "valuenum": [1.5], "valueuom": ["mEq/L"], "hours": [-2.0]}
    >>> lab_values(pl.DataFrame(table), [7]).values[0, :2].tolist()
    [1.5, nan]
    """
    import polars as pl

    rows = {hadm_id: row for row, hadm_id in enumerate(hadm_ids)}
    columns = {item: column for column, item in enumerate(ITEM_IDS)}
    kept = first.filter(pl.col("hadm_id").is_in(hadm_ids))
    row = [rows[hadm_id] for hadm_id in kept["hadm_id"].to_list()]
    column = [columns[item] for item in kept["itemid"].to_list()]
    values, hours = (np.full((len(hadm_ids), LABS), np.nan) for _ in range(2))
    values[row, column] = kept["valuenum"].to_numpy()
    hours[row, column] = kept["hours"].to_numpy()
    units, conflicts = _units(kept)
    return LabValues(values=values, hours=hours, units=units, conflicts=conflicts)


def _units(first: pl.DataFrame) -> tuple[dict[int, str], dict[int, int]]:
    """Find each test's most frequent unit, and count the values that have another one."""
    import polars as pl

    named = first.with_columns(pl.col("valueuom").str.strip_chars().replace("", None)).drop_nulls("valueuom")
    counts = (
        named.group_by("itemid", "valueuom").len().sort("itemid", "len", "valueuom", descending=[False, True, False])
    )
    units: dict[int, str] = dict.fromkeys(ITEM_IDS, "")
    conflicts: dict[int, int] = {}
    for item, unit, count in counts.iter_rows():
        if not units[item]:
            units[item] = unit
        else:
            conflicts[item] = conflicts.get(item, 0) + count
    return units, conflicts
