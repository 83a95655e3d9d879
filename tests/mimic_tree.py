"""Miniature MIMIC releases, told event by event, and a slow, plain rewriting of the public pipeline's rules."""

from __future__ import annotations

import csv
import gzip
import io
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import wfdb
from PIL import Image

from symile_data.builders.mimic.spec import Roots
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.schema import FINDINGS, LEADS

START = datetime(2150, 3, 1, 12, 0, 0)
LAB = 50912  # creatinine

Row = dict[str, Any]


def small_jpeg() -> bytes:
    gray = np.random.default_rng(0).integers(0, 256, size=(5, 4), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(gray).resize((48, 60), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def samples(kind: str = "") -> np.ndarray:
    """(5000, 12) int16 as a record's data file holds them."""
    time = np.arange(5000)[:, None]
    signal = (100 * np.sin(time / 40 + np.arange(12))).astype("<i2")
    if kind == "zero":
        signal[:] = 0
    elif kind == "flat":
        signal[:] = 9
    elif kind == "unknown":
        signal[17, 3] = -32768
    elif kind == "flat lead":
        signal[:, 5] = 0
    return signal


JPEG = small_jpeg()
SIGNALS = {kind: samples(kind).tobytes() for kind in ("", "zero", "flat", "unknown", "flat lead")}


def header(
    name: str, *, leads: Iterable[str] = LEADS, samples: int = 5000, gain: str = "200.0(0)", form: str = "16"
) -> str:
    lines = [f"{name} 12 500 {samples} 10:41:00 27/06/2180"]
    return "\n".join([*lines, *(f"{name}.dat {form} {gain}/mV 16 0 0 0 0 {lead}" for lead in leads)]) + "\n"


class Tree:
    """Three releases that are written when asked for. Hours count from an admission's time."""

    def __init__(self, root: Path) -> None:
        self.roots = Roots(mimic_iv=root / "iv", mimic_cxr=root / "cxr", mimic_ecg=root / "ecg")
        self.patients: list[Row] = []
        self.admissions: list[Row] = []
        self.pictures: list[Row] = []
        self.findings: list[Row] = []
        self.records: list[Row] = []
        self.labs: list[Row] = []
        self.diagnoses: list[Row] = []
        self.files: dict[Path, bytes] = {}
        self._ids = 0

    def id(self) -> int:
        self._ids += 1
        return self._ids

    def admit(
        self, subject_id: int, hadm_id: int, at: datetime = START, days: float = 5, died: int | None = None
    ) -> None:
        if all(row["subject_id"] != subject_id for row in self.patients):
            row = {"subject_id": subject_id, "gender": "F", "anchor_age": 60, "anchor_year": 2148}
            self.patients.append({**row, "anchor_year_group": "2014 - 2016", "dod": ""})
        end = at + timedelta(days=days)
        row = {"subject_id": subject_id, "hadm_id": hadm_id, "admittime": at, "dischtime": end}
        self.admissions.append(row if died is None else {**row, "hospital_expire_flag": died})

    def picture(
        self,
        subject_id: int,
        hours: float,
        at: datetime = START,
        *,
        view: str = "AP",
        file: bytes | None = JPEG,
        labelled: bool = True,
        dicom_id: str = "",
        suffix: str = ".jpg",
    ) -> str:
        time = at + timedelta(seconds=round(hours * 3600))
        study_id = 50_000_000 + self.id()
        dicom_id = dicom_id or f"d{study_id}"
        row = {"dicom_id": dicom_id, "subject_id": subject_id, "study_id": study_id, "ViewPosition": view}
        clock = int(time.strftime("%H%M%S"))
        self.pictures.append({**row, "StudyDate": time.strftime("%Y%m%d"), "StudyTime": f"{clock}.437"})
        if labelled:
            self.findings.append({"subject_id": subject_id, "study_id": study_id, "Edema": 1.0, "Pneumonia": -1.0})
        if file is not None:
            folder = self.roots.mimic_cxr / f"files/p{str(subject_id)[:2]}/p{subject_id}/s{study_id}"
            self.files[folder / (dicom_id + suffix)] = file
        return dicom_id

    def record(self, subject_id: int, hours: float, at: datetime = START, *, kind: str = "", study_id: int = 0) -> int:
        study_id = study_id or 40_000_000 + self.id()
        name = f"files/p{str(subject_id)[:4]}/p{subject_id}/s{study_id}/{study_id}"
        time = at + timedelta(seconds=round(hours * 3600))
        row = {"subject_id": subject_id, "study_id": study_id, "file_name": study_id, "ecg_time": time, "path": name}
        self.records.append(row)
        self.files[self.roots.mimic_ecg / (name + ".hea")] = header(str(study_id)).encode()
        self.files[self.roots.mimic_ecg / (name + ".dat")] = SIGNALS[kind]
        return study_id

    def lab(
        self,
        subject_id: int,
        hours: float,
        value: float | None = 1.0,
        at: datetime = START,
        *,
        item: int = LAB,
        unit: str = "mg/dL",
        labevent_id: int = 0,
    ) -> None:
        time = at + timedelta(seconds=round(hours * 3600))
        row = {"labevent_id": labevent_id or self.id(), "subject_id": subject_id, "hadm_id": "", "itemid": item}
        number = "" if value is None else repr(value)
        self.labs.append({**row, "charttime": time, "storetime": time, "valuenum": number, "valueuom": unit})

    def diagnose(self, subject_id: int, hadm_id: int, code: str, version: int = 10) -> None:
        row = {"subject_id": subject_id, "hadm_id": hadm_id, "seq_num": len(self.diagnoses) + 1}
        self.diagnoses.append({**row, "icd_code": code, "icd_version": version})

    def complete(self, subject_id: int, hadm_id: int, at: datetime = START) -> None:
        """Add an admission with an X-ray, an ECG and blood tests."""
        self.admit(subject_id, hadm_id, at)
        self.picture(subject_id, 30, at)
        self.record(subject_id, 1, at)
        self.lab(subject_id, 2, float(hadm_id % 7), at)

    def tables(self) -> dict[Path, tuple[tuple[str, ...], list[Row]]]:
        hosp = self.roots.mimic_iv / "hosp"
        cxr = self.roots.mimic_cxr
        flag = ("hospital_expire_flag",) if any("hospital_expire_flag" in row for row in self.admissions) else ()
        coded = ("subject_id", "hadm_id", "seq_num", "icd_code", "icd_version")
        return {
            hosp / "patients.csv.gz": (
                ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod"),
                self.patients,
            ),
            hosp / "admissions.csv.gz": (
                ("subject_id", "hadm_id", "admittime", "dischtime", "deathtime", "insurance", *flag),
                self.admissions,
            ),
            **({hosp / "diagnoses_icd.csv.gz": (coded, self.diagnoses)} if self.diagnoses else {}),
            hosp / "labevents.csv.gz": (
                ("labevent_id", "subject_id", "hadm_id", "itemid", "charttime", "storetime", "value", "valuenum",
                 "valueuom", "comments"),
                self.labs,
            ),
            cxr / "mimic-cxr-2.0.0-metadata.csv.gz": (
                ("dicom_id", "subject_id", "study_id", "ViewPosition", "Rows", "StudyDate", "StudyTime"),
                self.pictures,
            ),
            cxr / "mimic-cxr-2.0.0-chexpert.csv.gz": (("subject_id", "study_id", *FINDINGS), self.findings),
            self.roots.mimic_ecg / "record_list.csv": (
                ("subject_id", "study_id", "file_name", "ecg_time", "path"),
                self.records,
            ),
        }  # fmt: skip

    def write(self) -> Roots:
        for path, (columns, rows) in self.tables().items():
            text = io.StringIO(newline="")
            table = csv.DictWriter(text, columns, restval="", lineterminator="\n")
            table.writeheader()
            table.writerows(rows)
            data = text.getvalue().encode()
            put(path, gzip.compress(data, 1, mtime=0) if path.suffix == ".gz" else data)
        for path, data in self.files.items():
            put(path, data)
        (self.roots.mimic_cxr / "files").mkdir(parents=True, exist_ok=True)
        return self.roots


def put(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def rows_of(path: Path) -> list[dict[str, str]]:
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", newline="") as file:
        return list(csv.DictReader(file))


def reference_cohort(roots: Roots) -> list[Row]:
    """The public pipeline's rows, by loops over every admission and every event. Ties go to the first in the file."""
    admissions = rows_of(roots.mimic_iv / "hosp" / "admissions.csv.gz")
    metadata = rows_of(roots.mimic_cxr / "mimic-cxr-2.0.0-metadata.csv.gz")
    labelled = {row["study_id"] for row in rows_of(roots.mimic_cxr / "mimic-cxr-2.0.0-chexpert.csv.gz")}
    records = rows_of(roots.mimic_ecg / "record_list.csv")
    events = rows_of(roots.mimic_iv / "hosp" / "labevents.csv.gz")
    cohort = []
    for admission in admissions:
        admitted, subject_id = when(admission["admittime"]), admission["subject_id"]
        picture = _first_image(roots, metadata, subject_id, admitted)
        if picture is None or picture["study_id"] not in labelled:
            continue
        record = _first_record(roots, records, subject_id, admitted)
        labs = _first_labs(events, subject_id, admitted)
        if record is None or not labs:
            continue
        cohort.append(
            {
                "subject_id": int(subject_id),
                "hadm_id": int(admission["hadm_id"]),
                "cxr_dicom_id": picture["dicom_id"],
                "ecg_study_id": record["study_id"],
                "labs": [labs.get(item) for item in ITEM_IDS],
            }
        )
    return cohort


def when(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")


def _first_image(roots: Roots, metadata: list[dict[str, str]], subject_id: str, admitted: datetime) -> Row | None:
    best, best_time = None, None
    for row in metadata:
        time = datetime.strptime(f"{row['StudyDate']} {int(float(row['StudyTime'])):06d}", "%Y%m%d %H%M%S")
        folder = roots.mimic_cxr / f"files/p{subject_id[:2]}/p{subject_id}/s{row['study_id']}"
        if row["subject_id"] != subject_id or row["ViewPosition"] not in ("AP", "PA"):
            continue
        if not timedelta(hours=24) < time - admitted <= timedelta(hours=72):
            continue
        if (folder / f"{row['dicom_id']}.jpg").exists() and (best_time is None or time < best_time):
            best, best_time = row, time
    return best


def _first_record(roots: Roots, records: list[dict[str, str]], subject_id: str, admitted: datetime) -> Row | None:
    best, best_time = None, None
    for row in records:
        time = when(row["ecg_time"])
        if row["subject_id"] != subject_id or not timedelta(hours=-24) <= time - admitted <= timedelta(hours=24):
            continue
        volts = wfdb.rdrecord(str(roots.mimic_ecg / row["path"])).p_signal
        if not np.isnan(volts).any() and not (volts == 0).all() and (best_time is None or time < best_time):
            best, best_time = row, time
    return best


def _first_labs(events: list[dict[str, str]], subject_id: str, admitted: datetime) -> dict[int, float]:
    values: dict[int, float] = {}
    times: dict[int, datetime] = {}
    for row in events:
        item, time = int(row["itemid"]), when(row["charttime"])
        if row["subject_id"] != subject_id or item not in ITEM_IDS or not row["valuenum"]:
            continue
        inside = timedelta(hours=-24) <= time - admitted <= timedelta(hours=24)
        if inside and (item not in times or time < times[item]):
            values[item], times[item] = float(row["valuenum"]), time
    return values
