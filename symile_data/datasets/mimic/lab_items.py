"""The 50 blood tests of Symile-MIMIC, ordered by item id as in every list of 50.

The ids are the most frequent blood tests of MIMIC-IV's labevents, as the public pipeline lists them; the names are
those of its table d_labitems.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    import pyarrow as pa

LAB_ITEMS: dict[int, str] = {
    50802: "Base Excess",
    50804: "Calculated Total CO2",
    50813: "Lactate",
    50818: "pCO2",
    50820: "pH",
    50821: "pO2",
    50861: "Alanine Aminotransferase (ALT)",
    50862: "Albumin",
    50863: "Alkaline Phosphatase",
    50868: "Anion Gap",
    50878: "Asparate Aminotransferase (AST)",
    50882: "Bicarbonate",
    50885: "Bilirubin, Total",
    50893: "Calcium, Total",
    50902: "Chloride",
    50910: "Creatine Kinase (CK)",
    50912: "Creatinine",
    50931: "Glucose",
    50934: "H",
    50947: "I",
    50960: "Magnesium",
    50970: "Phosphate",
    50971: "Potassium",
    50983: "Sodium",
    51006: "Urea Nitrogen",
    51133: "Absolute Lymphocyte Count",
    51146: "Basophils",
    51200: "Eosinophils",
    51221: "Hematocrit",
    51222: "Hemoglobin",
    51237: "INR(PT)",
    51244: "Lymphocytes",
    51248: "MCH",
    51249: "MCHC",
    51250: "MCV",
    51254: "Monocytes",
    51256: "Neutrophils",
    51265: "Platelet Count",
    51274: "PT",
    51275: "PTT",
    51277: "RDW",
    51279: "Red Blood Cells",
    51301: "White Blood Cells",
    51678: "L",
    52069: "Absolute Basophil Count",
    52073: "Absolute Eosinophil Count",
    52074: "Absolute Monocyte Count",
    52075: "Absolute Neutrophil Count",
    52135: "Immature Granulocytes",
    52172: "RDW-SD",
}

ITEM_IDS = tuple(LAB_ITEMS)
LABS = len(ITEM_IDS)  # 50

# The usual unit of each test in MIMIC-IV, "" where labevents gives none.
LAB_UNITS: dict[int, str] = {
    50802: "mEq/L", 50804: "mEq/L", 50813: "mmol/L", 50818: "mm Hg", 50820: "units", 50821: "mm Hg", 50861: "IU/L",
    50862: "g/dL", 50863: "IU/L", 50868: "mEq/L", 50878: "IU/L", 50882: "mEq/L", 50885: "mg/dL", 50893: "mg/dL",
    50902: "mEq/L", 50910: "IU/L", 50912: "mg/dL", 50931: "mg/dL", 50934: "", 50947: "", 50960: "mg/dL",
    50970: "mg/dL", 50971: "mEq/L", 50983: "mEq/L", 51006: "mg/dL", 51133: "K/uL", 51146: "%", 51200: "%",
    51221: "%", 51222: "g/dL", 51237: "", 51244: "%", 51248: "pg", 51249: "g/dL", 51250: "fL", 51254: "%",
    51256: "%", 51265: "K/uL", 51274: "sec", 51275: "sec", 51277: "%", 51279: "m/uL", 51301: "K/uL", 51678: "",
    52069: "K/uL", 52073: "K/uL", 52074: "K/uL", 52075: "K/uL", 52135: "%", 52172: "fL",
}  # fmt: skip


def lab_numbers(column: pa.ChunkedArray) -> npt.NDArray[np.float64]:
    """Return a column of lists of 50 numbers as an (N, 50) array, NaN where a number or a whole list is null."""
    rows = [[None] * LABS if row is None else row for row in column.to_pylist()]
    return np.array(rows, dtype=np.float64).reshape(len(rows), LABS)
