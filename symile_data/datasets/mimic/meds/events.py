"""The events of admissions: what the rows of a dataset say, one measurement a line.

Each admission gives an event for itself, its discharge, its X-ray, its ECG and each of its blood tests. A patient's sex
is an event without a time, and the birth one at the start of its year. X-ray and ECG are referred to by shard, row and
column, since a dataset has them inside its shards; their ids in the releases stand beside.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from ..lab_items import ITEM_IDS, LAB_ITEMS, lab_numbers
from ..windows import LABS_WINDOW
from .schema import ADMISSION, BIRTH, CODES, CXR, DISCHARGE, ECG, EVENTS, GENDER, LAB
from .times import MICROSECONDS_A_DAY, MICROSECONDS_AN_HOUR, Floats, Times, admission_times, moments

# Columns of the rows that `events_of` needs, and those that it uses where there are any.
NEEDED = (
    "sample_id", "subject_id", "hadm_id", "admittime", "gender", "age", "labs", "labs_hours",
    "cxr_missing", "cxr_hours", "cxr_dicom_id", "cxr_study_id", "view_position",
    "ecg_missing", "ecg_hours", "ecg_study_id",
)  # fmt: skip
DISCHARGED = "length_of_stay_days"

_DESCRIPTIONS = {
    BIRTH: "start of the year of birth, from the age in the year of admission",
    ADMISSION: "admission to hospital",
    DISCHARGE: "discharge from hospital, or death in it",
    ECG: "12-lead electrocardiogram of 10 s",
    f"{CXR}//AP": "frontal chest X-ray, anteroposterior",
    f"{CXR}//PA": "frontal chest X-ray, posteroanterior",
    f"{GENDER}//F": "female",
    f"{GENDER}//M": "male",
}


def events_of(rows: pa.Table, paths: Sequence[str], places: Sequence[int], units: Mapping[int, str]) -> pa.Table:
    """List the events of some admissions.

    Args:
        rows: Rows of a dataset with the columns `NEEDED`; all rows of a patient together.
        paths: The shard of each row, below the dataset's directory.
        places: The number of each row in its shard.
        units: Test -> its unit, "" for none.

    Returns:
        Events in the schema `EVENTS`, by patient and time; those without a time come first.

    Raises:
        ValueError: a time of admission is no time.
    """
    admitted = admission_times(rows["admittime"].to_pylist())
    parts = [
        _static(rows),
        _stays(rows, admitted),
        _media(rows, admitted, "cxr", pc.binary_join_element_wise(CXR, rows["view_position"], "//"), paths, places),
        _media(rows, admitted, "ecg", pa.array([ECG] * len(rows)), paths, places),
        _tests(rows, admitted, units),
    ]
    events = pa.concat_tables(parts)
    return events.take(pa.array(_order(events))).combine_chunks()


def lab_code(item: int, unit: str) -> str:
    """Return the code of a blood test.

    >>> lab_code(50912, "mg/dL"), lab_code(51237, "")
    ('LAB//50912//mg/dL', 'LAB//51237//UNK')
    """
    return f"{LAB}//{item}//{unit or 'UNK'}"


def codes_of(events: Sequence[pa.Table], units: Mapping[int, str]) -> pa.Table:
    """Describe every code of some events, in the schema `CODES`."""
    tests = {lab_code(item, units.get(item, "")): name for item, name in LAB_ITEMS.items()}
    found = sorted({code for table in events for code in pc.unique(table["code"]).to_pylist()})
    described = [_DESCRIPTIONS.get(code) or tests.get(code) for code in found]
    return pa.table([found, described, [None] * len(found)], schema=CODES)


def end_of_reading(rows: pa.Table) -> Times:
    """Return for each row the time of the last X-ray, ECG or test of the row, in microseconds since 1970: a model that
    reads the row knows nothing that is later. It is not before the admission.
    """
    admitted = admission_times(rows["admittime"].to_pylist())
    hours = [_numbers(rows[name]) for name in ("cxr_hours", "ecg_hours")]
    times = [np.where(np.isnan(of), admitted, moments(admitted, of)) for of in hours]
    of_tests, _ = _test_times(rows, admitted)
    measured = ~np.isnan(lab_numbers(rows["labs"]))
    latest: Times = np.maximum.reduce([*times, np.where(measured, of_tests, admitted[:, None]).max(axis=1)])
    return latest


def _order(events: pa.Table) -> npt.NDArray[np.int64]:
    """Return the order of events: by patient, time (none first), code and row."""
    earliest = np.iinfo(np.int64).min
    times = pc.fill_null(events["time"].cast(pa.int64()), earliest).to_numpy()
    _, codes = np.unique(np.array(events["code"].to_pylist()), return_inverse=True)
    rows = pc.fill_null(events["sample_id"], earliest).to_numpy()
    return np.lexsort([rows, codes, times, events["subject_id"].to_numpy()])


def _static(rows: pa.Table) -> pa.Table:
    """Make the events of each patient, from the patient's first row: sex and birth."""
    first = np.unique(rows["subject_id"].to_numpy(), return_index=True)[1]
    people = rows.select(["subject_id", "gender", "age", "admittime"]).take(pa.array(first))
    sex = people.filter(pc.is_valid(people["gender"]))
    aged = people.filter(pc.is_valid(people["age"]))
    years = [int(text[:4]) for text in aged["admittime"].to_pylist()]
    births = [
        np.datetime64(f"{year - age:04d}-01-01", "us") for year, age in zip(years, aged["age"].to_pylist(), strict=True)
    ]
    return pa.concat_tables(
        [
            _events(subject_id=sex["subject_id"], code=pc.binary_join_element_wise(GENDER, sex["gender"], "//")),
            _events(
                subject_id=aged["subject_id"],
                time=pa.array(np.array(births, dtype="datetime64[us]")),
                code=pa.array([BIRTH] * len(births)),
            ),
        ]
    )


