"""DICOM X-rays that are written oddly: shown right, or refused under a reason."""

from __future__ import annotations

import logging
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.pixels import apply_modality_lut, apply_voi_lut
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from symile_data.builders.mimic.signals.dicom import UnusablePictureError, dicom_pixels
from symile_data.builders.mimic.signals.radiograph import convert

RAMP = np.tile(np.linspace(0, 4095, 320).astype(np.uint16), (9, 1))


def dicom(stored: npt.NDArray[Any], bits: int = 12, **elements: Any) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID, meta.MediaStorageSOPClassUID = ExplicitVRLittleEndian, SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.PhotometricInterpretation = 1, "MONOCHROME2"
    dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 8 * stored.itemsize, bits, bits - 1
    dataset.PixelRepresentation = int(np.issubdtype(stored.dtype, np.signedinteger))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, value in elements.items():
            setattr(dataset, name, value)
    dataset.PixelData = stored.tobytes()
    return dataset


def table(entries: Any, depth: int, first: int = 0, *, packed: bool = False) -> Sequence:
    item = Dataset()
    item.add_new("LUTDescriptor", "SS" if first < 0 else "US", [len(entries) & 0xFFFF, first, depth])
    item.add_new("LUTData", "OW", np.asarray(entries, dtype="u1" if packed else "<u2").tobytes())
    return Sequence([item])


def stretched(values: Any) -> npt.NDArray[np.uint8]:
    """Stretch these values linearly to 0..255; equal values are all 0."""
    numbers = np.asarray(values, dtype=np.float64)
    spread = numbers.max() - numbers.min()
    return np.rint((numbers - numbers.min()) * (255 / spread if spread else 0)).astype(np.uint8)


@settings(max_examples=40, deadline=None)
@given(
    st.booleans(),
    st.sampled_from([None, (2, -1000), (-1.5, 7)]),
    st.sampled_from([None, (1000, 2000, "LINEAR"), (900, 1500.5, "LINEAR_EXACT"), (2000, 900, "SIGMOID")]),
    st.booleans(),
)
def test_ordinary_files_are_shown_as_pydicom_shows_them(
    signed: bool, rescale: tuple[float, float] | None, window: tuple[float, float, str] | None, inverted: bool
) -> None:
    stored = (RAMP.astype(np.int16) - 2048) if signed else RAMP
    dataset = dicom(stored, PhotometricInterpretation="MONOCHROME1" if inverted else "MONOCHROME2")
    if rescale:
        dataset.RescaleSlope, dataset.RescaleIntercept = rescale
    if window:
        dataset.WindowCenter, dataset.WindowWidth, dataset.VOILUTFunction = window
    shown = apply_voi_lut(apply_modality_lut(stored, dataset), dataset).astype(np.float64)
    np.testing.assert_array_equal(dicom_pixels(dataset), stretched(-shown if inverted else shown))


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_of_8_bits_may_be_long(packed: bool) -> None:
    entries = np.linspace(0, 255, 4096).astype(int)
    np.testing.assert_array_equal(
        dicom_pixels(dicom(RAMP, VOILUTSequence=table(entries, 8, packed=packed))), stretched(entries[RAMP])
    )


