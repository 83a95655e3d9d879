"""MIMIC releases and published plans of any bytes: our errors, or media that are left out and counted."""

import contextlib
import gzip
import io
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mimic_tree import SIGNALS, header, put
from PIL import Image
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, SecondaryCaptureImageStorage

from symile_data.builders.m3.release.tables import COLUMNS, open_plan, read_table
from symile_data.builders.mimic.signals.radiograph import UnusablePictureError, convert
from symile_data.builders.mimic.signals.waveform import UnusableRecordError, read_signal
from symile_data.builders.mimic.tables import ADMISSIONS, read
from symile_data.errors import SourceError, SymileDataError

fuzz = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=80, deadline=3000)
edits = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.binary(min_size=1, max_size=3)
        | st.sampled_from([b"\t", b"\n", b'"', b",", b"\x00", b"\xff\xfe", b"9" * 20, b"-1", b"1e999", b".", b"../"]),
    ),
    min_size=1,
    max_size=3,
)


def edited(data: bytes, edits: list[tuple[float, bytes]]) -> bytes:
    changed = bytearray(data)
    for share, new in edits:
        at = int(share * len(changed))
        changed[at : at + len(new)] = new
    return bytes(changed)


def only_ours(read) -> str:
    try:
        read()
    except SymileDataError as error:
        assert str(error).isprintable()
        return str(error)
    return ""


TABLE = b"subject_id,hadm_id,admittime,dischtime\n1,2,2150-01-01 00:00:00,2150-01-03 00:00:00\n3,4,,\n"


@fuzz
@given(edits, st.booleans(), st.booleans())
def test_a_table_of_any_bytes_is_read_or_refused(tmp_path: Path, edits: list[Any], packed: bool, after: bool) -> None:
    """Damaged before it was compressed, or after."""
    data = edited(TABLE, edits) if not after else TABLE
    data = gzip.compress(data, mtime=0) if packed else data
    path = tmp_path / ("admissions.csv.gz" if packed else "admissions.csv")
    path.write_bytes(edited(data, edits) if after else data)
    only_ours(lambda: read(path, ADMISSIONS))


def test_a_first_line_without_end_is_not_read_whole(tmp_path: Path) -> None:
    path = tmp_path / "admissions.csv.gz"
    path.write_bytes(gzip.compress(bytes(1 << 27), mtime=0))
    with pytest.raises(SourceError, match="a table"):
        read(path, ADMISSIONS)


@fuzz
@given(edits)
def test_a_plan_of_any_bytes_is_read_or_refused(tmp_path: Path, edits: list[Any]) -> None:
    rows = "en,a/en/clip.mp3,b/n01440764/x.JPEG,tench,0,tench,tench_Βούς\n" * 3
    path = tmp_path / "train.csv"
    path.write_bytes(edited((",".join(COLUMNS) + "\n" + rows).encode(), edits))
    only_ours(lambda: open_plan(path))
    only_ours(lambda: list(read_table(path, COLUMNS)))


@fuzz
@given(edits, st.sampled_from(["200.0(0)", "1000.0(0)", "200"]))
def test_a_record_with_any_header_is_read_or_left_out(tmp_path: Path, edits: list[Any], gain: str) -> None:
    put(tmp_path / "1.dat", SIGNALS[""])
    put(tmp_path / "1.hea", edited(header("1", gain=gain).encode(), edits))
    with contextlib.suppress(UnusableRecordError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert read_signal(tmp_path / "1").shape == (12, 5000)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("500 5000", "500 999999999999"),
        ("12 500", "999999999 500"),
        ("1.dat 212", "1.dat 212x1000000000"),
        ("1.dat 212", "1.dat 212:1000000000"),
        ("1.dat 212", "../../1.dat 212"),
        ("1.dat 212", "/dev/zero 212"),
        ("200.0(0)", "2.0.0(0)"),
        ("200.0(0)", "." * 60_000),
        ("200.0(0)", "9" * 70_000),
    ],
)
def test_a_header_that_asks_for_much_is_left_out(tmp_path: Path, old: str, new: str) -> None:
    put(tmp_path / "1.dat", SIGNALS[""])
    put(tmp_path / "1.hea", header("1", form="212").replace(old, new).encode())
    with pytest.raises(UnusableRecordError):
        read_signal(tmp_path / "1")


def dicom(syntax: str = ExplicitVRLittleEndian) -> FileDataset:
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    meta.MediaStorageSOPInstanceUID = "1.2.3"
    dataset = FileDataset(None, {}, file_meta=meta, preamble=bytes(128))
    dataset.Rows, dataset.Columns, dataset.SamplesPerPixel = 6, 5, 1
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit, dataset.PixelRepresentation, dataset.PhotometricInterpretation = 15, 0, "MONOCHROME2"
    dataset.RescaleSlope, dataset.RescaleIntercept = 2, 1
    dataset.WindowCenter, dataset.WindowWidth = 100, 50
    dataset.PixelData = np.arange(30, dtype="<u2").tobytes()
    return dataset


def dicom_bytes(dataset: FileDataset) -> bytes:
    buffer = io.BytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


WHOLE = dicom_bytes(dicom())


def test_the_dicom_file_that_is_damaged_is_read(tmp_path: Path) -> None:
    (tmp_path / "x.dcm").write_bytes(WHOLE)
    assert Image.open(io.BytesIO(convert(tmp_path / "x.dcm"))).size == (320, 384)


@fuzz
@given(edits)
def test_a_dicom_file_of_any_bytes_is_read_or_left_out(tmp_path: Path, edits: list[Any]) -> None:
    (tmp_path / "x.dcm").write_bytes(edited(WHOLE, edits))
    with contextlib.suppress(UnusablePictureError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert convert(tmp_path / "x.dcm").startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "changes",
    [
        {"Rows": 65535, "Columns": 65535},
        {"NumberOfFrames": 1_000_000_000},
        {"RescaleSlope": 1e308, "WindowCenter": 0, "WindowWidth": 0},
        {"Rows": 1, "Columns": 30},
        {"SamplesPerPixel": 3},
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore")
def test_a_dicom_file_that_is_no_x_ray_is_left_out(tmp_path: Path, changes: dict[str, float]) -> None:
    dataset = dicom()
    for name, value in changes.items():
        setattr(dataset, name, value)
    (tmp_path / "x.dcm").write_bytes(dicom_bytes(dataset))
    with pytest.raises(UnusablePictureError):
        convert(tmp_path / "x.dcm")


def test_a_deflated_dicom_file_is_not_inflated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "x.dcm").write_bytes(dicom_bytes(dicom(DeflatedExplicitVRLittleEndian)))
    monkeypatch.setattr(pydicom, "dcmread", lambda *_: pytest.fail("it was read"))
    with pytest.raises(UnusablePictureError, match="compressed in a way that no X-ray uses"):
        convert(tmp_path / "x.dcm")


@pytest.mark.parametrize("size", [(1, 60_000), (60_000, 1)])
def test_an_image_of_one_line_is_left_out(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.new("L", size).save(tmp_path / "x.jpg")
    with pytest.raises(UnusablePictureError, match="not the shape of an X-ray"):
        convert(tmp_path / "x.jpg")
