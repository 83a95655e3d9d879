"""The cells and keys of the MIMIC tables: the same table in every form, and every line told that cannot be used."""

from __future__ import annotations

import gzip
import math
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from symile_data.builders.mimic.cohort.cxr import other_views
from symile_data.builders.mimic.cohort.labs import first_labs, lab_values
from symile_data.builders.mimic.tables import (
    ADMISSIONS,
    CHEXPERT,
    LABEVENTS,
    METADATA,
    PATIENTS,
    RECORDS,
    TABLES,
    Table,
    TableRows,
    read,
)
from symile_data.builders.mimic.tables.cells import LARGEST, ROW
from symile_data.errors import SourceError

AT = "2150-03-01 12:00:00"
LINES = {
    PATIENTS.stem: {"subject_id": "10000032", "gender": "F", "anchor_age": "52", "anchor_year": "2180"},
    ADMISSIONS.stem: {"subject_id": "10000032", "hadm_id": "22595853", "admittime": AT, "dischtime": AT},
    LABEVENTS.stem: {"labevent_id": "1", "subject_id": "7", "itemid": "50912", "charttime": AT, "valuenum": "1.5",
                     "valueuom": "mg/dL"},
    METADATA.stem: {"dicom_id": "02aa804e-bde0afdd", "subject_id": "10000032", "study_id": "50414267",
                    "ViewPosition": "PA", "StudyDate": "21800506", "StudyTime": "213014.531"},
    CHEXPERT.stem: {"study_id": "50414267", **dict.fromkeys(list(CHEXPERT.columns)[1:], ""), "Edema": "-1.0"},
    RECORDS.stem: {"subject_id": "10000032", "study_id": "40689238", "ecg_time": AT, "path": "files/p1000/40689238"},
}  # fmt: skip


def line(table: Table, **cells: str) -> dict[str, str]:
    return {**LINES[table.stem], **cells}


def put(path: Path, table: Table, rows: list[dict[str, str]], *, end: str = "\n", quote: str = "") -> Path:
    cells = [list(table.columns), *([row[name] for name in table.columns] for row in rows)]
    text = "".join(",".join(f"{quote}{cell}{quote}" for cell in row) + end for row in cells)
    path.write_bytes(gzip.compress(text.encode(), mtime=0) if path.suffix == ".gz" else text.encode())
    return path


def reasons(rows: TableRows) -> dict[str, int | None]:
    return {entry.reason: entry.count for entry in rows.dropped}


def values(rows: TableRows) -> list[dict[str, Any]]:
    return rows.frame.drop(ROW).to_dicts()


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_every_table_declares_its_keys_and_what_it_needs(table: Table) -> None:
    assert table.keys and set(table.keys) <= set(table.needed) <= set(table.columns)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
@pytest.mark.parametrize("form", ["gz", "quoted", "crlf", "bom", "spaces", "blank lines", "other order", "parquet"])
def test_a_table_is_the_same_in_every_form(tmp_path: Path, table: Table, form: str) -> None:
    rows = [line(table)]
    expected = read(put(tmp_path / "plain.csv", table, rows), table)
    path = tmp_path / "other.csv"
    if form == "gz":
        put(tmp_path / "other.csv.gz", table, rows)
        path = tmp_path / "other.csv.gz"
    elif form == "quoted":
        put(path, table, rows, quote='"')
    elif form == "crlf":
        put(path, table, rows, end="\r\n")
    elif form == "bom":
        put(path, table, rows)
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes())
    elif form == "spaces":
        put(path, table, [{name: f" {cell} " for name, cell in row.items()} for row in rows])
    elif form == "blank lines":
        put(path, table, rows, end="\n\n")
    elif form == "other order":
        names = [*reversed(list(table.columns)), "more"]
        cells = [{**row, "more": "x"}[name] for row in rows for name in names]
        path.write_text(",".join(names) + "\n" + ",".join(cells) + "\n")
    else:
        path = path.with_suffix(".parquet")
        pl.read_csv(tmp_path / "plain.csv", try_parse_dates=True).write_parquet(path)
    found = read(path, table)
    assert values(found) == values(expected) and len(expected.frame) == 1
    assert found.dropped == expected.dropped == []


