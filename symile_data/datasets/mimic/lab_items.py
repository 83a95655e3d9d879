"""The 50 blood tests of Symile-MIMIC, ordered by item id as in every list of 50.

The ids are the most frequent blood tests of MIMIC-IV's labevents, as the public pipeline lists them; the names are
those of its table d_labitems.
"""

from __future__ import annotations

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
