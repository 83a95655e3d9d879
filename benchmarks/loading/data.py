"""The data that all readers read: images and audio as Parquet, plain files and tars, and precomputed features."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np

FEATURES = {"image": 1024, "audio": 1280}


def media(rng: np.random.Generator, unique: int) -> tuple[list[bytes], list[bytes]]:
    """Photograph-like JPEGs of 457 x 393 pixels (about 75 KB) and speech-like FLAC of 3 s (about 60 KB)."""
    import soundfile
    from PIL import Image as Pillow

    pictures, clips = [], []
    for _ in range(unique):
        smooth = Pillow.fromarray(rng.integers(0, 255, (12, 12, 3), dtype=np.uint8)).resize((457, 393))
        pixels = np.asarray(smooth) + rng.normal(0, 12, (393, 457, 3))
        file = io.BytesIO()
        Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "JPEG", quality=90)
        pictures.append(file.getvalue())
        wave = np.cumsum(rng.normal(0, 0.02, 48_000))
        wave -= np.convolve(wave, np.ones(50) / 50, "same")
        file = io.BytesIO()
        soundfile.write(file, (wave / np.abs(wave).max() / 2).astype(np.float32), 16_000, format="FLAC")
        clips.append(file.getvalue())
    return pictures, clips


def write_media(directory: Path, rows: int) -> None:
    """A split as the builders write it: four shards, row groups of 50, media uncompressed; and the same as plain
    files and as tars.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq
    import webdataset
    from datasets import Audio, Features, Image, Value

    pictures, clips = media(np.random.default_rng(0), min(rows, 250))
    schema = Features(
        {"image": Image(), "audio": Audio(sampling_rate=16_000), "text": Value("string"), "cls_id": Value("int64")}
    ).arrow_schema
    (directory / "data").mkdir(parents=True)
    (directory / "files").mkdir()
    for shard in range(4):
        chosen = range(rows * shard // 4, rows * (shard + 1) // 4)
        path = directory / f"data/train-{shard:05d}-of-00004.parquet"
        with pq.ParquetWriter(
            path, schema, compression="none", use_dictionary=False, write_page_checksum=True
        ) as writer:
            for start in range(chosen.start, chosen.stop, 50):
                group = [
                    {
                        "image": {"bytes": pictures[row % len(pictures)], "path": None},
                        "audio": {"bytes": clips[row % len(clips)], "path": None},
                        "text": "ten words " * 5,
                        "cls_id": row % 1000,
                    }
                    for row in range(start, min(start + 50, chosen.stop))
                ]
                writer.write_batch(pa.RecordBatch.from_pylist(group, schema=schema), row_group_size=50)
    for row in range(rows):
        (directory / f"files/{row}.jpg").write_bytes(pictures[row % len(pictures)])
        (directory / f"files/{row}.flac").write_bytes(clips[row % len(clips)])
    (directory / "tars").mkdir()
    with webdataset.ShardWriter(
        str(directory / "tars/%05d.tar"), maxcount=-(-rows // 4), maxsize=1 << 40, verbose=0
    ) as writer:
        for row in range(rows):
            sample = {"jpg": pictures[row % len(pictures)], "flac": clips[row % len(clips)]}
            writer.write({"__key__": f"{row:06d}", **sample})


def write_features(directory: Path, rows: int) -> None:
    """Precomputed half-precision features, row groups of 1000."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    rng = np.random.default_rng(0)
    columns: dict[str, Any] = {"cls_id": pa.array(np.arange(rows) % 1000)}
    for name, width in FEATURES.items():
        values = rng.standard_normal(rows * width, dtype=np.float32).astype(np.float16)
        columns[name] = pa.FixedSizeListArray.from_arrays(pa.array(values), width)
    directory.mkdir(parents=True)
    pq.write_table(
        pa.table(columns),
        directory / "train.parquet",
        row_group_size=1000,
        compression="none",
        write_page_checksum=True,
    )