def test_the_values_of_a_line(tmp_path: Path) -> None:
    (row,) = values(read(put(tmp_path / "t.csv", METADATA, [line(METADATA)]), METADATA))
    assert row == {
        "dicom_id": "02aa804e-bde0afdd", "subject_id": 10000032, "study_id": 50414267, "ViewPosition": "PA",
        "StudyDate": date(2180, 5, 6), "StudyTime": "213014",
    }  # fmt: skip
    (row,) = values(read(put(tmp_path / "l.csv", LABEVENTS, [line(LABEVENTS, valuenum="1e-3")]), LABEVENTS))
    assert row["valuenum"] == 0.001 and row["charttime"] == datetime(2150, 3, 1, 12)


@pytest.mark.parametrize(
    ("table", "column", "texts"),
    [
        (PATIENTS, "subject_id", ["10000032.0", " 10000032", "+10000032", "010000032"]),
        (METADATA, "StudyDate", ["21800506.0", "2180-05-06", "2180-05-06 00:00:00"]),
        (METADATA, "StudyTime", ["213014", "213014.0", "21:30:14", "21:30:14.531"]),
        (CHEXPERT, "Edema", ["-1", "-1.00"]),
        (ADMISSIONS, "admittime", ["2150-03-01T12:00:00", "2150-03-01 12:00:00.000000"]),
        (LABEVENTS, "valuenum", ["1.50", "+1.5", "15e-1"]),
    ],
)
def test_other_spellings_of_a_value(tmp_path: Path, table: Table, column: str, texts: list[str]) -> None:
    expected = values(read(put(tmp_path / "t.csv", table, [line(table)]), table))
    for text in texts:
        assert values(read(put(tmp_path / "o.csv", table, [line(table, **{column: text})]), table)) == expected


@pytest.mark.parametrize(
    ("column", "stored"),
    [
        ("StudyDate", pl.Series([date(2180, 5, 6)])),
        ("StudyDate", pl.Series([datetime(2180, 5, 6)])),
        ("StudyDate", pl.Series([21800506.0])),
        ("StudyTime", pl.Series([time(21, 30, 14, 531_000)])),
        ("StudyTime", pl.Series([213014])),
        ("subject_id", pl.Series([10000032.0])),
        ("ViewPosition", pl.Series(["PA"], dtype=pl.Categorical)),
    ],
    ids=lambda value: str(getattr(value, "dtype", value)),
)
def test_parquet_columns_of_other_types(tmp_path: Path, column: str, stored: pl.Series) -> None:
    expected = read(put(tmp_path / "t.csv", METADATA, [line(METADATA)]), METADATA)
    frame = pl.read_csv(tmp_path / "t.csv").with_columns(stored.alias(column))
    frame.write_parquet(tmp_path / "t.parquet")
    assert values(read(tmp_path / "t.parquet", METADATA)) == values(expected)


def test_times_with_a_zone_are_the_clocks(tmp_path: Path) -> None:
    frame = pl.read_csv(put(tmp_path / "t.csv", ADMISSIONS, [line(ADMISSIONS)]), try_parse_dates=True)
    zoned = frame.with_columns(pl.col("admittime", "dischtime").dt.replace_time_zone("America/New_York"))
    zoned.write_parquet(tmp_path / "t.parquet")
    assert values(read(tmp_path / "t.parquet", ADMISSIONS))[0]["admittime"] == datetime(2150, 3, 1, 12)


