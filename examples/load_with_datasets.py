"""Open a dataset with Hugging Face `datasets`: nothing of symile-data is needed to read what it wrote.

Run it: python examples/load_with_datasets.py build/symile-m3-10
"""

import io
import sys

import numpy as np
import soundfile
from datasets import Audio, load_dataset


def main(directory: str) -> None:
    """Rows by place, as a stream, and as a filtered table."""
    dataset = load_dataset(directory)
    print({split: len(rows) for split, rows in dataset.items()})

    # Clips as bytes: soundfile reads them, and torchcodec and ffmpeg are not needed.
    train = dataset["train"].cast_column("audio", Audio(sampling_rate=16_000, decode=False))
    row = train[0]
    if row["audio"] is not None:  # None where the modality is missing, and audio_missing is True
        wave, rate = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        print(f"a clip in {row['lang']}: {len(wave) / rate:.1f} s")
    if row["image"] is not None:
        print(f"a picture of {row['cls']}: {np.asarray(row['image']).shape}")

    # Labels and masks alone: no medium is read.
    complete = train.select_columns(["lang", "image_missing", "audio_missing", "text_missing"]).filter(
        lambda *missing: not any(missing), input_columns=["image_missing", "audio_missing", "text_missing"]
    )
    print(f"{len(complete)} of {len(train)} training rows have every modality")

    # A stream needs no conversion to Arrow on disk. Let it run out, or drop it before the program ends.
    stream = load_dataset(directory, split="test", streaming=True)
    languages = [row["lang"] for row in stream.select_columns(["lang"])]
    print(f"test clips in {', '.join(sorted(set(languages)))}")


if __name__ == "__main__":
    main(sys.argv[1] if len(sys.argv) > 1 else "build/symile-m3-10")
