"""Small datasets for the loader tests: M3-like and XOR-like Parquet shards with a manifest, made in milliseconds."""

import io
import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import soundfile
from datasets import Audio, ClassLabel, Features, Image, List, Value
from PIL import Image as Pillow

from symile_data.format import manifest as manifests
from symile_data.format.manifest import BuildFingerprint, Manifest
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.writer import shard_path, write_shard

LANGUAGES = ("el", "en", "hi")
CLASSES = tuple(f"class{index}" for index in range(8))

M3_MODALITIES = (
    Modality(name="image", kind="image", column="image", null_columns=("image", "image_id")),
    Modality(name="audio", kind="audio", column="audio", null_columns=("audio", "clip_id")),
    Modality(name="text", kind="text", column="text", null_columns=("text", "words", "target_text")),
)

M3_FEATURES = Features(
    {
        "lang": Value("string"),
        "audio": Audio(sampling_rate=16_000),
        "image": Image(),
        "text": Value("string"),
        "cls_id": ClassLabel(names=list(CLASSES)),
        "target_text": Value("string"),
        "sample_id": Value("int64"),
        "words": List({"text": Value("string"), "lang": Value("string"), "cls_id": Value("int32")}),
        "image_id": Value("string"),
        "clip_id": Value("string"),
        "image_missing": Value("bool"),
        "audio_missing": Value("bool"),
        "text_missing": Value("bool"),
    }
)


def jpeg(size=(24, 20), colour=(200, 30, 60), mode="RGB", form="JPEG", **options):
    file = io.BytesIO()
    Pillow.new(mode, size, colour).save(file, form, **options)
    return file.getvalue()


def flac(samples=800, rate=16_000, level=0.25, form="FLAC", channels=1):
    time = np.arange(samples) / rate
    wave = (level * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    file = io.BytesIO()
    soundfile.write(file, np.repeat(wave[:, None], channels, axis=1), rate, format=form)
    return file.getvalue()


IMAGES = [jpeg(colour=(20 * index, 255 - 20 * index, 60)) for index in range(12)]
CLIPS = [flac(level=0.05 * (index + 1)) for index in range(6)]


def m3_row(row, missing=()):
    """Row `row` of the M3-like dataset: everything in it can be told from its number."""
    cls, language = row % len(CLASSES), row % len(LANGUAGES)
    words = [
        {
            "text": f"w{(cls + shift) % len(CLASSES)}{LANGUAGES[(language + shift) % 3]}",
            "lang": LANGUAGES[(language + shift) % 3],
            "cls_id": (cls + shift) % len(CLASSES),
        }
        for shift in range(3)
    ]
    words = words[row % 3 :] + words[: row % 3]
    value = {
        "lang": LANGUAGES[language],
        "audio": {"bytes": CLIPS[row % len(CLIPS)], "path": None},
        "image": {"bytes": IMAGES[row % len(IMAGES)], "path": None},
        "text": "_".join(word["text"] for word in words),
        "cls_id": cls,
        "target_text": f"w{cls}{LANGUAGES[language]}",
        "sample_id": 1000 + row,
        "words": words,
        "image_id": f"i{row % len(IMAGES)}",
        "clip_id": f"c{row % len(CLIPS)}",
    }
    for modality in M3_MODALITIES:
        value[f"{modality.name}_missing"] = modality.name in missing
        if modality.name in missing:
            value.update(dict.fromkeys(modality.null_columns))
    return value


def write_m3(
    directory,
    rows=60,
    *,
    group=5,
    shards=2,
    split="train",
    missing=lambda row: (),
    change=lambda row, value: value,
    spec=None,
    shard_format="parquet",
):
    """An M3-like split with manifest."""
    values = [change(row, m3_row(row, missing(row))) for row in range(rows)]
    schema = DatasetSchema(features=M3_FEATURES, modalities=M3_MODALITIES)
    return write_split(
        directory,
        schema,
        values,
        group=group,
        shards=shards,
        split=split,
        spec=spec or {"mode": "disjoint", "words": 3},
        shard_format=shard_format,
    )


def write_vectors(
    directory,
    rows=60,
    *,
    names=("a", "b", "c"),
    length=4,
    group=5,
    shards=2,
    split="train",
    masks=True,
    kind="vector",
    shard_format="parquet",
):
    """An XOR-like split with manifest: value [i, j] of modality m is 100 m + i + j / 10."""
    features = {"sample_id": Value("int64")}
    features |= {name: List(Value("float32"), length=length) for name in names}
    features |= {f"{name}_missing": Value("bool") for name in names} if masks else {}
    modalities = tuple(Modality(name=name, kind=kind, column=name, null_columns=(name,)) for name in names)
    values = [
        {"sample_id": row}
        | {name: [100.0 * m + row + j / 10 for j in range(length)] for m, name in enumerate(names)}
        | ({f"{name}_missing": False for name in names} if masks else {})
        for row in range(rows)
    ]
    schema = DatasetSchema(features=Features(features), modalities=modalities)
    return write_split(directory, schema, values, group=group, shards=shards, split=split, shard_format=shard_format)


def write_split(directory, schema, values, *, group, shards, split="train", spec=None, shard_format="parquet"):
    directory = Path(directory)
    edges = [len(values) * index // shards for index in range(shards + 1)]
    entries = []
    for index, (start, stop) in enumerate(itertools.pairwise(edges)):
        path = directory / shard_path(split, index, shards, shard_format)
        path.parent.mkdir(parents=True, exist_ok=True)
        pieces = (values[at : min(at + group, stop)] for at in range(start, stop, group))
        write_shard(path, schema, (pa.RecordBatch.from_pylist(piece, schema=schema.arrow) for piece in pieces))
        entries.append(manifests.file_entry(directory, path, rows=stop - start, split=split))
    identity = BuildFingerprint(dataset="small", spec=spec or {}, sources={}, versions={})
    manifest = Manifest(identity=identity, modalities=schema.modalities, splits={split: len(values)}, files=entries)
    manifests.write(directory, manifest)
    return directory