@pytest.mark.parametrize(
    ("table", "column", "text"),
    [
        *((PATIENTS, "subject_id", text) for text in ("-5", "0", "1e7", "12.5", "9" * 25, "x", "1,0")),
        (PATIENTS, "anchor_age", "100000"),
        *((CHEXPERT, "Edema", text) for text in ("300", "0.5", "2", "-2.0", "yes")),
        *((METADATA, "dicom_id", text) for text in ("a" * 300, "../x", "..", "a/b", "a\\b", "a\x07b")),
        *((RECORDS, "path", text) for text in ("/etc/passwd", "files/../../x", "a//b", "files/")),
        (RECORDS, "ecg_time", "1 March"),
        (ADMISSIONS, "admittime", "2150-02-30 12:00:00"),
        *((LABEVENTS, "valuenum", text) for text in ("<0.1", "1.2.3", "high")),
    ],
    ids=lambda value: getattr(value, "stem", value)[:12],
)
def test_a_cell_of_another_kind_is_an_error_that_names_it(tmp_path: Path, table: Table, column: str, text: str) -> None:
    rows = [line(table, **dict.fromkeys(table.keys, f"{number}")) for number in (8, 9)]
    path = put(tmp_path / "t.csv", table, [*rows, line(table, **{column: text})], quote='"')
    with pytest.raises(SourceError) as caught:
        read(path, table)
    assert f"({path}, line 4); got {column} " in str(caught.value) and len(str(caught.value)) < 400 + len(str(path))
    assert repr(text[:60])[1:-1].replace("\\", "") in str(caught.value).replace("\\", "")


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
@pytest.mark.parametrize("empty", ["", "___", " ", "nan"])
def test_a_line_without_a_needed_cell_is_left_out_and_counted(tmp_path: Path, table: Table, empty: str) -> None:
    for column in table.needed:
        if empty == "nan" and table.columns[column] in ("name", "path"):
            continue  # a file may be called so
        missing = line(table, **{column: empty})
        others = {key: "99" for key in table.keys if key != column}
        rows = read(put(tmp_path / "t.csv", table, [line(table), {**missing, **others}]), table)
        assert len(rows.frame) == 1
        assert reasons(rows) == {f"{table.noun.split(maxsplit=1)[1]}: its line has no {column}": 1}


def test_a_line_counts_once(tmp_path: Path) -> None:
    rows = [line(METADATA), line(METADATA, dicom_id="", study_id=""), line(METADATA, dicom_id="x", study_id="")]
    assert reasons(read(put(tmp_path / "t.csv", METADATA, rows), METADATA)) == {
        "X-ray: its line has no dicom_id": 1,
        "X-ray: its line has no study_id": 1,
    }


def test_a_table_without_a_usable_line_is_refused(tmp_path: Path) -> None:
    rows = [line(RECORDS, study_id=""), line(RECORDS, path="")]
    with pytest.raises(SourceError, match=r"no line of a table can be used .*has no study_id: 1; .*has no path: 1"):
        read(put(tmp_path / "t.csv", RECORDS, rows), RECORDS)
    assert not len(read(put(tmp_path / "t.csv", RECORDS, []), RECORDS).frame)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
def test_equal_lines_are_one(tmp_path: Path, table: Table) -> None:
    keys = dict.fromkeys(table.keys, "77")
    rows = read(put(tmp_path / "t.csv", table, [line(table), line(table, **keys), line(table), line(table)]), table)
    assert rows.frame[ROW].to_list() == [0, 1]
    assert list(reasons(rows).values()) == [2]


OTHER = {
    PATIENTS.stem: {"gender": "M"}, ADMISSIONS.stem: {"subject_id": "5"}, LABEVENTS.stem: {"valuenum": "2.5"},
    METADATA.stem: {"ViewPosition": ""}, CHEXPERT.stem: {"Edema": ""}, RECORDS.stem: {"path": "files/x"},
}  # fmt: skip


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.stem)
@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_lines_that_differ_under_one_key_are_an_error_that_names_them(
    tmp_path: Path, table: Table, suffix: str
) -> None:
    between = line(table, **dict.fromkeys(table.keys, "77"))
    path = put(tmp_path / "t.csv", table, [line(table), between, line(table, **OTHER[table.stem])])
    if suffix == ".parquet":
        pl.read_csv(path, infer_schema=False).write_parquet(tmp_path / "t.parquet")
        path = tmp_path / "t.parquet"
    key = table.keys[0]
    where = "rows 1 and 3" if suffix == ".parquet" else "lines 2 and 4"
    with pytest.raises(SourceError) as caught:
        read(path, table)
    assert f"is listed twice with different cells ({path}); got {key} {LINES[table.stem][key]} in {where}" in str(
        caught.value
    )


