import io
import sys

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from small_datasets import flac, jpeg

from symile_data.errors import MissingPackageError, UsageError
from symile_data.loaders import AudioSettings, ImageAugment, ImageSettings, LabsSettings, VectorSettings
from symile_data.loaders.decoders import DECODERS, decoder_for
from symile_data.loaders.decoders.audio import decode_audio, fixed_length, resampled
from symile_data.loaders.decoders.base import UndecodableError
from symile_data.loaders.decoders.image import _plain_jpeg, centre_box, decode_image
from symile_data.loaders.decoders.mel import log_mel, mel_filters


def photo(width, height, seed=0):
    """A smooth image: random low frequencies."""
    small = np.random.default_rng(seed).integers(0, 255, (8, 8, 3), dtype=np.uint8)
    return Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)


def stored(picture, form="PNG", **options):
    file = io.BytesIO()
    picture.save(file, form, **options)
    return file.getvalue()


def resize_then_crop(picture, shorter, size):
    """The obvious way: resize everything, then cut the centre."""
    width, height = picture.size
    scaled = (max(shorter, shorter * width // min(width, height)), max(shorter, shorter * height // min(width, height)))
    left, top = round((scaled[0] - size) / 2), round((scaled[1] - size) / 2)
    return np.asarray(picture.resize(scaled, Image.Resampling.BICUBIC).crop((left, top, left + size, top + size)))


@pytest.mark.parametrize("size", [(120, 80), (80, 120), (64, 64), (33, 200), (40, 30)])
@pytest.mark.parametrize(("shorter", "crop"), [(64, 64), (73, 64)])
def test_exact_pixels_are_those_of_resize_then_crop(size, shorter, crop):
    picture = photo(*size)
    pixels = decode_image(stored(picture), ImageSettings(size=crop, shorter_side=shorter))
    difference = np.abs(pixels.astype(int) - resize_then_crop(picture, shorter, crop))
    assert pixels.dtype == np.uint8 and pixels.shape == (crop, crop, 3)
    # Pillow rounds to 8 bits between its two passes, and a crop can change which comes first.
    assert difference.max() <= 2 and difference.mean() < 0.1


@pytest.mark.parametrize("size", [(500, 400), (120, 80), (64, 64), (40, 30)])
def test_fast_pixels_are_close_to_exact_ones(size):
    data = stored(photo(*size), "JPEG", quality=95)
    exact, fast = (decode_image(data, ImageSettings(size=64, kernel=kernel)) for kernel in ("exact", "fast"))
    assert np.abs(exact.astype(int) - fast).mean() < 4


@given(st.integers(1, 600), st.integers(1, 600), st.integers(1, 64))
def test_the_crop_lies_within_the_image(width, height, size):
    left, top, right, bottom = centre_box((width, height), ImageSettings(size=size))
    assert 0 <= left < right <= width + 1e-9 and 0 <= top < bottom <= height + 1e-9


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F"])
def test_every_mode_becomes_rgb(mode):
    grey = Image.fromarray(np.full((20, 30), 128, dtype=np.uint8))
    if mode in ("I;16", "I"):
        picture = Image.fromarray(np.full((20, 30), 128 * 257, dtype=np.uint16 if mode == "I;16" else np.int32))
    elif mode == "PA":
        picture = grey.convert("P").convert("PA")
    else:
        picture = grey.convert(mode)
    form = "TIFF" if mode in ("CMYK", "YCbCr", "F", "PA", "I") else "PNG"
    pixels = decode_image(stored(picture.convert("LA") if mode == "PA" else picture, form), ImageSettings(size=8))
    assert pixels.shape == (8, 8, 3)
    wanted = 255 if mode == "1" else 128
    assert abs(pixels.astype(int) - wanted).max() <= (255 if mode == "1" else 2)


def test_images_stand_upright():
    picture = Image.new("RGB", (40, 20))
    picture.paste((255, 0, 0), (0, 0, 20, 20))  # red on the left; orientation 6 is to be turned a quarter clockwise
    exif = Image.Exif()
    exif[0x0112] = 6
    pixels = decode_image(stored(picture, "JPEG", exif=exif, quality=95), ImageSettings(size=20, shorter_side=20))
    turned = decode_image(
        stored(picture.transpose(Image.Transpose.ROTATE_270), "JPEG", quality=95), ImageSettings(size=20)
    )
    assert np.abs(pixels.astype(int) - turned).max() < 12


def segments(data):
    """Positions of the markers of a JPEG's header, up to the first scan."""
    at, found = 2, []
    while data[at + 1] != 0xDA:
        found.append(at)
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    return [*found, at]


@pytest.mark.parametrize("between", [b"\xff", b"\xff" * 5, b"\0", b"junk", b"\xff\0"], ids=repr)
@pytest.mark.parametrize("place", [1, -1])
def test_both_kernels_see_an_orientation_wherever_pillow_does(between, place):
    picture = Image.fromarray(np.tile(np.linspace(0, 255, 80, dtype=np.uint8)[:, None, None], (1, 60, 3)))
    exif = Image.Exif()
    exif[0x0112] = 6
    plain = stored(picture, "JPEG", exif=exif, quality=95)
    at = segments(plain)[place]  # of the EXIF block, or of the scan
    data = plain[:at] + between + plain[at:]
    exact, fast = (decode_image(data, ImageSettings(size=40, kernel=one)).astype(int) for one in ("exact", "fast"))
    assert exact[:, 0].mean() > 200 > 50 > exact[:, -1].mean()  # turned: light on the left
    assert np.abs(exact - fast).mean() < 4


def test_fill_bytes_alone_do_not_leave_the_fast_path():
    plain = stored(photo(60, 50), "JPEG")
    for at in segments(plain):
        assert _plain_jpeg(plain[:at] + b"\xff\xff" + plain[at:])


@pytest.mark.parametrize("kernel", ["exact", "fast"])
def test_damaged_images_are_told(kernel):
    good = stored(photo(200, 150), "PNG")
    for data in (b"", b"not a picture", good[: len(good) // 2], jpeg()[:300], good[:60] + b"\0" * 50 + good[110:]):
        with pytest.raises(UndecodableError, match="not a readable image"):
            decode_image(data, ImageSettings(size=8, kernel=kernel))


@pytest.mark.parametrize("form", ["FLAC", "WAV", "MP3", "OGG"])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_become_mono_float32(form, channels):
    wave = decode_audio(flac(16_000, form=form, channels=channels), AudioSettings(seconds=1.0))
    assert wave.dtype == np.float32 and wave.shape == (16_000,)
    assert wave.std() == pytest.approx(0.25 / np.sqrt(2), rel=0.03)


def test_recordings_are_cut_or_filled_to_length():
    assert decode_audio(flac(800), AudioSettings(seconds=None)).shape == (800,)
    short, long = (decode_audio(flac(samples), AudioSettings(seconds=0.05)) for samples in (400, 1200))
    assert short.shape == long.shape == (800,)
    assert not short[400:].any() and short[:400].any()
    assert np.array_equal(long, fixed_length(decode_audio(flac(1200), AudioSettings(seconds=None)), 800))


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 32_000, 44_100, 48_000])
def test_other_rates_are_resampled(rate):
    time_in, time_out = np.arange(rate // 2) / rate, np.arange(8_000) / 16_000
    wave = resampled(np.sin(2 * np.pi * 440 * time_in).astype(np.float32), rate)
    assert wave.shape == (8_000,) and wave.dtype == np.float32
    inside = slice(400, -400)
    assert np.abs(wave[inside] - np.sin(2 * np.pi * 440 * time_out)[inside]).max() < 0.01


def test_what_16_khz_cannot_hold_is_filtered_out():
    time = np.arange(24_000) / 48_000
    assert np.abs(resampled(np.sin(2 * np.pi * 12_000 * time).astype(np.float32), 48_000)[400:-400]).max() < 0.01


def test_audio_too_short_for_a_sample_at_16_khz_is_no_audio():
    assert decode_audio(flac(2, rate=48_000, form="WAV"), AudioSettings(seconds=None)).shape == (1,)
    for samples, rate in ((1, 48_000), (0, 16_000)):
        with pytest.raises(UndecodableError, match="audio without samples"):
            decode_audio(flac(samples, rate=rate, form="WAV"), AudioSettings(seconds=0.05))


def test_the_missing_resampler_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "soxr", None)
    with pytest.raises(MissingPackageError, match="resampling audio from 8000 Hz needs the Python package soxr"):
        decode_audio(flac(800, rate=8_000), AudioSettings())
    assert decode_audio(flac(800), AudioSettings()).shape == (48_000,)


@pytest.mark.parametrize("rate", [8_000, 22_050, 44_100, 48_000])
def test_the_end_of_a_waveform_does_not_reach_its_beginning(rate):
    """The transform is periodic: what stands at one end would ring at the other without silence between."""
    wave = np.zeros(rate // 2, dtype=np.float32)
    wave[-1] = 1.0
    assert np.abs(resampled(wave, rate)[:200]).max() < 1e-2 * np.abs(resampled(wave, rate)).max()
    assert np.abs(resampled(wave[::-1], rate)[-200:]).max() < 1e-2 * np.abs(resampled(wave[::-1], rate)).max()


def whisper(wave, n_mels):
    from transformers import WhisperFeatureExtractor

    return WhisperFeatureExtractor(feature_size=n_mels)(wave, sampling_rate=16_000, return_tensors="np")[
        "input_features"
    ][0]


def in_double_precision(wave, n_mels):
    """The definition, written out with transformers' filters."""
    from transformers.audio_utils import mel_filter_bank

    padded = np.pad(wave.astype(np.float64), 200, mode="reflect")
    frames = np.stack([padded[start : start + 400] for start in range(0, len(wave) - 159, 160)])
    power = np.abs(np.fft.rfft(frames * np.hanning(401)[:-1])) ** 2
    mel = np.log10(np.maximum(power @ mel_filter_bank(201, n_mels, 0, 8000, 16_000, "slaney", "slaney"), 1e-10))
    return ((np.maximum(mel, mel.max() - 8) + 4) / 4).T


@pytest.mark.filterwarnings("ignore:.*mel filter.*|Empty filters:UserWarning")
@pytest.mark.parametrize("n_mels", [1, 2, 37, 200])
def test_spectrograms_of_any_number_of_filters_follow_the_definition(n_mels):
    wave = np.random.default_rng(1).normal(0, 0.1, 16_000).astype(np.float32)
    assert np.abs(log_mel(wave, n_mels) - in_double_precision(wave, n_mels)).max() < 5e-6


def test_without_librosa_a_loader_of_spectrograms_says_so_before_it_reads(monkeypatch):
    monkeypatch.setitem(sys.modules, "librosa", None)
    monkeypatch.setitem(sys.modules, "librosa.filters", None)
    mel_filters.cache_clear()
    layout = DECODERS["audio"].layout
    assert layout(AudioSettings(), pa.binary()).shape == (48_000,)
    with pytest.raises(MissingPackageError, match="librosa"):
        layout(AudioSettings(n_mels=80), pa.binary())


@pytest.mark.parametrize("n_mels", [80, 128])
def test_spectrograms_equal_whispers(n_mels):
    wave = np.random.default_rng(0).normal(0, 0.1, 480_000).astype(np.float32)
    wave *= np.linspace(0, 1, 480_000, dtype=np.float32)
    mine = log_mel(wave, n_mels)
    assert np.abs(mine - in_double_precision(wave, n_mels)).max() < 5e-6
    assert np.abs(mine - whisper(wave, n_mels)).max() < 5e-5  # theirs rounds more than ours


def test_a_spectrogram_of_a_padded_recording_is_that_of_whispers_padding():
    wave, _ = soundfile.read(io.BytesIO(flac(20_000)), dtype="float32")
    mine, theirs = decode_audio(flac(20_000), AudioSettings(seconds=30.0, n_mels=80)), whisper(wave, 80)
    assert mine.shape == theirs.shape == (80, 3000)
    assert np.abs(mine - theirs).max() < 5e-5


def test_spectrograms_have_the_promised_shape_down_to_the_shortest_recording():
    assert decode_audio(flac(100), AudioSettings(seconds=None, n_mels=20)).shape == (20, 2)
    for seconds in (0.025, 0.1, 0.333, 3.0):
        settings = AudioSettings(seconds=seconds, n_mels=20)
        layout = DECODERS["audio"].layout(settings, pa.binary())
        assert decode_audio(flac(1000), settings).shape == layout.shape


@pytest.mark.parametrize("data", [b"", b"noise", flac(800)[:60]])
def test_damaged_audio_is_named(data):
    with pytest.raises(UndecodableError, match="not readable audio"):
        decode_audio(data, AudioSettings(seconds=0.1))


def test_empty_audio_is_named():
    with pytest.raises(UndecodableError, match="without samples"):
        decode_audio(flac(0, form="WAV"), AudioSettings(seconds=0.1))


def test_vectors_survive_nulls_and_slices():
    column = pa.FixedSizeListArray.from_arrays(pa.array(np.arange(8.0)), 2, mask=pa.array([False, True, False, False]))
    assert np.asarray(DECODERS["vector"].values(column.slice(2))).tolist() == [[4.0, 5.0], [6.0, 7.0]]
    assert DECODERS["vector"].decode(np.array([1.0, 2.0]), VectorSettings(dtype="float16")).dtype == np.float16


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ImageSettings(size=0), "size"),
        (lambda: ImageSettings(size=64, shorter_side=32), "shorter_side"),
        (lambda: ImageSettings(kernel="best"), "kernel"),  # type: ignore[arg-type]
        (lambda: AudioSettings(seconds=0.01), "0.025 seconds"),
        (lambda: AudioSettings(seconds=float("nan")), "0.025 seconds, and an end"),
        (lambda: AudioSettings(seconds=float("inf")), "0.025 seconds, and an end"),
        (lambda: AudioSettings(n_mels=0), "n_mels"),
        (lambda: ImageAugment(area=(0.0, 1.0)), "area"),
        (lambda: ImageAugment(ratio=(2.0, 1.0)), "ratio"),
        (lambda: ImageAugment(flip=2.0), "mirror"),
        (lambda: decoder_for("x", "smell", None), "without a decoder.*image"),
        (lambda: decoder_for("image", "image", AudioSettings()), "takes ImageSettings"),
        (lambda: DECODERS["audio"].layout(AudioSettings(seconds=None), pa.binary()), "one length"),
        (lambda: DECODERS["vector"].layout(VectorSettings(), pa.list_(pa.float32())), "fixed-size list"),
    ],
)
def test_impossible_settings_are_refused(make, message):
    with pytest.raises(UsageError, match=message):
        make()


