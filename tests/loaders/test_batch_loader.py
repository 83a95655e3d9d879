import json
import pickle
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
import torch
from datasets import Features, List, Value
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_datasets import CLIPS, IMAGES, m3_row, write_m3, write_split, write_vectors

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.xor.build import build_xor
from symile_data.builders.xor.spec import XorSpec
from symile_data.errors import DamageError, UsageError
from symile_data.format.schema import DatasetSchema, Modality
from symile_data.format.shards.parquet import ParquetShard
from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    Distribution,
    ImageAugment,
    ImageSettings,
    Resources,
    Variation,
    open_split,
)
from symile_data.loaders.decoders.audio import decode_audio
from symile_data.loaders.decoders.image import decode_image
from symile_data.missingness import missing

IMAGE, AUDIO = ImageSettings(size=8), AudioSettings(seconds=0.05)
SMALL = {"image": IMAGE, "audio": AUDIO}


@pytest.fixture(scope="module")
def m3(tmp_path_factory):
    """60 rows; every seventh lacks its picture, every ninth its text."""

    def lacking(row):
        return (("image",) if row % 7 == 0 else ()) + (("text",) if row % 9 == 0 else ())

    return open_split(write_m3(tmp_path_factory.mktemp("m3"), 60, missing=lacking), "train")


@pytest.fixture(scope="module")
def vectors(tmp_path_factory):
    return open_split(write_vectors(tmp_path_factory.mktemp("vectors"), 53, group=4, shards=3), "train")


def ids(batches):
    return [batch["sample_id"].tolist() for batch in batches]


def equal(one, two):
    """Whether two batches hold the same."""
    return one.keys() == two.keys() and all(
        torch.equal(one[key], two[key]) if isinstance(one[key], torch.Tensor) else one[key] == two[key] for key in one
    )


@pytest.mark.parametrize("cache", [False, True])
def test_every_row_comes_out_as_it_was_stored(m3, cache):
    columns = ["lang", "image_id", "words", "target_text"]
    loader = BatchLoader(m3, 7, transforms=SMALL, columns=columns, drop_last=False, cache=cache)
    seen = []
    for batch in loader:
        for place, sample_id in enumerate(batch["sample_id"].tolist()):
            row = sample_id - 1000
            no_image, no_text = row % 7 == 0, row % 9 == 0
            stored = m3_row(row, (("image",) if no_image else ()) + (("text",) if no_text else ()))
            assert batch["missing"][place].tolist() == [no_image, False, no_text]
            picture = np.zeros((8, 8, 3)) if no_image else decode_image(IMAGES[row % len(IMAGES)], IMAGE)
            assert np.array_equal(batch["image"][place], picture)
            assert np.array_equal(batch["audio"][place], decode_audio(CLIPS[row % len(CLIPS)], AUDIO))
            assert batch["text"][place] == stored["text"]
            assert batch["cls_id"][place] == stored["cls_id"]
            assert {name: batch[name][place] for name in columns} == {name: stored[name] for name in columns}
            seen.append(row)
        assert batch["image"].dtype == torch.uint8 and batch["audio"].dtype == torch.float32
        assert batch["missing"].dtype == torch.bool and batch["sample_id"].dtype == torch.int64
        assert not batch["padding"].any()
    assert sorted(seen) == list(range(60)) and len(loader) == 9


def test_the_length_is_the_number_of_batches(vectors):
    for drop_last, world, expected in ((True, 1, 13), (False, 1, 14), (True, 3, 4), (False, 3, 5)):
        loader = BatchLoader(vectors, 4, drop_last=drop_last, distribution=Distribution(world_size=world))
        assert len(loader) == expected == len(list(loader))


def test_training_drops_the_rest_and_evaluation_keeps_it(vectors):
    assert len(BatchLoader(vectors, 50)) == 1
    assert len(BatchLoader(vectors, 50, shuffle=False)) == 2
    assert ids(BatchLoader(vectors, 60, shuffle=False)) == [list(range(53))]


@given(st.integers(1, 6), st.integers(0, 3), st.booleans())
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_threads_prefetch_and_cache_do_not_change_a_bit(m3, threads, prefetch, cache):
    arguments: dict[str, Any] = {"transforms": SMALL, "missingness": 0.3, "columns": ["lang"], "seed": 3}
    plain = list(BatchLoader(m3, 8, resources=Resources(threads=1, prefetch=0), **arguments))
    other = list(BatchLoader(m3, 8, resources=Resources(threads=threads, prefetch=prefetch), cache=cache, **arguments))
    assert len(plain) == len(other) and all(equal(one, two) for one, two in zip(plain, other, strict=True))