@pytest.mark.parametrize("name", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("first", [0, -700, 1000])
def test_values_beyond_a_table_get_its_ends(name: str, first: int) -> None:
    stored = RAMP.astype(np.int16) - 1000 if first < 0 else RAMP
    entries = np.arange(1500) ** 2 % 65_536
    pixels = dicom_pixels(dicom(stored, 16, **{name: table(entries, 16, first)}))
    np.testing.assert_array_equal(pixels, stretched(entries[(stored.astype(int) - first).clip(0, 1499)]))


def test_a_table_of_65536_entries_says_0() -> None:
    stored = np.linspace(0, 65_535, 320).astype(np.uint16).reshape(8, 40)
    pixels = dicom_pixels(dicom(stored, bits=16, VOILUTSequence=table(np.arange(65_536)[::-1], 16)))
    np.testing.assert_array_equal(pixels, stretched(-stored.astype(int)))


@pytest.mark.parametrize(
    ("stored", "bits", "padding"),
    [
        (RAMP, 16, {"PixelPaddingValue": 65_535}),
        (RAMP, 12, {"PixelPaddingValue": 65_535}),
        (RAMP, 16, {"PixelPaddingValue": 65_500, "PixelPaddingRangeLimit": 65_535}),
        (RAMP.astype(np.int16) - 1000, 16, {"PixelPaddingValue": -32_768}),
        (RAMP.astype(np.int16) - 1000, 16, {"PixelPaddingValue": -30_000, "PixelPaddingRangeLimit": -32_768}),
    ],
)
@pytest.mark.parametrize("inverted", [False, True])
def test_padding_is_black_and_has_no_part_in_the_brightness(
    stored: npt.NDArray[Any], bits: int, padding: dict[str, int], inverted: bool
) -> None:
    padded = stored.copy()
    padded[:3] = list(padding.values())[-1]
    elements = {**padding, "PhotometricInterpretation": "MONOCHROME1" if inverted else "MONOCHROME2"}
    dataset = dicom(padded, bits)
    for name, value in elements.items():
        dataset.add_new(name, "CS" if isinstance(value, str) else "SS" if value < 0 else "US", value)
    pixels = dicom_pixels(dataset)
    assert not pixels[:3].any()
    np.testing.assert_array_equal(pixels[3:], stretched((-1 if inverted else 1) * stored[3:].astype(int)))


def test_a_padding_value_with_the_other_sign_is_meant() -> None:
    padded = RAMP.astype(np.int16) - 1000
    padded[:3] = -32_768
    dataset = dicom(padded, 16)
    dataset.add_new("PixelPaddingValue", "US", 32_768)
    np.testing.assert_array_equal(dicom_pixels(dataset)[3:], stretched(padded[3:]))


@pytest.mark.parametrize(
    "elements",
    [
        {"WindowCenter": 2048, "WindowWidth": 0},
        {"WindowCenter": 2048, "WindowWidth": -5},
        {"WindowCenter": 2048, "WindowWidth": ""},
        {"WindowCenter": "", "WindowWidth": 100},
        {"WindowWidth": 100},
        {"RescaleSlope": "", "RescaleIntercept": ""},
        {"RescaleSlope": "", "RescaleIntercept": "-1024"},
        {"RescaleSlope": 2},
        {"VOILUTFunction": ""},
        {"VOILUTSequence": Sequence([])},
        {"ModalityLUTSequence": Sequence([])},
        {"VOILUTSequence": Sequence([Dataset()])},
        {"PixelPaddingValue": None},
        {"NumberOfFrames": ""},
    ],
    ids=str,
)
def test_what_is_empty_or_impossible_is_absent(elements: dict[str, Any]) -> None:
    np.testing.assert_array_equal(dicom_pixels(dicom(RAMP, **elements)), stretched(RAMP))


@pytest.mark.parametrize("width", [[0, 2000], [2000, 0]])
def test_the_first_window_that_can_be_applied(width: list[int]) -> None:
    windowed = dicom_pixels(dicom(RAMP, WindowCenter=[1000, 1000], WindowWidth=width, VOILUTFunction=""))
    np.testing.assert_array_equal(windowed, dicom_pixels(dicom(RAMP, WindowCenter=1000, WindowWidth=2000)))


def test_negative_values_without_their_upper_bits() -> None:
    signed = RAMP.astype(np.int16) - 2048
    np.testing.assert_array_equal(dicom_pixels(dicom(signed & 0x0FFF, 12)), stretched(signed))


def test_an_overlay_in_the_upper_bits_is_no_part_of_the_values() -> None:
    marked = RAMP | np.uint16(1 << 15)
    dataset = dicom(marked)
    dataset.add_new((0x6000, 0x0102), "US", 15)
    np.testing.assert_array_equal(dicom_pixels(dataset), stretched(RAMP))
    with pytest.raises(UnusablePictureError, match="beyond its BitsStored"):
        dicom_pixels(dicom(marked))


@pytest.mark.parametrize(
    ("stored", "elements", "reason"),
    [
        (RAMP, {"HighBit": 15}, "its BitsAllocated, BitsStored and HighBit contradict each other"),
        (RAMP, {"BitsStored": 17, "HighBit": 16}, "contradict each other"),
        (RAMP, {"BitsAllocated": 12}, "its values are not of 8 or 16 bits"),
        (RAMP, {"BitsStored": 8, "HighBit": 7}, "it stores values beyond its BitsStored"),
        (RAMP, {"SamplesPerPixel": 3, "PhotometricInterpretation": "RGB"}, "in colour, not gray"),
        (RAMP, {"PhotometricInterpretation": "PALETTE COLOR"}, "in colour, not gray"),
        (RAMP, {"NumberOfFrames": 2}, "several frames"),
        (RAMP, {"VOILUTFunction": "CUBIC", "WindowCenter": 1, "WindowWidth": 2}, "its VOILUTFunction is not in"),
        (RAMP, {"RescaleSlope": 0, "RescaleIntercept": 1}, "its RescaleSlope is 0"),
        (RAMP, {"RescaleSlope": "1e400", "RescaleIntercept": 1}, "its values are not finite"),
        (RAMP, {"VOILUTSequence": table(np.arange(4096), 12)[0]}, ""),
        (np.full((9, 320), 7, np.uint16), {"PixelPaddingValue": 7}, "only padding"),
    ],
    ids=str,
)  # fmt: skip
def test_what_contradicts_itself_has_a_reason(
    tmp_path: Path, stored: npt.NDArray[Any], elements: dict[str, Any], reason: str
) -> None:
    if not reason:  # a table that is shorter than it says
        item = elements["VOILUTSequence"]
        item.LUTData = item.LUTData[:5000]
        elements, reason = {"VOILUTSequence": Sequence([item])}, "a lookup table is cut short"
    with pytest.raises(UnusablePictureError, match=reason):
        dicom_pixels(dicom(stored, **elements))


@pytest.mark.filterwarnings("error")
def test_pydicoms_warnings_do_not_reach_the_terminal(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    dataset = dicom(np.tile(RAMP[0], (50, 1)))
    dataset.PixelData += bytes(100)  # of which pydicom warns
    dataset.save_as(tmp_path / "x.dcm", enforce_file_format=True)
    with caplog.at_level(logging.CRITICAL):
        assert convert(tmp_path / "x.dcm").startswith(b"\x89PNG")
    assert capfd.readouterr() == ("", "")


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    import os

    for name in ("x.dcm", "x.jpg"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(UnusablePictureError, match="file not found"):
            convert(tmp_path / name)


def test_files_are_read_by_pydicom_alike(tmp_path: Path) -> None:
    dicom(RAMP).save_as(tmp_path / "x.dcm", enforce_file_format=True)
    np.testing.assert_array_equal(dicom_pixels(pydicom.dcmread(tmp_path / "x.dcm")), stretched(RAMP))
