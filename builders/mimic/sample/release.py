"""The sample releases: synthetic MIMIC-IV, MIMIC-CXR-JPG and MIMIC-IV-ECG folders in the official layouts.

A build reads them like real ones; the file `SYNTHETIC.md` in each folder marks them as invented and says how.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path, PurePosixPath
from typing import Any

from symile_data.datasets.mimic.lab_items import LAB_ITEMS
from symile_data.datasets.mimic.sample_terms import LAW, LAW_KEY
from symile_data.datasets.mimic.schema import FINDINGS, LEADS, RATE_HZ, SAMPLES, UNITS_PER_MV
from symile_data.files import check_vacant, write_unsynced
from symile_data.progress import stage

from ...engine.source_files import pack_files
from ..spec import SAMPLE_PATIENTS, Roots, check_pair_information
from .outcomes import draw_findings, draw_person
from .patients import Ecg, Patient, Xray, draw_patient
from .signals import draw_ecg, draw_xray

MARK = "SYNTHETIC.md"
FOLDERS = ("mimic-iv", "mimic-cxr-jpg", "mimic-iv-ecg")

_PATIENTS_PER_JOB = 25
_MARK_TEXT = "Invented records in the layout of a MIMIC release, written by symile-data. No patient's data.\n"
_SETTING = re.compile(r"^pair information: ([0-9.e-]+)$", re.MULTILINE)
_LAW = re.compile(r"^law: ([0-9]{1,4})$", re.MULTILINE)
_MOST_MARK_BYTES = 1 << 12

_ADMISSIONS = (
    "subject_id", "hadm_id", "admittime", "dischtime", "deathtime", "admission_type", "admit_provider_id",
    "admission_location", "discharge_location", "insurance", "language", "marital_status", "race", "edregtime",
    "edouttime", "hospital_expire_flag",
)  # fmt: skip
_PATIENTS = ("subject_id", "gender", "anchor_age", "anchor_year", "anchor_year_group", "dod")
_LABEVENTS = (
    "labevent_id", "subject_id", "hadm_id", "specimen_id", "itemid", "order_provider_id", "charttime", "storetime",
    "value", "valuenum", "valueuom", "ref_range_lower", "ref_range_upper", "flag", "priority", "comments",
)  # fmt: skip
_DIAGNOSES = ("subject_id", "hadm_id", "seq_num", "icd_code", "icd_version")
_METADATA = (
    "dicom_id", "subject_id", "study_id", "PerformedProcedureStepDescription", "ViewPosition", "Rows", "Columns",
    "StudyDate", "StudyTime", "ProcedureCodeSequence_CodeMeaning", "ViewCodeSequence_CodeMeaning",
    "PatientOrientationCodeSequence_CodeMeaning",
)  # fmt: skip

Row = dict[str, Any]


@dataclass(frozen=True)
class SampleTask:
    """The media of patients `first` to `last - 1`."""

    first: int
    last: int
    seed: int
    pair_information: float = 0.0

    @classmethod
    def split(cls, patients: int, seed: int, pair_information: float = 0.0) -> list[SampleTask]:
        """Divide all patients into tasks of 25."""
        starts = range(0, patients, _PATIENTS_PER_JOB)
        return [cls(first, min(first + _PATIENTS_PER_JOB, patients), seed, pair_information) for first in starts]


def sample_roots(directory: Path) -> Roots:
    """Return the folders of the three releases below a sample's directory."""
    mimic_iv, mimic_cxr, mimic_ecg = (directory / folder for folder in FOLDERS)
    return Roots(mimic_iv=mimic_iv, mimic_cxr=mimic_cxr, mimic_ecg=mimic_ecg)


def is_sample(roots: Roots) -> bool:
    """Tell whether all three releases are marked as synthetic."""
    return all((root / MARK).is_file() for root in (roots.mimic_iv, roots.mimic_cxr, roots.mimic_ecg))


def drawn_by(roots: Roots) -> dict[str, float | int]:
    """Return how marked releases were drawn, as far as their mark says it: "pair_information" and the version of the
    law. Older versions wrote marks, and samples, without the one or the other.
    """
    with (roots.mimic_iv / MARK).open(encoding="utf-8", errors="replace") as file:
        text = file.read(_MOST_MARK_BYTES)
    setting, law = _SETTING.search(text), _LAW.search(text)
    stated = {"pair_information": float(setting[1])} if setting else {}
    return {**stated, **({LAW_KEY: int(law[1])} if law else {})}


