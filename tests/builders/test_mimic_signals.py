"""Electrocardiograms against wfdb, X-rays against the public pipeline's resize, DICOM files of several kinds."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pydicom
import pytest
import wfdb
from mimic_tree import SIGNALS, header, put, samples
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLosslessSV1,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from symile_data.builders.mimic.sample.signals import draw_ecg
from symile_data.builders.mimic.signals.radiograph import UnusablePictureError, convert, dicom_pixels
from symile_data.builders.mimic.signals.waveform import UnusableRecordError, plain_leads, read_signal
from symile_data.datasets.mimic.schema import LEADS
from symile_data.errors import SourceError

REVERSED = LEADS[::-1]


def record(tmp_path: Path, text: str, data: bytes, name: str = "1") -> Path:
    put(tmp_path / f"{name}.hea", text.encode())
    put(tmp_path / f"{name}.dat", data)
    return tmp_path / name


def through_wfdb(path: Path) -> npt.NDArray[np.float64]:
    read = wfdb.rdrecord(str(path))
    return read.p_signal[:, [read.sig_name.index(lead) for lead in LEADS]].T


@pytest.mark.parametrize("leads", [LEADS, REVERSED], ids=["usual", "reversed"])
def test_the_fast_path_equals_wfdb(tmp_path: Path, leads: tuple[str, ...]) -> None:
    path = record(tmp_path, header("1", leads=leads), SIGNALS[""])
    assert plain_leads(path.with_suffix(".hea").read_text(), "1.dat") == leads
    signal = read_signal(path)
    assert signal.shape == (12, 5000) and signal.dtype == np.int16 and signal.flags["C_CONTIGUOUS"]
    np.testing.assert_array_equal(signal / 200, through_wfdb(path))


@pytest.mark.parametrize(
    "changes",
    [{"gain": "1000.0(0)"}, {"gain": "200.0(12)"}, {"gain": "200.0"}, {"form": "16x1"}, {"form": "16+0"}],
    ids=str,
)
def test_other_headers_go_through_wfdb(tmp_path: Path, changes: dict[str, Any]) -> None:
    text = header("1", **changes)
    assert plain_leads(text, "1.dat") is None
    path = record(tmp_path, text, SIGNALS[""])
    np.testing.assert_array_equal(read_signal(path), np.rint(through_wfdb(path) * 200))


@pytest.mark.parametrize("unit", ["mv", "MV"])
def test_a_unit_in_small_letters_is_the_unit(tmp_path: Path, unit: str) -> None:
    """As PhysioNet's challenges write it."""
    text = header("1").replace("/mV", f"/{unit}")
    np.testing.assert_array_equal(
        read_signal(record(tmp_path, text, SIGNALS[""])), read_signal(record(tmp_path, header("2"), SIGNALS[""], "2"))
    )
    with pytest.raises(UnusableRecordError, match="in mV"):
        read_signal(record(tmp_path, header("3").replace("/mV", "/uV"), SIGNALS[""], "3"))


def test_a_record_of_another_format_is_read_through_wfdb(tmp_path: Path) -> None:
    volts = samples() / 200
    wfdb.wrsamp(
        "24", fs=500, units=["mV"] * 12, sig_name=list(LEADS), p_signal=volts, fmt=["24"] * 12, write_dir=str(tmp_path)
    )
    np.testing.assert_array_equal(read_signal(tmp_path / "24"), np.rint(volts.T * 200))


