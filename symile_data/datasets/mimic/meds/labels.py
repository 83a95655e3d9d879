"""The labels of admissions as MEDS has them: apart from the events, each with the time up to which a model may read."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from ..icd import CHAPTER_COLUMNS
from ..schema import FINDINGS
from .events import end_of_reading
from .schema import label_schema

# Label column -> the column of MEDS that holds its values, and their type.
LABELS: dict[str, tuple[str, pa.DataType]] = {
    **dict.fromkeys(FINDINGS.values(), ("integer_value", pa.int64())),  # -1 is uncertain
    "hospital_expire_flag": ("boolean_value", pa.bool_()),
    "length_of_stay_days": ("float_value", pa.float32()),
    **dict.fromkeys(CHAPTER_COLUMNS, ("boolean_value", pa.bool_())),
}


def labels_of(rows: pa.Table) -> Iterator[tuple[str, pa.Table]]:
    """Yield each label column that some row has a value of, with its table by patient and time.

    The prediction time of a row is that of its last X-ray, ECG or test. A label may have been decided earlier: a
    patient may have left before the X-ray was taken.

    Args:
        rows: Rows with the columns of `events.NEEDED` and any of `LABELS`.
    """
    until = pa.array(end_of_reading(rows), pa.timestamp("us"))
    for column, (name, kind) in LABELS.items():
        if column not in rows.column_names:
            continue
        known = pc.is_valid(rows[column])
        if not pc.any(known).as_py():
            continue
        table = pa.table(
            [
                rows["subject_id"].filter(known),
                until.filter(known.combine_chunks()),
                rows[column].filter(known).cast(kind),
            ],
            names=["subject_id", "prediction_time", name],
        ).cast(label_schema(name, kind))
        order = np.lexsort([table["prediction_time"].to_numpy(), table["subject_id"].to_numpy()])
        yield column, table.take(pa.array(order))
