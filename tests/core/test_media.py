"""What is said of media that cannot be decoded: the same each time, and nothing of where they were in memory."""

import pytest

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
