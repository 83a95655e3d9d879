"""The sample releases: official layout, the same each time, and a hidden state that takes two modalities to see."""

from __future__ import annotations

import gzip
import io
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import wfdb
from factories import contents, problems
from mimic_tree import rows_of
from PIL import Image

from symile_data.builders.engine.card_hook import no_card
from symile_data.builders.mimic.build import build_mimic
from symile_data.builders.mimic.sample.patients import LAB_BITS, USUAL, draw_patient
from symile_data.builders.mimic.sample.release import is_sample, sample_roots, write_sample_mimic
from symile_data.builders.mimic.sample.signals import draw_ecg, draw_xray
from symile_data.builders.mimic.signals.waveform import plain_leads
from symile_data.builders.mimic.spec import MimicSpec
from symile_data.datasets.mimic.lab_items import ITEM_IDS
from symile_data.datasets.mimic.sample_law import STATES
from symile_data.datasets.mimic.schema import NAN_VALUE
from symile_data.errors import UsageError
from symile_data.format import manifest as manifests

PATIENTS = 30


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Shared by the tests of this module, which must not change it."""
    directory = tmp_path_factory.mktemp("sample") / "mimic"
    write_sample_mimic(directory, PATIENTS)
    return directory


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("dataset") / "mimic"
    spec = MimicSpec(patients=PATIENTS, candidates=2, validation=0, train=20)
    build_mimic(spec, out, workers=1, write_card=no_card)
    return out


def test_the_layout_is_the_official_one(source: Path) -> None:
    roots = sample_roots(source)
    for table in ("patients", "admissions", "labevents", "d_labitems"):
        assert (roots.mimic_iv / "hosp" / f"{table}.csv.gz").is_file()
    record = rows_of(roots.mimic_ecg / "record_list.csv")[0]
    subject_id, study_id = record["subject_id"], record["study_id"]
    assert record["path"] == f"files/p{subject_id[:4]}/p{subject_id}/s{study_id}/{study_id}"
    text = (roots.mimic_ecg / (record["path"] + ".hea")).read_text()
    assert plain_leads(text, f"{study_id}.dat") is not None
    assert wfdb.rdrecord(str(roots.mimic_ecg / record["path"])).p_signal.shape == (5000, 12)
    picture = rows_of(roots.mimic_cxr / "mimic-cxr-2.0.0-metadata.csv.gz")[0]
    assert list(roots.mimic_cxr.glob(f"files/p10/p{picture['subject_id']}/s{picture['study_id']}/*.jpg"))


def test_it_has_the_oddities_of_real_releases(source: Path) -> None:
    roots = sample_roots(source)
    pictures = rows_of(roots.mimic_cxr / "mimic-cxr-2.0.0-metadata.csv.gz")
    assert "LATERAL" in {row["ViewPosition"] for row in pictures}
    assert len(list(roots.mimic_cxr.rglob("*.jpg"))) < len(pictures)
    labelled = {row["study_id"] for row in rows_of(roots.mimic_cxr / "mimic-cxr-2.0.0-chexpert.csv.gz")}
    assert {row["study_id"] for row in pictures} - labelled
    raw = [np.fromfile(path, dtype="<i2") for path in roots.mimic_ecg.rglob("*.dat")]
    assert any(not signal.any() for signal in raw) and any((signal == NAN_VALUE).any() for signal in raw)
    records = rows_of(roots.mimic_ecg / "record_list.csv")
    assert len({(row["subject_id"], row["ecg_time"]) for row in records}) < len(records)
    admissions = rows_of(roots.mimic_iv / "hosp" / "admissions.csv.gz")
    assert len({row["subject_id"] for row in admissions}) == PATIENTS < len(admissions)
    assert any(not row["valuenum"] for row in rows_of(roots.mimic_iv / "hosp" / "labevents.csv.gz"))


def test_it_is_the_same_each_time_and_says_what_it_is(source: Path, tmp_path: Path) -> None:
    write_sample_mimic(tmp_path / "again", PATIENTS)
    assert contents(tmp_path / "again") == contents(source)
    assert is_sample(sample_roots(source))
    assert gzip.decompress((source / "mimic-iv/hosp/patients.csv.gz").read_bytes()).startswith(b"subject_id,gender")
    (tmp_path / "again" / "mine.txt").write_text("x")
    with pytest.raises(UsageError, match="the directory holds other files"):
        write_sample_mimic(tmp_path / "again", PATIENTS)


def test_a_build_of_the_written_sample_has_the_built_in_ones_rows(source: Path, dataset: Path, tmp_path: Path) -> None:
    spec = MimicSpec(roots=sample_roots(source), candidates=2, validation=0, train=20)
    manifest = build_mimic(spec, tmp_path / "out", workers=1, write_card=no_card)
    for entry in manifest.shards():
        assert (tmp_path / "out" / entry.path).read_bytes() == (dataset / entry.path).read_bytes()
    assert manifest.identity.sources["records"]["kind"] == "sample"
    assert problems(tmp_path / "out") == problems(dataset) == []


def seen_in_picture(data: bytes) -> int:
    """Read the state off an X-ray: is the middle of each quarter of the lungs nearly as bright as the spine?"""
    with Image.open(io.BytesIO(data)) as opened:
        gray = np.asarray(opened.resize((100, 100)), dtype=float)
    spine = gray[5:60, 46:54].mean()
    spots = [(row, column) for row in (30, 66) for column in (29, 71)]
    bright = [gray[row - 3 : row + 3, column - 3 : column + 3].mean() > 0.62 * spine for row, column in spots]
    return sum(int(bit) << place for place, bit in enumerate(bright))


def seen_in_tracing(signal: np.ndarray) -> int:
    """Read the state off a tracing: beats in lead V4, their width, lead I's direction, T waves after the beats."""
    lead = signal[9].astype(float) - np.median(signal[9])
    high = lead > 0.55 * lead.max()
    beats = np.flatnonzero(high[1:] & ~high[:-1]) + 1
    beats = beats[np.r_[True, np.diff(beats) > 100]]
    wide = high.sum() / max(len(beats), 1)
    limb = signal[0].astype(float) - np.median(signal[0])
    after = np.mean([lead[beat + 90 : beat + 140].mean() for beat in beats if beat + 140 < 5000])
    bits = (len(beats) > 14, wide > 14, abs(limb.min()) > limb.max(), after < 0)
    return sum(int(bit) << place for place, bit in enumerate(bits))