@pytest.mark.parametrize(
    ("text", "data", "reason", "filtered"),
    [
        (header("1"), SIGNALS["zero"], "all samples are zero", True),
        (header("1"), SIGNALS["unknown"], "a sample is unknown", True),
        (header("1"), SIGNALS["flat"], "all samples are equal", False),
        (header("1"), SIGNALS[""][:-2], "header and data disagree", False),
        (header("1"), SIGNALS[""] + b"\0\0", "header and data disagree", False),
        (header("1"), b"", "header and data disagree", False),
        (header("1", gain="1000.0(0)"), SIGNALS["unknown"], "a sample is unknown", True),
        (header("1", gain="1000.0(0)"), SIGNALS[""][:-24], "header and data disagree", False),
        (header("1", gain="0.01(0)"), SIGNALS[""], "amplitude beyond 163 mV", False),
        (header("1", samples=4999), SIGNALS[""], "not 12 leads of 5000 samples at 500 Hz in mV", False),
        (header("1", leads=["I"] * 12), SIGNALS[""], "leads differ from the 12 standard ones", False),
        ("no header", SIGNALS[""], "header and data disagree", False),
        ("", SIGNALS[""], "header and data disagree", False),
    ],
)
def test_unusable_records_have_a_reason(tmp_path: Path, text: str, data: bytes, reason: str, filtered: bool) -> None:
    with pytest.raises(UnusableRecordError) as caught:
        read_signal(record(tmp_path, text, data))
    assert (str(caught.value), caught.value.filtered) == (reason, filtered)


def test_the_public_pipeline_takes_a_constant_record(tmp_path: Path) -> None:
    assert (read_signal(record(tmp_path, header("1"), SIGNALS["flat"]), allow_constant=True) == 9).all()


def test_a_missing_file_is_named_so(tmp_path: Path) -> None:
    path = record(tmp_path, header("1"), SIGNALS[""])
    path.with_suffix(".dat").unlink()
    for _ in range(2):
        with pytest.raises(UnusableRecordError, match="file not found"):
            read_signal(path)
        path.with_suffix(".hea").unlink(missing_ok=True)


def reference_pixels(picture: Image.Image) -> npt.NDArray[np.uint8]:
    """The public pipeline: RGB, shorter side 320, the longer one rounded down, antialiased bilinear."""
    width, height = picture.size
    size = (320, int(320 * height / width)) if width <= height else (int(320 * width / height), 320)
    return np.asarray(picture.convert("RGB").resize(size, Image.Resampling.BILINEAR))


@pytest.mark.parametrize("size", [(400, 485), (485, 400), (320, 351), (321, 321), (60, 97), (333, 1000)], ids=str)
def test_every_plane_of_the_public_pipelines_image_is_ours(tmp_path: Path, size: tuple[int, int]) -> None:
    noise = np.random.default_rng(0).integers(0, 256, size=(size[1] // 4, size[0] // 4), dtype=np.uint8)
    Image.fromarray(noise).resize(size).save(tmp_path / "x.jpg", quality=95)
    with Image.open(io.BytesIO(convert(tmp_path / "x.jpg"))) as ours, Image.open(tmp_path / "x.jpg") as theirs:
        assert (ours.format, ours.mode, min(ours.size)) == ("PNG", "L", 320)
        planes = reference_pixels(theirs)
        for plane in range(3):
            np.testing.assert_array_equal(np.asarray(ours), planes[:, :, plane])


def dicom(path: Path, stored: npt.NDArray[np.uint16], syntax: str = ExplicitVRLittleEndian, **elements: object) -> Path:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta.MediaStorageSOPClassUID, meta.MediaStorageSOPInstanceUID
    dataset.Rows, dataset.Columns = stored.shape
    dataset.SamplesPerPixel, dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit = 1, 16, 12, 11
    dataset.PixelRepresentation, dataset.PhotometricInterpretation = 0, "MONOCHROME2"
    for name, value in elements.items():
        setattr(dataset, name, value)
    dataset.PixelData = stored.tobytes()
    if syntax != ExplicitVRLittleEndian:
        if syntax == RLELossless:
            dataset.compress(syntax, encoding_plugin="pydicom")
        elif syntax == JPEG2000Lossless:
            dataset.compress(syntax, encoding_plugin="pylibjpeg")
        else:
            dataset.file_meta.TransferSyntaxUID = pydicom.uid.UID(syntax)
            dataset.PixelData = pydicom.encaps.encapsulate([stored.tobytes()])
    dataset.save_as(path)
    return path


@pytest.fixture
def stored() -> npt.NDArray[np.uint16]:
    return np.random.default_rng(0).integers(0, 4096, size=(64, 50), dtype=np.uint16)


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, RLELossless, JPEG2000Lossless], ids=lambda uid: uid.name)
def test_compressed_dicom_files_give_the_same_image(
    tmp_path: Path, stored: npt.NDArray[np.uint16], syntax: str
) -> None:
    plain = convert(dicom(tmp_path / "plain.dcm", stored))
    assert convert(dicom(tmp_path / "x.dcm", stored, syntax)) == plain


