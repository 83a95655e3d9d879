"""What images show: upright, on white, in eight bits; and Pillow's warnings stay off the terminal, in threads too."""

import io
import threading
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from symile_data.format.images import shown
from symile_data.format.media import UnfitMediumError, open_image, quiet_pillow

GREY = np.arange(0, 256, 4, dtype=np.uint8).reshape(8, 8)
CLEAR = GREY == 40  # a few pixels that are transparent


def grey_of(picture: Image.Image) -> np.ndarray:
    result = shown(picture)
    assert result.mode in ("RGB", "L")
    return np.asarray(result.convert("RGB"))[:, :, 0]


def reopened(picture: Image.Image, form: str, **options: object) -> Image.Image:
    file = io.BytesIO()
    picture.save(file, form, **options)
    return Image.open(file)


def with_alpha(mode: str) -> Image.Image:
    picture = Image.fromarray(GREY).convert("LA")
    picture.putalpha(Image.fromarray(np.where(CLEAR, 0, 255).astype(np.uint8)))
    return picture.convert("RGBA").convert(mode) if mode.startswith("RGB") else picture.convert(mode)


@pytest.mark.parametrize(
    "picture",
    [
        with_alpha("LA"),
        with_alpha("La"),
        with_alpha("RGBA"),
        with_alpha("RGBa"),
        reopened(with_alpha("RGBA"), "WEBP", lossless=True, exact=True),
        reopened(Image.fromarray(GREY), "PNG", transparency=40),
        reopened(Image.fromarray(GREY).convert("RGB"), "PNG", transparency=(40, 40, 40)),
        reopened(Image.fromarray(GREY).convert("P"), "PNG", transparency=40),
        reopened(
            Image.fromarray(GREY).convert("P"), "PNG", transparency=bytes(0 if n == 40 else 255 for n in range(256))
        ),
        reopened(Image.fromarray(GREY).convert("P"), "GIF", transparency=40),
        reopened(Image.fromarray(GREY.astype(np.uint16) * 256), "PNG", transparency=40 * 256),
    ],
    ids=lambda picture: f"{picture.format}-{picture.mode}",
)
def test_what_is_transparent_is_white_however_the_file_says_it(picture: Image.Image) -> None:
    assert (grey_of(picture) == np.where(CLEAR, 255, GREY)).all()


def test_half_transparent_is_half_white() -> None:
    assert grey_of(Image.new("RGBA", (2, 2), (100, 100, 100, 128))).tolist() == [[177, 177]] * 2


@pytest.mark.parametrize(
    "values",
    [
        GREY.astype(np.uint16) * 257,
        GREY.astype(np.int32) * 257,
        GREY.astype(np.float32),
        GREY.astype(np.float32) / 255,
    ],
    ids=["I;16", "I", "F to 255", "F to 1"],
)
def test_deep_grey_is_scaled(values: np.ndarray) -> None:
    values = values.copy()
    values[0, 0] = values.max() if values.max() > 1 else 1.0
    expected = GREY.copy()
    expected[0, 0] = GREY.max() if values.max() > 1 else 255
    assert (grey_of(Image.fromarray(values)) == expected).all()
    assert (grey_of(reopened(Image.fromarray(values), "TIFF")) == expected).all()


@pytest.mark.parametrize(
    "values",
    [
        np.full((2, 2), -1, np.int32),
        np.full((2, 2), 65_536, np.int32),
        np.full((2, 2), np.nan, np.float32),
        np.full((2, 2), np.inf, np.float32),
        np.full((2, 2), -0.5, np.float32),
        np.full((2, 2), 256, np.float32),
    ],
)
def test_grey_values_of_no_known_range_are_refused(values: np.ndarray) -> None:
    with pytest.raises(UnfitMediumError, match="grey values from"):
        shown(Image.fromarray(values))


@given(st.sampled_from(range(1, 9)), st.sampled_from(["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "I", "F"]))
def test_every_mode_is_turned_as_pillow_turns_it(orientation: int, mode: str) -> None:
    picture = Image.fromarray(GREY[:4]).convert(mode) if mode != "I;16" else Image.fromarray(GREY[:4].astype(np.uint16))
    upright = grey_of(picture)
    picture.getexif()[0x0112] = orientation
    turns = {1: upright, 2: upright[:, ::-1], 3: upright[::-1, ::-1], 4: upright[::-1], 5: upright.T}
    turns |= {6: upright[::-1].T, 7: upright[::-1, ::-1].T, 8: upright.T[::-1]}
    assert (grey_of(picture) == turns[orientation]).all()


def test_ordinary_images_are_not_copied() -> None:
    picture = Image.fromarray(GREY)
    assert shown(picture) is picture


def damaged_exif() -> bytes:
    """A good image whose EXIF block is cut, which Pillow warns of."""
    file = io.BytesIO()
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0\x0e\x01\x02\0\xff\0\0\0\xff\0\0\0"
    Image.fromarray(GREY).save(file, "JPEG", exif=exif)
    return file.getvalue()


def test_warnings_of_pillow_are_not_shown_and_others_are() -> None:
    with pytest.warns(UserWarning) as pillows:
        Image.open(io.BytesIO(damaged_exif())).getexif().get(0x0112)
    assert any("EXIF" in str(warning.message) for warning in pillows)
    with warnings.catch_warnings(record=True) as seen:
        warnings.simplefilter("always")
        with open_image(damaged_exif()) as picture:
            shown(picture)
            warnings.warn("mine", stacklevel=1)
    assert [str(warning.message) for warning in seen] == ["mine"]


def test_overlapping_readers_leave_the_filters_as_they_were() -> None:
    before = list(warnings.filters)
    first_in, second_in = threading.Event(), threading.Event()

    def first() -> None:
        with quiet_pillow:
            first_in.set()
            assert second_in.wait(10)

    def second() -> None:
        assert first_in.wait(10)
        with quiet_pillow:
            second_in.set()
            leaving.result()
            assert warnings.filters != before

    with ThreadPoolExecutor(2) as pool:
        leaving = pool.submit(first)
        pool.submit(second).result()
    assert warnings.filters == before