@given(st.integers(1, 8), st.integers(1, 5), st.integers(1, 8), st.integers(1, 5), st.data())
@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_interrupted_anywhere_other_ranks_see_the_rest_once(vectors, world, batch, new_world, new_batch, data):
    def loaders(world, batch):
        options: dict[str, Any] = {"drop_last": False, "cache": True, "seed": 5}
        ranks = [Distribution(rank=rank, world_size=world) for rank in range(world)]
        return [BatchLoader(vectors, batch, distribution=distribution, **options) for distribution in ranks]

    before = loaders(world, batch)
    stop = data.draw(st.integers(0, len(before[0])))
    seen, states = [], []
    for loader in before:
        for _, part in zip(range(stop), loader, strict=False):
            seen += part["sample_id"][~part["padding"]].tolist()
        states.append(json.dumps(loader.state_dict()))
    assert len(set(states)) == 1
    if stop == len(before[0]):
        assert sorted(seen) == list(range(53)) and before[0].state_dict()["epoch"] == 1
        return
    for loader in loaders(new_world, new_batch):
        loader.load_state_dict(json.loads(states[0]))
        for part in loader:
            seen += part["sample_id"][~part["padding"]].tolist()
        assert (loader.epoch, loader.state_dict()["position"]) == (1, 0)
    assert sorted(seen) == list(range(53))


@pytest.mark.parametrize("cache", [False, True])
def test_a_restored_loader_goes_on_exactly_across_epochs(m3, cache):
    options: dict[str, Any] = {"transforms": SMALL, "seed": 1, "missingness": {"audio": 0.5}, "cache": cache}
    options |= {"variation": Variation(redraw_words=True)}
    through = BatchLoader(m3, 9, resources=Resources(threads=2), **options)
    expected = [batch for _ in range(3) for batch in through]
    first = BatchLoader(m3, 9, resources=Resources(threads=1), **options)
    taken = [*first]
    for batch in first:
        taken.append(batch)
        if len(taken) == 9:
            break
    second = BatchLoader(m3, 9, resources=Resources(threads=3), **options)
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    taken += [*second, *second]
    assert len(taken) == len(expected)
    assert all(equal(one, two) for one, two in zip(taken, expected, strict=True))


def test_each_iteration_is_the_next_epoch(vectors):
    loader = BatchLoader(vectors, 5)
    first, second = ids(loader), ids(loader)
    assert loader.epoch == 2 and first != second
    loader.set_epoch(0)
    assert ids(loader) == first
    assert ids(loader) == second


def test_leaving_an_epoch_early_goes_to_the_next(vectors):
    loader, whole = BatchLoader(vectors, 5), BatchLoader(vectors, 5)
    for _ in loader:
        break
    assert loader.epoch == 0 and loader.state_dict()["position"] == 5
    whole.set_epoch(1)
    assert ids(loader) == ids(whole)


@pytest.mark.parametrize("between", ["another iteration", "a loaded state", "a set epoch"])
def test_an_iteration_that_was_overtaken_cannot_go_on(vectors, between):
    loader = BatchLoader(vectors, batch_size=8)
    early = iter(loader)
    next(early)
    state = loader.state_dict()
    if between == "another iteration":
        next(iter(loader))
    elif between == "a loaded state":
        loader.load_state_dict(state)
    else:
        loader.set_epoch(0)
    before = loader.state_dict()
    with pytest.raises(UsageError, match="an iteration of a loader cannot go on once another one began"):
        next(early)
    assert loader.state_dict() == before
    assert len(list(loader)) == len(loader) - (between != "another iteration")


def test_a_state_that_leaves_no_full_batch_goes_to_the_next_epoch(vectors):
    first, second = BatchLoader(vectors, 5), BatchLoader(vectors, 30)
    for _ in zip(range(8), first, strict=False):
        pass
    second.load_state_dict(first.state_dict())
    assert first.state_dict()["position"] == 40 and len(ids(second)) == 1 and second.epoch == 2


