"""Media exchanged within a label, media encoded once, and jittered images."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from small_datasets import IMAGES, write_m3, write_vectors

from symile_data.errors import UsageError
from symile_data.loaders import AudioSettings, BatchLoader, ImageJitter, ImageSettings, Resources, Variation, open_split

SMALL = {"image": ImageSettings(size=4), "audio": AudioSettings(seconds=0.025)}
ROWS = 60


@dataclass(frozen=True)
class Encoding:
    """A function of media with a key, as loaders take it."""

    function: Callable[..., Any]
    key: str = "function"

    def __call__(self, media):
        return self.function(media)


SAME = Encoding(lambda chunk: chunk)
SWAP = {"image": "cls_id", "audio": "lang"}


def split_of(tmp_path, **options):
    return open_split(write_m3(tmp_path, ROWS, **options), options.get("split", "train"))


def loader_of(split, batch_size=ROWS, resample_within_class=SWAP, augment=None, **options):
    variation = Variation(resample_within_class=resample_within_class, augment=augment or {})
    settings = {"cache": True, "transforms": SMALL, "columns": ["lang"], "variation": variation, **options}
    return BatchLoader(split, batch_size, **settings)


def epoch_of(loader):
    """Rows of one epoch by sample id: what is delivered of each."""
    found = {}
    for batch in loader:
        for row, key in enumerate(batch["sample_id"].tolist()):
            found[key] = {name: values[row] for name, values in batch.items()}
    return found


def media(rows, name):
    return {key: row[name].numpy().tobytes() for key, row in rows.items()}


def own(split):
    return epoch_of(loader_of(split, resample_within_class={}, shuffle=False))


@pytest.mark.parametrize("name", SWAP)
def test_each_row_gets_a_medium_of_its_label_and_each_medium_goes_to_one_row(tmp_path, name):
    split = split_of(tmp_path)
    plain, drawn = own(split), epoch_of(loader_of(split))
    before, after = media(plain, name), media(drawn, name)
    labels = {key: (row["cls_id"].item() if name == "image" else row["lang"]) for key, row in plain.items()}
    for label in set(labels.values()):
        keys = [key for key in labels if labels[key] == label]
        assert sorted(before[key] for key in keys) == sorted(after[key] for key in keys)
    assert sum(before[key] != after[key] for key in before) > ROWS / 5
    assert all(plain[key]["text"] == drawn[key]["text"] for key in plain)


def test_two_modalities_of_one_label_are_exchanged_apart(tmp_path):
    """Otherwise the image and the audio of a row would travel together and still tell each other's row."""
    loader = loader_of(split_of(tmp_path), resample_within_class=dict.fromkeys(SWAP, "cls_id"))
    next(iter(loader))
    image, audio = (loader._decoded.permutation(name, "cls_id", 0, 0) for name in SWAP)
    assert np.mean(image == audio) < 0.5  # one in eight by chance, as a label has about eight rows


def test_draws_differ_between_epochs_and_seeds_and_depend_on_nothing_else(tmp_path):
    split = split_of(tmp_path)
    loader = loader_of(split)
    first, second = media(epoch_of(loader), "image"), media(epoch_of(loader), "image")
    assert first != second
    other = loader_of(split, 7, drop_last=False, resources=Resources(threads=3, window=2), cache=tmp_path / "cache")
    assert media(epoch_of(other), "image") == first and media(epoch_of(other), "image") == second
    assert media(epoch_of(loader_of(split, seed=1)), "image") != first


def test_a_restored_loader_draws_the_same(tmp_path):
    split = split_of(tmp_path)
    whole, cut = loader_of(split, 10), loader_of(split, 10)
    list(whole), list(cut)
    expected, got = list(whole), iter(cut)
    next(got), next(got)
    resumed = loader_of(split, 10)
    resumed.load_state_dict(cut.state_dict())
    for theirs, mine in zip(expected[2:], resumed, strict=True):
        assert torch.equal(theirs["image"], mine["image"]) and torch.equal(theirs["audio"], mine["audio"])
    with pytest.raises(UsageError, match=r"saved under other settings.*resample_within_class"):
        loader_of(split, 10, resample_within_class={}).load_state_dict(cut.state_dict())