def test_modality_then_window_then_inversion(tmp_path: Path, stored: npt.NDArray[np.uint16]) -> None:
    """Rescaled by 2 x - 1000; a window of 2000 around 1000 then shows 500 to 1500 of the stored values."""
    elements: dict[str, Any] = {"RescaleSlope": 2, "RescaleIntercept": -1000, "WindowCenter": 1000, "WindowWidth": 2000}
    bright = dicom_pixels(pydicom.dcmread(dicom(tmp_path / "a.dcm", stored, **elements)))
    values = 2.0 * stored - 1000
    shown = ((values - 999.5) / 1999 + 0.5).clip(0, 1)  # DICOM PS3.3 C.11.2.1.2.1
    np.testing.assert_allclose(bright, np.rint(255 * shown), atol=1)
    elements["PhotometricInterpretation"] = "MONOCHROME1"
    dark = dicom_pixels(pydicom.dcmread(dicom(tmp_path / "b.dcm", stored, **elements)))
    np.testing.assert_allclose(bright.astype(int) + dark, 255, atol=1)


def test_a_flat_dicom_image_is_black(tmp_path: Path) -> None:
    path = dicom(tmp_path / "x.dcm", np.full((64, 50), 77, dtype=np.uint16))
    assert not dicom_pixels(pydicom.dcmread(path)).any()


def test_a_missing_decoder_is_named_with_its_package(
    tmp_path: Path, stored: npt.NDArray[np.uint16], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = dicom(tmp_path / "x.dcm", stored, JPEGLosslessSV1)
    decoder = pydicom.pixels.get_decoder(JPEGLosslessSV1)
    monkeypatch.setattr(type(decoder), "is_available", property(lambda _: False))
    monkeypatch.setattr(type(decoder), "missing_dependencies", property(lambda _: ["pylibjpeg - requires pylibjpeg"]))
    with pytest.raises(SourceError) as caught:
        convert(path)
    assert str(caught.value) == (
        "a DICOM file is compressed as JPEG Lossless, Non-Hierarchical, First-Order Prediction (Process 14 [Selection "
        f"Value 1]), for which no decoder is installed ({path}); got pylibjpeg - requires pylibjpeg. Run: pip install "
        "-c constraints.txt -e '.[mimic]'"
    )


def test_what_is_no_x_ray_has_a_reason(tmp_path: Path, stored: npt.NDArray[np.uint16]) -> None:
    put(tmp_path / "junk.dcm", b"not DICOM")
    cut = dicom(tmp_path / "cut.dcm", stored)
    put(cut, cut.read_bytes()[:-500])
    colour = dicom(tmp_path / "colour.dcm", stored, PhotometricInterpretation="PALETTE COLOR")
    film = dicom(tmp_path / "film.dcm", stored, MPEG2MPML)
    for path in (tmp_path / "junk.dcm", cut):
        with pytest.raises(UnusablePictureError, match="does not decode"):
            convert(path)
    with pytest.raises(UnusablePictureError, match="in colour, not gray"):
        convert(colour)
    with pytest.raises(UnusablePictureError, match="compressed in a way that no X-ray uses"):
        convert(film)
    for name in ("absent.dcm", "absent.jpg"):
        with pytest.raises(UnusablePictureError, match="file not found"):
            convert(tmp_path / name)


def test_sample_records_carry_what_wfdb_checks(tmp_path: Path) -> None:
    signal = draw_ecg(0, 1, 5)
    assert signal.shape == (12, 5000) and signal.dtype == np.int16 and np.abs(signal).max() < 2000