def test_setting_the_restored_epoch_keeps_the_position(vectors):
    loader, other = BatchLoader(vectors, 5), BatchLoader(vectors, 5)
    whole = ids(other)
    for _ in loader:
        break
    state = loader.state_dict()
    other.load_state_dict(state)
    other.set_epoch(0)
    assert ids(other) == whole[1:]
    other.load_state_dict(state)
    other.set_epoch(2)
    assert len(ids(other)) == len(whole)
    with pytest.raises(UsageError, match="must not be negative"):
        other.set_epoch(-1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": 1}, r"seed: 1, not 0"),
        ({"shuffle": False}, r"shuffle: False, not True"),
        ({"resources": Resources(window=3)}, r"window: 3, not 16"),
        ({"missingness": {"a": 0.5}}, r"missingness.a: 0.5, not 0.0"),
    ],
)
def test_a_state_of_other_settings_is_refused_by_name(vectors, change, message):
    state = BatchLoader(vectors, 5).state_dict()
    with pytest.raises(UsageError, match=message):
        BatchLoader(vectors, 5, **change).load_state_dict(state)


def test_a_state_of_another_dataset_is_refused(vectors, tmp_path):
    other = open_split(write_vectors(tmp_path, 53, names=("a", "b", "c"), group=5), "train")
    broken = write_vectors(tmp_path / "x", 40)
    with pytest.raises(UsageError, match="rows: 40, not 53"):
        BatchLoader(open_split(broken, "train"), 5).load_state_dict(BatchLoader(other, 5).state_dict())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"version": 1}, "another version, in which a position means other rows; got 1, not 2"),
        ({"epoch": -1}, "impossible epoch"),
        ({"position": 54}, "impossible position; got 54 of 53 rows"),
        ({"position": 1.5}, "impossible position"),
        ({"workers": 2}, "missing or unknown: workers"),
    ],
)
def test_a_strange_state_is_refused(vectors, change, message):
    loader = BatchLoader(vectors, 5)
    with pytest.raises(UsageError, match=message):
        loader.load_state_dict(loader.state_dict() | change)


def test_a_state_is_small_and_the_same_on_every_rank(vectors):
    assert len(json.dumps(BatchLoader(vectors, 5).state_dict())) < 500


@pytest.mark.parametrize("cache", [False, True])
def test_missingness_takes_away_everything_of_a_modality(m3, cache):
    loader = BatchLoader(
        m3,
        60,
        transforms=SMALL,
        seed=4,
        missingness={"image": 0.5, "text": 0.2},
        columns=["image_id", "words"],
        cache=cache,
    )
    (batch,) = loader
    sample_ids = batch["sample_id"].numpy()
    rows = sample_ids - 1000
    gone = missing(4, sample_ids, "image", 0.5, "load") | (rows % 7 == 0)
    no_text = missing(4, sample_ids, "text", 0.2, "load") | (rows % 9 == 0)
    assert np.array_equal(batch["missing"][:, 0], gone) and np.array_equal(batch["missing"][:, 2], no_text)
    assert not batch["image"][batch["missing"][:, 0]].any()
    assert [value is None for value in batch["image_id"]] == gone.tolist()
    assert [value is None for value in batch["words"]] == [value is None for value in batch["text"]] == no_text.tolist()
    assert not batch["missing"][:, 1].any()
    (again,) = loader
    order, other = np.argsort(sample_ids), np.argsort(again["sample_id"].numpy())
    assert np.array_equal(batch["missing"][order], again["missing"][other])


@pytest.mark.parametrize("cache", [False, True])
def test_numbers_that_belong_to_a_modality_go_with_it(tmp_path, cache):
    """Whole numbers, others, and the mask on disk: none may tell of a value that is taken away at load."""
    columns = {"x": List(Value("float32"), length=2), "count": Value("int64"), "score": Value("float32")}
    schema = DatasetSchema(
        features=Features({"sample_id": Value("int64"), **columns, "x_missing": Value("bool")}),
        modalities=(Modality(name="x", kind="vector", column="x", null_columns=tuple(columns)),),
    )
    values = [
        {"sample_id": row, "x": [1.0, 2.0], "count": row, "score": row / 2, "x_missing": False} for row in range(40)
    ]
    split = open_split(write_split(tmp_path, schema, values, group=10, shards=1), "train")
    asked = ["count", "score", "x_missing"]
    (batch,) = BatchLoader(split, 40, shuffle=False, missingness=0.5, columns=asked, cache=cache)
    gone = missing(0, np.arange(40), "x", 0.5, "load")
    assert 0 < gone.sum() < 40 and np.array_equal(batch["x_missing"], gone)
    assert np.array_equal(batch["count"], np.where(gone, -100, np.arange(40)))
    assert np.array_equal(batch["score"], np.where(gone, np.nan, np.arange(40) / 2), equal_nan=True)