def test_a_state_of_an_older_version_names_the_setting_by_its_older_name(tmp_path):
    split = split_of(tmp_path)
    loader = loader_of(split, 10)
    next(iter(loader))
    state = loader.state_dict()
    settings = state["settings"]
    older = state | {"settings": {name: value for name, value in settings.items() if name != "resample_within_class"}}
    older["settings"]["redraw_media"] = settings["resample_within_class"]
    resumed = loader_of(split, 10)
    resumed.load_state_dict(older)
    assert resumed.state_dict() == state
    older["settings"]["redraw_media"] = {}
    with pytest.raises(UsageError, match=r"saved under other settings.*resample_within_class"):
        resumed.load_state_dict(older)


def test_missing_rows_keep_out_of_the_exchange(tmp_path):
    split = split_of(tmp_path, missing=lambda row: ("image",) if row % 4 == 0 else ())
    plain, drawn = own(split), epoch_of(loader_of(split))
    for key, row in drawn.items():
        absent = key % 4 == 0
        assert bool(row["missing"][0]) == absent and bool(row["image"].any()) != absent
    before, after = media(plain, "image"), media(drawn, "image")
    assert sorted(before.values()) == sorted(after.values())
    assert sum(before[key] != after[key] for key in before) > ROWS / 5


@pytest.mark.parametrize("name", SWAP)
def test_damaged_rows_keep_out_of_the_exchange(tmp_path, name):
    """Nothing stands for a medium that cannot be decoded, and no other row may get that nothing."""
    damaged = {3, 17, 40}
    bad = {"bytes": b"no medium", "path": None}
    column = {"image": "image_id", "audio": "clip_id"}[name]
    split = split_of(
        tmp_path, change=lambda row, value: value | ({name: bad, column: f"bad {row}"} if row in damaged else {})
    )
    settings = {"on_error": "skip", "resample_within_class": {name: SWAP[name]}}
    plain, drawn = (
        epoch_of(loader_of(split, resample_within_class={}, on_error="skip")),
        epoch_of(loader_of(split, **settings)),
    )
    assert set(plain) == set(drawn) == {1000 + row for row in range(ROWS) if row not in damaged}
    before, after = media(plain, name), media(drawn, name)
    labels = {key: (row["cls_id"].item() if name == "image" else row["lang"]) for key, row in plain.items()}
    for label in set(labels.values()):
        keys = [key for key in labels if labels[key] == label]
        assert sorted(before[key] for key in keys) == sorted(after[key] for key in keys)


def test_settings_that_cannot_work_are_refused(tmp_path):
    split = split_of(tmp_path / "train")
    for options in ({"resample_within_class": SWAP}, {"resample_within_class": {}, "encoders": {"image": SAME}}):
        with pytest.raises(UsageError, match=r"need decoded media at hand.*cache=True"):
            loader_of(split, cache=False, **options)
    with pytest.raises(UsageError, match=r"resample_within_class needs its label column.*lang"):
        loader_of(split, columns=[])
    with pytest.raises(UsageError, match=r"no such modality.*smell.*image, audio, text"):
        loader_of(split, resample_within_class={"smell": "cls_id"})
    for options in ({"resample_within_class": {"text": "cls_id"}}, {"encoders": {"text": SAME}}):
        with pytest.raises(UsageError, match=r"for media, not for texts.*text"):
            loader_of(split, **options)
    with pytest.raises(UsageError, match=r"encoded once cannot be jittered.*image"):
        loader_of(split, encoders={"image": SAME}, augment={"image": ImageJitter()})
    with pytest.raises(UsageError, match=r"for training only.*split validation"):
        loader_of(split_of(tmp_path / "validation", split="validation"))
    vectors = open_split(write_vectors(tmp_path / "vectors", ROWS), "train")
    with pytest.raises(UsageError, match=r"needs its label column.*cls_id"):
        BatchLoader(vectors, 10, cache=True, variation=Variation(resample_within_class={"a": "cls_id"}))


