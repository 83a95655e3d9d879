"""Symile-MIMIC: the pass over labevents (CPU seconds and peak memory), electrocardiograms against wfdb, X-rays against
the public pipeline's conversion.

Run: python benchmarks/mimic.py [--rows 20000000]. The table is synthetic; CPU seconds are of all threads, memory is the
measuring process's own peak.
"""

from __future__ import annotations

import argparse
import gzip
import io
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path

import numpy as np
from PIL import Image

from symile_data.builders.mimic.sample.release import sample_roots, write_sample_mimic
from symile_data.builders.mimic.signals.radiograph import convert
from symile_data.builders.mimic.signals.waveform import read_signal
from symile_data.datasets.mimic.lab_items import ITEM_IDS

PATIENTS = 180_000
ASKED = 12_000  # admissions whose tests are wanted
CHUNK = 1_000_000


def write_labevents(path: Path, rows: int) -> None:
    """A table of the official columns: half of the items are among the 50, times within ten years."""
    header = "labevent_id,subject_id,hadm_id,specimen_id,itemid,order_provider_id,charttime,storetime,value,valuenum,"
    header += "valueuom,ref_range_lower,ref_range_upper,flag,priority,comments\n"
    items = np.array([*ITEM_IDS, *range(51_500, 51_550)])
    with gzip.open(path, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write(header)
        for start in range(0, rows, CHUNK):
            rng = np.random.default_rng(start)
            count = min(CHUNK, rows - start)
            subjects = np.sort(rng.integers(0, PATIENTS, count)) + 10_000_000
            seconds = rng.integers(0, 10 * 365 * 86_400, count)
            times = np.datetime_as_string(np.datetime64("2150-01-01T00:00:00") + seconds.astype("m8[s]"))
            times = np.char.replace(times, "T", " ")
            chosen, values = rng.choice(items, count), rng.integers(1, 5000, count)
            file.write(
                "".join(
                    f"{start + i},{subject},,{start + i},{item},P12ABC,{time},{time},"
                    f"{value / 10},{value / 10},mg/dL,1.0,9.0,,ROUTINE,\n"
                    for i, (subject, item, time, value) in enumerate(
                        zip(subjects.tolist(), chosen.tolist(), times.tolist(), values.tolist(), strict=True)
                    )
                )
            )


def measure_labs(path: Path) -> None:
    """The pass itself, in this process; prints one line."""
    import polars as pl

    from symile_data.builders.mimic.cohort.labs import first_labs

    subjects = np.random.default_rng(0).choice(PATIENTS, ASKED, replace=False) + 10_000_000
    days = np.random.default_rng(1).integers(0, 3650, ASKED)
    admissions = pl.DataFrame({"subject_id": subjects, "hadm_id": np.arange(ASKED)}).with_columns(
        admittime=pl.lit(datetime(2150, 1, 1)) + pl.duration(days=pl.lit(pl.Series(days))),
        stay_from=pl.lit(None, pl.Datetime("us")),
        stay_until=pl.lit(None, pl.Datetime("us")),
    )
    before = time.process_time()
    found, _ = first_labs(path, admissions, reference=False, stay=False)
    status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    peak = int(status["VmHWM"].split()[0]) / 1024  # ru_maxrss would count the parent's memory before exec
    print(f"labevents: {time.process_time() - before:.1f} CPU s, peak {peak:.0f} MB, {len(found):,} values")


def cpu_milliseconds(work: Callable[[Path], object], paths: list[Path]) -> float:
    """Mean CPU time of one file, the best of three passes."""
    passes = []
    for _ in range(3):
        before = time.process_time()
        for path in paths:
            work(path)
        passes.append(1000 * (time.process_time() - before) / len(paths))
    return min(passes)


def reference_image(path: Path) -> bytes:
    """The public pipeline's conversion, stored like ours: three planes."""
    with Image.open(path) as opened:
        image = opened.convert("RGB")
    width, height = image.size
    size = (320, int(320 * height / width)) if width <= height else (int(320 * width / height), 320)
    buffer = io.BytesIO()
    image.resize(size, Image.Resampling.BILINEAR).save(buffer, "PNG", compress_level=6)
    return buffer.getvalue()


def write_images(directory: Path, count: int) -> list[Path]:
    """Gray JPEGs of the size of MIMIC-CXR-JPG's, half smooth."""
    paths = []
    for number in range(count):
        rng = np.random.default_rng(number)
        coarse = Image.fromarray(rng.integers(0, 256, size=(40, 48), dtype=np.uint8))
        smooth = np.asarray(coarse.resize((2544, 3056), Image.Resampling.BICUBIC), dtype=np.int16)
        grain = rng.integers(-6, 7, size=smooth.shape) if number % 2 else 0
        paths.append(directory / f"{number}.jpg")
        Image.fromarray((smooth + grain).clip(0, 255).astype(np.uint8)).save(paths[-1], quality=95)
    return paths


def main() -> None:
    """Measure and print."""
    import wfdb

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=2_000_000)
    parser.add_argument("--labs", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.labs:
        measure_labs(arguments.labs)
        return
    with tempfile.TemporaryDirectory() as temporary:
        directory = Path(temporary)
        table = directory / "labevents.csv.gz"
        write_labevents(table, arguments.rows)
        print(f"{arguments.rows:,} rows, {table.stat().st_size / 1e6:.0f} MB on {os.cpu_count()} cores")
        subprocess.run([sys.executable, __file__, "--labs", str(table)], check=True)
        write_sample_mimic(directory / "sample", 20)
        records = sorted(p.with_suffix("") for p in sample_roots(directory / "sample").mimic_ecg.rglob("*.hea"))
        good = [record for record in records if read_signal_or_none(record)]
        ours, theirs = cpu_milliseconds(read_signal, good), cpu_milliseconds(lambda p: wfdb.rdrecord(str(p)), good)
        print(f"electrocardiogram: {ours:.2f} ms, wfdb {theirs:.2f} ms, {theirs / ours:.0f} times")
        images = write_images(directory, 4)
        ours, theirs = cpu_milliseconds(convert, images), cpu_milliseconds(reference_image, images)
        print(f"X-ray: {ours:.0f} ms, RGB {theirs:.0f} ms, {theirs / ours:.2f} times")


def read_signal_or_none(record: Path) -> bool:
    """Whether a record is usable."""
    from symile_data.builders.mimic.signals.waveform import UnusableRecordError

    try:
        read_signal(record)
    except UnusableRecordError:
        return False
    return True


if __name__ == "__main__":
    main()
