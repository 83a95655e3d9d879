"""Batches of audio of near-equal length: every row once, exact continuation, little padding, lengths as stored."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Features, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import M3_FEATURES, M3_MODALITIES, flac, m3_row, write_m3, write_split, write_vectors

from symile_data.errors import UsageError
from symile_data.format.schema import DatasetSchema
from symile_data.loaders import AudioSettings, BatchLoader, Distribution, ImageSettings, Resources, mix, open_split
from symile_data.loaders.buckets.lengths import AudioLengths
from symile_data.loaders.buckets.order import BucketedOrder
from symile_data.loaders.decoders.audio import decode_audio
from symile_data.loaders.report import LoadClock
from symile_data.loaders.shuffle import EpochShuffle
from symile_data.rng import Stream

ROWS = 70
OWN = AudioSettings(seconds=None)
LENGTHS = [int(length) for length in np.random.default_rng(0).integers(400, 6400, ROWS)]
CLIPS = [flac(samples=length, level=0.2) for length in LENGTHS]


def lacking(row: int) -> tuple[str, ...]:
    return ("audio",) if row % 9 == 4 else ()


def of_own_length(row: int, value: dict[str, Any]) -> dict[str, Any]:
    if value["audio"] is not None:
        value["audio"] = {"bytes": CLIPS[row], "path": None}
        value["clip_id"] = f"c{row}"
    return value


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """70 rows whose audio is from 400 to 6,400 samples long; every ninth row has none."""
    return write_m3(tmp_path_factory.mktemp("m3"), ROWS, group=4, missing=lacking, change=of_own_length)


def loader(dataset: Path, batch_size: int = 6, *, ranks: tuple[int, int] = (0, 1), **options: Any) -> BatchLoader:
    resources = Resources(window=6, threads=options.pop("threads", 2))
    distribution = Distribution(rank=ranks[0], world_size=ranks[1])
    transforms = {"audio": options.pop("audio", OWN)}
    options = {"drop_last": False, "bucket_by": "audio_seconds", "modalities": ["audio", "text"], **options}
    split = open_split(dataset, "train")
    return BatchLoader(
        split, batch_size, transforms=transforms, resources=resources, distribution=distribution, **options
    )


def ids(batch: dict[str, Any]) -> list[int]:
    return [row for row, repeated in zip(batch["sample_id"].tolist(), batch["padding"], strict=True) if not repeated]


@given(
    groups=st.lists(st.integers(1, 9), min_size=1, max_size=25),
    window=st.integers(1, 6),
    batch=st.integers(1, 7),
    batches=st.integers(1, 5),
    seed=st.integers(0, 5),
    present=st.sampled_from([0.0, 0.5, 1.0]),
)
@settings(max_examples=80, deadline=None)
def test_the_order_is_that_of_a_slow_walk(
    groups: list[int], window: int, batch: int, batches: int, seed: int, present: float
) -> None:
    rows = sum(groups)
    lengths = np.random.default_rng(seed).integers(0, 8, rows).astype(np.float64)
    lengths[np.random.default_rng(seed + 1).random(rows) >= present] = np.nan
    inner = EpochShuffle(np.array(groups), "print", seed, 2, window, True)
    order = BucketedOrder(
        inner=inner, batch=batch, pool=batches * batch, lengths=lambda asked: lengths[asked], fingerprint="print"
    )
    shuffled = [int(inner.rows_at(position, position + 1)[0][0]) for position in range(rows)]
    expected: list[int] = []
    filled = rows // batch * batch
    for pool, first in enumerate(range(0, filled, batches * batch)):
        inside = shuffled[first : min(first + batches * batch, filled)]
        measured = []
        for place in range(len(inside)):
            following = [lengths[row] for row in (inside[place:] + inside[:place]) if not np.isnan(lengths[row])]
            measured.append(following[0] if following else 0.0)
        ranked = sorted(range(len(inside)), key=lambda place: (measured[place], place))
        cut = [ranked[start : start + batch] for start in range(0, len(ranked), batch)]
        key = Stream(seed, "buckets/print/2").integer() % 2**64
        drawn = np.random.Philox(key=np.array([key, pool], dtype=np.uint64)).random_raw(len(cut))
        chosen = np.argsort(drawn, kind="stable") if len(cut) > 1 else [0]
        expected += [inside[place] for index in chosen for place in cut[index]]
    expected += shuffled[filled:]
    found, reading = order.rows_at(0, rows)
    assert found.tolist() == expected and sorted(expected) == list(range(rows))
    place_of = dict(zip(*(part.tolist() for part in inner.rows_at(0, rows)), strict=True))
    assert reading.tolist() == [place_of[row] for row in expected]
    windows = [order.window_at(position) for position in range(rows)]
    needed = order.window_of_groups()[np.searchsorted(np.cumsum(groups), found, side="right")]
    assert all(windows[place] <= needed[place:].min() for place in range(rows))  # nothing is forgotten too early
    assert all(first <= second for first, second in pairwise(windows))
    start, stop = rows // 3, rows - rows // 4
    assert order.rows_at(start, stop)[0].tolist() == expected[start:stop]


@given(stopped=st.integers(0, 12), before=st.sampled_from([1, 2, 4]), after=st.sampled_from([1, 2, 4]))
@settings(max_examples=10, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_number_of_ranks_continues_exactly(dataset: Path, stopped: int, before: int, after: int) -> None:
    def iterators(count: int, state: dict[str, Any] | None = None) -> tuple[list[BatchLoader], list[Any]]:
        loaders = [loader(dataset, 8 // count, ranks=(rank, count)) for rank in range(count)]
        for each in loaders:
            if state is not None:
                each.load_state_dict(state)
        return loaders, [iter(each) for each in loaders]

    whole = [sorted(ids(batch)) for batch in loader(dataset, 8)]
    loaders, running = iterators(before)
    found = [sorted(row for one in running for row in ids(next(one))) for _ in range(min(stopped, len(whole) - 1))]
    states = [each.state_dict() for each in loaders]
    assert all(state == states[0] for state in states)
    _, running = iterators(after, states[0])
    found += [sorted(row for batch in batches for row in ids(batch)) for batches in zip(*running, strict=True)]
    assert found == whole


def test_batches_hold_what_the_rows_hold_padded_to_the_longest(dataset: Path) -> None:
    stored = {
        row["sample_id"]: row for row in open_split(dataset, "train").read_all(["sample_id", "audio"]).to_pylist()
    }
    seen = []
    for batch in loader(dataset):
        seen += ids(batch)
        lengths = batch["audio_length"].tolist()
        assert batch["audio"].shape == (len(lengths), max([*lengths, 1])) and batch["audio"].dtype == torch.float32
        for place, row in enumerate(batch["sample_id"].tolist()):
            assert lengths[place] == (0 if lacking(row - 1000) else LENGTHS[row - 1000])
            assert bool(batch["missing"][place][0]) == bool(lacking(row - 1000))
            if lengths[place]:
                whole = decode_audio(stored[row]["audio"]["bytes"], OWN)
                assert batch["audio"][place, : lengths[place]].numpy().tolist() == whole.tolist()
            assert not batch["audio"][place, lengths[place] :].any()
    assert sorted(seen) == list(range(1000, 1000 + ROWS))


def test_little_is_padded_and_rows_without_audio_are_spread(dataset: Path) -> None:
    def padding(batches: list[dict[str, Any]]) -> float:
        room = sum(batch["audio"].shape[0] * batch["audio"].shape[1] for batch in batches)
        return 1 - sum(int(batch["audio_length"].sum()) for batch in batches) / room

    complete = "not audio_missing"
    split = open_split(dataset, "train", where=complete)
    options: dict[str, Any] = {"modalities": ["audio"], "transforms": {"audio": OWN}, "drop_last": False}
    bucketed = list(BatchLoader(split, 6, bucket_by="audio_seconds", resources=Resources(window=16), **options))
    longest = max(LENGTHS)
    fixed = 1 - np.mean([length for row, length in enumerate(LENGTHS) if not lacking(row)]) / longest
    assert padding(bucketed) < 0.2 < fixed
    with_gaps = [int(batch["missing"][:, 0].sum()) for batch in loader(dataset, 10, drop_last=True)]
    assert max(with_gaps) < 5


def test_spectrograms_are_those_of_silence_behind_the_sound(dataset: Path) -> None:
    settings = AudioSettings(seconds=None, n_mels=20)
    batch = next(batch for batch in loader(dataset, audio=settings) if not batch["missing"][:, 0].any())
    frames = batch["audio"].shape[2]
    assert batch["audio"].shape[:2] == (6, 20) and batch["audio_length"].max() == frames
    fixed = AudioSettings(seconds=(frames * 160 + 400) / 16_000, n_mels=20)
    for place, row in enumerate(batch["sample_id"].tolist()):
        length = int(batch["audio_length"][place])
        silent = decode_audio(CLIPS[row - 1000], fixed)
        if length + 4 < frames:
            np.testing.assert_allclose(
                batch["audio"][place, :, length + 3 :], silent[:, length + 3 : frames], atol=1e-3
            )
        np.testing.assert_allclose(batch["audio"][place, :, : length - 2], silent[:, : length - 2], atol=1e-3)


def test_threads_change_nothing_and_epochs_differ(dataset: Path) -> None:
    one, three = loader(dataset, threads=1), loader(dataset, threads=3)
    epochs = [[[batch["sample_id"].tolist() for batch in each] for _ in range(2)] for each in (one, three)]
    assert epochs[0] == epochs[1] and epochs[0][0] != epochs[0][1]


def test_lengths_are_seconds_whatever_the_sampling_rate(tmp_path: Path) -> None:
    def of_any_rate(row: int, value: dict[str, Any]) -> dict[str, Any]:
        value["audio"]["bytes"] = (
            b"no audio" if row == 5 else flac(samples=400 * (row + 1), rate=(8_000, 32_000)[row % 2])
        )
        return value

    split = open_split(write_m3(tmp_path, 8, group=4, change=of_any_rate), "train")
    audio = next(modality for modality in split.modalities if modality.name == "audio")
    measured = AudioLengths(split, audio, None, 1, LoadClock())(np.array([6, 1, 5, 0, 7]))
    assert measured[[0, 1, 3, 4]].tolist() == [2800 / 8_000, 800 / 32_000, 400 / 8_000, 3200 / 32_000]
    assert np.isnan(measured[2])


def test_each_audio_is_measured_once(dataset: Path) -> None:
    each = loader(dataset)
    list(each)
    measured = each.report().seconds["measure audio"]
    list(each)
    assert measured > 0 and each.report().seconds["measure audio"] == measured


def test_a_column_of_lengths_is_used_and_no_audio_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.loaders.buckets.lengths.audio_header", lambda _: pytest.fail("it was measured"))
    features = Features({**M3_FEATURES, "audio_seconds": Value("float32"), "audio_length": Value("int64")})
    schema = DatasetSchema(features=features, modalities=M3_MODALITIES)
    lengths = [{"audio_seconds": None if row == 3 else float(row % 5), "audio_length": 0} for row in range(20)]
    values = [m3_row(row) | lengths[row] for row in range(20)]
    write_split(tmp_path, schema, values, group=5, shards=1)
    batches = list(loader(tmp_path, 4))
    assert sorted(row for batch in batches for row in ids(batch)) == list(range(1000, 1020))
    assert sum(len({row % 5 for row in ids(batch) if row != 1003}) == 1 for batch in batches) >= 3
    with pytest.raises(UsageError, match="this name is taken in a batch; got audio_length"):
        loader(tmp_path, columns=["audio_length"])


def test_mixes_are_bucketed_too(dataset: Path) -> None:
    split = open_split(dataset, "train")
    mixed = mix([split, open_split(dataset, "train", rows=range(20))], [1, 1], rows=60)
    batches = list(BatchLoader(mixed, 6, bucket_by="audio_seconds", modalities=["audio"], transforms={"audio": OWN}))
    assert len(batches) == 10 and sum(len(ids(batch)) for batch in batches) == 60


def test_audio_that_cannot_be_decoded_is_skipped(tmp_path: Path) -> None:
    def broken(row: int, value: dict[str, Any]) -> dict[str, Any]:
        value["audio"]["bytes"] = b"no audio" if row == 7 else CLIPS[row]
        return value

    write_m3(tmp_path, 20, change=broken)
    each = loader(tmp_path, 4, on_error="skip")
    rows = [row for batch in each for row in ids(batch)]
    assert sorted(rows) == [1000 + row for row in range(20) if row != 7] and each.skipped == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"bucket_by": "image_seconds"}, r"no audio of this split .*; got 'image_seconds'. Choose among audio_seconds"),
        ({"bucket_by": "audio"}, "got 'audio'. Choose among audio_seconds"),
        ({"modalities": ["text"]}, "none of its modalities is audio"),
        ({"shuffle": False}, "bucket_by arranges shuffled rows.*shuffle=False"),
        ({"cache": True}, "got a cache"),
        ({"audio": AudioSettings()}, r"pads audio to the longest .*seconds=3\.0.*AudioSettings\(seconds=None\)"),
        ({"bucket_by": None}, r"the audio of a batch needs one length.*`bucket_by`"),
    ],
)
def test_what_does_not_fit_is_refused(dataset: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        loader(dataset, **options)


def test_a_state_of_other_buckets_is_refused(dataset: Path) -> None:
    state = loader(dataset, 6).state_dict()
    with pytest.raises(UsageError, match=r"bucket_rows: 8, not 6"):
        loader(dataset, 8).load_state_dict(state)
    plain = BatchLoader(open_split(dataset, "train"), 6, transforms={"image": ImageSettings(size=4)})
    with pytest.raises(UsageError, match="bucket_by"):
        plain.load_state_dict(state)


def test_a_split_without_audio_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="none of its modalities is audio"):
        BatchLoader(open_split(write_vectors(tmp_path, 20), "train"), 4, bucket_by="audio_seconds")
