"""How much CPU the loader costs, beside the usual ways of reading the same data.

    python benchmarks/loaders.py [--rows 1000] [--repeats 5] [--workers 2]

Every cell is one whole pass: raw bytes, decoded pictures of 224 pixels and 3 s waveforms in batches of 32, or
precomputed features in batches of 256. CPU milliseconds count this process and its workers; the cells take turns in
each repeat and the medians are printed, since wall time says little on a shared machine. "Same kernel" gives the
other readers this package's fast decoders, so that a loader is compared with a loader; "stock" is what users write
(resize everything, float32, normalise, default_collate); the floor is the kernels alone, in one thread, on bytes in
memory. Memory is what a process of its own has beyond one that only imported the same things.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
import torch
import webdataset
from datasets import Audio, Features, Image, Value, load_dataset
from PIL import Image as Pillow
from torch.utils.data import DataLoader, Dataset, IterableDataset

from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    ImageSettings,
    Resources,
    StoredSettings,
    VectorSettings,
    open_split,
)
from symile_data.loaders.decoders.audio import decode_audio
from symile_data.loaders.decoders.image import decode_image

BATCH, FEATURE_BATCH = 32, 256
IMAGE = ImageSettings(size=224, shorter_side=256)
FAST = ImageSettings(size=224, shorter_side=256, kernel="fast")
AUDIO = AudioSettings(seconds=3.0)
MEL = AudioSettings(seconds=3.0, n_mels=80)
FEATURES = {"image": 1024, "audio": 1280}
SHUFFLED = 200  # rows in the buffers of readers that shuffle by one
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])

Cell = Callable[[], Iterable[Any]]


def media(rng: np.random.Generator, unique: int) -> tuple[list[bytes], list[bytes]]:
    """Photograph-like JPEGs of 457 x 393 pixels (about 75 KB) and speech-like FLAC of 3 s (about 60 KB)."""
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


def stock(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """What users write."""
    image = Pillow.open(io.BytesIO(picture)).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Pillow.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = torch.from_numpy(np.array(image.crop((left, top, left + 224, top + 224)))).float() / 255
    wave, _ = soundfile.read(io.BytesIO(clip), dtype="float32")
    return {"image": ((pixels - MEAN) / DEVIATION).permute(2, 0, 1), "audio": torch.from_numpy(wave)}


def same_kernel(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """The fast decoders of this package."""
    return {
        "image": torch.from_numpy(decode_image(picture, FAST)),
        "audio": torch.from_numpy(decode_audio(clip, AUDIO)),
    }


def raw(picture: bytes, clip: bytes) -> dict[str, bytes]:
    """Nothing."""
    return {"image": picture, "audio": clip}


class PlainFiles(Dataset[Any]):
    """One file for each medium."""

    def __init__(self, directory: Path, rows: int, decode: Callable[[bytes, bytes], Any]) -> None:
        self.directory, self.rows, self.decode = directory, rows, decode

    def __len__(self) -> int:
        return self.rows

    def __getitem__(self, row: int) -> Any:
        picture, clip = (self.directory / f"{row}.{ending}" for ending in ("jpg", "flac"))
        return self.decode(picture.read_bytes(), clip.read_bytes())


class Streamed(IterableDataset[Any]):
    """`datasets` in streaming mode with its shuffle buffer."""

    def __init__(self, directory: Path, decode: Callable[[bytes, bytes], Any]) -> None:
        data = load_dataset(str(directory), split="train", streaming=True).decode(False)
        self.data, self.decode = data.shuffle(seed=0, buffer_size=SHUFFLED), decode

    def __iter__(self) -> Iterator[Any]:
        for row in self.data:
            yield self.decode(row["image"]["bytes"], row["audio"]["bytes"])


class Mapped(Dataset[Any]):
    """`datasets` map-style: an Arrow cache that is memory-mapped."""

    def __init__(self, directory: Path, decode: Callable[[bytes, bytes], Any]) -> None:
        data = load_dataset(str(directory), split="train", cache_dir=str(directory / "cache"))
        for name, kind in (("image", Image(decode=False)), ("audio", Audio(sampling_rate=16_000, decode=False))):
            data = data.cast_column(name, kind)
        self.data, self.decode = data, decode

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, row: int) -> Any:
        found = self.data[row]
        return self.decode(found["image"]["bytes"], found["audio"]["bytes"])


def tars(directory: Path, decode: Callable[[bytes, bytes], Any]) -> Any:
    """`webdataset` with shuffled shards and its shuffle buffer."""
    urls = sorted(str(path) for path in (directory / "tars").iterdir())
    pipeline = webdataset.WebDataset(urls, shardshuffle=len(urls), empty_check=False).shuffle(SHUFFLED)
    return pipeline.map(lambda sample: decode(sample["jpg"], sample["flac"]))


class Floor:
    """The kernels alone: one thread, bytes in memory, results thrown away."""

    def __init__(self, directory: Path, rows: int, decode: Callable[[bytes, bytes], Any]) -> None:
        files = directory / "files"
        self.media = [
            ((files / f"{row}.jpg").read_bytes(), (files / f"{row}.flac").read_bytes()) for row in range(rows)
        ]
        self.decode = decode

    def __iter__(self) -> Iterator[Any]:
        for picture, clip in self.media:
            self.decode(picture, clip)
            yield {"image": [None]}


class InMemory(Dataset[Any]):
    """Tensors in RAM, one row at a time with its label and number, as in the public training code."""

    def __init__(self, path: Path) -> None:
        table = pq.read_table(path)
        self.labels = torch.from_numpy(table["cls_id"].to_numpy())
        self.columns = {
            name: torch.from_numpy(
                table[name].combine_chunks().values.to_numpy(zero_copy_only=False).reshape(-1, width).copy()
            )
            for name, width in FEATURES.items()
        }

    def __len__(self) -> int:
        return len(self.columns["image"])

    def __getitem__(self, row: int) -> Any:
        values = {name: column[row] for name, column in self.columns.items()}
        return {**values, "cls_id": self.labels[row], "sample_id": row}


def cells(media_at: Path, features_at: Path, rows: int, workers: int) -> dict[str, Cell]:
    """Name of each cell, and what makes one pass of it."""
    split = open_split(media_at, "train")
    table: dict[str, Cell] = {}

    def ours(name: str, image: object, audio: object) -> None:
        transforms = {"image": image, "audio": audio}
        table[name] = lambda: BatchLoader(
            split, BATCH, transforms=transforms, resources=Resources(threads=workers), drop_last=False
        )

    def torchs(name: str, make: Callable[[], Any], shuffle: bool | None, collate: Any = None) -> None:
        table[name] = lambda: DataLoader(make(), BATCH, shuffle=shuffle, num_workers=workers, collate_fn=collate)

    ours("raw: this loader", StoredSettings(), StoredSettings())
    ours("decoded: this loader, fast kernel", FAST, AUDIO)
    ours("decoded: this loader, exact kernel", IMAGE, AUDIO)
    ours("decoded: this loader, fast kernel, log-mel", FAST, MEL)
    files = media_at / "files"
    for level, decode in (("raw", raw), ("decoded, same kernel", same_kernel), ("decoded, stock", stock)):
        collate = listed if decode is raw else None
        torchs(f"{level}: plain files", partial(PlainFiles, files, rows, decode), True, collate)
        torchs(f"{level}: datasets, map-style", partial(Mapped, media_at, decode), True, collate)
        torchs(f"{level}: datasets, streaming", partial(Streamed, media_at, decode), None, collate)
        torchs(f"{level}: webdataset", partial(tars, media_at, decode), None, collate)
    table["floor: fast kernel"] = lambda: Floor(media_at, rows, same_kernel)
    features, in_memory = partial(mapped, features_at), partial(in_ram, features_at)
    return table | {"features: this loader, memory-mapped": features, "features: tensors in RAM, DataLoader": in_memory}


@cache
def mapped(features_at: Path) -> BatchLoader:
    """Features in memory-mapped columns."""
    halves = {name: VectorSettings(dtype="float16") for name in FEATURES}
    split = open_split(features_at, "train")
    return BatchLoader(split, FEATURE_BATCH, transforms=halves, cache=features_at / "cache", drop_last=False)


@cache
def in_ram(features_at: Path) -> DataLoader[Any]:
    """Features as the public training code reads them."""
    return DataLoader(InMemory(features_at / "train.parquet"), FEATURE_BATCH, shuffle=True)


def listed(rows: list[dict[str, bytes]]) -> dict[str, list[bytes]]:
    """Bytes of different lengths make no tensor."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def measure(make: Cell) -> tuple[float, float]:
    """Samples a second, and CPU milliseconds a sample, of one pass."""
    before, start, samples = _cpu_seconds(), time.perf_counter(), 0
    for batch in make():
        samples += len(batch["image"])
    wall = time.perf_counter() - start
    return samples / wall, (_cpu_seconds() - before) / samples * 1e3