def seen_in_tests(values: list[float | None]) -> int:
    state = 0
    for bit, items in enumerate(LAB_BITS):
        known = [(values[ITEM_IDS.index(item)], USUAL[item][0]) for item in items]
        state |= int(np.mean([np.log(value / usual) for value, usual in known if value is not None]) > 0) << bit
    return state


@pytest.mark.parametrize("state", range(STATES))
def test_a_state_can_be_seen(state: int) -> None:
    for number in range(3):
        assert seen_in_picture(draw_xray(0, f"{state}-{number}", state, "AP")) == state
        assert seen_in_tracing(draw_ecg(0, 100 * state + number, state)) == state


def test_the_built_rows_keep_the_rule(dataset: Path) -> None:
    """X-ray = electrocardiogram XOR tests, as far as the tests of a row show all four bits."""
    kept = 0
    for entry in manifests.read(dataset).shards():
        for row in pq.read_table(dataset / entry.path).to_pylist():
            if any(all(row["labs"][ITEM_IDS.index(item)] is None for item in items) for items in LAB_BITS):
                continue
            ecg = seen_in_tracing(np.array(row["ecg"]).reshape(12, 5000))
            kept += seen_in_picture(row["cxr"]["bytes"]) == ecg ^ seen_in_tests(row["labs"])
    assert kept >= 0.9 * sum(manifests.read(dataset).splits.values())


def test_no_two_modalities_tell_anything() -> None:
    """Hidden states of many patients: each pair of the three is independent."""
    states: list[tuple[int, int]] = []
    for index in range(700):
        person = draw_patient(0, index)
        first = {tracing.time: tracing.state for tracing in reversed(person.ecgs) if not tracing.fault}
        frontal = [p for p in person.xrays if p.view != "LATERAL" and not p.absent]
        for stay in person.stays:
            hours = [((p.time - stay.admitted).total_seconds() / 3600, p.state) for p in frontal]
            ecgs = [((time - stay.admitted).total_seconds() / 3600, state) for time, state in first.items()]
            picture = min(((h, s) for h, s in hours if 24 < h <= 72), default=None)
            tracing = min(((h, s) for h, s in ecgs if -24 <= h <= 24), default=None)
            if picture and tracing:
                states.append((picture[1], tracing[1]))
    table = np.zeros((STATES, STATES))
    np.add.at(table, tuple(np.array(states).T), 1)
    expected = table.sum() / STATES**2
    chi_square = ((table - expected) ** 2 / expected).sum()
    assert len(states) > 700 and chi_square < 255 + 4 * np.sqrt(2 * 255)
