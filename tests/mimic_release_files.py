"""A miniature of the published Symile-MIMIC: the same files, columns, arrays and checksums, with a few admissions."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import numpy as np
from mimic_tree import put, samples
from PIL import Image

from symile_data.builders.mimic.release.files import files_read
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.schema import FINDINGS
from symile_data.files import file_sha256

ROWS = {"train": 5, "val": 3, "test": 3}
LOST = 2  # admissions in no split
SET = 2  # candidates
MEAN, DEVIATION = np.array((0.485, 0.456, 0.406)), np.array((0.229, 0.224, 0.225))


def gray(hadm_id: int) -> np.ndarray:
    noise = np.random.default_rng(hadm_id).integers(0, 256, size=(40, 40), dtype=np.uint8)
    return np.asarray(Image.fromarray(noise).resize((320, 320)))


def tracing(hadm_id: int) -> np.ndarray:
    """Draw whole units of shape (5000, 12)."""
    return samples().astype(np.int64) * 2 + np.arange(5000)[:, None] % (3 + hadm_id % 5)


def labs(hadm_id: int) -> list[float | None]:
    rng = np.random.default_rng(hadm_id)
    return [None if rng.random() < 0.3 else round(float(rng.uniform(1, 9)), 1) for _ in ITEM_IDS]


def planes(hadm_id: int) -> np.ndarray:
    pixels = gray(hadm_id).astype(np.float32) / np.float32(255)
    return ((pixels[None] - MEAN[:, None, None]) / DEVIATION[:, None, None]).astype(np.float32)


def scaled(hadm_id: int) -> np.ndarray:
    raw = tracing(hadm_id) / 200
    return (2 * (raw - raw.min()) / (raw.max() - raw.min()) - 1).astype(np.float32)[None]


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    text = io.StringIO(newline="")
    table = csv.DictWriter(text, list(rows[0]), restval="", lineterminator="\n")
    table.writeheader()
    table.writerows(rows)
    put(path, text.getvalue().encode())


def write_release(root: Path) -> Path:
    """As PhysioNet has it: a row of a retrieval table is a whole row, positives first."""
    first = 20_000_000
    whole, number = [], 0
    for split, count in [*ROWS.items(), ("", LOST)]:
        rows = []
        for _ in range(count):
            hadm_id = first + number
            number += 1
            row = {
                "subject_id": 10_000_000 + number // 2 if split == "train" else 10_000_100 + number,
                "hadm_id": hadm_id,
            }
            values = {str(item): "" if v is None else v for item, v in zip(ITEM_IDS, labs(hadm_id), strict=True)}
            rows.append({**row, "cxr_path": "x", "ecg_path": "y", "Edema": 1.0, **values})
            whole.append(
                {
                    **row,
                    "admittime": "2150-03-01 12:00:00",
                    "dischtime": "2150-03-05 18:00:00",
                    "hospital_expire_flag": number % 2,
                    "gender": "M",
                    "age": 61,
                    "cxr_dicom_id": f"d{hadm_id}",
                    "cxr_study_id": 5,
                    "cxr_ViewPosition": "AP",
                    "cxr_StudyDateTime": "2150-03-02 18:00:00",
                    "ecg_study_id": 4.0,
                    "ecg_time": "2150-03-01 10:00:00",
                    **dict.fromkeys(FINDINGS, ""),
                    "Edema": 1.0,
                    "Fracture": -1.0,
                    **values,
                }
            )
        if not split:
            continue
        positives = [{**row, "label_hadm_id": row["hadm_id"], "label": 1} for row in rows]
        negatives = [
            {**rows[(place + 1) % count], "label_hadm_id": row["hadm_id"], "label": 0} for place, row in enumerate(rows)
        ]
        if split == "val":
            write_table(root / "val_retrieval.csv", positives + negatives)
        rows = positives + negatives if split == "test" else positives if split == "val" else rows
        write_table(root / f"{split}.csv", rows)
        ids = [int(row["hadm_id"]) for row in rows]
        observed = np.array([[value is not None for value in labs(hadm_id)] for hadm_id in ids], dtype=np.int64)
        arrays = {
            "cxr": np.stack([planes(hadm_id) for hadm_id in ids]),
            "ecg": np.stack([scaled(hadm_id) for hadm_id in ids]),
            "hadm_id": np.array(ids),
            "labs_missingness": observed,
        }
        for kind, array in arrays.items():
            path = root / f"data_npy/{split}/{kind}_{split}.npy"
            path.parent.mkdir(parents=True, exist_ok=True)
            np.save(path, array)
    write_table(root / "symile_mimic_data.csv", whole)
    write_sums(root)
    return root


def write_sums(root: Path) -> None:
    sums = "".join(f"{file_sha256(root / name)} {name}\n" for name in files_read())
    put(root / "SHA256SUMS.txt", (sums + "0" * 64 + " code/args.py\n").encode())