def _stays(rows: pa.Table, admitted: Times) -> pa.Table:
    """Make the admissions, and the discharges of which the dataset has the time."""
    parts = [_of_rows(rows, time=_stamps(admitted), code=pa.array([ADMISSION] * len(rows)))]
    if DISCHARGED in rows.column_names:
        known = pc.is_valid(rows[DISCHARGED]).to_numpy()
        left = rows.filter(pa.array(known))
        days = left[DISCHARGED].to_numpy()
        ends = admitted[known] + np.rint(days * MICROSECONDS_A_DAY).astype(np.int64)
        parts.append(_of_rows(left, time=_stamps(ends), code=pa.array([DISCHARGE] * len(left))))
    return pa.concat_tables(parts)


def _media(
    rows: pa.Table, admitted: Times, name: str, codes: Any, paths: Sequence[str], places: Sequence[int]
) -> pa.Table:
    """Make the events of one kind of media, for the rows that have it."""
    there = ~rows[f"{name}_missing"].to_numpy()
    chosen = rows.filter(pa.array(there))
    numbers = np.flatnonzero(there).tolist()
    hours = _numbers(chosen[f"{name}_hours"])
    return _of_rows(
        chosen,
        time=_stamps(moments(admitted[there], hours)),
        code=pc.filter(codes, pa.array(there)),
        study_id=chosen[f"{name}_study_id"],
        dicom_id=chosen["cxr_dicom_id"] if name == "cxr" else pa.nulls(len(chosen), pa.string()),
        media_path=pa.array([paths[number] for number in numbers], pa.string()),
        media_row=pa.array([places[number] for number in numbers], pa.int64()),
        media_column=pa.array([name] * len(chosen), pa.string()),
        time_known=pa.array([True] * len(chosen)),
    )


def _tests(rows: pa.Table, admitted: Times, units: Mapping[int, str]) -> pa.Table:
    """Make one event for each value of a blood test."""
    values = lab_numbers(rows["labs"])
    times, known = _test_times(rows, admitted)
    number, column = np.nonzero(~np.isnan(values))
    codes = pa.array([lab_code(item, units.get(item, "")) for item in ITEM_IDS])
    named = pa.array([units.get(item) or None for item in ITEM_IDS], pa.string())
    return _of_rows(
        rows.take(pa.array(number)),
        time=_stamps(times[number, column]),
        code=codes.take(pa.array(column)),
        numeric_value=pa.array(values[number, column].astype(np.float32)),
        unit=named.take(pa.array(column)),
        time_known=pa.array(known[number, column]),
    )


def _test_times(rows: pa.Table, admitted: Times) -> tuple[Times, npt.NDArray[np.bool_]]:
    """Return (N, 50) times of the tests, and whether each is known. An unknown one counts as the end of the window, the
    first moment at which the test was certainly made.
    """
    hours = lab_numbers(rows["labs_hours"])
    known = ~np.isnan(hours)
    latest = admitted[:, None] + LABS_WINDOW.last_hours * MICROSECONDS_AN_HOUR
    return np.where(known, moments(admitted, hours), latest), known


def _of_rows(rows: pa.Table, **columns: Any) -> pa.Table:
    """Make events with the ids of their admissions."""
    ids = {name: rows[name] for name in ("subject_id", "hadm_id", "sample_id")}
    return _events(**ids, **columns)


def _events(**columns: Any) -> pa.Table:
    """Make events; columns that are not given are null."""
    count = len(columns["subject_id"])
    return pa.table(
        [columns.get(field.name, pa.nulls(count, field.type)) for field in EVENTS], names=EVENTS.names
    ).cast(EVENTS)


def _stamps(times: Times) -> pa.Array:
    return pa.array(times, pa.timestamp("us"))


def _numbers(column: pa.ChunkedArray) -> Floats:
    """Return numbers as float64, NaN where null."""
    return np.array(column.to_pylist(), dtype=np.float64)