def test_two_records_of_one_path_are_an_error(tmp_path: Path) -> None:
    path = put(tmp_path / "t.csv", RECORDS, [line(RECORDS), line(RECORDS, study_id="5")])
    with pytest.raises(SourceError, match="got path files/p1000/40689238 in lines 2 and 3"):
        read(path, RECORDS)


def test_columns_that_are_there_twice_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_text("study_id,subject_id,ecg_time,path,path\n1,2,2150-03-01 12:00:00,a,b\n")
    with pytest.raises(SourceError, match="has the column path more than once"):
        read(path, RECORDS)


@pytest.mark.parametrize("text", ["inf", "-inf", "Infinity", "1e39", "-3.5e38", "1e400"])
def test_a_number_that_is_not_finite_is_null_and_counted(tmp_path: Path, text: str) -> None:
    rows = read(put(tmp_path / "t.csv", LABEVENTS, [line(LABEVENTS, valuenum=text)]), LABEVENTS)
    assert values(rows)[0]["valuenum"] is None
    assert reasons(rows) == {"laboratory value: its valuenum is not a finite number": 1}


@pytest.mark.parametrize("text", ["nan", "NaN", "", "___"])
def test_a_number_that_is_not_there_is_null(tmp_path: Path, text: str) -> None:
    rows = read(put(tmp_path / "t.csv", LABEVENTS, [line(LABEVENTS, valuenum=text)]), LABEVENTS)
    assert values(rows)[0]["valuenum"] is None and rows.dropped == []


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", ""])
def test_a_finding_that_is_no_number_is_null(tmp_path: Path, text: str) -> None:
    (row,) = values(read(put(tmp_path / "t.csv", CHEXPERT, [line(CHEXPERT, Edema=text)]), CHEXPERT))
    assert row["Edema"] is None


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30, deadline=3000)
@given(st.lists(st.floats(width=64), min_size=1, max_size=8))
def test_numbers_come_as_they_were_written(tmp_path: Path, numbers: list[float]) -> None:
    """Text and Parquet alike, exactly."""
    cells = [line(LABEVENTS, labevent_id=str(i + 1), valuenum=repr(number)) for i, number in enumerate(numbers)]
    path = put(tmp_path / "t.csv", LABEVENTS, cells)
    frame = pl.read_csv(path, infer_schema=False).with_columns(valuenum=pl.Series(numbers, dtype=pl.Float64))
    frame.write_parquet(tmp_path / "t.parquet")
    expected = [number if abs(number) <= LARGEST and not math.isnan(number) else None for number in numbers]
    for file in (path, tmp_path / "t.parquet"):
        assert read(file, LABEVENTS).frame["valuenum"].to_list() == expected


def test_views_are_counted_by_value() -> None:
    views = pl.Series(["PA", "AP", "LATERAL", None, "LATERAL", "ap", "Mr. Smith's chest", "LL"])
    assert {entry.reason: entry.count for entry in other_views(views)} == {
        "X-ray: its view is LATERAL, neither AP nor PA": 2,
        "X-ray: its view is LL, neither AP nor PA": 1,
        "X-ray: its view is not one of the usual codes": 2,
        "X-ray: its view is not given": 1,
    }
    assert len(other_views(pl.Series([f"V{number}" for number in range(1000)]))) == 21


ADMITTED = pl.DataFrame({"subject_id": [7], "hadm_id": [1], "admittime": [datetime(2150, 3, 1, 12)]}).with_columns(
    stay_from=pl.lit(None, pl.Datetime("us")), stay_until=pl.lit(None, pl.Datetime("us"))
)


def labs_of(tmp_path: Path, *rows: dict[str, str]) -> tuple[list[float], dict[str, int | None]]:
    path = put(tmp_path / "labevents.csv.gz", LABEVENTS, list(rows))
    first, dropped = first_labs(path, ADMITTED, reference=False, stay=False)
    return first["valuenum"].to_list(), {entry.reason: entry.count for entry in dropped}


