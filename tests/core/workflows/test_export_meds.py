"""MEDS: valid by the standard's own package, and the rows of the dataset can be read back from the events."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from datetime import datetime, timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from command import outcome
from factories import contents, relist
from hypothesis import given
from hypothesis import strategies as st
from meds import schema as meds
from mimic_tree import START, Tree

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.datasets.mimic.icd import CHAPTER_COLUMNS
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.meds import schema as ours
from symile_data.datasets.mimic.meds.labels import LABELS
from symile_data.datasets.mimic.meds.times import MICROSECONDS_AN_HOUR, admission_times, moments
from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.errors import DamageError, UsageError
from symile_data.format import manifest as manifests
from symile_data.reliability import Reliability
from symile_data.workflows.export.meds import export_meds

FIRST, STAY = 10_000_000, 20_000_000
UNITS = {ITEM_IDS[5]: "", 50912: "mg/dL"}
SHARDS = {"train": "train", "tuning": "validation", "held_out": "test"}


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Admissions with odd seconds, two stays of a patient, gaps in every modality. Not to be changed."""
    root = tmp_path_factory.mktemp("meds")
    tree = Tree(root)
    for number in range(12):
        subject_id, hadm_id = FIRST + number, STAY + number
        at = START + timedelta(days=40 * number, seconds=977 * number)
        tree.admit(subject_id, hadm_id, at, days=3 + number / 7, died=int(number == 4))
        tree.diagnose(subject_id, hadm_id, "I4891" if number % 2 else "N179")
        if number % 5 != 1:
            tree.picture(subject_id, 30 + number / 11, at, view="PA" if number % 3 else "AP", labelled=number != 6)
        if number % 5 != 2:
            tree.record(subject_id, -3 - number / 13, at)
        if number % 5 != 3:
            for place, item in enumerate(ITEM_IDS[number : number + 7]):
                unit = UNITS.get(item, "mEq/L")
                tree.lab(subject_id, place / 7 - 9, 0.1 + number + place / 3, at, item=item, unit=unit)
    again = START + timedelta(days=500)
    tree.admit(FIRST, STAY + 100, again, died=0)
    tree.picture(FIRST, 40, again)
    tree.record(FIRST, 0, again)
    tree.lab(FIRST, 24, 5.5, again)
    spec = MimicSpec(roots=tree.write(), allow_missing=True, train=7, validation=3, candidates=2)
    build_mimic(spec, root / "out", workers=1, write_card=no_card)
    return root / "out"