@pytest.mark.parametrize("cache", [False, True])
def test_missingness_is_nested_and_the_same_in_every_epoch_and_on_every_rank(m3, cache):
    def gone(rate, world=1):
        """By epoch, the samples and modalities that are missing."""
        found: list[set[Any]] = [set(), set()]
        for rank in range(world):
            options: dict[str, Any] = {"transforms": SMALL, "seed": 2, "missingness": rate}
            distribution = Distribution(rank=rank, world_size=world)
            loader = BatchLoader(m3, 6, drop_last=False, cache=cache, distribution=distribution, **options)
            for epoch in (0, 1):
                for batch in loader:
                    rows, modalities = torch.nonzero(batch["missing"], as_tuple=True)
                    found[epoch] |= set(zip(batch["sample_id"][rows].tolist(), modalities.tolist(), strict=True))
        return found

    stored, half, more = gone(0.0), gone(0.5), gone(0.65, world=3)
    for found in (stored, half, more):
        assert found[0] == found[1]
    assert stored[0] < half[0] < more[0] < gone(1.0)[0]


@pytest.mark.parametrize("cache", [False, True])
def test_media_that_are_missing_are_never_decoded(tmp_path, cache):
    write_m3(tmp_path, 20, change=lambda row, value: value | {"image": {"bytes": b"junk", "path": None}})
    loader = BatchLoader(open_split(tmp_path, "train"), 10, transforms=SMALL, missingness={"image": 1.0}, cache=cache)
    assert all(batch["missing"][:, 0].all() for batch in loader)


def damaged(tmp_path, rows):
    def change(row, value):
        return value | ({"image": {"bytes": b"junk", "path": None}, "image_id": f"bad{row}"} if row in rows else {})

    return open_split(write_m3(tmp_path, 30, change=change), "train")


@pytest.mark.parametrize("cache", [False, True])
def test_a_damaged_medium_is_named(tmp_path, cache):
    loader = BatchLoader(damaged(tmp_path, {22}), 5, transforms=SMALL, cache=cache)
    with pytest.raises(
        DamageError, match=r"column image cannot be decoded \(data/train-00001-of-00002.parquet, row 7\)"
    ):
        list(loader)


@pytest.mark.parametrize("cache", [False, True, "directory"])
def test_damaged_media_can_be_skipped_and_are_counted(tmp_path, cache):
    split = damaged(tmp_path / "data", {3, 4, 22})
    where = tmp_path / "kept" if cache == "directory" else cache
    for _ in range(2):  # the second time the directory is there already
        loader = BatchLoader(split, 5, transforms=SMALL, on_error="skip", shuffle=False, cache=where)
        seen = [value for batch in ids(loader) for value in batch]
        assert seen == [1000 + row for row in range(30) if row not in {3, 4, 22}]
        assert loader.skipped == 3 and "row 3" in loader.skipped_examples[0]
    if cache == "directory":
        with pytest.raises(DamageError, match="row 3"):
            list(BatchLoader(split, 5, transforms=SMALL, cache=where))


def test_several_ranks_keep_equal_batches_when_samples_are_skipped(tmp_path):
    split = damaged(tmp_path, {3, 4, 22})
    seen, skipped, counts = [], 0, set()
    for rank in range(2):
        loader = BatchLoader(
            split, 5, transforms=SMALL, on_error="skip", distribution=Distribution(rank=rank, world_size=2)
        )
        batches = list(loader)
        for batch in batches:
            assert len(batch["sample_id"]) == 5 == len(batch["text"])
            seen += batch["sample_id"][~batch["padding"]].tolist()
        skipped += loader.skipped
        counts.add((len(batches), json.dumps(loader.state_dict())))
    assert skipped == 3 and len(counts) == 1
    assert sorted(seen) == [1000 + row for row in range(30) if row not in {3, 4, 22}]


