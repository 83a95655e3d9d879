"""The files and columns of MEDS 0.4.

Source: the schemas of the package `meds` 0.4.1 (https://medical-event-data-standard.github.io), with which a test
compares these. MEDS lets data have more columns; those here say to which admission an event belongs and where its X-ray
or ECG is.
"""

from __future__ import annotations

import pyarrow as pa

MEDS_VERSION = "0.4.1"
CODES_FILE = "metadata/codes.parquet"
DATASET_FILE = "metadata/dataset.json"
SPLITS_FILE = "metadata/subject_splits.parquet"
SPLIT_NAMES = {"train": "train", "validation": "tuning", "test": "held_out"}  # ours -> those of MEDS

BIRTH = "MEDS_BIRTH"
ADMISSION, DISCHARGE = "HOSPITAL_ADMISSION", "HOSPITAL_DISCHARGE"
GENDER, CXR, ECG, LAB = "GENDER", "CXR", "ECG", "LAB"  # first parts of codes, which `//` joins

_CORE = (
    pa.field("subject_id", pa.int64(), nullable=False),
    pa.field("time", pa.timestamp("us")),
    pa.field("code", pa.string(), nullable=False),
    pa.field("numeric_value", pa.float32()),
    pa.field("text_value", pa.large_string()),
)
_IDS = (
    pa.field("hadm_id", pa.int64()),
    pa.field("sample_id", pa.int64()),
    pa.field("study_id", pa.string()),
    pa.field("dicom_id", pa.string()),
)
_MODIFIERS = (pa.field("unit", pa.string()),)
_MEDIA = (
    pa.field("media_path", pa.string()),
    pa.field("media_row", pa.int64()),
    pa.field("media_column", pa.string()),
)
_OTHERS = (pa.field("time_known", pa.bool_()),)

EVENTS = pa.schema([*_CORE, *_IDS, *_MODIFIERS, *_MEDIA, *_OTHERS])
CODES = pa.schema(
    [
        pa.field("code", pa.string(), nullable=False),
        pa.field("description", pa.string()),
        pa.field("parent_codes", pa.list_(pa.string())),
    ]
)
SUBJECT_SPLITS = pa.schema(
    [pa.field("subject_id", pa.int64(), nullable=False), pa.field("split", pa.string(), nullable=False)]
)

# Kinds of extension columns, as dataset.json names them -> columns.
EXTENSIONS = {
    "raw_source_id_columns": [field.name for field in _IDS],
    "code_modifier_columns": [field.name for field in _MODIFIERS],
    "additional_value_modality_columns": [field.name for field in _MEDIA],
    "other_extension_columns": [field.name for field in _OTHERS],
}


def label_schema(column: str, value: pa.DataType) -> pa.Schema:
    """Return the schema of a file of labels with one column of values.

    Args:
        column: "boolean_value", "integer_value" or "float_value".
        value: Its type.
    """
    return pa.schema(
        [
            pa.field("subject_id", pa.int64(), nullable=False),
            pa.field("prediction_time", pa.timestamp("us"), nullable=False),
            pa.field(column, value, nullable=False),
        ]
    )