def write_sample_mimic(
    directory: Path, patients: int = SAMPLE_PATIENTS, seed: int = 0, pair_information: float = 0.0
) -> int:
    """Write the sample releases to `directory`/{mimic-iv, mimic-cxr-jpg, mimic-iv-ecg}.

    Args:
        directory: New or empty, or with an earlier sample.
        patients: Number of patients, who have one to three admissions each.
        seed: Seed of every draw.
        pair_information: Probability with which the modalities of an admission share a bit of its state.

    Returns:
        The number of admissions.

    Raises:
        UsageError: the directory holds other files, or `pair_information` is no probability.
    """
    check_pair_information(pair_information)
    check_vacant(directory, FOLDERS)
    tasks = SampleTask.split(patients, seed, pair_information)
    with stage("sample patients", len(tasks)) as advance:
        for task in tasks:
            for name, data in _media(task):
                write_unsynced(directory / name, data)
            advance()
    return write_tables(directory, patients, seed, pair_information)


def draw_patients(task: SampleTask, path: Path) -> dict[str, Any]:
    """Write some patients' X-rays and electrocardiograms into one file, which `unpack_files` unpacks."""
    return pack_files(path, _media(task))


def write_tables(directory: Path, patients: int, seed: int, pair_information: float = 0.0) -> int:
    """Write every table of the three releases.

    Returns:
        The number of admissions.
    """
    roots = sample_roots(directory)
    people = [draw_person(seed, index, pair_information) for index in range(patients)]
    hosp = roots.mimic_iv / "hosp"
    _write_table(hosp / "patients.csv.gz", _PATIENTS, map(_patient_row, people))
    _write_table(hosp / "admissions.csv.gz", _ADMISSIONS, (row for person in people for row in _stay_rows(person)))
    _write_table(
        hosp / "diagnoses_icd.csv.gz", _DIAGNOSES, (row for person in people for row in _diagnosis_rows(person))
    )
    _write_table(hosp / "labevents.csv.gz", _LABEVENTS, _test_rows(people))
    items = ({"itemid": item, "label": label, "fluid": "Blood"} for item, label in LAB_ITEMS.items())
    _write_table(hosp / "d_labitems.csv.gz", ("itemid", "label", "fluid", "category"), items)
    metadata = (_xray_row(person, xray) for person in people for xray in person.xrays)
    _write_table(roots.mimic_cxr / "mimic-cxr-2.0.0-metadata.csv.gz", _METADATA, metadata)
    chexpert = ("subject_id", "study_id", *FINDINGS)
    _write_table(roots.mimic_cxr / "mimic-cxr-2.0.0-chexpert.csv.gz", chexpert, _finding_rows(people, seed))
    records = (_record_row(person, ecg) for person in people for ecg in person.ecgs)
    columns = ("subject_id", "study_id", "file_name", "ecg_time", "path")
    _write_table(roots.mimic_ecg / "record_list.csv", columns, records)
    for root in (roots.mimic_iv, roots.mimic_cxr, roots.mimic_ecg):
        write_unsynced(root / MARK, f"{_MARK_TEXT}\npair information: {pair_information}\n{LAW_KEY}: {LAW}\n".encode())
    return sum(len(person.stays) for person in people)


def _media(task: SampleTask) -> Iterator[tuple[str, bytes]]:
    """Yield the path below the sample's directory and the contents of every X-ray and electrocardiogram file."""
    _, mimic_cxr, mimic_ecg = FOLDERS
    for index in range(task.first, task.last):
        person = draw_patient(task.seed, index, task.pair_information)
        for xray in person.xrays:
            if not xray.absent:
                data = draw_xray(task.seed, xray.dicom_id, xray.state, xray.view)
                yield f"{mimic_cxr}/{xray_path(person.subject_id, xray)}", data
        for ecg in person.ecgs:
            record = f"{mimic_ecg}/{record_path(person.subject_id, ecg)}"
            yield from _record_files(record, ecg, task.seed)


def xray_path(subject_id: int, xray: Xray) -> str:
    """Return the path of an X-ray below the folder of MIMIC-CXR-JPG."""
    return f"files/p{str(subject_id)[:2]}/p{subject_id}/s{xray.study_id}/{xray.dicom_id}.jpg"


def record_path(subject_id: int, ecg: Ecg) -> str:
    """Return the path of a record below the folder of MIMIC-IV-ECG, without suffix."""
    return f"files/p{str(subject_id)[:4]}/p{subject_id}/s{ecg.study_id}/{ecg.study_id}"


