"""The time windows around an admission, one for each modality, with their open and closed ends."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, kw_only=True)
class Window:
    """An interval of hours after admission. Its end is included, and so is its start unless `open_start`."""

    first_hours: int
    last_hours: int
    open_start: bool = False

    def contains(self, time: pl.Expr, admittime: pl.Expr) -> pl.Expr:
        """Tell whether a time lies in the window; null where a time is unknown."""
        import polars as pl

        since = time - admittime
        first = pl.duration(hours=self.first_hours)
        after = since > first if self.open_start else since >= first
        return after & (since <= pl.duration(hours=self.last_hours))


CXR_WINDOW = Window(first_hours=24, last_hours=72, open_start=True)
ECG_WINDOW = Window(first_hours=-24, last_hours=24)
LABS_WINDOW = Window(first_hours=-24, last_hours=24)


def hours_since(time: pl.Expr, admittime: pl.Expr) -> pl.Expr:
    """Compute the hours from admission, float64; negative before it."""
    return (time - admittime).dt.total_microseconds() / 3_600_000_000


def within_stay(time: pl.Expr) -> pl.Expr:
    """Tell whether a time lies after the patient's previous discharge and up to this one.

    The columns `stay_from` and `stay_until` have these two times (`admissions.read_admissions`); null means no limit.
    """
    import polars as pl

    after = (time > pl.col("stay_from")).fill_null(True)
    before = (time <= pl.col("stay_until")).fill_null(True)
    return after & before


def events_of(events: pl.LazyFrame, admissions: pl.DataFrame, time: str, window: Window, stay: bool) -> pl.LazyFrame:
    """Pair a patient's events with the patient's admissions in whose window they lie.

    Args:
        events: A table with `subject_id` and the column `time`.
        admissions: The table of `admissions.read_admissions`.
        time: Name of the column with the event's time.
        window: The window around the admission.
        stay: Keep only events within the stay.

    Returns:
        The events' columns, `hadm_id` and `hours` (float64 since admission); an event may serve several admissions.
    """
    import polars as pl

    moment, admitted = pl.col(time), pl.col("admittime")
    stays = admissions.lazy().select("subject_id", "hadm_id", "admittime", "stay_from", "stay_until")
    inside = window.contains(moment, admitted)
    return (
        events.join(stays, on="subject_id", how="inner")
        .filter(inside & within_stay(moment) if stay else inside)
        .with_columns(hours=hours_since(moment, admitted))
        .drop("admittime", "stay_from", "stay_until")
    )
