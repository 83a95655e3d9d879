"""The recipe for reading a built dataset with `datasets` alone, as the documentation gives it."""

import io
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile
from datasets import Audio, load_dataset
from small_datasets import CLIPS, write_m3

from symile_data.loaders import AudioSettings
from symile_data.loaders.decoders.audio import decode_audio


def decoded(row):
    if row["audio"] is not None:
        wave, _ = soundfile.read(io.BytesIO(row["audio"]["bytes"]), dtype="float32")
        return {"wave": wave}
    return {"wave": None}


def test_streaming_with_soundfile_gives_the_loaders_samples(tmp_path):
    write_m3(tmp_path, 12, missing=lambda row: ("audio",) if row == 4 else ("image",) if row == 5 else ())
    data = load_dataset(str(tmp_path), split="train", streaming=True)
    data = data.cast_column("audio", Audio(sampling_rate=16_000, decode=False)).map(decoded, remove_columns=["audio"])
    rows = list(data)  # to the end: a half-read Parquet stream can hang the interpreter's exit
    assert [row["sample_id"] for row in rows] == list(range(1000, 1012))
    for index, row in enumerate(rows):
        if index == 4:
            assert row["wave"] is None and row["audio_missing"]
        else:
            mine = decode_audio(CLIPS[index % len(CLIPS)], AudioSettings(seconds=None))
            assert np.allclose(np.asarray(row["wave"]), mine)
    assert rows[5]["image"] is None and rows[6]["image"].size == (24, 20)


def test_map_style_with_soundfile_gives_the_same(tmp_path):
    write_m3(tmp_path / "data", 8)
    data = load_dataset(str(tmp_path / "data"), split="train", cache_dir=str(tmp_path / "cache"))
    data = data.cast_column("audio", Audio(sampling_rate=16_000, decode=False))
    assert data.features["cls_id"].names[3] == "class3"
    assert decoded(data[3])["wave"].shape == (800,)


LEFT_EARLY = {
    "a loop that breaks": "for row in stream:\n    print(row['sample_id'])\n    break\n",
    "one row": "print(next(iter(stream))['sample_id'])\n",
    "an iterator that is closed": (
        "from contextlib import closing\n"
        "with closing(iter(stream)) as rows:\n"
        "    print(next(rows)['sample_id'])\n"
    ),
}  # fmt: skip


@pytest.mark.parametrize("way", LEFT_EARLY)
def test_a_stream_that_is_left_early_ends_cleanly(tmp_path, way):
    """As docs/faq.md says: the program ends by itself, in time, and without a traceback."""
    write_m3(tmp_path, 40)
    code = (
        "import sys\n"
        "from datasets import Audio, load_dataset\n"
        "stream = load_dataset(sys.argv[1], split='train', streaming=True)\n"
        "stream = stream.cast_column('audio', Audio(decode=False))\n" + LEFT_EARLY[way]
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path / "home")}
    said = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=120, env=environment
    )
    assert (said.returncode, said.stdout) == (0, "1000\n"), said.stderr
    assert "Traceback" not in said.stderr and "Error" not in said.stderr