def _record_files(record: str, ecg: Ecg, seed: int) -> Iterator[tuple[str, bytes]]:
    """Make header and data of a WFDB record in the form of MIMIC-IV-ECG."""
    name = PurePosixPath(record).name
    signal = draw_ecg(seed, ecg.study_id, ecg.state, ecg.fault)
    moment = ecg.time.strftime("%H:%M:%S %d/%m/%Y")
    lines = [f"{name} {len(LEADS)} {RATE_HZ} {SAMPLES} {moment}"]
    for lead, samples in zip(LEADS, signal, strict=True):
        checksum = (int(samples.astype(int).sum()) + 32768) % 65536 - 32768
        lines.append(f"{name}.dat 16 {UNITS_PER_MV}.0(0)/mV 16 0 {samples[0]} {checksum} 0 {lead}")
    yield f"{record}.hea", ("\n".join(lines) + "\n").encode()
    yield f"{record}.dat", signal.T.astype("<i2").tobytes()


def _patient_row(person: Patient) -> Row:
    return {
        "subject_id": person.subject_id,
        "gender": person.gender,
        "anchor_age": person.age,
        "anchor_year": person.year,
        "anchor_year_group": "2014 - 2016",
        "dod": next((f"{stay.discharged:%Y-%m-%d}" for stay in person.stays if stay.died), ""),
    }


def _stay_rows(person: Patient) -> Iterator[Row]:
    for stay in person.stays:
        yield {
            "subject_id": person.subject_id,
            "hadm_id": stay.hadm_id,
            "admittime": stay.admitted,
            "dischtime": stay.discharged,
            "admission_type": "EW EMER.",
            "admission_location": "EMERGENCY ROOM",
            "deathtime": stay.discharged if stay.died else "",
            "discharge_location": "DIED" if stay.died else "HOME",
            "insurance": "Other",
            "race": "UNKNOWN",
            "hospital_expire_flag": int(stay.died),
        }


def _diagnosis_rows(person: Patient) -> Iterator[Row]:
    for stay in person.stays:
        for number, (code, version) in enumerate(stay.diagnoses, start=1):
            yield {
                "subject_id": person.subject_id,
                "hadm_id": stay.hadm_id,
                "seq_num": number,
                "icd_code": code,
                "icd_version": version,
            }


def _test_rows(people: Sequence[Patient]) -> Iterator[Row]:
    number = 0
    for person in people:
        for test in person.tests:
            number += 1
            stay = next((s for s in person.stays if s.admitted <= test.time <= s.discharged), None)
            yield {
                "labevent_id": number,
                "subject_id": person.subject_id,
                "hadm_id": "" if stay is None else stay.hadm_id,
                "specimen_id": 70_000_000 + number,
                "itemid": test.item,
                "charttime": test.time,
                "storetime": test.time + timedelta(minutes=50),
                "value": "___" if test.value is None else test.value,
                "valuenum": "" if test.value is None else test.value,
                "valueuom": test.unit,
                "priority": "ROUTINE",
            }


def _xray_row(person: Patient, xray: Xray) -> Row:
    frontal = xray.view != "LATERAL"
    return {
        "dicom_id": xray.dicom_id,
        "subject_id": person.subject_id,
        "study_id": xray.study_id,
        "PerformedProcedureStepDescription": "CHEST (PORTABLE AP)" if xray.view == "AP" else "CHEST (PA AND LAT)",
        "ViewPosition": xray.view,
        "Rows": 2544,
        "Columns": 3056,
        "StudyDate": xray.time.strftime("%Y%m%d"),
        "StudyTime": f"{int(xray.time.strftime('%H%M%S'))}.{xray.study_id % 1000:03d}",
        "ViewCodeSequence_CodeMeaning": "antero-posterior" if frontal else "lateral",
        "PatientOrientationCodeSequence_CodeMeaning": "Erect",
    }


def _finding_rows(people: Sequence[Patient], seed: int) -> Iterator[Row]:
    """Label each study as CheXpert does; some studies have no labels."""
    for person in people:
        studies = {xray.study_id: xray for xray in person.xrays if xray.labelled}
        for study_id, xray in studies.items():
            said = draw_findings(seed, person, xray)
            findings = {name: said[column] for name, column in FINDINGS.items()}
            row: Row = {"subject_id": person.subject_id, "study_id": study_id}
            yield row | {name: float(value) for name, value in findings.items() if value is not None}


def _record_row(person: Patient, ecg: Ecg) -> Row:
    return {
        "subject_id": person.subject_id,
        "study_id": ecg.study_id,
        "file_name": ecg.study_id,
        "ecg_time": ecg.time,
        "path": record_path(person.subject_id, ecg),
    }


def _write_table(path: Path, columns: Sequence[str], rows: Iterable[Row]) -> None:
    """Write a table as .csv.gz or .csv; equal rows give equal bytes."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow({name: f"{v:%Y-%m-%d %H:%M:%S}" if isinstance(v, datetime) else v for name, v in row.items()})
    data = text.getvalue().encode()
    write_unsynced(path, gzip.compress(data, 6, mtime=0) if path.suffix == ".gz" else data)