def test_each_unique_medium_is_encoded_once_and_batches_hold_features(tmp_path):
    seen: list[Any] = []

    def encode(chunk):
        seen.extend(picture.numpy().tobytes() for picture in chunk)
        return chunk.float().mean(dim=(1, 2))

    split = split_of(tmp_path)
    loader = loader_of(split, 7, drop_last=False, resample_within_class={}, encoders={"image": Encoding(encode)})
    plain = own(split)
    for _ in range(2):
        rows = epoch_of(loader)
        for key, row in rows.items():
            assert row["image"].dtype == torch.float32
            torch.testing.assert_close(row["image"], plain[key]["image"].float().mean(dim=(0, 1)))
            assert row["audio"].shape == plain[key]["audio"].shape
    assert len(seen) == len(set(seen)) == len(IMAGES)


def test_features_of_missing_media_are_zero(tmp_path):
    split = split_of(tmp_path, missing=lambda row: ("image",) if row % 4 == 0 else ())
    rows = epoch_of(loader_of(split, encoders={"image": Encoding(lambda chunk: chunk.float().mean(dim=(1, 2)) + 1)}))
    assert all(bool(row["image"].any()) == (key % 4 != 0) for key, row in rows.items())


SIDE = 16
RAMP = np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE), [0], indexing="ij"), axis=-1)[:, :, 0].astype(np.uint8)
PICTURES = np.repeat(RAMP[None], 200, axis=0)  # a pixel tells its own row and column
IDS = np.arange(200)


def slow_view(picture, down, right, flip):
    def inside(position):
        return -position if position < 0 else 2 * (SIDE - 1) - position if position >= SIDE else position

    rows = [[picture[inside(i + down), inside(j + right)] for j in range(SIDE)] for i in range(SIDE)]
    return np.array(rows)[:, ::-1] if flip else np.array(rows)


def test_a_view_is_a_shift_within_bounds_and_perhaps_a_mirror_image():
    views = ImageJitter(shift=0.125).apply(PICTURES, 0, 0, "image", IDS)
    possible = {
        slow_view(RAMP, down, right, flip).tobytes(): (down, right, flip)
        for down in range(-2, 3) for right in range(-2, 3) for flip in (False, True)
    }  # fmt: skip
    found = [possible[view.tobytes()] for view in views]
    assert {down for down, _, _ in found} == {right for _, right, _ in found} == {-2, -1, 0, 1, 2}
    assert 60 < sum(flip for _, _, flip in found) < 140 and views.dtype == np.uint8
    assert len({(down, right) for down, right, _ in found}) == 25  # each direction is drawn apart


def test_a_view_is_decided_by_seed_epoch_modality_and_sample():
    jitter = ImageJitter()
    views = jitter.apply(PICTURES, 0, 3, "image", IDS)
    order = np.random.default_rng(0).permutation(200)
    assert np.array_equal(jitter.apply(PICTURES[order], 0, 3, "image", IDS[order]), views[order])
    for changed in ((1, 3, "image"), (0, 4, "image"), (0, 3, "other")):
        assert not np.array_equal(jitter.apply(PICTURES, *changed, IDS), views)
    assert np.array_equal(ImageJitter(shift=0.0, flip=0.0).apply(PICTURES, 0, 0, "image", IDS), PICTURES)
    mirrored = ImageJitter(shift=0.0, flip=1.0).apply(PICTURES, 0, 0, "image", IDS)
    assert np.array_equal(mirrored, PICTURES[:, :, ::-1])


@pytest.mark.parametrize("values", [{"shift": 0.5}, {"shift": -0.1}, {"flip": 1.1}, {"flip": -0.1}])
def test_values_out_of_range_are_refused(values):
    with pytest.raises(UsageError, match=r"must be within \[0, 0\.5\)|outside \[0, 1\]"):
        ImageJitter(**values)


def test_streamed_and_cached_images_are_jittered_alike(tmp_path):
    split = split_of(tmp_path)
    options = {"resample_within_class": {}, "augment": {"image": ImageJitter(shift=0.25)}}
    cached, streamed = loader_of(split, **options), loader_of(split, 7, drop_last=False, cache=False, **options)
    plain = own(split)
    for epoch in range(2):
        one, other = epoch_of(cached), epoch_of(streamed)
        assert media(one, "image") == media(other, "image")
        keys = list(plain)
        pictures = np.stack([plain[key]["image"].numpy() for key in keys])
        expected = ImageJitter(shift=0.25).apply(pictures, 0, epoch, "image", np.array(keys))
        assert np.array_equal(expected, np.stack([one[key]["image"].numpy() for key in keys]))
