"""The usual ways of reading the same data, and what they do with each row. Libraries that only one way needs are
imported by it, so that no reader pays for another.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image as Pillow
from torch.utils.data import Dataset, IterableDataset

from symile_data.loaders import AudioSettings, ImageSettings
from symile_data.loaders.decoders.audio import decode_audio
from symile_data.loaders.decoders.image import decode_image

from .data import FEATURES

EXACT = ImageSettings(size=224, shorter_side=256)
FAST = ImageSettings(size=224, shorter_side=256, kernel="fast")
AUDIO = AudioSettings(seconds=3.0)
MEL = AudioSettings(seconds=3.0, n_mels=80)
SHUFFLED = 200  # rows in the buffers of readers that shuffle by one
MEAN, DEVIATION = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])


def stock(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """What users write."""
    image = Pillow.open(io.BytesIO(picture)).convert("RGB")
    scale = 256 / min(image.size)
    image = image.resize((int(image.width * scale), int(image.height * scale)), Pillow.Resampling.BICUBIC)
    left, top = (image.width - 224) // 2, (image.height - 224) // 2
    pixels = torch.from_numpy(np.array(image.crop((left, top, left + 224, top + 224)))).float() / 255
    import soundfile

    wave, _ = soundfile.read(io.BytesIO(clip), dtype="float32")
    return {"image": ((pixels - MEAN) / DEVIATION).permute(2, 0, 1), "audio": torch.from_numpy(wave)}


def same_kernel(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """The fast decoders of this package."""
    return {
        "image": torch.from_numpy(decode_image(picture, FAST)),
        "audio": torch.from_numpy(decode_audio(clip, AUDIO)),
    }


def exact_kernel(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """The exact decoders of this package."""
    return {
        "image": torch.from_numpy(decode_image(picture, EXACT)),
        "audio": torch.from_numpy(decode_audio(clip, AUDIO)),
    }


def log_mel(picture: bytes, clip: bytes) -> dict[str, torch.Tensor]:
    """The fast decoders of this package, and log-mel spectrograms."""
    return {
        "image": torch.from_numpy(decode_image(picture, FAST)),
        "audio": torch.from_numpy(decode_audio(clip, MEL)),
    }


def raw(picture: bytes, clip: bytes) -> dict[str, bytes]:
    """Nothing."""
    return {"image": picture, "audio": clip}


LEVELS = {"raw": raw, "same kernel": same_kernel, "stock": stock, "exact kernel": exact_kernel, "log-mel": log_mel}


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
        from datasets import load_dataset

        data = load_dataset(str(directory), split="train", streaming=True).decode(False)
        self.data, self.decode = data.shuffle(seed=0, buffer_size=SHUFFLED), decode

    def __iter__(self) -> Iterator[Any]:
        for row in self.data:
            yield self.decode(row["image"]["bytes"], row["audio"]["bytes"])


class Mapped(Dataset[Any]):
    """`datasets` map-style: an Arrow cache that is memory-mapped."""

    def __init__(self, directory: Path, decode: Callable[[bytes, bytes], Any]) -> None:
        from datasets import Audio, Image, load_dataset

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
    import webdataset

    urls = sorted(str(path) for path in (directory / "tars").iterdir())
    pipeline = webdataset.WebDataset(urls, shardshuffle=len(urls), empty_check=False).shuffle(SHUFFLED)
    return pipeline.map(lambda sample: decode(sample["jpg"], sample["flac"]))


class InMemory(Dataset[Any]):
    """Tensors in RAM, one row at a time with its label and number, as in the public training code."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

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


def listed(rows: list[dict[str, bytes]]) -> dict[str, list[bytes]]:
    """Bytes of different lengths make no tensor."""
    return {name: [row[name] for row in rows] for name in rows[0]}
