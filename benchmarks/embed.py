"""Throughput of `symile-data embed`: pictures of a Symile-M3 dataset through a CLIP ViT-B/32 of random weights.

Run: python benchmarks/embed.py [--rows 300] [--images FOLDER]. The peer is the plain loop over rows with `datasets` and
transformers, in batches of the same size, which encodes a picture as often as rows use it. CPU seconds of one thread;
`forward` is the part of them inside the model.
"""

from __future__ import annotations

import argparse
import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

import datasets
import numpy as np
import numpy.typing as npt
import torch
import transformers
from PIL import Image
from rich.console import Console
from rich.table import Table

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.features.build import build_features
from symile_data.builders.features.spec import FeatureSpec
from symile_data.builders.m3.build import build_m3
from symile_data.builders.m3.spec import M3Spec
from symile_data.workflows.embed import describe_model, encode_media

BATCH = 64
SIDE = 224
MEAN, DEVIATION = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)


@contextlib.contextmanager
def timed_forward(seconds: list[float]) -> Iterator[None]:
    """Note the CPU seconds of every forward pass."""
    original = transformers.CLIPVisionModel.forward

    def timed(*arguments: object, **options: object) -> object:
        start = time.process_time()
        try:
            return original(*arguments, **options)
        finally:
            seconds.append(time.process_time() - start)

    transformers.CLIPVisionModel.forward = timed
    try:
        yield
    finally:
        transformers.CLIPVisionModel.forward = original


def ours(dataset: Path, model: str, out: Path) -> int:
    """Build the feature dataset; the number of its rows."""
    spec = FeatureSpec(models=(describe_model("image", "image", model, {}),), batch_size=BATCH)
    manifest = build_features(dataset, out, spec, encode_media, workers=1, write_card=no_card)
    return sum(manifest.splits.values())


def peer(dataset: Path, model: str) -> int:
    """Encode the picture of every row; the number of rows."""
    encoder, count = transformers.CLIPVisionModel.from_pretrained(model).eval(), 0
    for rows in datasets.load_dataset(str(dataset)).values():
        for batch in rows.select_columns(["image"]).iter(BATCH):
            pixels = np.stack([_prepared(image) for image in batch["image"]])
            with torch.inference_mode():
                encoder(pixel_values=torch.from_numpy(pixels)).pooler_output.half().numpy()
            count += len(pixels)
    return count


def _prepared(image: Image.Image) -> np.ndarray:
    """(3, 224, 224) as CLIP's processor makes it."""
    scale = SIDE / min(image.size)
    width, height = (round(side * scale) for side in image.size)
    resized = image.convert("RGB").resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - SIDE) // 2, (height - SIDE) // 2
    values: npt.NDArray[np.float32] = np.asarray(
        resized.crop((left, top, left + SIDE, top + SIDE)), dtype=np.float32
    ) / np.float32(255)
    mean, deviation = np.asarray(MEAN, dtype=np.float32), np.asarray(DEVIATION, dtype=np.float32)
    return ((values - mean) / deviation).transpose(2, 0, 1)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--images", type=Path, help="An ImageNet folder; the drawn pictures where not given.")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    table = Table("what", "rows", "pictures encoded", "CPU s", "rows/s", "forward s", "outside the model %")
    with tempfile.TemporaryDirectory() as folder:
        model, dataset = f"{folder}/clip", Path(folder) / "m3"
        transformers.CLIPVisionModel(transformers.CLIPVisionConfig(patch_size=32)).save_pretrained(model)
        rows = {"train": arguments.rows, "validation": 0, "test": 0}
        policy: Literal["disjoint", "shared"] = "disjoint" if arguments.images is None else "shared"
        spec = M3Spec(languages=("el", "en"), words=2, rows=rows, images=arguments.images, split_policy=policy)
        build_m3(spec, dataset, workers=1, write_card=no_card)
        for what in ("ours", "loop over rows"):
            seconds: list[float] = []
            with timed_forward(seconds):
                start = time.process_time()
                count = ours(dataset, model, Path(folder) / "features") if what == "ours" else peer(dataset, model)
                total = time.process_time() - start
            ids = set(datasets.load_dataset(str(dataset), split="train")["image_id"])
            encoded, inside = len(ids) if what == "ours" else count, sum(seconds)
            cells = (f"{total:.1f}", f"{count / total:.1f}", f"{inside:.1f}", f"{100 * (1 - inside / total):.0f}")
            table.add_row(what, f"{count:,}", f"{encoded:,}", *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
