"""A miniature of the published Symile-M3: the same folders, files, columns and types, with a few rows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from factories import encoded, picture

from symile_data.datasets.m3.names import imagenet_classes, read_names

LANGUAGES = ("el", "en")
CONFIG = "symile-m3-2-xs"
CLASSES = (0, 1, 282, 291, 538)
SPLITS = {"train": 230, "val": 12, "test": 10}
CSV_COLUMNS = ("lang", "audio_path", "audio_filename", "cls", "image_path", "cls_id", "target_text", "text")

IMAGES = {(cls, number): encoded(picture(10 * cls + number)) for cls in CLASSES for number in range(2)}


def clip(number: int, form: str = "MP3") -> bytes:
    """A short tone as people's recordings come: mp3."""
    wave = 0.2 * np.sin(np.arange(8000) * (0.05 + 0.01 * number)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, wave, 32_000, format=form)
    return file.getvalue()


CLIPS = {(lang, number): clip(number + 5 * (lang == "el")) for lang in LANGUAGES for number in range(3)}


def translations() -> dict[str, dict[str, Any]]:
    """As in the release; the Greek names are not ours, so only this file can resolve them."""
    wnids, english = imagenet_classes()
    table = read_names()
    return {
        english[cls]: {
            "synset_id": wnids[cls],
            "cls_id": cls,
            "el": f"{table.names['el'][cls]} (el)",
            "en": english[cls],
        }
        for cls in CLASSES
    }


def release_row(number: int) -> dict[str, Any]:
    """A row by the release's rules; everything in it follows from its number."""
    names = translations()
    english = list(names)
    lang, other = LANGUAGES[number % 2], LANGUAGES[(number + 1) % 2]
    cls, distractor = english[number % 5], english[(number + 1 + number % 3) % 5]
    words = [names[cls][lang], names[distractor][other]]
    cls_id = names[cls]["cls_id"]
    return {
        "lang": lang,
        "audio": {"bytes": CLIPS[lang, number % 3], "path": f"common_voice_{lang}_{number % 3}.mp3"},
        "image": {"bytes": IMAGES[cls_id, number % 2], "path": f"{names[cls]['synset_id']}_{number % 2}.JPEG"},
        "text": "_".join(words if number % 4 < 2 else words[::-1]),
        "cls": cls,
        "cls_id": cls_id,
        "target_text": names[cls][lang],
    }


def release_rows(split: str) -> list[dict[str, Any]]:
    """The rows of one split."""
    first = {"train": 0, "val": 1000, "test": 2000}[split]
    return [release_row(first + number) for number in range(SPLITS[split])]


def write_release(
    root: Path,
    *,
    files: int = 2,
    group: int = 30,
    card: bool = True,
    rows: dict[str, list[dict[str, Any]]] | None = None,
) -> Path:
    """Write `root`/symile-m3-2-xs/{train,val,test}-*.parquet, translations.json and README.md."""
    from datasets import Audio, Features, Image, Value

    schema = Features(
        {
            "lang": Value("string"), "audio": Audio(), "image": Image(), "text": Value("string"),
            "cls": Value("string"), "cls_id": Value("int64"), "target_text": Value("string"),
        }
    ).arrow_schema  # fmt: skip
    folder = root / CONFIG
    folder.mkdir(parents=True)
    for split in SPLITS:
        values = (rows or {}).get(split) or release_rows(split)
        edges = [len(values) * index // files for index in range(files + 1)]
        for index in range(files):
            table = pa.Table.from_pylist(values[edges[index] : edges[index + 1]], schema=schema)
            pq.write_table(table, folder / f"{split}-{index:05d}-of-{files:05d}.parquet", row_group_size=group)
    (root / "translations.json").write_text(json.dumps(translations(), ensure_ascii=False), encoding="utf-8")
    if card:
        told = "".join(f"  - name: {split}\n    num_examples: {count}\n" for split, count in SPLITS.items())
        front = f"---\nlicense: cc-by-nc-sa-4.0\ndataset_info:\n- config_name: {CONFIG}\n  splits:\n{told}---\n# Card\n"
        (root / "README.md").write_text(front, encoding="utf-8")
    return root


def csv_row(number: int) -> dict[str, Any]:
    """The same row as the release's tables have it."""
    row = release_row(number)
    wnid = row["image"]["path"].partition("_")[0]
    return {
        "lang": row["lang"],
        "audio_path": f"cv/{row['lang']}/clips/{row['audio']['path']}",
        "audio_filename": row["audio"]["path"].removesuffix(".mp3"),
        "cls": row["cls"],
        "image_path": f"ILSVRC/Data/CLS-LOC/train/{wnid}/{row['image']['path']}",
        **{name: row[name] for name in ("cls_id", "target_text", "text")},
    }


def write_plan(folder: Path, rows: dict[str, list[dict[str, Any]]], columns: Sequence[str] = CSV_COLUMNS) -> Path:
    """Write train.csv, val.csv, ... with the given rows."""
    folder.mkdir(parents=True, exist_ok=True)
    for split, values in rows.items():
        with (folder / f"{split}.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(values)
    return folder


def write_sources(root: Path) -> tuple[Path, Path]:
    """The images and recordings that the plan names: an ImageNet folder and a Common Voice folder."""
    wnids, _ = imagenet_classes()
    for (cls, number), data in IMAGES.items():
        path = root / "imagenet" / wnids[cls] / f"{wnids[cls]}_{number}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    for (lang, number), data in CLIPS.items():
        path = root / "cv" / lang / "clips" / f"common_voice_{lang}_{number}.mp3"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return root / "imagenet", root / "cv"
