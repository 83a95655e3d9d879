"""Open a dataset with Hugging Face `datasets`, which needs no code of symile-data.

Run it: python examples/load_with_datasets.py build/symile-m3-10
"""

import io
import sys

import numpy as np
import soundfile
from datasets import load_dataset


def main(directory: str) -> None:
    """Read rows by their numbers, as a filtered table, and as a stream."""
    dataset = load_dataset(directory)
    print({split: len(rows) for split, rows in dataset.items()})

    # Audio comes as the bytes of a file; with torchcodec and ffmpeg, cast_column("audio", Audio()) decodes it.
    train = dataset["train"]
    row = train[0]
    if row["audio"] is not None:  # None where the modality is missing, and audio_missing is True
        wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        print(f"audio in {row['lang']}: {len(wave) / rate:.1f} s")
    if row["image"] is not None:
        print(f"an image of {row['cls']}: {np.asarray(row['image']).shape}")

    # Read labels and masks alone, without images and audio.
    complete = train.select_columns(["lang", "image_missing", "audio_missing", "text_missing"]).filter(
        lambda *missing: not any(missing), input_columns=["image_missing", "audio_missing", "text_missing"]
    )
    print(f"{len(complete)} of {len(train)} training rows have every modality")

    # A stream needs no conversion to Arrow on disk. Read it to its end, or delete it before the program ends.
    stream = load_dataset(directory, split="test", streaming=True)
    languages = [row["lang"] for row in stream.select_columns(["lang"])]
    print(f"test audio in {', '.join(sorted(set(languages)))}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/symile-m3-10")