def _cpu_seconds() -> float:
    used = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(entry.ru_utime + entry.ru_stime for entry in used)


def memory_mb(make: Callable[[Path], Iterable[Any]], directory: Path) -> list[float]:
    """Megabytes of its own (anonymous memory) that a process has more than before: the most in the second and in the
    last quarter of a pass.
    """
    context = multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        return pool.apply(_memory_of, (make, directory))


def _memory_of(make: Callable[[Path], Iterable[Any]], directory: Path) -> list[float]:
    torch.set_num_threads(1)
    before = _anonymous_mb()
    counts = [_anonymous_mb() - before for _ in make(directory)]
    quarter = len(counts) // 4
    return [max(counts[quarter : 2 * quarter]), max(counts[-quarter:])]


def _anonymous_mb() -> float:
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return float(next(line.split()[1] for line in lines if line.startswith("Anonymous:"))) / 1024


def streamed(media_at: Path) -> BatchLoader:
    """Decoded media, two threads."""
    transforms = {"image": FAST, "audio": AUDIO}
    return BatchLoader(open_split(media_at, "train"), BATCH, transforms=transforms, resources=Resources(window=4))


def main() -> None:
    """Write the data, run the cells, print a table and one line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--feature-rows", type=int, default=50_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2, help="threads of this loader, processes of the others")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        media_at, features_at = Path(folder) / "media", Path(folder) / "features"
        write_media(media_at, arguments.rows)
        write_features(features_at, arguments.feature_rows)
        table = cells(media_at, features_at, arguments.rows, arguments.workers)
        for first in ("raw: datasets, map-style", *(name for name in table if name.startswith("features"))):
            measure(table[first])  # fills a cache or memory
        found: dict[str, list[tuple[float, float]]] = {name: [] for name in table}
        for _ in range(arguments.repeats):
            for name, make in table.items():
                found[name].append(measure(make))
        memory = {
            "streaming media": memory_mb(streamed, media_at),
            "features: this loader, memory-mapped": memory_mb(mapped, features_at),
            "features: tensors in RAM, DataLoader": memory_mb(in_ram, features_at),
        }
    medians = {name: [statistics.median(values) for values in zip(*runs, strict=True)] for name, runs in found.items()}
    print(f"{arguments.workers} workers, load average {os.getloadavg()[0]:.1f}")
    print("| reader | samples/s | CPU ms/sample |", "|---|---|---|", sep="\n")
    for name, (rate, cpu) in medians.items():
        print(f"| {name} | {rate:,.0f} | {cpu:.4f} |")
    print("| memory of its own, MB | second quarter of an epoch | last quarter |", "|---|---|---|", sep="\n")
    for name, (early, late) in memory.items():
        print(f"| {name} | {early:.0f} | {late:.0f} |")
    print("| goal | samples/s | CPU |", "|---|---|---|", sep="\n")
    for name, ratios in goals(medians).items():
        print(f"| {name} | {ratios[0]:.2f} | {ratios[1]:.2f} |")
    print(json.dumps({"medians": medians, "memory": memory}))


def goals(medians: dict[str, list[float]]) -> dict[str, tuple[float, float]]:
    """How many times better this loader is than the best of the others, by rate and by CPU."""

    def best(mine: str, others: str) -> tuple[float, float]:
        rivals = [values for name, values in medians.items() if name.startswith(others) and name != mine]
        rate, cpu = medians[mine]
        return rate / max(values[0] for values in rivals), min(values[1] for values in rivals) / cpu

    fast = "decoded: this loader, fast kernel"
    return {
        "raw bytes, best other reader (1.5)": best("raw: this loader", "raw: "),
        "fast decode, best stock pipeline (2.0)": best(fast, "decoded, stock: "),
        "fast decode, best with the same kernel (1.15)": best(fast, "decoded, same kernel: "),
        "share of the decode floor, CPU only (0.85)": (
            float("nan"),
            medians["floor: fast kernel"][1] / medians[fast][1],
        ),
        "features, public dataset class (4.0)": best("features: this loader, memory-mapped", "features: tensors"),
    }


if __name__ == "__main__":
    main()
