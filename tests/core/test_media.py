"""What is said of media that cannot be decoded: the same each time, and nothing of where they were in memory; and
the limits of those that can.
"""

import io

import numpy as np
import pytest
import soundfile
from PIL import Image

from symile_data.errors import SourceError
from symile_data.format.media import UnfitMediumError, open_image, read_audio


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\xff\xd8\xff\xe0 broken", b"\x89PNG\r\n\x1a\n broken", b"RIFF1234WAVE"]
)
def test_reasons_name_no_address(data: bytes) -> None:
    for _ in range(2):
        with pytest.raises(UnfitMediumError) as picture, open_image(data) as opened:
            opened.load()
        with pytest.raises(UnfitMediumError) as clip:
            read_audio(data)
        for said in (str(picture.value), str(clip.value)):
            assert said and "0x" not in said and "object" not in said


def test_no_sentence_names_an_address() -> None:
    error = SourceError("a file is broken", got=OSError(f"cannot read {object()!r} at all"))
    assert str(error) == "a file is broken; got cannot read at all."


def test_an_image_is_read_up_to_the_most_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("symile_data.format.media.MOST_PIXELS", 20)
    for size, fits in (((5, 4), True), ((7, 3), False)):
        file = io.BytesIO()
        Image.new("L", size).save(file, "PNG")
        if fits:
            with open_image(file.getvalue()) as image:
                assert image.size == size
        else:
            with pytest.raises(UnfitMediumError, match="7 x 3 pixels are too many"), open_image(file.getvalue()):
                pass


@pytest.mark.parametrize(
    ("rate_hz", "samples", "said"),
    [
        (4_000, 10, None),
        (384_000, 10, None),
        (3_999, 10, "a sampling rate of 3999 Hz"),
        (384_001, 10, "a sampling rate of 384001 Hz"),
        (16_000, 11, "11 x 2 samples are too many"),
    ],
)
def test_audio_is_read_within_its_limits(
    rate_hz: int, samples: int, said: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("symile_data.format.media.MOST_SAMPLES", 20)
    file = io.BytesIO()
    soundfile.write(file, np.zeros((samples, 2)), rate_hz, format="WAV")
    if said is None:
        wave, found = read_audio(file.getvalue())
        assert (wave.shape, found) == ((samples, 2), rate_hz)
    else:
        with pytest.raises(UnfitMediumError, match=said):
            read_audio(file.getvalue())


@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_audio_with_a_sample_that_is_no_finite_number_is_broken(subtype: str, bad: float) -> None:
    samples = np.linspace(-2, 2, 40).reshape(20, 2)
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype=subtype)
    np.testing.assert_allclose(read_audio(file.getvalue(), "float64")[0], samples, rtol=1e-7)  # also beyond 1
    samples[13, 1] = bad
    file = io.BytesIO()
    soundfile.write(file, samples, 16_000, format="WAV", subtype=subtype)
    with pytest.raises(UnfitMediumError, match="a sample is NaN or infinite"):
        read_audio(file.getvalue())
