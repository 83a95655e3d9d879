"""Media that are handed out as they lie in the shards, and images decoded by libjpeg-turbo's own interface."""

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_datasets import CLIPS, IMAGES, write_m3
from test_decoding import photo, stored

from symile_data.errors import UsageError
from symile_data.loaders import (
    AudioSettings,
    BatchLoader,
    ImageAugment,
    ImageSettings,
    StoredSettings,
    Variation,
    open_split,
)
from symile_data.loaders.decoders.image import _fast_pixels, decode_image

AS_STORED = {"image": StoredSettings(), "audio": StoredSettings()}


@pytest.mark.parametrize("shards", [1, 3])
def test_bytes_come_out_as_they_were_stored(tmp_path, shards):
    write_m3(tmp_path, 30, shards=shards, missing=lambda row: ("image",) if row == 4 else ())
    split = open_split(tmp_path, "train")
    seen = []
    for batch in BatchLoader(split, 7, transforms=AS_STORED, drop_last=False, missingness={"audio": 0.3}):
        for place, sample_id in enumerate(batch["sample_id"].tolist()):
            row = sample_id - 1000
            assert batch["image"][place] == (None if row == 4 else IMAGES[row % len(IMAGES)])
            gone = bool(batch["missing"][place, 1])
            assert batch["audio"][place] == (None if gone else CLIPS[row % len(CLIPS)])
            seen.append(row)
    assert sorted(seen) == list(range(30))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cache": True}, "StoredSettings leaves them undecoded"),
        ({"variation": Variation(augment={"image": ImageAugment()})}, "stays undecoded has no views"),
        ({"transforms": {"text": StoredSettings()}}, "text takes TextSettings"),
    ],
)
def test_what_needs_pixels_is_refused(tmp_path, arguments, message):
    split = open_split(write_m3(tmp_path, 10), "train")
    with pytest.raises(UsageError, match=message):
        BatchLoader(split, 5, **({"transforms": AS_STORED} | arguments))


def test_the_fast_kernel_works_on_what_shards_hold(tmp_path):
    fast = ImageSettings(size=8, kernel="fast")
    split = open_split(write_m3(tmp_path, 20), "train")
    transforms = {"image": fast, "audio": AudioSettings(seconds=0.05)}
    for batch in BatchLoader(split, 5, transforms=transforms):
        for row, shown in zip(batch["sample_id"].tolist(), batch["image"].numpy(), strict=True):
            assert np.array_equal(shown, decode_image(IMAGES[(row - 1000) % len(IMAGES)], fast))


@given(st.integers(1, 300), st.integers(1, 300), st.sampled_from(["RGB", "L"]), st.sampled_from([0, 1, 2]))
def test_whole_images_are_pillows_to_the_bit(width, height, mode, subsampling):
    options = {"subsampling": subsampling} if mode == "RGB" else {}
    data = stored(photo(width, height).convert(mode), "JPEG", quality=90, **options)
    whole = _fast_pixels(memoryview(data), draft=10_000)
    with Image.open(io.BytesIO(data)) as picture:
        assert np.array_equal(whole.squeeze(), np.asarray(picture).squeeze())


@pytest.mark.parametrize(("size", "scale"), [((255, 300), 1), ((256, 301), 2), ((517, 1033), 4), ((1100, 1030), 8)])
def test_large_images_are_decoded_by_halves(size, scale):
    data = stored(photo(*size), "JPEG", quality=90)
    whole = _fast_pixels(data, draft=128)
    assert whole.shape[:2] == (-(-size[1] // scale), -(-size[0] // scale))


@pytest.mark.parametrize("mode", ["CMYK", "YCbCr", "L", "RGB"])
def test_every_kind_of_jpeg_looks_the_same_fast_and_exact(mode):
    data = stored(photo(90, 70).convert(mode), "JPEG", quality=95)
    exact, fast = (decode_image(data, ImageSettings(size=32, kernel=kernel)) for kernel in ("exact", "fast"))
    assert np.abs(exact.astype(int) - fast).mean() < 4


def test_fast_images_stand_upright():
    picture = photo(90, 70)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = decode_image(stored(picture, "JPEG", exif=exif, quality=95), ImageSettings(size=32, kernel="fast"))
    exact = decode_image(stored(picture, "JPEG", exif=exif, quality=95), ImageSettings(size=32))
    assert np.abs(exact.astype(int) - turned).mean() < 4


def test_a_cut_jpeg_is_an_error_in_both_kernels():
    data = stored(photo(200, 150), "JPEG", quality=95)
    for kernel in ("exact", "fast"):
        with pytest.raises(Exception, match="not a readable image"):
            decode_image(data[: len(data) // 2], ImageSettings(size=8, kernel=kernel))