def test_a_batch_of_damage_alone_is_an_error(tmp_path):
    loader = BatchLoader(damaged(tmp_path, set(range(30))), 5, transforms=SMALL, on_error="skip")
    with pytest.raises(DamageError, match="all samples of a batch are damaged"):
        list(loader)


def test_a_shard_that_breaks_later_is_named(tmp_path):
    split = open_split(write_vectors(tmp_path, 20, shards=1), "train")
    (shard,) = (tmp_path / "data").iterdir()
    shard.unlink()
    with pytest.raises(DamageError, match="a shard is missing"):
        list(BatchLoader(split, 5))


def test_augmentation_follows_seed_epoch_and_sample_alone(m3):
    options: dict[str, Any] = {
        "transforms": SMALL,
        "variation": Variation(augment={"image": ImageAugment(area=(0.2, 0.6))}),
    }

    def views(loader):
        found: dict[Any, Any] = {}
        for batch in loader:
            found |= dict(zip(batch["sample_id"].tolist(), batch["image"], strict=True))
        return found

    one = views(BatchLoader(m3, 10, resources=Resources(threads=3), **options))
    two = views(BatchLoader(m3, 6, resources=Resources(threads=1, window=2), **options))
    assert one.keys() == two.keys() and all(torch.equal(one[key], two[key]) for key in one)


def test_augmentation_changes_by_epoch(tmp_path):
    def noisy(row, value):
        from test_decoding import photo, stored

        return value | {"image": {"bytes": stored(photo(32, 32, row)), "path": None}, "image_id": str(row)}

    split = open_split(write_m3(tmp_path, 10, change=noisy), "train")
    loader = BatchLoader(
        split, 10, transforms=SMALL, shuffle=False, variation=Variation(augment={"image": ImageAugment()})
    )
    (first,), (second,) = loader, loader
    assert not torch.equal(first["image"], second["image"])
    loader.set_epoch(0)
    assert torch.equal(next(iter(loader))["image"], first["image"])


def test_labels_have_fixed_types_and_say_where_they_are_null(tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {
        "x": pa.array([[1.0, 2.0], [3.0, 4.0], None], pa.list_(pa.float32(), 2)),
        "i": pa.array([1, None, 3], pa.int8()),
        "f": pa.array([0.5, None, 1.5], pa.float64()),
        "b": pa.array([True, False, True]),
        "l": pa.array([[1], [2], None], pa.list_(pa.int64())),
        "v": pa.array([[1, 2], None, [None, 4]], pa.list_(pa.int16(), 2)),
        "broken": pa.array([True, None, True]),
    }
    pq.write_table(pa.table(columns), tmp_path / "train.parquet")
    split = open_split(tmp_path, "train")
    for cache in (False, True):
        (batch,) = BatchLoader(split, 3, shuffle=False, columns=["i", "f", "b", "l", "v"], cache=cache)
        assert batch["i"].tolist() == [1, -100, 3] and batch["i"].dtype == torch.int64
        assert batch["f"].dtype == torch.float32 and batch["f"].isnan().tolist() == [False, True, False]
        assert batch["b"].tolist() == [True, False, True]
        assert batch["l"] == [[1], [2], None]
        assert batch["v"].tolist() == [[1, 2], [-100, -100], [-100, 4]]
        assert batch["x"].tolist() == [[1.0, 2.0], [3.0, 4.0], [0.0, 0.0]]
        assert batch["missing"].tolist() == [[False], [False], [True]]
        assert batch["sample_id"].tolist() == [0, 1, 2]
        with pytest.raises(DamageError, match=r"broken is null \(train.parquet, row 1\)"):
            list(BatchLoader(split, 3, columns=["broken"], cache=cache))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"transforms": {"picture": IMAGE}}, "transforms names no modality.*image"),
        ({"transforms": {"image": AUDIO}}, "takes ImageSettings"),
        ({"missingness": {"sound": 0.5}}, "missingness names no modality"),
        ({"missingness": 1.5}, r"outside \[0, 1\]"),
        ({"columns": ["colour"]}, "`columns` names no column"),
        ({"columns": ["text"]}, "this name is taken in a batch; got text"),
        ({"variation": Variation(augment={"audio": ImageAugment()})}, "augment names no image modality"),
        ({"variation": Variation(augment={"image": ImageAugment()}), "cache": True}, "ImageAugment cannot work on it"),
        ({"batch_size": 61}, "fewer rows than one global batch"),
        ({"batch_size": 0}, "at least one row"),
        ({"on_error": "ignore"}, "unknown on_error"),
        ({"variation": Variation(redraw_words=True), "columns": ["words"]}, "no longer holds"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_at_once(m3, arguments, message):
    with pytest.raises(UsageError, match=message):
        BatchLoader(m3, **({"batch_size": 8} | arguments))


def test_a_loader_can_be_sent_to_another_process(vectors):
    assert ids(pickle.loads(pickle.dumps(BatchLoader(vectors, 5)))) == ids(BatchLoader(vectors, 5))


def test_leaving_early_leaves_no_threads(m3):
    import threading

    for _ in BatchLoader(m3, 4, transforms=SMALL, resources=Resources(threads=3)):
        break
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("decode")]