def test_labevents_are_checked_as_they_stream_by(tmp_path: Path) -> None:
    """Lines of other tests and patients are not read beyond item and patient."""
    good = line(LABEVENTS, labevent_id="100")
    assert labs_of(
        tmp_path,
        line(LABEVENTS, labevent_id="1", valuenum="inf"),
        line(LABEVENTS, labevent_id="2", charttime=""),
        line(LABEVENTS, labevent_id=""),
        line(LABEVENTS, labevent_id="3", subject_id=""),
        line(LABEVENTS, labevent_id="4", itemid="___"),
        line(LABEVENTS, labevent_id="5", valuenum=""),
        line(LABEVENTS, labevent_id="6", valuenum="high", itemid="51514"),
        line(LABEVENTS, labevent_id="x", subject_id="8"),
        good,
        good,
    ) == (
        [1.5],
        {
            "laboratory value: its line has no subject_id": 1,
            "laboratory value: its line has no itemid": 1,
            "laboratory value: its line has no labevent_id": 1,
            "laboratory value: its line has no charttime": 1,
            "laboratory value: its valuenum is not a finite number": 1,
            "laboratory value: its line repeats another one": 1,
        },
    )


@pytest.mark.parametrize(
    ("cells", "words"),
    [
        ({"valuenum": "high"}, "line 3.*got valuenum 'high', which is not a number"),
        ({"itemid": "creatinine"}, "line 3.*got itemid 'creatinine'"),
        ({"subject_id": "-7"}, "line 3.*got subject_id '-7'"),
        ({"charttime": "noon"}, "line 3.*got charttime 'noon'"),
        ({"valuenum": "2.5"}, "a laboratory value is listed twice .*got labevent_id 1 in lines 2 and 3"),
    ],
)
def test_a_wrong_event_is_named(tmp_path: Path, cells: dict[str, str], words: str) -> None:
    with pytest.raises(SourceError, match=words):
        labs_of(tmp_path, line(LABEVENTS), line(LABEVENTS, **cells))


@pytest.mark.parametrize(
    ("written", "unit", "others"),
    [
        (["a", " b", "b ", None, ""], "b", 1),
        (["b", "a", "c"], "a", 2),
        (["c", "c", "b", "a", "c"], "c", 2),
        (["", None], "", 0),
    ],
)
def test_the_unit_of_a_test_is_its_most_frequent_one(written: list[str | None], unit: str, others: int) -> None:
    hadm_ids = list(range(len(written)))
    events = {"hadm_id": hadm_ids, "valuenum": [1.0] * len(written), "hours": [0.0] * len(written)}
    found = lab_values(pl.DataFrame(events | {"valueuom": written}).with_columns(itemid=pl.lit(50912)), hadm_ids)
    assert (found.units[50912], found.conflicts.get(50912, 0)) == (unit, others)
    assert found.units[50802] == "" and len(found.conflicts) == bool(others)


def test_events_of_which_none_can_be_used_are_told(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"no line of a table can be used .*its line has no charttime: 2"):
        labs_of(tmp_path, line(LABEVENTS, charttime=""), line(LABEVENTS, labevent_id="2", charttime=""))
    assert labs_of(tmp_path, line(LABEVENTS, itemid="51514"), line(LABEVENTS, itemid="")) == (
        [],
        {"laboratory value: its line has no itemid": 1},
    )


def test_a_line_with_more_cells_than_columns_is_refused(tmp_path: Path) -> None:
    """Of "1,234" without quotes, 234 would stand in the next column, although no cell of the columns that are read is
    beyond the last one."""
    whole = "labevent_id,subject_id,itemid,charttime,value,valuenum,valueuom,flag,comments\n"
    for name in ("labevents.csv", "labevents.csv.gz"):
        path = tmp_path / name
        text = f"{whole}1,7,50912,{AT},1,234,1234,mg/dL,,\n".encode()
        path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)
        with pytest.raises(SourceError, match="got a line with more cells than there are columns"):
            first_labs(path, ADMITTED, reference=False, stay=False)
        with pytest.raises(SourceError, match="got a line with more cells than there are columns"):
            read(path, LABEVENTS)
