"""Bring your own dataset: four modalities, some missing, from rows in memory to shards, card, preview and batches.

A coloured square and a tone are drawn independently; the caption's word is decided by both together, so neither alone
tells it. A sensor's readings go with the tone. Run it: python examples/own_dataset.py [DIRECTORY]
"""

import io
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from datasets import Audio, ClassLabel, Features, Image, List, Value
from PIL import Image as Pillow

from symile_data.builders.custom import own_schema, write_dataset
from symile_data.cards import write_card
from symile_data.cards.preview import default_path, write_preview
from symile_data.format.publication import Publication
from symile_data.format.verify import verify
from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, open_split

COLOURS = [(213, 94, 0), (0, 114, 178), (0, 158, 115), (240, 228, 66)]
PITCHES_HZ = [220, 330, 440, 660]
WORDS = ["north", "east", "south", "west"]

# Your columns, typed. Modalities name the columns to learn from and their kinds; the others describe the sample.
SCHEMA = own_schema(
    Features(
        {
            "square": Image(),
            "tone": Audio(sampling_rate=16_000),
            "caption": Value("string"),
            "sensor": List(Value("float32"), length=8),
            "colour": ClassLabel(names=["vermilion", "blue", "green", "yellow"]),
        }
    ),
    modalities={"square": "image", "tone": "audio", "caption": "text", "sensor": "vector"},
)


def square(colour: int, rng: np.random.Generator) -> bytes:
    """A PNG of one colour, a little noisy."""
    pixels = np.array(COLOURS[colour]) + rng.normal(0, 12, (24, 24, 3))
    file = io.BytesIO()
    Pillow.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(file, "PNG")
    return file.getvalue()


def tone(pitch: int, rng: np.random.Generator) -> bytes:
    """Half a second of a tone, as FLAC."""
    time = np.arange(8_000) / 16_000
    wave = 0.3 * np.sin(2 * np.pi * PITCHES_HZ[pitch] * time) + rng.normal(0, 0.01, len(time))
    file = io.BytesIO()
    soundfile.write(file, wave, 16_000, format="FLAC")
    return file.getvalue()


def rows(count: int, seed: int) -> Iterator[dict[str, Any]]:
    """Rows one by one; None where a modality is missing."""
    rng = np.random.default_rng(seed)
    for _ in range(count):
        colour, pitch = rng.integers(4, size=2)
        word = int(colour + pitch) % 4
        yield {
            "square": square(colour, rng),
            "tone": tone(pitch, rng),
            "caption": f"go {WORDS[word]}",
            "sensor": None if rng.random() < 0.2 else PITCHES_HZ[pitch] / 660 + rng.normal(0, 0.05, 8),
            "colour": colour,
        }


def main(directory: Path) -> None:
    """Write the dataset, check it, look at it, batch it."""
    manifest = write_dataset(
        directory,
        name="square-and-tone",
        schema=SCHEMA,
        splits={"train": rows(200, seed=0), "validation": rows(40, seed=1), "test": rows(40, seed=2)},
        spec={"version": 1, "seeds": [0, 1, 2]},
        write_card=write_card,
        notes=["Squares and tones are drawn; numbers on them say nothing about the world."],
        publication=Publication(
            summary="Coloured squares, tones and sensors, with captions that square and tone decide together.",
            licence="CC0-1.0",
            derived_from=({"name": "this example, which draws everything", "licence": "CC0-1.0"},),
            rai={
                "dataUseCases": ["Trying code for four modalities"],
                "dataBiases": ["None: colours and pitches are uniform"],
                "personalSensitiveInformation": ["None"],
                "dataSocialImpact": "None known: the data are about nothing in the world.",
                "hasSyntheticData": True,
            },
        ),
    )
    print(f"{sum(manifest.splits.values())} rows in {directory}; problems: {list(verify(directory))}")

    page = default_path(directory)
    write_preview(directory, page)
    print(f"look at it: {page}")

    settings = {"square": ImageSettings(size=24), "tone": AudioSettings(seconds=0.5, n_mels=40)}
    loader = BatchLoader(open_split(directory, "train"), 32, transforms=settings, columns=["colour"])
    batch = next(iter(loader))
    shapes = {name: tuple(batch[name].shape) for name in ("square", "tone", "sensor", "missing")}
    print(f"a batch: {shapes}, captions such as {batch['caption'][0]!r}")


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "build/square-and-tone"))
