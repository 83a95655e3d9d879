"""What the card of hospital admissions says of its columns, and which of them it shows together."""

from __future__ import annotations

from symile_data.datasets.mimic.icd import PREFIX as ICD_PREFIX
from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.datasets.mimic.stays import MEANINGS as STAY_MEANINGS

from .groups import CategoryGroup

MIMIC_COLUMNS = {
    "subject_id": "the patient",
    "hadm_id": "the admission; one row each",
    "cxr": "chest X-ray: 8-bit gray PNG, shorter side 320 pixels, uncropped",
    "ecg": "electrocardiogram: 12 leads x 5000 samples (10 s at 500 Hz), int16, one lead after the other",
    "labs": "first value of each of 50 blood tests; null for a test that was not measured",
    "labs_percentile": "each value's percentile among the training split; null where not measured",
    "labs_missing": "True where that test was not measured",
    "labs_all_missing": "True where no test was measured",
    "cxr_dicom_id": "the X-ray's id in MIMIC-CXR",
    "ecg_study_id": "the electrocardiogram's id in MIMIC-IV-ECG",
    "candidates": "admissions among which to retrieve (validation and test), that of the row first",
    "cxr_study_id": "the X-ray's study in MIMIC-CXR",
    "cxr_hours": "hours from admission to the X-ray",
    "ecg_hours": "hours from admission to the electrocardiogram; negative before it",
    "labs_hours": "hours from admission to each test; negative before it, null where not measured",
    "view_position": "AP or PA",
    **{
        column: (f"CheXpert's {name}, read from the report: 1 present, 0 absent, -1 uncertain, null not mentioned")
        for name, column in FINDINGS.items()
    },
    "gender": "as MIMIC-IV has it",
    "age": "years, in the year of admission; the oldest are shown younger (MIMIC-IV caps them)",
    **STAY_MEANINGS,
}

MIMIC_GROUPS = (
    CategoryGroup(
        prefix="chexpert_",
        title="Findings",
        caption="Labels read from the X-ray's report, by split.",
        values={"1": "present", "-1": "uncertain", "0": "absent"},
        null="not mentioned",
        of="cxr",
    ),
    CategoryGroup(
        prefix=ICD_PREFIX,
        title="Diagnoses",
        caption="Chapters of ICD in which the stay has a code, by split.",
        values={"1": "coded", "0": "not coded"},
        null="no diagnosis",
        null_at_once=True,
    ),
)