def test_a_full_view_is_the_image_and_flips_are_mirrors():
    data, settings = stored(photo(64, 64)), ImageSettings(size=32)
    whole = ImageAugment(area=(1.0, 1.0), ratio=(1.0, 1.0), flip=0.5)
    plain = whole.decode(data, settings, np.array([0.5, 0.5, 0.5, 0.5, 0.9]))
    mirrored = whole.decode(data, settings, np.array([0.5, 0.5, 0.5, 0.5, 0.1]))
    assert np.array_equal(plain, decode_image(data, settings))
    assert np.array_equal(mirrored[:, ::-1], plain)
    with pytest.raises(UndecodableError):
        whole.decode(b"junk", settings, np.zeros(5))


@given(st.integers(1, 300), st.integers(1, 300), st.lists(st.floats(0, 0.999), min_size=5, max_size=5))
def test_random_crops_lie_within_the_image(width, height, uniform):
    left, top, right, bottom = ImageAugment().box((width, height), ImageSettings(), np.array(uniform))
    assert -1e-9 <= left < right <= width + 1e-9 and -1e-9 <= top < bottom <= height + 1e-9


def test_place_and_shape_of_a_random_crop_are_drawn_apart():
    """Each number decides one thing: the share of the area, the ratio, the place across, the place down."""
    size, settings = (400, 300), ImageSettings()

    def drawn(*uniform):
        left, top, right, bottom = ImageAugment(area=(0.2, 0.4)).box(size, settings, np.array([*uniform, 0.0]))
        return left, top, right - left, bottom - top

    left, top, width, height = drawn(0.5, 0.5, 0.0, 0.0)
    assert (left, top) == (0.0, 0.0) and width * height == pytest.approx(0.3 * 400 * 300)
    assert width == pytest.approx(height)
    assert drawn(0.5, 0.5, 0.5, 0.0) == pytest.approx(((400 - width) / 2, 0.0, width, height))
    assert drawn(0.5, 0.5, 0.0, 0.5) == pytest.approx((0.0, (300 - height) / 2, width, height))
    *_, larger_width, larger_height = drawn(1.0, 0.5, 0.0, 0.0)
    assert larger_width * larger_height == pytest.approx(0.4 * 400 * 300)
    *_, wide, low = drawn(0.5, 1.0, 0.0, 0.0)
    assert wide / low == pytest.approx(4 / 3) and wide * low == pytest.approx(width * height)


@pytest.mark.parametrize(
    ("kind", "settings"),
    [
        ("vector", VectorSettings(dtype="float16")),
        ("features", VectorSettings()),
        ("labs", LabsSettings()),
        ("labs", LabsSettings(fill=(0.1, 0.2, 0.3, 0.4))),
    ],
)
def test_values_decoded_at_once_are_those_decoded_one_by_one(kind, settings):
    decoder, raw = DECODERS[kind], np.random.default_rng(0).random((7, 4), dtype=np.float32)
    raw[raw < 0.3] = np.nan
    assert decoder.batched
    whole = decoder.decode(raw, settings)
    assert np.array_equal(whole, np.stack([decoder.decode(row, settings) for row in raw]), equal_nan=True)
    assert whole.shape == (7, *decoder.layout(settings, pa.list_(pa.float32(), 4)).shape)
    assert len(decoder.decode(raw[:0], settings)) == 0