@pytest.fixture(scope="module")
def exported(dataset: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "meds"
    export_meds(dataset, out)
    return out


def stored(directory: Path) -> list[dict[str, Any]]:
    """The rows of all splits, with shard and place in it."""
    return [
        {**row, "path": entry.path, "place": place}
        for entry in manifests.read(directory).shards()
        for place, row in enumerate(pq.read_table(directory / entry.path).to_pylist())
    ]


def test_the_schemas_are_those_of_the_package() -> None:
    for schema, theirs in (
        (ours.EVENTS, meds.DataSchema),
        (ours.CODES, meds.CodeMetadataSchema),
        (ours.SUBJECT_SPLITS, meds.SubjectSplitSchema),
    ):
        for field in theirs.schema():
            assert schema.field(field.name).type == field.type
    assert version("meds") == ours.MEDS_VERSION
    assert (
        meds.code_metadata_filepath, meds.subject_splits_filepath, meds.dataset_metadata_filepath,
    ) == (ours.CODES_FILE, ours.SPLITS_FILE, ours.DATASET_FILE)  # fmt: skip
    assert list(ours.SPLIT_NAMES.values()) == [meds.train_split, meds.tuning_split, meds.held_out_split]
    assert meds.birth_code == ours.BIRTH and meds.data_subdirectory == "data"


def test_every_file_is_valid(exported: Path) -> None:
    files = sorted((exported / meds.data_subdirectory).rglob("*.parquet"))
    assert [str(path.relative_to(exported)) for path in files] == [f"data/{name}/0.parquet" for name in sorted(SHARDS)]
    codes = pq.read_table(exported / meds.code_metadata_filepath)
    meds.CodeMetadataSchema.validate(codes)
    splits = pq.read_table(exported / meds.subject_splits_filepath)
    meds.SubjectSplitSchema.validate(splits)
    split_of = dict(zip(*(splits[name].to_pylist() for name in ("subject_id", "split")), strict=True))
    used: set[str] = set()
    for path in files:
        table = pq.read_table(path)
        meds.DataSchema.validate(table)
        used |= set(table["code"].to_pylist())
        pairs = zip(table["subject_id"].to_pylist(), table["time"].to_pylist(), strict=True)
        keys = [(subject, time or datetime.min) for subject, time in pairs]
        assert keys == sorted(keys)
        assert {split_of[subject] for subject, _ in keys} == {path.parent.name}
    assert set(codes["code"].to_pylist()) == used and None not in codes["description"].to_pylist()
    labels = sorted((exported / "labels").glob("*.parquet"))
    assert {path.stem for path in labels} == {
        "chexpert_edema", "chexpert_pneumonia", "hospital_expire_flag", "length_of_stay_days", *CHAPTER_COLUMNS,
    }  # fmt: skip
    for path in labels:
        meds.LabelSchema.validate(pq.read_table(path))
    described = json.loads((exported / meds.dataset_metadata_filepath).read_text())
    meds.DatasetMetadataSchema.validate(described)
    extensions = [name for kind, names in described.items() if kind.endswith("_columns") for name in names]
    core = {field.name for field in meds.DataSchema.schema()}
    assert sorted(extensions) == sorted(set(ours.EVENTS.names) - core)


def events_in(exported: Path) -> list[dict[str, Any]]:
    paths = sorted((exported / "data").rglob("*.parquet"))
    return [event for path in paths for event in pq.read_table(path).to_pylist()]


def read_back(exported: Path) -> dict[int, dict[str, Any]]:
    """Rebuild the rows from events alone: sample_id -> the columns that the events tell."""
    events = events_in(exported)
    people: dict[int, dict[str, Any]] = {}
    for event in events:
        person = people.setdefault(event["subject_id"], {})
        if event["code"].startswith("GENDER//"):
            assert event["time"] is None
            person["gender"] = event["code"].removeprefix("GENDER//")
        elif event["code"] == meds.birth_code:
            person["born"] = event["time"].year
    rows: dict[int, dict[str, Any]] = {}
    for event in events:
        if event["code"] == "HOSPITAL_ADMISSION":
            person = people[event["subject_id"]]
            rows[event["sample_id"]] = {
                "sample_id": event["sample_id"], "subject_id": event["subject_id"], "hadm_id": event["hadm_id"],
                "admittime": str(event["time"]), "gender": person["gender"], "age": event["time"].year - person["born"],
                "labs": None, "labs_hours": None, "labs_all_missing": True, "cxr_missing": True, "ecg_missing": True,
                **dict.fromkeys(("cxr_hours", "cxr_dicom_id", "cxr_study_id", "view_position")),
                **dict.fromkeys(("ecg_hours", "ecg_study_id", "path", "place", "length_of_stay_days")),
            }  # fmt: skip
    for event in events:
        if event["sample_id"] is not None:
            tell(rows[event["sample_id"]], event)
    return rows


def tell(row: dict[str, Any], event: dict[str, Any]) -> None:
    kind, *rest = event["code"].split("//")
    since = event["time"] - datetime.fromisoformat(row["admittime"])
    hours = float(np.float32(since / timedelta(hours=1)))
    if kind in ("CXR", "ECG"):
        name = kind.lower()
        row |= {f"{name}_missing": False, f"{name}_hours": hours, f"{name}_study_id": event["study_id"]}
        row |= {"path": event["media_path"], "place": event["media_row"]}
        assert event["media_column"] == name
        if name == "cxr":
            row |= {"cxr_dicom_id": event["dicom_id"], "view_position": rest[0]}
    elif kind == "LAB":
        row["labs_all_missing"] = False
        for column, value in (("labs", event["numeric_value"]), ("labs_hours", hours)):
            row[column] = row[column] or [None] * 50
            row[column][ITEM_IDS.index(int(rest[0]))] = value
        assert event["unit"] == (None if rest[1] == "UNK" else rest[1])
    elif kind == "HOSPITAL_DISCHARGE":
        row["length_of_stay_days"] = since / timedelta(days=1)
    else:
        assert kind == "HOSPITAL_ADMISSION"


def test_rows_read_back_are_identical(dataset: Path, exported: Path) -> None:
    rows = {row["sample_id"]: row for row in stored(dataset)}
    found = read_back(exported)
    assert len(found) == len(rows) > 10
    for sample_id, row in found.items():
        expected = {name: rows[sample_id][name] for name in row}
        if row["path"] is None:  # it has neither X-ray nor ECG
            expected |= {"path": None, "place": None}
        days = expected.pop("length_of_stay_days")
        assert row.pop("length_of_stay_days") == pytest.approx(days, abs=1e-11)
        assert row == expected
    assert {row["cxr_missing"] + row["ecg_missing"] + row["labs_all_missing"] for row in rows.values()} == {0, 1}


def test_references_lead_to_the_media(dataset: Path, exported: Path) -> None:
    for event in events_in(exported):
        if event["media_path"] is not None:
            row = pq.read_table(dataset / event["media_path"]).slice(event["media_row"], 1).to_pylist()[0]
            assert row["hadm_id"] == event["hadm_id"] and row[event["media_column"]] is not None
            assert event["study_id"] == row[f"{event['media_column']}_study_id"]


def test_labels_are_the_rows_and_come_after_what_is_read(dataset: Path, exported: Path) -> None:
    rows = stored(dataset)
    last: dict[int, datetime] = {}
    for event in events_in(exported):
        if event["code"].split("//")[0] in ("LAB", "CXR", "ECG", "HOSPITAL_ADMISSION"):
            last[event["sample_id"]] = max(last.get(event["sample_id"], datetime.min), event["time"])
    for column in (*FINDINGS.values(), *LABELS):
        path = exported / "labels" / f"{column}.parquet"
        expected = sorted(
            (row["subject_id"], last[row["sample_id"]], float(np.float32(row[column])))
            for row in rows
            if row[column] is not None
        )
        if not expected:
            assert not path.exists()
            continue
        lines = zip(*pq.read_table(path).to_pydict().values(), strict=True)
        assert [(subject, time, float(value)) for subject, time, value in lines] == expected


def test_units_are_those_of_the_source(dataset: Path, exported: Path) -> None:
    codes = set(pq.read_table(exported / "metadata/codes.parquet")["code"].to_pylist())
    assert {f"LAB//{ITEM_IDS[0]}//mEq/L", f"LAB//{ITEM_IDS[5]}//UNK", "LAB//50912//mg/dL"} < codes
    items = next(m.details["items"] for m in manifests.read(dataset).modalities if m.name == "labs")
    assert {item["unit"] for item in items} <= {"", "mEq/L", "mg/dL"}


def test_equal_datasets_give_equal_bytes(dataset: Path, exported: Path, tmp_path: Path) -> None:
    counts = export_meds(dataset, tmp_path / "again")
    assert contents(tmp_path / "again") == contents(exported)
    assert counts == {name: pq.read_metadata(exported / f"data/{name}/0.parquet").num_rows for name in SHARDS}


def changed(dataset: Path, out: Path, change: Any) -> Path:
    """A copy whose shards went through `change`, which takes rows and schema."""
    shutil.copytree(dataset, out)
    for path in (out / "data").glob("*.parquet"):
        table = change(pq.read_table(path))
        pq.write_table(table, path, write_page_checksum=True)
    relist(out)
    return out


def test_tests_of_unknown_time_count_at_the_end_of_their_window(dataset: Path, tmp_path: Path) -> None:
    """As in an import of the published release, which has no times of tests."""

    def forget(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("labs_hours")
        hours = [None if row is None else [None] * 50 for row in table["labs_hours"].to_pylist()]
        return table.set_column(place, table.schema.field(place), pa.array(hours, table.schema.field(place).type))

    source = changed(dataset, tmp_path / "untimed", forget)
    export_meds(source, tmp_path / "meds")
    admitted = {row["sample_id"]: datetime.fromisoformat(row["admittime"]) for row in stored(source)}
    tests = [event for event in events_in(tmp_path / "meds") if event["code"].startswith("LAB//")]
    assert tests and not any(event["time_known"] for event in tests)
    assert all(event["time"] == admitted[event["sample_id"]] + timedelta(hours=24) for event in tests)


def test_what_cannot_be_exported_is_refused(dataset: Path, tmp_path: Path) -> None:
    build_xor(XorSpec(rows={"train": 4, "validation": 4, "test": 4}), tmp_path / "xor", workers=1, write_card=no_card)
    with pytest.raises(UsageError, match="only admissions are exported as MEDS"):
        export_meds(tmp_path / "xor", tmp_path / "out")
    noisy = Reliability(noisy={"ecg": 0.5})
    spec = MimicSpec(patients=20, candidates=2, validation=0, train=10, reliability=noisy)
    build_mimic(spec, tmp_path / "noisy", workers=1, write_card=no_card)
    with pytest.raises(UsageError, match="show other admissions' values or noise"):
        export_meds(tmp_path / "noisy", tmp_path / "out")
    old = changed(dataset, tmp_path / "old", lambda table: table.drop_columns(["admittime"]))
    with pytest.raises(DamageError, match="lacks the column admittime"):
        export_meds(old, tmp_path / "out")

    def same_patient(table: pa.Table) -> pa.Table:
        place = table.schema.get_field_index("subject_id")
        return table.set_column(place, table.schema.field(place), pa.array([FIRST] * len(table)))

    mixed = changed(dataset, tmp_path / "mixed", same_patient)
    with pytest.raises(DamageError, match="a patient is in two splits, which MEDS does not allow"):
        export_meds(mixed, tmp_path / "mixed-meds")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"holds other files .*full\); got notes\.txt\. Choose a new or empty"):
        export_meds(dataset, tmp_path / "full")


def test_the_command_says_what_it_wrote(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, out, _ = outcome(capsys, "export", "meds", str(dataset), "--out", str(tmp_path / "meds"))
    assert code == 0 and "events in" in out and "held_out" in out and "patients' data" in out
    code, _, error = outcome(capsys, "export", "meds", str(dataset), "--out", str(tmp_path / "meds"))
    assert code == 2 and "holds other files" in error and "Choose a new or empty directory" in error


SECONDS = st.integers(-86_400, 259_200).map(lambda seconds: seconds * 1_000_000)


@given(
    st.lists(st.one_of(SECONDS, st.integers(-(10**11), 3 * 10**11)), min_size=1),
    st.datetimes(datetime(1900, 1, 1), datetime(2250, 1, 1)),
)
def test_times_keep_the_stored_hours(since: list[int], admitted: datetime) -> None:
    """Whole seconds come back as they were; any other time comes back with the same hours."""
    text = str(admitted)
    start = np.repeat(admission_times([text]), len(since))
    hours = np.array(since) / 3_600_000_000
    times = moments(start, hours.astype(np.float32).astype(np.float64))
    again = ((times - start) / MICROSECONDS_AN_HOUR).astype(np.float32)
    assert again.tolist() == hours.astype(np.float32).tolist()
    for before, after in zip(since, (times - start).tolist(), strict=True):
        if before % 1_000_000 == 0:
            assert after == before


def test_where_there_is_no_event_there_is_no_time() -> None:
    assert moments(np.array([5]), np.array([np.nan])).tolist() == [0]


def test_a_dataset_of_embeddings_is_refused(dataset: Path, tmp_path: Path) -> None:
    """Its column of blood tests has other numbers, which no event should hold."""
    shutil.copytree(dataset, tmp_path / "data")
    manifest = manifests.read(dataset)
    embedded = [replace(modality, kind="features") for modality in manifest.modalities]
    manifests.write(tmp_path / "data", replace(manifest, modalities=tuple(embedded)))
    with pytest.raises(UsageError, match=r"does not hold the values of blood tests.*got labs of kind features"):
        export_meds(tmp_path / "data", tmp_path / "meds")
    assert not (tmp_path / "meds").exists()
