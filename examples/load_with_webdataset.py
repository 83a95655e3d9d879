"""Read a dataset of tar shards with the `webdataset` library (made by `symile-data build m3 ... --format webdataset`).

Run it: python examples/load_with_webdataset.py build/symile-m3-10-tars
"""

import io
import sys
from pathlib import Path
from typing import Any

import soundfile
import webdataset as wds


def decode_audio(key: str, data: bytes) -> Any:
    """Return (waveform, rate) of a sound member; None leaves other members to the next decoder."""
    return soundfile.read(io.BytesIO(data), dtype="float32") if key.endswith("flac") else None


def main(directory: str) -> int:
    """Go through the test split, and return the number of rows."""
    shards = sorted(map(str, Path(directory, "data").glob("test-*.tar")))
    # shardshuffle=100 and .shuffle(1000) for training; the loader of symile_data gives an order that resumes exactly.
    dataset = wds.WebDataset(  # pyright: ignore[reportAttributeAccessIssue] (missing in webdataset's own stub)
        shards, shardshuffle=False, empty_check=False
    ).decode("rgb8", decode_audio)
    rows = complete = 0
    for sample in dataset:
        labels = sample["json"]  # every column without a member of its own, masks among them
        rows += 1
        # A missing modality is an absent member, and its mask is true.
        if labels["image_missing"] or labels["audio_missing"] or labels["text_missing"]:
            continue
        image, (wave, rate), text = sample["jpg"], sample["flac"], sample["txt"]
        if not complete:
            print(f"{labels['cls']}: {image.shape}, {len(wave) / rate:.1f} s in {labels['lang']}, {text!r}")
        complete += 1
    print(f"{complete} of {rows} rows have every modality")
    return rows


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/symile-m3-10-tars")