def test_what_a_loader_takes_away_is_drawn_apart_from_what_the_build_took(tmp_path):
    spec = XorSpec(rows={"train": 4000, "validation": 0, "test": 0}, missing={"a": 0.5, "b": 0.5}, seed=3)
    build_xor(spec, tmp_path, workers=1, write_card=no_card)
    loader = BatchLoader(open_split(tmp_path, "train"), 4000, seed=3, missingness=0.5)
    rates = next(iter(loader))["missing"].float().mean(dim=0).tolist()
    assert rates == pytest.approx([0.75, 0.75, 0.5], abs=0.03)


NEVER_NEEDED = [
    "pandas",
    "pyarrow.compute",
    "pyarrow.dataset",
    "datasets",
    "librosa",
    "fsspec",
    "yaml",
    "rich",
    "typer",
]


@pytest.mark.parametrize(
    ("transforms", "unneeded"),
    [
        ("{}", NEVER_NEEDED),
        ("{'image': StoredSettings(), 'audio': StoredSettings()}", [*NEVER_NEEDED, "PIL", "soundfile"]),
    ],
    ids=["decoded", "as stored"],
)
def test_a_batch_imports_only_what_it_needs(tmp_path, transforms, unneeded):
    code = (
        "import sys; from symile_data.loaders import BatchLoader, StoredSettings, open_split;"
        f" split = open_split({str(write_m3(tmp_path, 12))!r}, 'train');"
        f" batch = next(iter(BatchLoader(split, 4, transforms={transforms}, columns=['lang'])));"
        f" print(len(batch['text']), [name for name in {unneeded!r} if name in sys.modules])"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True, timeout=120) == "4 []\n"


@pytest.mark.parametrize("cache", [False, True])
@pytest.mark.parametrize("names", [(), ("text",), ("text", "image")])
def test_modalities_that_are_left_out_are_not_read(m3, monkeypatch, names, cache):
    read, whole = [], ParquetShard._read

    def spied(shard, groups, columns, trim=None):
        read.extend(columns)
        return whole(shard, groups, columns, trim)

    monkeypatch.setattr(ParquetShard, "_read", spied)
    settings = {name: value for name, value in SMALL.items() if name in names}
    loader = BatchLoader(m3, 7, modalities=names, transforms=settings, columns=["lang", "image_missing"], cache=cache)
    kept = [name for name in ("image", "audio", "text") if name in names]
    everything = BatchLoader(m3, 7, transforms=SMALL, columns=["lang", "image_missing"])
    seen = list(loader)
    assert not ({"image", "audio", "text"} - set(names)) & set(read)
    for some, all_of_it in zip(seen, everything, strict=True):
        assert set(all_of_it) - set(some) == {"image", "audio", "text"} - set(names)
        order = [["image", "audio", "text"].index(name) for name in kept]
        assert torch.equal(some["missing"], all_of_it["missing"][:, order])
        rest = [name for name in some if name != "missing"]
        assert equal({name: some[name] for name in rest}, {name: all_of_it[name] for name in rest})


def test_a_modality_that_is_not_there_cannot_be_chosen(m3):
    with pytest.raises(UsageError, match="modalities names no modality of this split; got video"):
        BatchLoader(m3, 4, modalities=["video"])
    with pytest.raises(UsageError, match="transforms names no modality of this split; got image"):
        BatchLoader(m3, 4, modalities=["text"], transforms={"image": IMAGE})
