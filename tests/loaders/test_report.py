"""Reports of a loader's time: what is counted, and what the sentence advises."""

from dataclasses import replace

import pytest
from small_datasets import write_m3

from symile_data.loaders import AudioSettings, BatchLoader, ImageSettings, Resources, open_split
from symile_data.loaders.report import FILL, GATHER, LoadClock, LoadReport

SMALL = {"image": ImageSettings(size=8), "audio": AudioSettings(seconds=0.05)}


@pytest.fixture(scope="module")
def split(tmp_path_factory):
    return open_split(write_m3(tmp_path_factory.mktemp("m3"), 48), "train")


def test_streaming_counts_rows_bytes_and_the_work_of_each_modality(split):
    loader = BatchLoader(split, 8, transforms=SMALL, resources=Resources(threads=2))
    assert loader.report().rows == 0
    assert loader.report().advice == "Nothing was loaded yet."
    rows = sum(len(batch["text"]) for batch in loader)
    report = loader.report()
    assert report.rows == rows == 48
    assert set(report.seconds) == {"read", "decode image", "decode audio", "decode text"}
    assert all(seconds > 0 for seconds in report.seconds.values())
    columns = ["text", "cls_id", "sample_id", "image_missing", "audio_missing", "text_missing"]
    groups = range(len(split.group_rows))
    media = [value for name in ("image", "audio") for value in split.read_all([name])[name].to_pylist()]
    stored = sum(len(value["bytes"]) for value in media if value is not None)
    assert report.bytes == stored + sum(split.read(columns, group).nbytes for group in groups)
    for _ in loader:
        pass
    assert loader.report().rows == 96
    assert loader.report().bytes == 2 * report.bytes


def test_columns_for_a_table_name_every_stage(split):
    loader = BatchLoader(split, 8, transforms=SMALL)
    next(iter(loader))
    columns = loader.report().columns
    assert {"load_wait_s", "load_idle_s", "load_mb", "load_read_s", "load_decode_image_s"} <= set(columns)
    text = str(loader.report())
    assert "waited by the consumer" in text
    assert text.endswith(loader.report().advice)


def test_a_cached_loader_counts_filling_and_gathering(split):
    loader = BatchLoader(split, 8, transforms=SMALL, cache=True)
    assert sum(1 for _ in loader) == 6
    assert set(loader.report().seconds) == {FILL, GATHER}
    filled = loader.report().seconds[FILL]
    assert sum(1 for _ in loader) == 6
    assert loader.report().seconds[FILL] == filled  # once
    assert loader.report().rows == 96


def made(**changes):
    seconds = {"read": 1.0, "decode image": 6.0, "decode text": 1.0}
    report = LoadReport(rows=10, waited=4.0, used=4.0, seconds=seconds, bytes=5, threads=2)
    return replace(report, **changes)


@pytest.mark.parametrize(
    ("report", "said"),
    [
        (made(waited=0.1), "The loader keeps up: its consumer waited 2% of the time"),
        (made(), "its consumer waited 50% of the time, and 75% of the work is to decode image; "),
        (made(), "decode once (`cache`), to a smaller size (`transforms`), or embed the dataset beforehand."),
        (made(seconds={"read": 3.0, "decode image": 1.0}), "75% of the work is to read; "),
        (made(seconds={"read": 3.0}), "leave modalities unread (`modalities`)."),
        (made(seconds={FILL: 3.0, GATHER: 1.0}), "to fill the cache; give `cache` a directory"),
        (made(seconds={FILL: 1.0, GATHER: 3.0}), "to gather from the cache; lower `batch_size`"),
    ],
)
def test_the_sentence_names_the_bottleneck_and_what_to_change(report, said):
    assert said in report.advice


def test_more_threads_are_advised_only_where_there_are_cores(monkeypatch):
    monkeypatch.setattr("symile_data.loaders.report.usable_cores", lambda: 8)
    assert "raise `threads` (now 2; 8 cores can be used) or decode once" in made().advice
    monkeypatch.setattr("symile_data.loaders.report.usable_cores", lambda: 2)
    assert "threads" not in made().advice


def test_waiting_working_and_idleness_add_up(monkeypatch):
    now = iter([1.0, 3.0, 10.0, 10.5])
    monkeypatch.setattr("symile_data.loaders.report.time.perf_counter", lambda: next(now))
    clock = LoadClock()
    with clock.stage("read"):  # from 1 to 3
        pass
    delivered = clock.delivered(4, 6.0)  # at 10
    clock.returned(delivered)  # at 10.5
    report = clock.report(threads=2)
    assert (report.rows, report.waited, report.used) == (4, 4.0, 0.5)
    assert report.idle == 2 * 4.5 - 2.0
    assert made(seconds={"read": 100.0}).idle == 0.0
