"""The windows around an admission: which of their ends belong to them."""

from datetime import datetime, timedelta
from typing import Any

import polars as pl
import pytest

from symile_data.datasets.mimic.windows import (
    CXR_WINDOW,
    ECG_WINDOW,
    LABS_WINDOW,
    Window,
    events_of,
    hours_since,
    within_stay,
)

ADMITTED = datetime(2150, 3, 1, 12)
MOMENT = timedelta(microseconds=1)


@pytest.mark.parametrize(
    ("window", "inside", "outside"),
    [
        (CXR_WINDOW, [timedelta(hours=24) + MOMENT, timedelta(hours=72)], [timedelta(hours=24)]),
        (ECG_WINDOW, [timedelta(hours=-24), timedelta(hours=24)], [timedelta(hours=-24) - MOMENT]),
        (LABS_WINDOW, [timedelta(hours=-24), timedelta(hours=24)], [timedelta(hours=24) + MOMENT]),
    ],
)
def test_a_window_has_the_ends_that_it_says(window: Window, inside: list[Any], outside: list[Any]) -> None:
    times = pl.DataFrame({"time": [ADMITTED + since for since in [*inside, *outside]]}, schema={"time": pl.Datetime})
    found = times.select(window.contains(pl.col("time"), pl.lit(ADMITTED)))["time"].to_list()
    assert found == [True] * len(inside) + [False] * len(outside)


def test_a_stay_begins_after_the_last_discharge_and_ends_with_this_one() -> None:
    before, after = ADMITTED - timedelta(days=9), ADMITTED + timedelta(days=3)
    rows = [
        (before, before, after, False),
        (before + MOMENT, before, after, True),
        (after, before, after, True),
        (after + MOMENT, before, after, False),
        (before, None, after, True),  # a first stay has no discharge before it
        (after + MOMENT, before, None, True),
    ]
    table = pl.DataFrame(rows, schema=["time", "stay_from", "stay_until", "inside"], orient="row")
    assert table.select(within_stay(pl.col("time")))["time"].to_list() == table["inside"].to_list()


def test_hours_are_counted_from_admission() -> None:
    times = pl.DataFrame({"time": [ADMITTED - timedelta(minutes=90), ADMITTED + timedelta(hours=2)]})
    assert times.select(hours_since(pl.col("time"), pl.lit(ADMITTED)))["time"].to_list() == [-1.5, 2.0]


@pytest.mark.parametrize("stay", [False, True])
def test_events_are_paired_with_the_admissions_of_their_own_patient(stay: bool) -> None:
    admissions = pl.DataFrame(
        {
            "subject_id": [1, 1, 2],
            "hadm_id": [11, 12, 21],
            "admittime": [ADMITTED, ADMITTED + timedelta(hours=20), ADMITTED],
            "stay_from": [None, ADMITTED + timedelta(hours=15), None],
            "stay_until": [ADMITTED + timedelta(hours=15), None, None],
        }
    )
    events = pl.DataFrame({"subject_id": [1], "at": [ADMITTED + timedelta(hours=10)], "value": [0.5]})
    found = events_of(events.lazy(), admissions, "at", ECG_WINDOW, stay).sort("hadm_id").collect()
    assert found.columns == ["subject_id", "at", "value", "hadm_id", "hours"]
    pairs = list(zip(found["hadm_id"], found["hours"], strict=True))
    assert pairs == [(11, 10.0)] if stay else pairs == [(11, 10.0), (12, -10.0)]
