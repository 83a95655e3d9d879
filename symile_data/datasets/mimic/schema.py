"""Columns and modalities of Symile-MIMIC: one row is one hospital admission."""

from __future__ import annotations

from collections.abc import Collection

from symile_data.format.schema import DatasetSchema, Modality
from symile_data.reliability import Reliability

from .icd import CHAPTER_COLUMNS
from .lab_items import LAB_ITEMS, LABS

SHORTER_SIDE = 320  # pixels of a stored X-ray
# The order of MIMIC-IV-ECG's files and of the public pipeline's tensors, in which aVF precedes aVL.
LEADS = ("I", "II", "III", "aVR", "aVF", "aVL", "V1", "V2", "V3", "V4", "V5", "V6")
SAMPLES = 5000
RATE_HZ = 500
UNITS_PER_MV = 200
NAN_VALUE = -32768  # WFDB format 16 marks an unknown sample with it
PATIENT = "subject_id"  # column of the patient: a row and the donor of its misaligned value differ in it
LEAST_MODALITIES = 2  # modalities of an admission, where some may be missing

# CheXpert's findings as MIMIC-CXR-JPG's table names them -> columns of the dataset.
FINDINGS = {
    name: "chexpert_" + name.lower().replace(" ", "_")
    for name in (
        "Atelectasis", "Cardiomegaly", "Consolidation", "Edema", "Enlarged Cardiomediastinum", "Fracture",
        "Lung Lesion", "Lung Opacity", "No Finding", "Pleural Effusion", "Pleural Other", "Pneumonia", "Pneumothorax",
        "Support Devices",
    )
}  # fmt: skip

# Columns about the stay that a dataset has where its source does -> their types.
STAY_COLUMNS = {
    "admittime": "string",
    "length_of_stay_days": "float64",
    "hospital_expire_flag": "int8",
    **dict.fromkeys(CHAPTER_COLUMNS, "int8"),
}

MODALITIES = (
    Modality(
        name="cxr",
        kind="image",
        column="cxr",
        null_columns=("cxr", "cxr_dicom_id", "cxr_study_id", "cxr_hours", "view_position"),
        id_column="cxr_dicom_id",
        suffix="png",
        details={"shorter_side": SHORTER_SIDE, "channels": "gray"},
    ),
    Modality(
        name="ecg",
        kind="ecg",
        column="ecg",
        null_columns=("ecg", "ecg_study_id", "ecg_hours"),
        id_column="ecg_study_id",
        details={
            "leads": list(LEADS),
            "samples": SAMPLES,
            "rate_hz": RATE_HZ,
            "unit": "mV",
            "units_per_mV": UNITS_PER_MV,
            "layout": "lead-major",
        },
    ),
    Modality(
        name="labs",
        kind="labs",
        column="labs",
        null_columns=("labs", "labs_percentile", "labs_hours"),
        id_column=None,
        mask="labs_all_missing",
        details={"items": [{"itemid": item, "name": name} for item, name in LAB_ITEMS.items()]},
    ),
)


_RELIABLE = Reliability()


def mimic_schema(stay_columns: Collection[str] = (), reliability: Reliability = _RELIABLE) -> DatasetSchema:
    """Return the typed columns and modalities; `datasets` restores every type from the shards alone.

    Args:
        stay_columns: Those of `STAY_COLUMNS` that the dataset has.
        reliability: Adds its columns for misaligned and noisy modalities.
    """
    from datasets import Features, Image, List, Value

    numbers = List(Value("float32"), length=LABS)
    features = Features(
        {
            "sample_id": Value("int64"),
            "subject_id": Value("int64"),
            "hadm_id": Value("int64"),
            "cxr": Image(),
            "ecg": List(Value("int16"), length=len(LEADS) * SAMPLES),
            "labs": numbers,
            "labs_percentile": numbers,
            "labs_missing": List(Value("bool"), length=LABS),
            "cxr_missing": Value("bool"),
            "ecg_missing": Value("bool"),
            "labs_all_missing": Value("bool"),
            "cxr_dicom_id": Value("string"),
            "cxr_study_id": Value("string"),
            "ecg_study_id": Value("string"),
            "cxr_hours": Value("float32"),
            "ecg_hours": Value("float32"),
            "labs_hours": numbers,
            "view_position": Value("string"),
            **{column: Value("int8") for column in FINDINGS.values()},
            "gender": Value("string"),
            "age": Value("int16"),
            **{column: Value(dtype) for column, dtype in STAY_COLUMNS.items() if column in stay_columns},
            "candidates": List(Value("int64")),
        }
    )
    for modality in MODALITIES:
        features |= {column: Value(dtype) for column, dtype in reliability.columns_of(modality.name).items()}
    features = Features(features)
    return DatasetSchema(features=features, modalities=MODALITIES)
